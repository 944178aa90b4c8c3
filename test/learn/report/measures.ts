/** What CONGESTION 2.3 wants told of many sessions: means, tails, latency over viewer-seconds, bytes by kind. */
import type { UtilityWeights } from '../../sim/score.ts';
import { utilityOf } from '../../sim/score.ts';
import { tailMean } from '../objective.ts';
import { LATENCY_BIN_COUNT, latencyPercentilesMs } from './latency-bins.ts';
import type { SessionRecord } from './sessions.ts';
import { meanOf, quantileOf } from './statistics.ts';

export type Measures = {
  readonly sessionCount: number;
  readonly viewerHours: number;
  readonly utility: number;
  readonly stallRatio: number;
  readonly stallFreeRatio: number;
  /** Over sessions. */
  readonly stallP90Ratio: number;
  readonly stallP95Ratio: number;
  readonly stallP99Ratio: number;
  /** Mean of the worst tenth. */
  readonly stallTailRatio: number;
  /** Sessions beyond 1 and 5 % of stall. */
  readonly over1Count: number;
  readonly over5Count: number;
  readonly stallSecondsP95: number;
  readonly freezesPerMinute: number;
  /** Over viewer-seconds. */
  readonly latencyP50Ms: number;
  readonly latencyP90Ms: number;
  readonly latencyP95Ms: number;
  readonly latencyP99Ms: number;
  /** Mean of the sessions' medians. */
  readonly sessionMedianMs: number;
  readonly ageP95Ms: number;
  readonly qualityRatio: number;
  readonly switchesPerMinute: number;
  readonly joinP50Ms: number;
  readonly joinP95Ms: number;
  readonly shownFps: number;
  /** Time in gaps of more than 100 ms that are no freezes. */
  readonly judderRatio: number;
  readonly audioConcealedRatio: number;
  /** Of a session, in megabytes. */
  readonly mediaMegabytes: number;
  readonly rtxMegabytes: number;
  readonly probeMegabytes: number;
  readonly audioMegabytes: number;
  /** Sent again or to probe, of all bytes but sound; median of sessions. */
  readonly extraRatio: number;
};

/** λ of the targets. */
export const SMOOTHNESS_RATIO = 0.5;
const MEGA = 1e6;

export const utilityOfRecord = (record: SessionRecord, weights: UtilityWeights = {}): number =>
  utilityOf(record, SMOOTHNESS_RATIO, weights);

export const extraRatioOf = ({ bytes: { rtx, probe, video } }: SessionRecord): number =>
  (rtx + probe) / Math.max(1, video + rtx + probe);

export const measuresOf = (records: readonly SessionRecord[]): Measures => {
  const of = (value: (record: SessionRecord) => number): number[] => records.map(value);
  const mean = (value: (record: SessionRecord) => number): number => meanOf(of(value));
  const stalls = of(({ stallRatio }) => stallRatio);
  const joins = of(({ joinMs }) => joinMs);
  const [p50 = 0, p90 = 0, p95 = 0, p99 = 0] = latencyPercentilesMs(sumOfBins(records), [0.5, 0.9, 0.95, 0.99]);
  return {
    sessionCount: records.length,
    viewerHours: of(({ seconds }) => seconds).reduce((sum, seconds) => sum + seconds, 0) / 3_600,
    utility: mean((record) => utilityOfRecord(record)),
    stallRatio: meanOf(stalls),
    stallFreeRatio: mean(({ isStallFree }) => (isStallFree ? 1 : 0)),
    stallP90Ratio: quantileOf(stalls, 0.9),
    stallP95Ratio: quantileOf(stalls, 0.95),
    stallP99Ratio: quantileOf(stalls, 0.99),
    stallTailRatio: tailMean(stalls),
    over1Count: stalls.filter((ratio) => ratio > 0.01).length,
    over5Count: stalls.filter((ratio) => ratio > 0.05).length,
    stallSecondsP95:
      quantileOf(
        of(({ stallMs }) => stallMs),
        0.95,
      ) / 1_000,
    freezesPerMinute: mean(({ freezesPerMinute }) => freezesPerMinute),
    latencyP50Ms: p50,
    latencyP90Ms: p90,
    latencyP95Ms: p95,
    latencyP99Ms: p99,
    sessionMedianMs: mean(({ latencyP50Ms }) => latencyP50Ms),
    ageP95Ms: mean(({ ageP95Ms }) => ageP95Ms),
    qualityRatio: mean(({ qualityRatio }) => qualityRatio),
    switchesPerMinute: mean(({ switchesPerMinute }) => switchesPerMinute),
    joinP50Ms: quantileOf(joins, 0.5),
    joinP95Ms: quantileOf(joins, 0.95),
    shownFps: mean(({ shownFps }) => shownFps),
    judderRatio: mean(({ judderRatio }) => judderRatio),
    audioConcealedRatio: mean(({ audioConcealedRatio }) => audioConcealedRatio),
    mediaMegabytes: mean(({ bytes }) => bytes.video / MEGA),
    rtxMegabytes: mean(({ bytes }) => bytes.rtx / MEGA),
    probeMegabytes: mean(({ bytes }) => bytes.probe / MEGA),
    audioMegabytes: mean(({ bytes }) => bytes.audio / MEGA),
    extraRatio: quantileOf(records.map(extraRatioOf), 0.5),
  };
};

/** Screen time of all of them together. */
export const sumOfBins = (records: readonly SessionRecord[]): Float64Array => {
  const sum = new Float64Array(LATENCY_BIN_COUNT);
  for (const { latencyBins } of records) {
    addBins(sum, latencyBins);
  }
  return sum;
};

export const addBins = (into: Float64Array, bins: Float64Array): void => {
  for (let bin = 0; bin < into.length; bin += 1) {
    into[bin]! += bins[bin]!;
  }
};
