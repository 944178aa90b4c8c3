/** What was learned of viewers' networks, as `GET /api/learning` tells it. */
export type LearningStatus = {
  /** `pinned`: one arm for everybody but the holdout. */
  readonly mode: 'on' | 'off' | 'pinned';
  readonly pinnedArm: string | null;
  readonly holdoutRatio: number;
  /** Of the oldest session that is compared. */
  readonly sinceWallMs: number;
  /** Sessions that ended and taught nothing, by why: no reports of the player, reports that the server's own picture contradicts, too short. */
  readonly refused: { readonly unreported: number; readonly contradicted: number; readonly short: number };
  /** Learning against the holdout, over all networks and then by class. */
  readonly comparisons: readonly LearningComparison[];
  readonly classes: readonly LearnedClass[];
  /** What the simulator shows of the vectors in the policy files and, on the same links, of the own defaults; by λ. */
  readonly frontier: readonly FrontierStep[];
};

export type FrontierStep = {
  readonly networkClass: string;
  readonly smoothnessRatio: number;
  readonly learned: { readonly latencyMs: number; readonly stallRatio: number };
  readonly defaults: { readonly latencyMs: number; readonly stallRatio: number };
};

export type LearningComparison = {
  readonly networkClass: string;
  readonly against: 'gcc' | 'defaults';
  readonly learningSessionCount: number;
  readonly holdoutSessionCount: number;
  /** Learning less holdout, with a 95 % interval. It is for one look: who looks every day is more often misled. */
  readonly differences: readonly {
    readonly measure: string;
    readonly learning: number;
    readonly holdout: number;
    /** Of each mean by itself, half of its 95 % interval. */
    readonly learningHalf: number;
    readonly holdoutHalf: number;
    readonly difference: number;
    readonly low: number;
    readonly high: number;
    readonly words: string;
  }[];
  /** The same with the networks of both groups set level; null where the groups do not begin alike, or nothing was seen. */
  readonly adjusted: {
    readonly utility: LearnedEstimate;
    /** Stall of the learning sessions over the holdout's. */
    readonly stallFactor: LearnedEstimate;
  } | null;
};

export type LearnedEstimate = {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly words: string;
};

export type LearnedClass = {
  readonly networkClass: string;
  /** Faded by age: a week ago counts half. */
  readonly sessionCount: number;
  readonly arms: readonly {
    readonly name: string;
    readonly sessionCount: number;
    readonly shareRatio: number;
    readonly abortCount: number;
    /** Difference of utility to the defaults: what is believed, and how far it may be off (one standard deviation). */
    readonly utilityDifference: number;
    readonly utilityDeviation: number;
    readonly stallFactor: number;
    /** Given to viewers: unlikely to be worse than the defaults by more than the safe set allows. */
    readonly isAdmitted: boolean;
    /** What it changes, at λ = 0.5. */
    readonly changes: readonly {
      readonly name: string;
      readonly from: number;
      readonly to: number;
      readonly unit: string;
    }[];
  }[];
};
