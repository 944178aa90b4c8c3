/** A thousand viewers come in one moment while twenty watch: what those see of it, how soon all play, and what a join costs once the code is warm. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Publisher } from '../latency/source/publisher.ts';
import { DelayHistogram } from '../support/delay-histogram.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { passMs, withinValue } from '../support/wait.ts';
import { offerSdp, VIDEO_PT } from '../support/whep-client.ts';
import { WhepTransport } from '../support/whep-transport.ts';
import { HubToKernel, LATE_MS } from './hub-to-kernel.ts';
import type { JoinStormOptions, JoinStormReport } from './join-storm-load.ts';
import type { Bench } from './row.ts';

const PROGRAM = fileURLToPath(new URL('join-storm-load.ts', import.meta.url));
const WATCHER_COUNT = 20;
const JOIN_COUNT = 1_000;
const ALL_PLAYING_MAX_S = 5;
/** Less than a picture more is not noticed. */
const PICTURE_MS = 33;
const ADDRESS_COUNT = 50;
const CALM_MS = 10_000;
const STORM_MAX_MS = 150_000;

/** CPU of the server and its children from now until the returned function is called. */
const startUse = (sluice: SluiceProcess): (() => { cpuMs: number; wallMs: number; cpuRatio: number }) => {
  const before = { cpuMs: sluice.cpuMs({ withChildren: true }), atMs: performance.now() };
  return () => {
    const cpuMs = sluice.cpuMs({ withChildren: true }) - before.cpuMs;
    const wallMs = performance.now() - before.atMs;
    return { cpuMs, wallMs, cpuRatio: cpuMs / wallMs };
  };
};

/** How much later than the earliest packet each one came, by its own stamp. */
class Lateness {
  #histogram = new DelayHistogram();
  #earliestMs = Number.POSITIVE_INFINITY;
  #firstStamp: number | undefined;
  readonly #isCounting: () => boolean;

  constructor(isCounting: () => boolean) {
    this.#isCounting = isCounting;
  }

  add(datagram: Buffer): void {
    if (((datagram[1] ?? 0) & 0x7f) !== VIDEO_PT) {
      return;
    }
    const stamp = datagram.readUInt32BE(4);
    this.#firstStamp ??= stamp;
    const behindMs = performance.now() - ((stamp - this.#firstStamp) | 0) / 90;
    this.#earliestMs = Math.min(this.#earliestMs, behindMs);
    if (this.#isCounting()) {
      this.#histogram.add(behindMs - this.#earliestMs);
    }
  }

  /** What was counted since the last call. */
  take(): DelayHistogram {
    const histogram = this.#histogram;
    this.#histogram = new DelayHistogram();
    return histogram;
  }
}

const startLoad = (
  options: JoinStormOptions,
): { ready: Promise<void>; storm: () => Promise<JoinStormReport>; stop: () => void } => {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  let stormCount = 0;
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const lineAt = async (index: number): Promise<string> =>
    withinValue(STORM_MAX_MS, 'a word of the load', () => lines[index]);
  return {
    ready: lineAt(0).then(() => undefined),
    storm: async () => {
      child.stdin.write('\n');
      stormCount += 1;
      return JSON.parse(await lineAt(stormCount)) as JoinStormReport;
    },
    stop: () => child.kill('SIGKILL'),
  };
};

export const joinStormBench: Bench = {
  name: 'join-storm',
  run: async () => {
    const sluice = await SluiceProcess.start({
      config: { ladder: { enabled: false }, webrtc: { requestsPerMinute: 100_000 } },
    });
    const publisher = await Publisher.start({
      ...{ url: sluice.rtmpUrl('storm'), preset: 'zerolatency', widthPx: 640, heightPx: 360, bitrateBps: 800_000 },
    });
    const port = Number(new URL(sluice.httpUrl).port);
    const load = startLoad({ port, path: '/whep/storm', count: JOIN_COUNT, addressCount: ADDRESS_COUNT });
    const watchers: WhepTransport[] = [];
    try {
      await sluice.waitState('storm', 'live');
      await load.ready;
      let isCounting = false;
      const lateness: Lateness[] = [];
      for (let index = 0; index < WATCHER_COUNT; index += 1) {
        const own = new Lateness(() => isCounting);
        lateness.push(own);
        watchers.push(
          await WhepTransport.connect({
            offer: (parts) => offerSdp({ ...parts, lacks: ['transport-cc'] }),
            post: async (body) => {
              const headers = { 'content-type': 'application/sdp' };
              const response = await fetch(`${sluice.httpUrl}/whep/storm`, { method: 'POST', body, headers });
              return { status: response.status, headers: {}, body: await response.text() };
            },
            mediaHost: '127.0.0.1',
            onMedia: (datagram) => own.add(datagram),
          }),
        );
      }
      const all = (): DelayHistogram => {
        const sum = new DelayHistogram();
        lateness.forEach((own) => sum.addAll(own.take().buckets));
        return sum;
      };
      await passMs(CALM_MS / 2);
      isCounting = true;
      const idle = startUse(sluice);
      const atFirst = HubToKernel.read(await sluice.metrics());
      await passMs(CALM_MS);
      const calm = all();
      const idleRatio = idle().cpuRatio;
      const atStorm = HubToKernel.read(await sluice.metrics());
      const report = await load.storm();
      const storm = all();
      const atEnd = HubToKernel.read(await sluice.metrics());
      const latePercent = (from: HubToKernel, to: HubToKernel): number => 100 * to.since(from).lateRatio;
      const use = startUse(sluice);
      const warm = await load.storm();
      const { cpuMs, wallMs } = use();
      const joinMs = (cpuMs - idleRatio * wallMs) / warm.joinedCount;
      const say = (one: DelayHistogram): string =>
        `p50 ${one.quantile(0.5).toFixed(1)}, p95 ${one.quantile(0.95).toFixed(1)}, last ${one.quantile(1).toFixed(0)}`;
      return [
        {
          name: `${WATCHER_COUNT} who watch: a packet's delay over the least, p99, calm`,
          value: calm.quantile(0.99),
          unit: 'ms',
          note: say(calm),
        },
        {
          name: `the same while ${JOIN_COUNT} join at once`,
          value: storm.quantile(0.99),
          unit: 'ms',
          target: { max: calm.quantile(0.99) + PICTURE_MS },
          note: say(storm),
        },
        {
          name: `meanwhile, pictures and sound that took the server over ${LATE_MS} ms, hub to kernel`,
          value: latePercent(atStorm, atEnd),
          unit: '%',
          target: { max: 1 },
          note: `calm: ${latePercent(atFirst, atStorm).toFixed(1)} %; the delays above are also those of a machine that joins and watches`,
        },
        {
          name: 'of those who join, playing at last',
          value: report.joinedCount,
          unit: '',
          target: { min: JOIN_COUNT },
          note: `${report.failures.join('; ') || 'none failed'}; at most ${report.attemptMaxCount} attempts`,
        },
        {
          name: 'until the last got video',
          value: report.lastJoinedMs / 1_000,
          unit: 's',
          target: { max: ALL_PLAYING_MAX_S },
          note: `again, with the code warm: ${(warm.lastJoinedMs / 1_000).toFixed(1)} s; ${report.sentAwayCount} times "later"`,
        },
        {
          name: 'joins per second and core of the server',
          value: 1_000 / joinMs,
          unit: '',
          target: { min: 300 },
          note: `${joinMs.toFixed(2)} ms of CPU from POST to DELETE, beyond what the server uses anyway; the second thousand`,
        },
      ];
    } finally {
      load.stop();
      watchers.forEach((watcher) => watcher.close());
      await publisher.stop();
      await sluice.stop();
    }
  },
};
