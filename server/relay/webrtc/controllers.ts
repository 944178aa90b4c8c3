/** Which controller steers a viewer's sending, and whether its calls are written down. */
import { AdaptiveController } from '../../congestion/adaptive-controller.ts';
import type { CongestionController } from '../../congestion/controller.ts';
import { GccController } from '../../congestion/gcc/gcc-controller.ts';
import type { DecisionTraces } from '../../observability/decision-trace.ts';
import type { CongestionOptions } from './congestion-options.ts';
import { FixedController } from './fixed-controller.ts';
import type { WebRtcOutOptions } from './options.ts';
import { TracedController } from './traced-controller.ts';

/** What a session's offer allowed, and what its viewer asked for. */
export type ControlFacts = {
  readonly sessionId: string;
  readonly smoothnessRatio: number;
  readonly hasTransportFeedback: boolean;
  readonly hasPlayoutDelay: boolean;
};

export type ControllerFactory = (facts: ControlFacts) => CongestionController;

export const controllerFactory =
  (options: { congestion: CongestionOptions; settings: WebRtcOutOptions; traces: DecisionTraces }): ControllerFactory =>
  ({ sessionId, ...facts }) => {
    const { congestion, settings, traces } = options;
    const { controller: kind, startRateBps, startPlayoutDelayMs } = congestion;
    const prior = { rateBps: startRateBps, playoutDelayMs: startPlayoutDelayMs };
    const controllerOptions = { ...facts, prior };
    const controller = makeController(kind, controllerOptions, settings);
    const trace = traces.open(sessionId);
    return trace === undefined ? controller : new TracedController(controller, trace, { kind, controllerOptions });
  };

/** Also for whoever replays a trace. */
export const makeController = (
  kind: CongestionOptions['controller'],
  options: ConstructorParameters<typeof AdaptiveController>[0],
  fixed: ConstructorParameters<typeof FixedController>[0],
): CongestionController => {
  if (kind === 'off') {
    return new FixedController(fixed);
  }
  return kind === 'gcc' ? new GccController(options) : new AdaptiveController(options);
};
