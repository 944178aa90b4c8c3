/** One viewer's session of the simulated month: production's controller, guide and learner, over a simulated link. */
import { AdaptiveController } from '../../server/congestion/adaptive-controller.ts';
import { GccController } from '../../server/congestion/gcc/gcc-controller.ts';
import { GuidedController } from '../../server/congestion/learned/guided-controller.ts';
import type { Group } from '../../server/learning/holdout.ts';
import type { Learner } from '../../server/learning/learner.ts';
import { SessionGuide } from '../../server/learning/session-guide.ts';
import { optionsFor } from '../sim/policies.ts';
import { utilityOf } from '../sim/score.ts';
import { runViewer } from '../sim/viewer-run.ts';
import type { World } from './randomise.ts';

export type MonthSession = {
  readonly world: World;
  readonly seed: number;
  readonly durationMs: number;
  readonly group: Group;
  readonly learner: Learner;
  /** The name of an arm; undefined: the learner chooses. */
  readonly pinned?: string | undefined;
};

/** What the viewer saw, by the simulator rather than by what the server thinks. */
export type Seen = {
  readonly utility: number;
  readonly stallRatio: number;
  readonly latencyMs: number;
  readonly qualityRatio: number;
  /** In force at last; undefined: the network was never known. */
  readonly armName: string | undefined;
};

const SMOOTHNESS_RATIO = 0.5;
const UTILITY_MIN = -3;

export const playSession = ({ world, seed, durationMs, group, learner, pinned }: MonthSession): Seen => {
  const options = optionsFor(SMOOTHNESS_RATIO);
  const controller = group === 'gcc' ? new GccController(options) : new AdaptiveController(options);
  const twin = controller instanceof AdaptiveController ? controller.twin : undefined;
  const guide = new SessionGuide({ learner, group, smoothnessRatio: SMOOTHNESS_RATIO, pinned: () => pinned });
  const guided = new GuidedController(controller, twin, guide);
  const { score } = runViewer({
    ...world,
    seed,
    durationMs,
    sender: { hasMatchedStamps: group !== 'gcc', hasTransportFeedback: true },
    makeController: () => guided,
  });
  guided.close();
  return {
    utility: Math.max(UTILITY_MIN, utilityOf(score, SMOOTHNESS_RATIO)),
    stallRatio: score.stallRatio,
    latencyMs: score.latencyMeanMs,
    qualityRatio: score.qualityRatio,
    armName: guide.armName,
  };
};
