/** What can be set about learning, and what holds when it is not. */
export type LearningOptions = {
  /** False: every session has the policy's parameters, or the built-in ones. */
  readonly enabled: boolean;
  /** Name of the arm for everybody but the holdout; empty: the learner chooses. */
  readonly arm: string;
  /** Viewers who get nothing that was learned, half of them GCC, half the built-in parameters. */
  readonly holdoutRatio: number;
  /** Where what was learned lies. */
  readonly file: string;
  readonly saveEveryMs: number;
};

export const LEARNING_DEFAULTS: LearningOptions = {
  enabled: true,
  arm: '',
  holdoutRatio: 0.1,
  file: 'learned.json',
  saveEveryMs: 60_000,
};
