/** Which of two fixed playout delays a viewer gets. The controller of a later issue takes its place. */

export type LinkFacts = {
  /** Undefined until a report told. */
  readonly rttMs: number | undefined;
  /** Since a packet was last reported or found lost; infinite when none was. */
  readonly sinceLossMs: number;
  readonly wasNear: boolean;
};

const NEAR_RTT_MS = 20;
/** A viewer at the edge must not swing: each change moves the picture. */
const LEAVE_RTT_MS = 30;
const LOSS_FREE_MS = 5_000;

/** Near: a short round trip, and nothing lost for 5 s. Unknown is far. */
export const isNearViewer = ({ rttMs, sinceLossMs, wasNear }: LinkFacts): boolean =>
  rttMs !== undefined && rttMs < (wasNear ? LEAVE_RTT_MS : NEAR_RTT_MS) && sinceLossMs > LOSS_FREE_MS;
