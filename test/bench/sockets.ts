/**
 * One message to ten thousand sockets of one process: how late it is, what it costs, and what a hundred change who never read. The sockets are on
 * loopback, from two processes of their own; 20,000 file descriptors are enough (`ulimit -Hn`: Node takes what the hard limit allows).
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { DEFAULT_SOCKET_OPTIONS, WatchSockets } from '../../server/api/routes/socket.ts';
import { systemClock } from '../../server/base/clock.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { DelayHistogram } from '../support/delay-histogram.ts';
import { rssBytes } from '../support/process-usage.ts';
import { passMs, within, withinValue } from '../support/wait.ts';
import type { Bench, BenchRow } from './row.ts';
import type { SocketsLoadOptions, SocketsLoadReport } from './sockets-load.ts';

const PROGRAM = fileURLToPath(new URL('sockets-load.ts', import.meta.url));
const SOCKET_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 10_000 : 2_000;
const LOAD_COUNT = 2;
const SLOW_COUNT = 100;
const MESSAGE_COUNT = 20;
/** Of one: what a mark of a cue takes; and a cue at its largest. */
const [SMALL_BYTES, LARGE_BYTES] = [300, 8_000];
const IDLE_TIMEOUT_MS = 20_000;
const DROP_MAX_MS = 2 * IDLE_TIMEOUT_MS;
const CONNECT_MAX_MS = 120_000;
const MESSAGE_EVERY_MS = 500;

type Tell = (text: string) => void;
type Told = {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly cpuUs: number;
  readonly heldMs: number;
};

const wallMs = (): number => performance.timeOrigin + performance.now();

const messageOf = (bytes: number): string => `{"at":${wallMs().toFixed(3)},"filling":"`.padEnd(bytes - 2, 'x') + '"}';

/** A process with sockets. */
class Load {
  readonly count: number;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: string[] = [];
  #read = 0;

  constructor(options: SocketsLoadOptions) {
    this.count = options.count;
    this.#child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#lines.push(line));
  }

  async line(): Promise<string> {
    const index = this.#read;
    this.#read += 1;
    return withinValue(CONNECT_MAX_MS, 'a word of the load', () => {
      if (this.#child.exitCode !== null) {
        throw new Error(`the load ended with code ${this.#child.exitCode}`);
      }
      return this.#lines[index];
    });
  }

  /** What came since it was asked last. */
  async report(): Promise<SocketsLoadReport> {
    this.#child.stdin.write('\n');
    return JSON.parse(await this.line()) as SocketsLoadReport;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'exit');
    }
  }
}

const openLoads = async (port: number): Promise<Load[]> => {
  const loads = Array.from(
    { length: LOAD_COUNT },
    (_, index) =>
      new Load({
        ...{ port, count: SOCKET_COUNT / LOAD_COUNT, isSlow: false },
        localAddresses: [1, 2].map((each) => `127.0.${index + 1}.${each}`),
      }),
  );
  await Promise.all(loads.map(async (load) => load.line()));
  return loads;
};

/** Longest time between two turns of the loop beyond a millisecond. */
const watchLoop = (): { heldMs: () => number; stop: () => void } => {
  let heldMs = 0;
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    heldMs = Math.max(heldMs, nowMs - lastMs - 1);
    lastMs = nowMs;
  }, 1);
  return {
    /** Since it was asked last. */
    heldMs: () => {
      const worstMs = heldMs;
      heldMs = 0;
      return worstMs;
    },
    stop: () => clearInterval(timer),
  };
};

/** Tells so many messages, each once the one before has reached all. CPU is this process's, less what it takes when nothing is told. */
const measure = async (
  tell: Tell,
  loads: readonly Load[],
  { messageCount, bytes }: { messageCount: number; bytes: number },
): Promise<Told> => {
  const listenerCount = loads.reduce((sum, { count }) => sum + count, 0);
  await Promise.all(loads.map(async (load) => load.report()));
  const loop = watchLoop();
  const idleUs = await cpuOf(async () => passMs(2_000));
  const histogram = new DelayHistogram();
  loop.heldMs();
  const startedAtMs = performance.now();
  const spentUs = await cpuOf(async () => {
    for (let index = 0; index < messageCount; index += 1) {
      tell(messageOf(bytes));
      await passMs(MESSAGE_EVERY_MS);
    }
  });
  const elapsedMs = performance.now() - startedAtMs;
  const heldMs = loop.heldMs();
  loop.stop();
  let cameCount = 0;
  await within(CONNECT_MAX_MS, 'all messages', async () => {
    for (const report of await Promise.all(loads.map(async (load) => load.report()))) {
      cameCount += report.messageCount;
      histogram.addAll(report.latenessMs);
    }
    return cameCount >= messageCount * listenerCount;
  });
  const cpuUs = (spentUs - (idleUs * elapsedMs) / 2_000) / (messageCount * listenerCount);
  return { p50: histogram.quantile(0.5), p99: histogram.quantile(0.99), max: histogram.quantile(1), cpuUs, heldMs };
};

const cpuOf = async (run: () => Promise<void>): Promise<number> => {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return user + system;
};

const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, resolve);
  });
  return (server.address() as AddressInfo).port;
};

const openSockets = (metrics: Metrics): { server: Server; sockets: WatchSockets } => {
  const sockets = new WatchSockets({
    // Who does not answer a ping for so long is closed.
    settings: { ...DEFAULT_SOCKET_OPTIONS, idleTimeoutMs: IDLE_TIMEOUT_MS },
    broadcasts: {
      list: () => [],
      find: () => undefined,
      end: () => false,
      newsOf: () => ({ state: 'live', viewerCount: 1, broadcastId: 'b', renditions: [] }),
      watch: () => () => undefined,
    },
    reporters: { open: () => ({ report: () => undefined, close: () => undefined }) },
    cues: { snapshotText: () => '{"type":"cues","marks":[],"cues":[]}', setViewers: () => undefined },
    sessions: { findBySecret: () => undefined },
    hints: { hintsFor: () => ({ v: 1, targetLatencyMs: 0, fastRatio: 1.05, slowRatio: 0.95 }) },
    access: { mayWatch: () => true },
    clock: systemClock,
    log: silentLog,
    metrics,
  });
  const server = createServer();
  sockets.attach(server);
  return { server, sockets };
};

/** As it would be without: `ws`'s own `send` to each in one go. */
const measureReference = async (): Promise<Told> => {
  const server = createServer();
  const acceptor = new WebSocketServer({ server, perMessageDeflate: false });
  const loads = await openLoads(await listen(server));
  const tell = (text: string): void => acceptor.clients.forEach((socket) => socket.send(text));
  const told = await measure(tell, loads, { messageCount: MESSAGE_COUNT / 2, bytes: SMALL_BYTES });
  await Promise.all(loads.map(async (load) => load.stop()));
  acceptor.close();
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return told;
};

const droppedCount = async (metrics: Metrics): Promise<number> =>
  Number(/socket_closed_total\{reason="reads_too_slowly"\} (\d+)/.exec(await metrics.render())?.[1] ?? 0);

export const socketsBench: Bench = {
  name: 'sockets',
  run: async () => {
    const reference = await measureReference();
    const metrics = new Metrics({ collectDefaults: false });
    const { server, sockets } = openSockets(metrics);
    const port = await listen(server);
    const before = rssBytes(process.pid);
    const loads = await openLoads(port);
    const tell = (text: string): void => sockets.tellAll('crowd', text);
    try {
      const rssKiB = (rssBytes(process.pid) - before) / 1024 / SOCKET_COUNT;
      const small = await measure(tell, loads, { messageCount: MESSAGE_COUNT, bytes: SMALL_BYTES });
      const large = await measure(tell, loads, { messageCount: MESSAGE_COUNT, bytes: LARGE_BYTES });
      const slow = new Load({ port, count: SLOW_COUNT, localAddresses: ['127.0.9.1'], isSlow: true });
      loads.push(slow);
      await slow.line();
      loads.pop();
      const withSlow = await measure(tell, loads, { messageCount: MESSAGE_COUNT, bytes: LARGE_BYTES });
      const rssWithSlow = rssBytes(process.pid);
      const silentAtMs = performance.now();
      const isOver = async (): Promise<boolean> =>
        (await droppedCount(metrics)) >= SLOW_COUNT || performance.now() - silentAtMs > DROP_MAX_MS;
      await within(2 * DROP_MAX_MS, 'the slow ones to be gone', isOver);
      const dropped = await droppedCount(metrics);
      const after = await measure(tell, loads, { messageCount: MESSAGE_COUNT, bytes: SMALL_BYTES });
      await slow.stop();
      return rowsOf({ reference, small, large, withSlow, after, dropped, rssKiB, rssMb: rssWithSlow / 1e6 });
    } finally {
      await Promise.all(loads.map(async (load) => load.stop()));
      sockets.close('bench_over');
      server.closeAllConnections();
      server.close();
    }
  },
};

const rowsOf = (found: {
  readonly reference: Told;
  readonly small: Told;
  readonly large: Told;
  readonly withSlow: Told;
  readonly after: Told;
  readonly dropped: number;
  readonly rssKiB: number;
  readonly rssMb: number;
}): BenchRow[] => {
  const { reference, small, large, withSlow, after } = found;
  const say = ({ p50, max, heldMs }: Told): string =>
    `p50 ${p50.toFixed(0)}, last ${max.toFixed(0)}, the loop held for ${heldMs.toFixed(0)} ms at most`;
  const count = `${SOCKET_COUNT} sockets`;
  return [
    {
      name: `A message of ${SMALL_BYTES} bytes to ${count}, p99`,
      value: small.p99,
      unit: 'ms',
      target: { max: 250 },
      note: say(small),
    },
    { name: 'its CPU per socket', value: small.cpuUs, unit: 'µs', target: { max: 12 } },
    {
      name: 'CPU of `ws.send` to each',
      value: reference.cpuUs,
      unit: 'µs',
      note: `p99 ${reference.p99.toFixed(0)}, ${say(reference)}`,
    },
    {
      name: `A message of ${LARGE_BYTES} bytes to ${count}, p99`,
      value: large.p99,
      unit: 'ms',
      target: { max: 250 },
      note: say(large),
    },
    { name: 'its CPU per socket', value: large.cpuUs, unit: 'µs' },
    {
      name: `the same beside ${SLOW_COUNT} that never read, p99`,
      value: withSlow.p99,
      unit: 'ms',
      target: { max: 250 },
      note: say(withSlow),
    },
    {
      name: 'its CPU per socket over that without',
      value: withSlow.cpuUs / large.cpuUs,
      unit: '',
      target: { max: 1.2 },
    },
    {
      name: `of those ${SLOW_COUNT}, closed for reading too slowly`,
      value: found.dropped,
      unit: '',
      target: { min: SLOW_COUNT },
    },
    { name: 'afterwards, small messages, p99', value: after.p99, unit: 'ms', target: { max: 250 }, note: say(after) },
    {
      name: 'Resident memory per socket',
      value: found.rssKiB,
      unit: 'KiB',
      note: `${found.rssMb.toFixed(0)} MB in all beside the slow ones`,
    },
  ];
};
