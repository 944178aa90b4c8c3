/** What a search is told of a session, as a usual one has it. */
import type { Outcome } from '../learn/episode.ts';

export const OUTCOME: Outcome = {
  utility: 0.6,
  stallRatio: 0.01,
  freezesPerMinute: 0.5,
  qualityRatio: 0.8,
  latencyP50Ms: 150,
  latencyP95Ms: 400,
  probeRatio: 0,
  estimateBps: 3e6,
  playoutDelayMs: 80,
};
