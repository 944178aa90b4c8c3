/**
 * The numbers that Chromium itself keeps: a script injected into the page samples every peer connection (whoever made it) and the
 * playing element once a second; `toStats` turns the samples into the report's series, `findSilences` and `toChromeCounts` into
 * what the analysis needs. The conversions are pure.
 */
import type { Page } from 'playwright-core';
import type { Span } from './freezes.ts';
import type { StatName, StatsSample, ViewerReport } from './viewer-report.ts';

type Numbers = Readonly<Record<string, number>>;

/** One look: cumulative numbers as Chromium gives them, empty where there is nothing. */
export type RawStats = {
  readonly atWallMs: number;
  /** Counts the page's peer connections from 0; -1: there is none. Counters are comparable within one. */
  readonly peerIndex: number;
  readonly video: Numbers;
  readonly audio: Numbers;
  readonly pair: Numbers;
  readonly element: Numbers;
};

type StatsWindow = {
  sluicePeers: RTCPeerConnection[];
  sluiceReader: { video(): HTMLVideoElement | null };
  sluiceStats: { sample(): Promise<void>; take(): RawStats[] };
};

/** Runs in the page. Nothing from outside its own text may be used here. */
const installStats = (): void => {
  const EVERY_MS = 1_000;
  const SAMPLE_MAX_COUNT = 7_200;
  const page = globalThis as unknown as StatsWindow;
  const peers: RTCPeerConnection[] = [];
  const kept: RawStats[] = [];
  page.sluicePeers = peers;
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      peers.push(this);
    }
  };

  const numbersOf = (stat: object): Record<string, number> =>
    Object.fromEntries(Object.entries(stat).filter(([, value]) => typeof value === 'number'));

  const elementNumbers = (): Record<string, number> => {
    const video = page.sluiceReader.video();
    if (video === null) {
      return {};
    }
    const { buffered, currentTime } = video;
    const endS = buffered.length === 0 ? currentTime : buffered.end(buffered.length - 1);
    return {
      bufferedMs: (endS - currentTime) * 1000,
      playbackRateRatio: video.playbackRate,
      elementDroppedFrames: video.getVideoPlaybackQuality().droppedVideoFrames,
    };
  };

  const sample = async (): Promise<void> => {
    const peerIndex = peers.findLastIndex((peer) => peer.signalingState !== 'closed');
    const found: Record<'video' | 'audio' | 'pair', Record<string, number>> = { video: {}, audio: {}, pair: {} };
    for (const [, entry] of (await peers[peerIndex]?.getStats()) ?? []) {
      const stat = entry as Record<string, unknown>;
      if (stat['type'] === 'inbound-rtp' && (stat['kind'] === 'video' || stat['kind'] === 'audio')) {
        found[stat['kind']] = numbersOf(stat);
      } else if (stat['type'] === 'candidate-pair' && stat['nominated'] === true) {
        found.pair = numbersOf(stat);
      }
    }
    if (kept.length < SAMPLE_MAX_COUNT) {
      const atWallMs = performance.timeOrigin + performance.now();
      kept.push({ atWallMs, peerIndex, ...found, element: elementNumbers() });
    }
  };
  setInterval(() => void sample(), EVERY_MS);
  page.sluiceStats = { sample, take: () => kept.splice(0) };
};

/** To be injected after the stamp reader's script and before the page's own. */
export const STATS_SCRIPT = `(${installStats.toString()})();`;

/** The samples since the last call, the last of them taken now. */
export const takeStats = async (page: Page): Promise<RawStats[]> =>
  page.evaluate(async () => {
    const { sluiceStats } = globalThis as unknown as StatsWindow;
    await sluiceStats.sample();
    return sluiceStats.take();
  });

/** The report's names for counters that Chromium keeps. */
const VIDEO_COUNTERS: Partial<Record<StatName, string>> = {
  bytesReceived: 'bytesReceived',
  packetsReceived: 'packetsReceived',
  packetsLost: 'packetsLost',
  retransmittedPacketsReceived: 'retransmittedPacketsReceived',
  nackCount: 'nackCount',
  pliCount: 'pliCount',
  framesReceived: 'framesReceived',
  framesDecoded: 'framesDecoded',
  framesDropped: 'framesDropped',
  keyFramesDecoded: 'keyFramesDecoded',
  freezeCount: 'freezeCount',
  pauseCount: 'pauseCount',
};
const AUDIO_COUNTERS: Partial<Record<StatName, string>> = {
  audioSamplesReceived: 'totalSamplesReceived',
  audioConcealedSamples: 'concealedSamples',
  audioSilentConcealedSamples: 'silentConcealedSamples',
};

export const toStats = (samples: readonly RawStats[], startedAtWallMs: number): StatsSample[] =>
  samples.map((sample, k) => {
    const before = samples[k - 1]?.peerIndex === sample.peerIndex ? samples[k - 1] : undefined;
    /** Milliseconds per counted thing since the sample before. */
    const meanMs = (sumName: string, countName: string): number | undefined => {
      const count = (sample.video[countName] ?? 0) - (before?.video[countName] ?? 0);
      const sumS = (sample.video[sumName] ?? Number.NaN) - (before?.video[sumName] ?? 0);
      return count > 0 && Number.isFinite(sumS) ? (sumS * 1000) / count : undefined;
    };
    const all: Partial<Record<StatName, number | undefined>> = {
      ...sample.element,
      ...pick(VIDEO_COUNTERS, sample.video),
      ...pick(AUDIO_COUNTERS, sample.audio),
      freezesMs: scaled(sample.video['totalFreezesDuration']),
      pausesMs: scaled(sample.video['totalPausesDuration']),
      jitterBufferDelayMs: meanMs('jitterBufferDelay', 'jitterBufferEmittedCount'),
      jitterBufferTargetMs: meanMs('jitterBufferTargetDelay', 'jitterBufferEmittedCount'),
      decodeMs: meanMs('totalDecodeTime', 'framesDecoded'),
      lastPacketAtMs: minus(sample.video['lastPacketReceivedTimestamp'], startedAtWallMs),
      rttMs: scaled(sample.pair['currentRoundTripTime']),
      availableBps: sample.pair['availableIncomingBitrate'],
    };
    const told = Object.entries(all).flatMap(([name, value]) =>
      value === undefined || !Number.isFinite(value) ? [] : [[name, Math.round(value * 100) / 100] as const],
    );
    const atMs = Math.round(sample.atWallMs - startedAtWallMs);
    return { atMs, ...(Object.fromEntries(told) as Record<StatName, number>) };
  });

const pick = (names: Partial<Record<StatName, string>>, numbers: Numbers): Record<string, number | undefined> =>
  Object.fromEntries(Object.entries(names).map(([name, theirs]) => [name, numbers[theirs]]));

const scaled = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : seconds * 1000;

const minus = (value: number | undefined, base: number): number | undefined =>
  value === undefined ? undefined : value - base;

/**
 * Spans in which no packet of the picture came, to a second: from the last packet before to the first look that knew of another.
 * Undefined where there is no peer connection.
 */
export const findSilences = (samples: readonly RawStats[]): Span[] | undefined => {
  const looks = samples.flatMap((sample) => {
    const lastPacketAtWallMs = sample.video['lastPacketReceivedTimestamp'];
    return lastPacketAtWallMs === undefined ? [] : [{ atWallMs: sample.atWallMs, lastPacketAtWallMs }];
  });
  if (looks.length === 0) {
    return undefined;
  }
  return looks
    .map((look, k) => {
      const next = looks.slice(k + 1).find((later) => later.lastPacketAtWallMs > look.lastPacketAtWallMs);
      return { fromWallMs: look.lastPacketAtWallMs, toWallMs: next?.atWallMs ?? looks.at(-1)!.atWallMs };
    })
    .filter((span, k, spans) => span.fromWallMs !== spans[k - 1]?.fromWallMs);
};

/** What Chrome counted from `fromWallMs` to the last sample, over all peer connections; null without one. */
export const toChromeCounts = (samples: readonly RawStats[], fromWallMs: number): ViewerReport['chrome'] => {
  const peers = [...new Set(samples.map((sample) => sample.peerIndex))].filter((index) => index >= 0);
  const sum = (name: string): number =>
    peers.reduce((total, peerIndex) => {
      const own = samples.filter((sample) => sample.peerIndex === peerIndex);
      const before = own.findLast((sample) => sample.atWallMs <= fromWallMs)?.video[name] ?? 0;
      return total + (own.at(-1)?.video[name] ?? 0) - before;
    }, 0);
  return peers.length === 0
    ? null
    : {
        freezeCount: sum('freezeCount'),
        freezesMs: sum('totalFreezesDuration') * 1000,
        pauseCount: sum('pauseCount'),
        pausesMs: sum('totalPausesDuration') * 1000,
      };
};
