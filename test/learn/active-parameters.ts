/**
 * What is searched: the fourteen that, moved alone, move the utility of a session most (README, `npm run learn -- --sensitivity`), each by 7
 * thousandths and more. Everything else stays at its default.
 */
import type { Parameters } from '../../server/congestion/parameters.ts';

export const ACTIVE_PARAMETERS: readonly (keyof Parameters)[] = [
  'paceRatio',
  'playoutGraceMs',
  'upHoldMs',
  'trainGainRatio',
  'safetyRatio',
  'burstMaxMs',
  'stickMs',
  'playoutMaxMs',
  'queueEmergencyMs',
  'backoffRatio',
  'upMarginRatio',
  'dropBacklogMs',
  'playoutMarginMs',
  'queueDrainMs',
];
