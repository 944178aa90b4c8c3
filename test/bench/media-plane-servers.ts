/**
 * Whole servers side by side: the same stream of 2.65 Mbit/s without sound, real WHEP viewers (ICE, DTLS, SRTP, NACK, feedback), and the CPU of the server
 * with all its children above idle, per viewer and per packet. The servers of `servers.yaml` and those named by `--peer`, one after the other, each
 * held to core 0 while publisher and viewers have the other. Without `SLUICE_SIZE=soak` fewer viewers.
 */
import { spawnSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../server/base/errors.ts';
import { runLoad } from '../latency/load/load-run.ts';
import type { LoadReport } from '../latency/load/load-report.ts';
import { readLabConfig } from '../latency/run/lab-config.ts';
import { startLabServer, type RunningServer } from '../latency/run/lab-server.ts';
import { fillIn } from '../latency/run/placeholders.ts';
import { FilePublisher } from '../latency/source/publisher.ts';
import { makeClip } from '../support/clip.ts';
import { descendants } from '../support/process-usage.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { passMs } from '../support/wait.ts';
import type { Bench, BenchOptions, BenchRow } from './row.ts';

const SERVERS_FILE = fileURLToPath(new URL('servers.yaml', import.meta.url));
const [VIEWER_COUNTS, DURATION_S] = process.env['SLUICE_SIZE'] === 'soak' ? [[50, 100, 200], 12] : [[20], 5];
const BITRATE_BPS = 2_650_000;
const SERVER_CPU = '0';
const OTHER_CPU = '1';
const NAME = 'bench';
/** A server that has just begun still compiles its code, and waits for its first keyframe. */
const WARM_UP = { viewerCount: 10, durationS: 5, joinsPerS: 10 };
const SETTLE_MS = 2_000;

type Entrant = {
  readonly name: string;
  readonly start: () => Promise<RunningServer>;
  readonly push: string;
  readonly whep: string;
};

export const mediaPlaneServersBench: Bench = {
  name: 'media-plane-servers',
  run: async (options) => {
    const folder = tempFolder('servers');
    try {
      const clip = await makeClip({
        folder,
        bitrateBps: BITRATE_BPS,
        durationS: 20,
        withSound: false,
        isCompact: true,
      });
      const rows: BenchRow[] = [];
      for (const entrant of entrantsOf(options)) {
        rows.push(...(await measureEntrant(entrant, clip)));
      }
      return rows;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const entrantsOf = ({ servers: wanted, peers }: BenchOptions): Entrant[] => {
  const config = readLabConfig(SERVERS_FILE);
  const here = path.dirname(SERVERS_FILE);
  const listed = config.targets
    .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
    .map(({ name, server, push, play }) => ({
      ...{ name, push, whep: play.url },
      start: async () => startLabServer(config.servers[server ?? ''], here),
    }));
  const running = peers.map(({ url, pid, push }) => ({
    ...{ name: url, push, whep: url },
    start: async () => startLabServer({ pid }, here),
  }));
  return [...listed, ...running];
};

/** A server that does not start, or that gives no stream, is left out aloud: the others are measured all the same. */
const measureEntrant = async (entrant: Entrant, clip: string): Promise<BenchRow[]> => {
  let server: RunningServer;
  try {
    server = await entrant.start();
  } catch (error) {
    console.error(`${entrant.name} is left out: ${messageOf(error)}`);
    return [];
  }
  const values = { ...server.placeholders, name: NAME };
  const publisher = new FilePublisher({ path: clip, url: fillIn(entrant.push, values), cpus: OTHER_CPU });
  try {
    keepTo(SERVER_CPU, server.rootPid);
    await passMs(SETTLE_MS);
    const rows: BenchRow[] = [];
    const load = (shape: typeof WARM_UP): Promise<LoadReport> =>
      runLoad({
        ...{ target: { kind: 'whep', url: fillIn(entrant.whep, values) }, cpus: OTHER_CPU, processCount: 1, ...shape },
        ...(server.rootPid === undefined ? {} : { serverPid: server.rootPid }),
      });
    await load(WARM_UP);
    for (const viewerCount of VIEWER_COUNTS) {
      rows.push(...toRows(entrant.name, await load({ viewerCount, durationS: DURATION_S, joinsPerS: 20 })));
    }
    return rows;
  } finally {
    await publisher.stop();
    await server.stop();
  }
};

/** All threads that are there; what they start stays there. */
const keepTo = (cpus: string, rootPid: number | undefined): void => {
  const pids = rootPid === undefined ? [] : [rootPid, ...descendants(rootPid)];
  pids.forEach((pid) => spawnSync('taskset', ['-a', '-c', '-p', cpus, String(pid)], { stdio: 'ignore' }));
};

const toRows = (name: string, report: LoadReport): BenchRow[] => {
  const { server, counts, joinMs, delayMs } = report;
  const frame = delayMs['frame'];
  const count = (key: string): number => counts[key] ?? 0;
  const what = `${name}, ${report.wantedCount} viewers`;
  const ms = (value: number | undefined): string => (value ?? Number.NaN).toFixed(1);
  const packetsPerS = (1000 * count('packetCount')) / report.durationMs / Math.max(1, report.viewerCount);
  return [
    {
      name: `${what}: CPU per viewer`,
      value: server?.cpuMsPerSPerViewer ?? Number.NaN,
      unit: 'ms/s',
      note: [
        `${report.joinedCount} joined, ${report.failedCount} failed, ${count('blackCount')} saw nothing`,
        `${(report.bitrateBps / report.viewerCount / 1e6).toFixed(2)} Mbit/s and ${packetsPerS.toFixed(0)} packets/s each`,
        `${(count('byteCount') / Math.max(1, count('packetCount'))).toFixed(0)} B a packet`,
        `${count('lostCount')} lost, ${count('nackCount')} asked again`,
        `in all ${server?.cpuMsPerS.toFixed(0)} ms/s, waited ${server?.waitMsPerS.toFixed(0)} ms/s for a core`,
        ...report.load.complaints,
      ].join(', '),
    },
    {
      name: `${what}: CPU per packet`,
      value: server?.cpuUsPerPacket ?? Number.NaN,
      unit: 'µs',
      note: `${((server?.rssBytesPerViewer ?? Number.NaN) / 1000).toFixed(0)} kB a viewer`,
    },
    {
      name: `${what}: a frame's delay over the viewer's least, p99`,
      value: frame?.p99 ?? Number.NaN,
      unit: 'ms',
      note: `p50 ${ms(frame?.p50)}; joins: first whole frame p50 ${ms(joinMs['POST to first whole frame']?.p50)}, p99 ${ms(joinMs['POST to first whole frame']?.p99)}`,
    },
  ];
};
