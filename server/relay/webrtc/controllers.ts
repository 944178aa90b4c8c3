/** Which controller steers a viewer's sending, and whether its calls are written down. */
import { AdaptiveController } from '../../congestion/adaptive-controller.ts';
import type { CongestionController, ControllerOptions } from '../../congestion/controller.ts';
import { GccController } from '../../congestion/gcc/gcc-controller.ts';
import type { LinkCapture, LinkTrace } from '../../congestion/link-capture.ts';
import type { Guides } from '../../congestion/learned/guided-controller.ts';
import { GuidedController } from '../../congestion/learned/guided-controller.ts';
import type { Policy } from '../../congestion/learned/policy.ts';
import { parametersFor } from '../../congestion/learned/policy.ts';
import type { Parameters as Tuned } from '../../congestion/parameters.ts';
import type { DecisionTraces } from '../../observability/decision-trace.ts';
import { CapturedController } from './captured-controller.ts';
import type { CongestionOptions } from './congestion-options.ts';
import { FixedController } from './fixed-controller.ts';
import type { WebRtcOutOptions } from './options.ts';
import { TracedController } from './traced-controller.ts';

/** What a session's offer allowed, and what its viewer asked for. */
export type ControlFacts = {
  readonly sessionId: string;
  /** A number that its player keeps; undefined where it has none. */
  readonly viewerId?: string | undefined;
  readonly smoothnessRatio: number;
  readonly hasTransportFeedback: boolean;
  readonly hasPlayoutDelay: boolean;
  /** The viewer does not mind that its link is written down. */
  readonly mayCapture: boolean;
};

/** Sessions whose links are written down, as far as there is one for this. */
export type OpenCapture = () =>
  { readonly capture: LinkCapture; readonly onTrace: (trace: LinkTrace) => void } | undefined;

export type ControllerFactory = (facts: ControlFacts) => CongestionController;

export const controllerFactory =
  (options: {
    congestion: CongestionOptions;
    settings: WebRtcOutOptions;
    traces: DecisionTraces;
    policies?: readonly Policy[] | undefined;
    openCapture?: OpenCapture | undefined;
    guides?: Guides | undefined;
  }): ControllerFactory =>
  ({ sessionId, viewerId, mayCapture, ...facts }) => {
    const { congestion, settings, traces, policies = [], guides } = options;
    const { startRateBps, startPlayoutDelayMs } = congestion;
    const prior = { rateBps: startRateBps, playoutDelayMs: startPlayoutDelayMs };
    const { smoothnessRatio, hasTransportFeedback } = facts;
    const canBeGuided = congestion.controller === 'adaptive' && hasTransportFeedback;
    const plan = canBeGuided ? guides?.planFor({ viewerId, smoothnessRatio }) : undefined;
    const kind = plan?.kind ?? congestion.controller;
    // Nothing is known yet of the viewer's network; who is guided begins with the defaults, like all who are.
    const parameters = plan === undefined ? parametersFor(policies, 'all', smoothnessRatio) : undefined;
    const controllerOptions = { ...facts, prior, parameters };
    const made = makeController(kind, controllerOptions, settings);
    const capture = mayCapture && facts.hasTransportFeedback ? options.openCapture?.() : undefined;
    const controller = capture === undefined ? made : new CapturedController(made, capture.capture, capture.onTrace);
    const trace = traces.open(sessionId);
    const traced =
      trace === undefined ? controller : new TracedController(controller, trace, { kind, controllerOptions });
    const twin = made instanceof AdaptiveController ? made.twin : undefined;
    return plan === undefined ? traced : new GuidedController(traced, twin, plan.guide);
  };

/** Also for whoever replays a trace. Without `parameters` our controller has its defaults. */
export const makeController = (
  kind: CongestionOptions['controller'],
  options: ControllerOptions & { readonly parameters?: Tuned | undefined },
  fixed: ConstructorParameters<typeof FixedController>[0],
): CongestionController => {
  if (kind === 'off') {
    return new FixedController(fixed);
  }
  return kind === 'gcc' ? new GccController(options) : new AdaptiveController(options, options.parameters);
};
