/**
 * What is judged, session by session: a link, its luck, a policy, and what its viewer saw. Plain data in and out, so that it crosses threads; the
 * same whoever plays it and in whatever order.
 */
import { AdaptiveController } from '../../../server/congestion/adaptive-controller.ts';
import type { CongestionController } from '../../../server/congestion/controller.ts';
import { GuidedController } from '../../../server/congestion/learned/guided-controller.ts';
import type { Policy as LearnedPolicy } from '../../../server/congestion/learned/policy.ts';
import type { Mechanisms, Parameters } from '../../../server/congestion/parameters.ts';
import { Learner } from '../../../server/learning/learner.ts';
import { emptyState, readState } from '../../../server/learning/learner-state.ts';
import { SessionGuide } from '../../../server/learning/session-guide.ts';
import { RandomStream } from '../../latency/link/random-streams.ts';
import type { Trace } from '../../sim/corpus.ts';
import { linkOf } from '../../sim/corpus.ts';
import { LADDERS, LADDER_DEFAULT } from '../../sim/ladder-source.ts';
import type { Policy } from '../../sim/policies.ts';
import { B0, B1_CANDIDATES, B2, LOWEST, WIDE, optionsFor, ours } from '../../sim/policies.ts';
import type { Score } from '../../sim/score.ts';
import type { ByteCounts } from '../../sim/sim-sender.ts';
import { runViewer } from '../../sim/viewer-run.ts';
import { toLatencyBins } from './latency-bins.ts';

const BASELINES = {
  b0: B0,
  'b1/0': B1_CANDIDATES[0]!,
  'b1/1': B1_CANDIDATES[1]!,
  'b1/2': B1_CANDIDATES[2]!,
  'b1/3': B1_CANDIDATES[3]!,
  b2: B2,
  lowest: LOWEST,
  wide: WIDE,
} satisfies Record<string, Policy>;

export type BaselineName = keyof typeof BASELINES;

/** What a learner knows when a session begins. */
export type Knowledge = {
  /** As the server writes it; undefined: nothing yet. */
  readonly stateText: string | undefined;
  readonly policies: readonly LearnedPolicy[];
};

export type PolicySpec =
  | { readonly kind: 'baseline'; readonly name: BaselineName }
  /** Our mechanisms with these parameters from the first packet on; the defaults where none is given. */
  | {
      readonly kind: 'own';
      readonly parameters: Partial<Parameters>;
      readonly without?: keyof Mechanisms | undefined;
    }
  /** Production's learner: ten seconds of the defaults, then an arm. What this session teaches is forgotten after it. */
  | { readonly kind: 'guided'; readonly knowledge: Knowledge; readonly pinned?: string | undefined };

export type SessionJob = {
  readonly traceIndex: number;
  readonly seed: number;
  readonly durationMs: number;
  readonly smoothnessRatio: number;
  readonly ladderName: string;
  readonly policy: PolicySpec;
};

export type SessionRecord = Omit<Score, 'latencyBuckets'> & {
  readonly bytes: ByteCounts;
  readonly latencyBins: Float64Array;
  /** Of guided sessions: the arm in force at last; undefined: the network was never known. */
  readonly armName?: string | undefined;
};

/** The pairs in the order in which every policy's records come. */
export type SessionKey = { readonly traceIndex: number; readonly seed: number };

export const playSession = (job: SessionJob, traces: readonly Trace[]): SessionRecord => {
  const { traceIndex, seed, durationMs, ladderName } = job;
  const trace = traces[traceIndex];
  if (trace === undefined) {
    throw new TypeError(`report: no trace ${traceIndex} among ${traces.length}`);
  }
  const { sender, controller, armName } = controllerOf(job, trace);
  const { score, bytes } = runViewer({
    seed,
    durationMs,
    ...linkOf(trace, seed),
    ladder: LADDERS[ladderName] ?? LADDER_DEFAULT,
    sender,
    makeController: () => controller,
  });
  const { latencyBuckets, ...rest } = score;
  return { ...rest, bytes, latencyBins: toLatencyBins(latencyBuckets), armName: armName() };
};

type Made = {
  readonly sender: Policy['sender'];
  readonly controller: CongestionController;
  readonly armName: () => string | undefined;
};

const controllerOf = ({ policy, smoothnessRatio, seed }: SessionJob, trace: Trace): Made => {
  if (policy.kind === 'guided') {
    return guided(policy, { smoothnessRatio, name: `${trace.id}/${seed}`, seed });
  }
  const { sender, makeController } =
    policy.kind === 'baseline'
      ? BASELINES[policy.name]
      : ours(smoothnessRatio, {
          parameters: policy.parameters,
          mechanisms: policy.without === undefined ? {} : { [policy.without]: false },
        });
  return { sender, controller: makeController(), armName: () => undefined };
};

const guided = (
  { knowledge, pinned }: Extract<PolicySpec, { kind: 'guided' }>,
  { smoothnessRatio, name, seed }: { smoothnessRatio: number; name: string; seed: number },
): Made => {
  const luck = new RandomStream(seed, `report/learner/${name}`);
  const learner = learnerWith(knowledge, (counter) => luck.ratio(counter));
  const controller = new AdaptiveController(optionsFor(smoothnessRatio));
  const guide = new SessionGuide({ learner, group: 'learning', smoothnessRatio, pinned: () => pinned });
  return {
    sender: ours().sender,
    controller: new GuidedController(controller, controller.twin, guide),
    armName: () => guide.armName,
  };
};

/** A learner with this knowledge; `ratio` gives its n-th random number. Throws `TypeError` for a state that no server would take. */
export const learnerWith = ({ stateText, policies }: Knowledge, ratio: (counter: number) => number): Learner => {
  const reading = stateText === undefined ? { state: emptyState(0) } : readState(stateText);
  if (reading.state === undefined) {
    throw new TypeError(`report: ${reading.fault.code}: ${reading.fault.detail}`);
  }
  let counter = 0;
  const nextRatio = (): number => {
    counter += 1;
    return ratio(counter);
  };
  return new Learner({ policies, state: reading.state, nextRatio });
};
