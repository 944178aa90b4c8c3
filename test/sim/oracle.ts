/**
 * The oracle of CONGESTION 6 (O2): who knows the link's capacity for ever, and every picture's size, and decides once a GOP with that which
 * rendition to send, how much of its tail to leave out, and how long pictures wait. Found by going backwards over (GOP, backlog, delay).
 *
 * An upper bound on purpose: no losses, no jitter, free switches and joins, backlog and needs rounded down, every change of delay announced to the
 * viewer in time. What it stalls nobody can avoid at this price of latency, short of another encoder.
 */
import type { LinkModelOptions } from '../latency/link/link-model.ts';
import { Capacity } from '../latency/link/capacity.ts';
import { FREEZE_WEIGHT, STALL_WEIGHT } from '../../server/congestion/parameters.ts';
import type { LadderOptions } from './ladder-source.ts';
import { LadderSource } from './ladder-source.ts';
import { latencyWeight } from './score.ts';

export type OracleOptions = {
  readonly seed: number;
  readonly durationMs: number;
  readonly smoothnessRatio: number;
  readonly ladder: LadderOptions;
  readonly down: Pick<LinkModelOptions, 'capacity' | 'delayMs'>;
};

export type OracleResult = { readonly utility: number; readonly stallRatio: number };

const BACKLOG_STEP_MS = 50;
/** Longer ones are held to be this long. */
const BACKLOG_MAX_MS = 3_000;
const BACKLOG_COUNT = BACKLOG_MAX_MS / BACKLOG_STEP_MS + 1;
const DELAY_STEP_MS = 20;
/** The bar of the product: no viewer a second late. */
const DELAY_MAX_MS = 1_000;
const DELAY_COUNT = DELAY_MAX_MS / DELAY_STEP_MS + 1;
/** Behind all delays: after a tail was left out the next GOP may wait as long as it likes, for the picture stands already. */
const ANY_DELAY = DELAY_COUNT;
const STATE_COUNT = DELAY_COUNT + 1;
/** Of the lowest rendition's GOP, what may be sent without the rest. */
const KEPT_RATIOS: readonly number[] = [0, 0.25, 0.5, 0.75];
/** Decoding, rendering and half a tick of Chrome's decoder. */
const SHOW_MS = 16;
const SOUND_BPS = 94_400;
/** An interval that counts as a freeze (Chrome's rule at 30 pictures a second). */
const FREEZE_MS = 188;

/** What a GOP sent in one way does, by the backlog it meets. */
type Move = {
  readonly qualityRatio: number;
  /** Share of the GOP that is shown. */
  readonly keptRatio: number;
  /** Longest wait of a picture from capture to its last bit, in steps of delay. */
  readonly needs: Int32Array;
  readonly backlogs: Int32Array;
};

export const playOracle = (options: OracleOptions): OracleResult => {
  const source = new LadderSource(options.ladder, options.seed);
  const { gopMs } = options.ladder;
  const gopCount = Math.floor(options.durationMs / gopMs);
  const capacity = options.down.capacity === undefined ? undefined : new Capacity(options.down.capacity);
  let later = emptyValues();
  for (let gop = gopCount - 1; gop >= 0; gop -= 1) {
    later = stepBack(movesOf(source, capacity, gop, options.ladder), later, options);
  }
  const durationS = (gopCount * gopMs) / 1000;
  // A session begins with an idle link and the delay it likes.
  const utility = later.utility[ANY_DELAY]! / durationS;
  return { utility, stallRatio: later.stallS[ANY_DELAY]! / durationS };
};

/** By backlog and delay in force, of all that is to come: utility times seconds, and the stall on that way. */
type Values = { readonly utility: Float64Array; readonly stallS: Float64Array };

const emptyValues = (): Values => ({
  utility: new Float64Array(BACKLOG_COUNT * STATE_COUNT),
  stallS: new Float64Array(BACKLOG_COUNT * STATE_COUNT),
});

const stepBack = (moves: readonly Move[], later: Values, options: OracleOptions): Values => {
  const now = emptyValues();
  now.utility.fill(Number.NEGATIVE_INFINITY);
  const best = { utility: new Float64Array(DELAY_COUNT), stallS: new Float64Array(DELAY_COUNT) };
  const intervalMs = 1000 / options.ladder.frameRateHz;
  const riseFreeSteps = Math.ceil((FREEZE_MS - intervalMs) / DELAY_STEP_MS) - 1;
  for (let backlog = 0; backlog < BACKLOG_COUNT; backlog += 1) {
    bestByDelay(best, { moves, backlog, later }, options);
    const at = backlog * STATE_COUNT;
    for (let delay = 0; delay < DELAY_COUNT; delay += 1) {
      for (let before = 0; before < STATE_COUNT; before += 1) {
        const riseSteps = before === ANY_DELAY ? 0 : delay - before;
        const riseS = riseSteps > riseFreeSteps ? (riseSteps * DELAY_STEP_MS + intervalMs) / 1000 : 0;
        const utility = best.utility[delay]! - stallCost(riseS);
        if (utility > now.utility[at + before]!) {
          now.utility[at + before] = utility;
          now.stallS[at + before] = best.stallS[delay]! + riseS;
        }
      }
    }
  }
  return now;
};

/** The best way to send a GOP that meets this backlog, by how long its pictures are to wait. */
const bestByDelay = (
  best: Values,
  { moves, backlog, later }: { moves: readonly Move[]; backlog: number; later: Values },
  { smoothnessRatio, ladder, down }: OracleOptions,
): void => {
  const gopS = ladder.gopMs / 1000;
  const latencyWeightPerS = latencyWeight(smoothnessRatio) * gopS;
  best.utility.fill(Number.NEGATIVE_INFINITY);
  for (const { qualityRatio, keptRatio, needs, backlogs } of moves) {
    const isCut = keptRatio < 1;
    const cutS = isCut ? (1 - keptRatio) * gopS + 1 / ladder.frameRateHz : 0;
    const gained = qualityRatio * keptRatio * gopS - stallCost(cutS);
    const next = backlogs[backlog]! * STATE_COUNT;
    for (let delay = needs[backlog]!; delay < DELAY_COUNT; delay += 1) {
      const to = next + (isCut ? ANY_DELAY : delay);
      const latencyS = (down.delayMs + delay * DELAY_STEP_MS + SHOW_MS) / 1000;
      const utility = gained - latencyWeightPerS * latencyS + later.utility[to]!;
      if (utility > best.utility[delay]!) {
        best.utility[delay] = utility;
        best.stallS[delay] = cutS + later.stallS[to]!;
      }
    }
  }
};

/** Times seconds, as utility weighs it: the share of time that stood still, and the event by the minute. */
const stallCost = (stallS: number): number => (stallS === 0 ? 0 : STALL_WEIGHT * stallS + 60 * FREEZE_WEIGHT);

const movesOf = (
  source: LadderSource,
  capacity: Capacity | undefined,
  gop: number,
  { rungs }: LadderOptions,
): Move[] => [
  ...rungs.map((rung, index) => moveOf(source, capacity, gop, { rungIndex: index, rung, keptRatio: 1 })),
  ...KEPT_RATIOS.map((keptRatio) => moveOf(source, capacity, gop, { rungIndex: 0, rung: rungs[0]!, keptRatio })),
];

const moveOf = (
  source: LadderSource,
  capacity: Capacity | undefined,
  gop: number,
  way: { rungIndex: number; rung: { qualityRatio: number }; keptRatio: number },
): Move => {
  const needs = new Int32Array(BACKLOG_COUNT);
  const backlogs = new Int32Array(BACKLOG_COUNT);
  const startMs = gop * source.framesPerGop * source.frameIntervalMs;
  const endMs = startMs + source.framesPerGop * source.frameIntervalMs;
  const sentCount = Math.round(way.keptRatio * source.framesPerGop);
  for (let backlog = 0; backlog < BACKLOG_COUNT; backlog += 1) {
    let freeAtMs = startMs + backlog * BACKLOG_STEP_MS;
    let needMs = 0;
    for (let index = 0; index < source.framesPerGop; index += 1) {
      const captureMs = startMs + index * source.frameIntervalMs;
      const soundBits = (SOUND_BPS * source.frameIntervalMs) / 1000;
      const frame = gop * source.framesPerGop + index;
      const bits = index < sentCount ? soundBits + 8 * source.bytes(frame, way.rungIndex) : soundBits;
      const fromMs = Math.max(freeAtMs, captureMs);
      freeAtMs = capacity === undefined ? fromMs : Math.min(capacity.finishMs(fromMs, bits), endMs + BACKLOG_MAX_MS);
      needMs = index < sentCount ? Math.max(needMs, freeAtMs - captureMs) : needMs;
    }
    needs[backlog] = Math.floor(needMs / DELAY_STEP_MS);
    backlogs[backlog] = Math.floor(Math.max(0, Math.min(BACKLOG_MAX_MS, freeAtMs - endMs)) / BACKLOG_STEP_MS);
  }
  return { qualityRatio: way.rung.qualityRatio, keptRatio: way.keptRatio, needs, backlogs };
};
