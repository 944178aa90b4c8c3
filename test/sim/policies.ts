/** Who may be put into the simulator: the baselines of CONGESTION 6, two that must not win, and ours, whole or without a mechanism. */
import { AdaptiveController } from '../../server/congestion/adaptive-controller.ts';
import type { CongestionController, ControllerOptions, Decision } from '../../server/congestion/controller.ts';
import { PRIOR_DEFAULT } from '../../server/congestion/controller.ts';
import { GccController } from '../../server/congestion/gcc/gcc-controller.ts';
import type { Mechanisms, Parameters } from '../../server/congestion/parameters.ts';
import { ALL_MECHANISMS } from '../../server/congestion/parameters.ts';
import { FixedController } from './fixed-controller.ts';
import type { SenderOptions } from './sim-sender.ts';

export type Policy = {
  readonly name: string;
  readonly sender: Omit<SenderOptions, 'controller'>;
  readonly makeController: () => CongestionController;
};

const PLAIN_SENDER = { hasMatchedStamps: false, hasTransportFeedback: true };
const TOP_RUNG_INDEX = 3;
/** Playout delay of B1, and of the policy that buys everything with latency. */
const B1_DELAY_MS = 400;
const WIDE_DELAY_MS = 2_000;

export const optionsFor = (smoothnessRatio: number): ControllerOptions => ({
  smoothnessRatio,
  prior: PRIOR_DEFAULT,
  hasTransportFeedback: true,
  hasPlayoutDelay: true,
});

/** GCC with two seconds of playout delay. */
class WideController extends GccController {
  override decide(nowMs: number, backlogBytes: number): Decision {
    return { ...super.decide(nowMs, backlogBytes), playoutDelayMs: WIDE_DELAY_MS };
  }
}

export const B0: Policy = {
  name: 'B0',
  sender: PLAIN_SENDER,
  makeController: () => new FixedController(TOP_RUNG_INDEX, undefined),
};

/** One for each rung; B1 is the one that does best in hindsight for a class. */
export const B1_CANDIDATES: readonly Policy[] = [0, 1, 2, 3].map((index) => ({
  name: `B1/${index}`,
  sender: PLAIN_SENDER,
  makeController: () => new FixedController(index, B1_DELAY_MS),
}));

export const B2: Policy = {
  name: 'B2',
  sender: PLAIN_SENDER,
  makeController: () => new GccController(optionsFor(0.5)),
};

export const LOWEST: Policy = {
  name: 'lowest rung',
  sender: PLAIN_SENDER,
  makeController: () => new FixedController(0, undefined),
};

export const WIDE: Policy = {
  name: 'GCC, D = 2 s',
  sender: PLAIN_SENDER,
  makeController: () => new WideController(optionsFor(0.5)),
};

export const ours = (
  smoothnessRatio = 0.5,
  changes: { name?: string; parameters?: Partial<Parameters>; mechanisms?: Partial<Mechanisms> } = {},
): Policy => ({
  name: changes.name ?? 'ours',
  sender: { hasMatchedStamps: true, hasTransportFeedback: true },
  makeController: () =>
    new AdaptiveController(optionsFor(smoothnessRatio), changes.parameters, {
      ...ALL_MECHANISMS,
      ...changes.mechanisms,
    }),
});

export const ABLATIONS: readonly Policy[] = (Object.keys(ALL_MECHANISMS) as (keyof Mechanisms)[]).map((name) =>
  ours(0.5, { name: `without ${name.slice(3)}`, mechanisms: { [name]: false } }),
);

/** By the name on the command line. */
export const policyOf = (name: string, smoothnessRatio: number): Policy | undefined =>
  ({ ours: ours(smoothnessRatio), b0: B0, b1: B1_CANDIDATES[2], b2: B2, lowest: LOWEST, wide: WIDE })[name];
