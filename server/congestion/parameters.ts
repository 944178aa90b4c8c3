/** Every number the controller may be tuned by: default, safe range, unit. No value leaves its range, whatever a file says (CONGESTION 4.6). */

export type Parameters = {
  /** Kept of the measured rate on over-use. */
  readonly backoffRatio: number;
  readonly trendGain: number;
  readonly lossToleranceRatio: number;
  /** A queue that stands higher than this is over-use whatever its slope. */
  readonly queueEmergencyMs: number;
  /** One that stands higher than this for a second caps the estimate below what arrives. */
  readonly queueDrainMs: number;
  /** How far a train that filled the link moves the estimate. */
  readonly trainGainRatio: number;
  /** Media may use this part of the estimate. */
  readonly safetyRatio: number;
  /** A higher rendition must fit with this margin. */
  readonly upMarginRatio: number;
  readonly upHoldMs: number;
  readonly stickMs: number;
  /** Times the estimate. */
  readonly paceRatio: number;
  /** What bursts may add to the bottleneck's queue. */
  readonly burstMaxMs: number;
  /** More than this waiting in the pacer cuts the GOP's tail. */
  readonly cutBacklogMs: number;
  /** At a keyframe more than this waiting of the GOP before is dropped. */
  readonly dropBacklogMs: number;
  /** Retransmissions may take this part of the estimate. */
  readonly repairShareRatio: number;
  /** A repair may come this many playout delays late: the picture after it profits. */
  readonly repairPatienceRatio: number;
  readonly needHalfLifeS: number;
  readonly playoutMarginMs: number;
  /** Lateness that no viewer sees as a stall. */
  readonly playoutGraceMs: number;
  readonly playoutMinMs: number;
  readonly playoutMaxMs: number;
  readonly playoutFallMsPerS: number;
};

type Range = { readonly default: number; readonly min: number; readonly max: number; readonly unit: string };

export const PARAMETER_RANGES: Readonly<Record<keyof Parameters, Range>> = {
  backoffRatio: { default: 0.85, min: 0.7, max: 0.95, unit: '×' },
  trendGain: { default: 4, min: 2, max: 8, unit: '–' },
  lossToleranceRatio: { default: 0.05, min: 0.02, max: 0.25, unit: 'ratio' },
  queueEmergencyMs: { default: 80, min: 40, max: 400, unit: 'ms' },
  queueDrainMs: { default: 40, min: 15, max: 120, unit: 'ms' },
  trainGainRatio: { default: 0.5, min: 0.1, max: 0.8, unit: 'ratio' },
  safetyRatio: { default: 0.85, min: 0.6, max: 1, unit: '× estimate' },
  upMarginRatio: { default: 1.2, min: 1, max: 1.5, unit: '× need' },
  upHoldMs: { default: 2_000, min: 0, max: 10_000, unit: 'ms' },
  stickMs: { default: 4_000, min: 2_000, max: 60_000, unit: 'ms' },
  paceRatio: { default: 2, min: 1.05, max: 4, unit: '× estimate' },
  burstMaxMs: { default: 60, min: 10, max: 250, unit: 'ms' },
  cutBacklogMs: { default: 2_500, min: 150, max: 3_000, unit: 'ms' },
  dropBacklogMs: { default: 150, min: 50, max: 3_000, unit: 'ms' },
  repairShareRatio: { default: 0.5, min: 0.05, max: 0.5, unit: '× estimate' },
  repairPatienceRatio: { default: 1, min: 0, max: 3, unit: '× D' },
  needHalfLifeS: { default: 20, min: 5, max: 90, unit: 's' },
  playoutMarginMs: { default: 0, min: 0, max: 80, unit: 'ms' },
  playoutGraceMs: { default: 60, min: 0, max: 155, unit: 'ms' },
  playoutMinMs: { default: 20, min: 20, max: 150, unit: 'ms' },
  playoutMaxMs: { default: 400, min: 150, max: 2_500, unit: 'ms' },
  playoutFallMsPerS: { default: 20, min: 5, max: 100, unit: 'ms/s' },
};

const NAMES = Object.keys(PARAMETER_RANGES) as (keyof Parameters)[];

/** Defaults with these in their place; what is no number or outside its range is brought inside. */
export const parametersWith = (wanted: Partial<Parameters> = {}): Parameters =>
  Object.keys(wanted).length === 0 ? DEFAULTS : clampAll(wanted);

const clampAll = (wanted: Partial<Parameters>): Parameters => {
  const values: Partial<Record<keyof Parameters, number>> = {};
  for (const name of NAMES) {
    const range = PARAMETER_RANGES[name];
    const value = wanted[name] ?? range.default;
    values[name] = Number.isFinite(value) ? Math.min(range.max, Math.max(range.min, value)) : range.default;
  }
  return values as Parameters;
};

const DEFAULTS = clampAll({});

/** What a unit of each is worth in utility (CONGESTION 2.2). */
export const STALL_WEIGHT = 8;
export const FREEZE_WEIGHT = 0.03;

/** Utility a second of latency costs: λ = 0 → 1, 0.5 → 0.25, 1 → 0.0625. */
export const latencyWeightOf = (smoothnessRatio: number): number => 2 ** (4 * (0.5 - smoothnessRatio)) / 4;

/** λ as given by somebody: 0.5 where it is no number. */
export const clampSmoothness = (smoothnessRatio: number): number =>
  Number.isFinite(smoothnessRatio) ? Math.min(1, Math.max(0, smoothnessRatio)) : 0.5;

/** Changed in place when λ changes: engines read it anew each time. */
export type Tuning = { -readonly [Name in keyof Parameters]: number };

/** Doublings of each parameter from λ = 0 to λ = 1: what an operator dials reaches everything that trades latency for smoothness. */
const SMOOTHNESS_DOUBLINGS: Partial<Record<keyof Parameters, number>> = {
  playoutMaxMs: 2,
  playoutGraceMs: -1.5,
  needHalfLifeS: 1,
  safetyRatio: -0.25,
  upMarginRatio: 0.25,
  repairPatienceRatio: 2,
  cutBacklogMs: 1,
};

/** Writes `base`, moved by λ and kept in its ranges, into `tuning`. */
export const tuneFor = (tuning: Tuning, base: Parameters, smoothnessRatio: number): void => {
  for (const name of NAMES) {
    const { min, max } = PARAMETER_RANGES[name];
    const moved = base[name] * 2 ** ((SMOOTHNESS_DOUBLINGS[name] ?? 0) * (smoothnessRatio - 0.5));
    tuning[name] = Math.min(max, Math.max(min, moved));
  }
};

/** Switches for the ablation table; all on in production. */
export type Mechanisms = {
  /** Capacity from trains of packets, keyframes above all. */
  readonly hasTrains: boolean;
  /** Trains of copies where keyframes are too small to tell what a higher rendition needs. */
  readonly hasRungProbes: boolean;
  /** Over-use by the queue's height, not its slope alone. */
  readonly hasQueueHeight: boolean;
  readonly hasBurstPacing: boolean;
  readonly hasTailCut: boolean;
  readonly hasRepairBudget: boolean;
  readonly hasPlayout: boolean;
  readonly hasConformal: boolean;
  readonly hasCachedJoin: boolean;
};

export const ALL_MECHANISMS: Mechanisms = {
  hasTrains: true,
  hasRungProbes: true,
  hasQueueHeight: true,
  hasBurstPacing: true,
  hasTailCut: true,
  hasRepairBudget: true,
  hasPlayout: true,
  hasConformal: true,
  hasCachedJoin: true,
};
