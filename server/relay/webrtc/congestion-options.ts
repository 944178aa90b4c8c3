/** What can be set about the congestion controllers, and what holds when it is not. */
import { PRIOR_DEFAULT } from '../../congestion/controller.ts';
import type { LearningOptions } from '../../congestion/learned/learning-options.ts';
import { LEARNING_DEFAULTS } from '../../congestion/learned/learning-options.ts';

export type CongestionOptions = {
  /** `adaptive`: ours. `gcc`: what libwebrtc does. `off`: pictures leave as they come, whatever the link. */
  readonly controller: 'adaptive' | 'gcc' | 'off';
  /** λ: 0 reacts, 1 is smooth; for broadcasts and viewers of whom nothing else was said. */
  readonly smoothnessRatio: number;
  /** What a viewer's link is thought to carry before anything is known of it, and how long pictures wait until then. */
  readonly startRateBps: number;
  readonly startPlayoutDelayMs: number;
  /** Where policy files lie; empty: none are read. */
  readonly policyFolder: string;
  readonly learning: LearningOptions;
  readonly trace: DecisionTraceOptions;
};

export type DecisionTraceOptions = {
  /** Where each session's calls and decisions are written; empty: nowhere. */
  readonly folder: string;
  /** Of one session; what follows is left out. */
  readonly sessionMaxBytes: number;
  /** Sessions traced by one run of the server. */
  readonly sessionMaxCount: number;
};

export const CONGESTION_DEFAULTS: CongestionOptions = {
  controller: 'adaptive',
  smoothnessRatio: 0.5,
  startRateBps: PRIOR_DEFAULT.rateBps,
  startPlayoutDelayMs: PRIOR_DEFAULT.playoutDelayMs,
  policyFolder: 'config/policy',
  learning: LEARNING_DEFAULTS,
  trace: { folder: '', sessionMaxBytes: 33_554_432, sessionMaxCount: 100 },
};
