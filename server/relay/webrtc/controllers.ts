/** Which controller steers a viewer's sending. */
import type { CongestionController } from '../../congestion/controller.ts';
import { FixedController } from './fixed-controller.ts';
import type { WebRtcOutOptions } from './options.ts';

export const createController = (settings: WebRtcOutOptions): CongestionController => new FixedController(settings);
