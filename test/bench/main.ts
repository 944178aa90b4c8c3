/**
 * Runs benchmarks and prints their table: `node test/bench/main.ts [NAME…] [--clips DIR] [--viewers N] [--seconds N] [--server NAME…] [--peer URL --peer-pid N --peer-push URL…]`, all without names; a name also stands for those that begin
 * with it (`ladder` for `ladder-cost`). Ends with 1 when a number was not reached. Other benches join by exporting a `Bench` and standing in this list.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { closeBrowser } from '../support/browser.ts';
import { cuesBench } from './cues.ts';
import { dropsBench } from './drops.ts';
import { feedbackBench } from './feedback.ts';
import { hlsBesideNginxBench } from './hls-beside-nginx.ts';
import { hlsBlockedBench } from './hls-blocked.ts';
import { idleCpuBench } from './idle-cpu.ts';
import { joinBench } from './join.ts';
import { joinStormBench } from './join-storm.ts';
import { ladderBench, ladderCostBench } from './ladder.ts';
import { latencyBench } from './latency.ts';
import { mediaPlaneBench } from './media-plane.ts';
import { mediaPlaneServersBench } from './media-plane-servers.ts';
import { mediaThreadsBench } from './media-threads.ts';
import { memoryBench } from './memory.ts';
import { narrowbandBench } from './narrowband.ts';
import { pinnedLoadBench } from './pinned-load.ts';
import { recorderBench } from './recorder.ts';
import { replayOpenBench } from './replay-open.ts';
import { sharingBench } from './sharing.ts';
import { whepChurnBench } from './whep-churn.ts';
import { socketsBench } from './sockets.ts';
import { isReached, toMarkdown, type Bench, type BenchRow, type Peer } from './row.ts';

const BENCHES: readonly Bench[] = [
  latencyBench,
  joinBench,
  cuesBench,
  mediaPlaneBench,
  mediaPlaneServersBench,
  mediaThreadsBench,
  feedbackBench,
  sharingBench,
  pinnedLoadBench,
  hlsBlockedBench,
  hlsBesideNginxBench,
  dropsBench,
  recorderBench,
  replayOpenBench,
  memoryBench,
  socketsBench,
  joinStormBench,
  whepChurnBench,
  narrowbandBench,
  idleCpuBench,
  ladderBench,
  ladderCostBench,
];

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    clips: { type: 'string', default: '../shared/corpus/clips' },
    server: { type: 'string', multiple: true, default: [] },
    peer: { type: 'string', multiple: true, default: [] },
    'peer-pid': { type: 'string', multiple: true, default: [] },
    'peer-push': { type: 'string', multiple: true, default: [] },
    viewers: { type: 'string' },
    seconds: { type: 'string' },
  },
});
const isMeant = (bench: Bench, name: string): boolean => bench.name === name || bench.name.startsWith(`${name}-`);
const unknown = wanted.filter((name) => !BENCHES.some((bench) => isMeant(bench, name)));
if (unknown.length > 0) {
  throw new TypeError(`no bench "${unknown.join(', ')}"; there are ${BENCHES.map((bench) => bench.name).join(', ')}`);
}

const peers = values.peer.map((url, index): Peer => {
  const [pid, push] = [Number(values['peer-pid'][index]), values['peer-push'][index]];
  if (!Number.isInteger(pid) || push === undefined) {
    throw new TypeError(`--peer ${url} needs --peer-pid N and --peer-push rtmp://… beside it, in the same order`);
  }
  return { url, pid, push };
});

const wholeOf = (name: 'viewers' | 'seconds'): number | undefined => {
  const text = values[name];
  const count = text === undefined ? undefined : Number(text);
  if (count !== undefined && !(Number.isInteger(count) && count > 0)) {
    throw new TypeError(`--${name} is "${text}"; a whole number from 1 is expected`);
  }
  return count;
};
const [viewerCount, durationS] = [wholeOf('viewers'), wholeOf('seconds')];

const rows: BenchRow[] = [];
let failureCount = 0;
try {
  for (const bench of BENCHES.filter((each) => wanted.length === 0 || wanted.some((name) => isMeant(each, name)))) {
    console.error(`… ${bench.name}`);
    try {
      rows.push(
        ...(await bench.run({ clipsDir: values.clips, servers: values.server, peers, viewerCount, durationS })),
      );
    } catch (error) {
      failureCount += 1;
      console.error(`${bench.name} failed:`, error);
    }
  }
} finally {
  await closeBrowser();
}
const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, Node ${process.version}`;
console.log(`\n${new Date().toISOString().slice(0, 10)}, ${machine}\n\n${toMarkdown(rows)}`);
// Some parts under test (werift) keep timers of their own; what was measured is on the screen by now.
process.exit(failureCount > 0 || !rows.every(isReached) ? 1 : 0);
