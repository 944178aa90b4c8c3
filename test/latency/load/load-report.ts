/** What a load found: built from the tallies of its processes, and written for people. Pure. */
import { DelayHistogram, type DelayBuckets, type DelayQuantiles } from '../../support/delay-histogram.ts';
import type { LoadTarget, WorkerTally } from './load-messages.ts';

/** A frame or part is late when it comes so much after the viewer's fastest. */
const LATE_MS = 100;
/** Timers that fire later than this at p99 spoil what the load says of delay. */
const LOOP_DELAY_MAX_MS = 25;
/** A process that needs more of its core has no room for bursts. */
const BUSY_RATIO = 0.85;
/** A server that waits so much longer for a core than it runs is not what is measured. */
const STARVED_RATIO = 1;
const STARVED_MIN_MS_PER_S = 100;

export type Failures = Readonly<Record<string, { readonly count: number; readonly example: string }>>;

/** Server CPU and memory; `idle…` before the first viewer came. Children counted in. */
export type ServerCost = {
  readonly pid: number;
  readonly idleCpuMsPerS: number;
  readonly cpuMsPerS: number;
  /** Ready to run, but no core was free. */
  readonly waitMsPerS: number;
  readonly idleRssBytes: number;
  readonly rssBytes: number;
};

export type LoadReport = {
  readonly target: { readonly kind: 'whep' | 'hls'; readonly url: string };
  readonly startedAtWallMs: number;
  /** Of the window that was counted. */
  readonly durationMs: number;
  /** Someone ended it before its time. */
  readonly isCutShort: boolean;
  readonly wantedCount: number;
  /** That were there, on average over the window. */
  readonly viewerCount: number;
  readonly joinedCount: number;
  readonly failedCount: number;
  /** By code; what a code means stands in the README. */
  readonly failures: Failures;
  readonly leftCount: number;
  /** Ended though nobody here wanted it, by code. */
  readonly endedEarly: Readonly<Record<string, number>>;
  /** From the first request, stage by stage. */
  readonly joinMs: Readonly<Record<string, DelayQuantiles>>;
  readonly bitrateBps: number;
  /** Sums over all viewers; which there are depends on the kind. */
  readonly counts: Readonly<Record<string, number>>;
  readonly delayMs: Readonly<Record<string, DelayQuantiles & { readonly count: number; readonly lateCount: number }>>;
  readonly server: (ServerCost & ServerShare) | null;
  readonly load: LoadHealth;
};

/** Above idle. */
export type ServerShare = {
  readonly cpuMsPerSPerViewer: number;
  /** WHEP only; null for requests. */
  readonly cpuUsPerPacket: number | null;
  readonly rssBytesPerViewer: number;
};

export type LoadHealth = {
  readonly processCount: number;
  readonly cpuMsPerS: number;
  /** All of the load's CPU until the window began, by join: media of those who were there already is in it. */
  readonly joinCpuMs: number;
  readonly joiningLoopDelayMs: number;
  readonly loopDelayMs: number;
  readonly socketDropCount: number;
  /** Empty when the load kept up. */
  readonly complaints: readonly string[];
};

export type LoadFacts = {
  readonly target: LoadTarget;
  readonly startedAtWallMs: number;
  readonly durationMs: number;
  readonly isCutShort: boolean;
  readonly wantedCount: number;
  readonly viewerCount: number;
  readonly joinedCount: number;
  readonly failures: Failures;
  readonly leftCount: number;
  readonly endedEarly: Readonly<Record<string, number>>;
  readonly tallies: readonly WorkerTally[];
  readonly server: ServerCost | null;
};

export const buildReport = (facts: LoadFacts): LoadReport => {
  const { tallies, server, target, ...rest } = facts;
  const counts = sumCounts(tallies);
  return {
    ...rest,
    target: { kind: target.kind, url: target.url },
    failedCount: Object.values(facts.failures).reduce((sum, { count }) => sum + count, 0),
    joinMs: mapValues(mergeBuckets(tallies.map(({ stages }) => stages)), (histogram) => histogram.quantiles()),
    bitrateBps: ((counts['byteCount'] ?? 0) * 8000) / Math.max(1, facts.durationMs),
    counts,
    delayMs: mapValues(mergeBuckets(tallies.map(({ delays }) => delays)), (histogram) => ({
      ...histogram.quantiles(),
      count: histogram.count,
      lateCount: histogram.countAbove(LATE_MS),
    })),
    server: server === null ? null : { ...server, ...shareOf(server, facts, counts) },
    load: healthOf(facts),
  };
};

const sumCounts = (tallies: readonly WorkerTally[]): Record<string, number> => {
  const sums: Record<string, number> = {};
  for (const [name, count] of tallies.flatMap((tally) => Object.entries(tally.counts))) {
    sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
};

const mergeBuckets = (records: readonly Readonly<Record<string, DelayBuckets>>[]): Map<string, DelayHistogram> => {
  const merged = new Map<string, DelayHistogram>();
  for (const [name, buckets] of records.flatMap((record) => Object.entries(record))) {
    const histogram = merged.get(name) ?? new DelayHistogram();
    merged.set(name, histogram);
    histogram.addAll(buckets);
  }
  return merged;
};

const mapValues = <T, U>(map: ReadonlyMap<string, T>, change: (value: T) => U): Record<string, U> =>
  Object.fromEntries([...map].map(([name, value]) => [name, change(value)]));

const shareOf = (server: ServerCost, facts: LoadFacts, counts: Readonly<Record<string, number>>): ServerShare => {
  const cpuMsPerS = server.cpuMsPerS - server.idleCpuMsPerS;
  const packetsPerS = ((counts['packetCount'] ?? 0) * 1000) / Math.max(1, facts.durationMs);
  const viewerCount = Math.max(1, facts.viewerCount);
  return {
    cpuMsPerSPerViewer: cpuMsPerS / viewerCount,
    cpuUsPerPacket: facts.target.kind === 'whep' && packetsPerS > 0 ? (1000 * cpuMsPerS) / packetsPerS : null,
    rssBytesPerViewer: (server.rssBytes - server.idleRssBytes) / viewerCount,
  };
};

const healthOf = ({ tallies, joinedCount, server, failures }: LoadFacts): LoadHealth => {
  const selves = tallies.map(({ self }) => self);
  const largest = (read: (self: WorkerTally['self']) => number): number => Math.max(0, ...selves.map(read));
  const sum = (read: (self: WorkerTally['self']) => number): number =>
    selves.reduce((total, self) => total + read(self), 0);
  const loopDelayMs = largest((self) => self.loopDelayMs);
  const busyRatio = largest((self) => self.cpuMs / Math.max(1, self.windowMs));
  const socketDropCount = sum((self) => self.socketDropCount);
  return {
    processCount: selves.length,
    cpuMsPerS: sum((self) => (1000 * self.cpuMs) / Math.max(1, self.windowMs)),
    joinCpuMs: sum((self) => self.joiningCpuMs) / Math.max(1, joinedCount),
    joiningLoopDelayMs: largest((self) => self.joiningLoopDelayMs),
    loopDelayMs,
    socketDropCount,
    complaints: [
      ...(server !== null && server.waitMsPerS > Math.max(STARVED_MIN_MS_PER_S, STARVED_RATIO * server.cpuMsPerS)
        ? [
            `the server was starved: it ran ${server.cpuMsPerS.toFixed(0)} ms/s and waited ${server.waitMsPerS.toFixed(0)} ms/s for a core; other work on the machine is what was measured`,
          ]
        : []),
      ...((failures['ANSWER_429']?.count ?? 0) > 0
        ? [
            'the server refused viewers for their number (429): here all come from one address, and what it allows one address is what was measured',
          ]
        : []),
      ...(loopDelayMs > LOOP_DELAY_MAX_MS
        ? [`the load itself was late (its timers by ${ms(loopDelayMs)} at p99): numbers of delay mean nothing`]
        : []),
      ...(busyRatio > BUSY_RATIO
        ? [`a process of the load had no CPU left (${(100 * busyRatio).toFixed(0)} % of a core): it was the bottleneck`]
        : []),
      ...(socketDropCount > 0
        ? [`the load's own sockets dropped ${socketDropCount} datagrams: that much of the loss is not the server's`]
        : []),
    ],
  };
};

/** For people: what they asked about first, numbers with their units, nothing that did not happen. */
export const toText = (report: LoadReport): string =>
  [
    ...headLines(report),
    ...joinLines(report),
    ...(report.target.kind === 'whep' ? whepLines(report) : hlsLines(report)),
    ...serverLines(report),
    ...healthLines(report),
    '',
  ].join('\n');

const headLines = (report: LoadReport): string[] => [
  report.target.url,
  `${report.viewerCount.toFixed(report.viewerCount % 1 === 0 ? 0 : 1)} of ${report.wantedCount} viewers, counted for ${(report.durationMs / 1000).toFixed(1)} s${report.isCutShort ? ' (cut short)' : ''}`,
  '',
];

const joinLines = (report: LoadReport): string[] => [
  row('joins', `${report.joinedCount} joined, ${report.failedCount} failed, ${report.leftCount} left`),
  ...Object.entries(report.failures).map(([code, { count, example }]) => row(`  ${code}`, `${count}: ${example}`)),
  ...Object.entries(report.endedEarly).map(([code, count]) => row(`  ${code}`, `${count} ended though they stayed`)),
  ...Object.entries(report.joinMs).map(([stage, quantiles]) => row(`  ${stage}`, quantileText(quantiles))),
];

const whepLines = (report: LoadReport): string[] => {
  const count = (name: string): number => report.counts[name] ?? 0;
  return [
    row('packets', `${perSecond(report, 'packetCount')}, ${bitrateText(report)}, ${packetBytes(report)} B on average`),
    row(
      'loss',
      `${count('lostCount')} of pictures, ${count('soundLostCount')} of sound; ${count('recoveredCount')} recovered, ${count('nackCount')} asked for by NACK`,
    ),
    row(
      'frames',
      `${count('frameCount')} whole, ${count('brokenFrameCount')} broken, ${count('blackCount')} viewers saw none`,
    ),
    ...delayRows(report, 'frame', 'after the fastest'),
  ];
};

const hlsLines = (report: LoadReport): string[] => {
  const count = (name: string): number => report.counts[name] ?? 0;
  const playedMs = count('playedMs');
  const stalledRatio = count('stalledMs') / Math.max(1, playedMs + count('stalledMs'));
  return [
    row(
      'requests',
      `${perSecond(report, 'requestCount')}, ${bitrateText(report)}, ${count('failedRequestCount')} failed`,
    ),
    row(
      'reloads',
      `${count('reloadCount')}: ${count('reloadMissedCount')} brought nothing new, ${count('reloadLateCount')} late, ${count('deltaCount')} as delta`,
    ),
    row(
      'media',
      `${count('partCount')} parts, ${count('segmentCount')} segments, ${count('blackCount')} viewers got none`,
    ),
    ...delayRows(report, 'media', 'after the fastest'),
    ...(count('agedCount') === 0
      ? []
      : [row('  after it happened', `${ms(count('ageSumMs') / count('agedCount'))} on average, by program date time`)]),
    ...delayRows(report, 'fetch', 'request to last byte'),
    row('stalls', `${count('stallCount')}, ${(100 * stalledRatio).toFixed(2)} % of the time`),
  ];
};

const serverLines = ({ server }: LoadReport): string[] =>
  server === null
    ? []
    : [
        row(
          'server CPU',
          `${server.cpuMsPerS.toFixed(0)} ms/s (${server.idleCpuMsPerS.toFixed(0)} without viewers), waited ${server.waitMsPerS.toFixed(0)} ms/s for a core`,
        ),
        row(
          '  per viewer',
          [
            `${server.cpuMsPerSPerViewer.toFixed(2)} ms/s`,
            ...(server.cpuUsPerPacket === null ? [] : [`${server.cpuUsPerPacket.toFixed(1)} µs a packet`]),
          ].join(', '),
        ),
        row(
          'server memory',
          `${megabytes(server.rssBytes)} (${megabytes(server.idleRssBytes)} without viewers): ${(server.rssBytesPerViewer / 1000).toFixed(0)} kB a viewer`,
        ),
      ];

const healthLines = ({ load }: LoadReport): string[] => [
  row(
    'the load itself',
    [
      `${load.processCount} ${load.processCount === 1 ? 'process' : 'processes'}`,
      `CPU ${load.cpuMsPerS.toFixed(0)} ms/s`,
      `${load.joinCpuMs.toFixed(1)} ms a join`,
      `timers late by ${ms(load.loopDelayMs)} (joining ${ms(load.joiningLoopDelayMs)}) at p99`,
    ].join(', '),
  ),
  ...(load.complaints.length > 0 ? ['', ...load.complaints.map((complaint) => `! ${complaint}`)] : []),
];

const delayRows = (report: LoadReport, name: string, label: string): string[] => {
  const delays = report.delayMs[name];
  return delays === undefined || delays.count === 0
    ? []
    : [row(`  ${label}`, `${quantileText(delays)}; ${lateText(delays)}`)];
};

const row = (name: string, text: string): string => `${name.padEnd(28)} ${text}`;

const ms = (value: number): string => `${Math.abs(value) < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;

const quantileText = ({ p50, p95, p99 }: DelayQuantiles): string => `p50 ${ms(p50)}  p95 ${ms(p95)}  p99 ${ms(p99)}`;

const lateText = ({ count, lateCount }: { count: number; lateCount: number }): string =>
  `${lateCount} over ${LATE_MS} ms (${((100 * lateCount) / Math.max(1, count)).toFixed(2)} %)`;

const perSecond = (report: LoadReport, name: string): string => {
  const count = report.counts[name] ?? 0;
  return `${count} (${((count * 1000) / Math.max(1, report.durationMs)).toFixed(0)}/s)`;
};

const bitrateText = (report: LoadReport): string =>
  `${(report.bitrateBps / 1e6).toFixed(1)} Mbit/s, ${(report.bitrateBps / 1e6 / Math.max(1, report.viewerCount)).toFixed(2)} a viewer`;

/** Headers and authentication tag counted in, IP and UDP not. */
const packetBytes = ({ counts }: LoadReport): string =>
  ((counts['byteCount'] ?? 0) / Math.max(1, counts['packetCount'] ?? 0)).toFixed(0);

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
