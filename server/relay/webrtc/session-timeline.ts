/** The last minutes of one viewer, second by second, for whoever looks into a complaint: what was decided for it, and what it saw. Pure, of fixed size. */
import { ColumnRing } from '../../base/column-ring.ts';
import type { Decision } from '../../congestion/controller.ts';

export type TimelinePoint = {
  /** Since the session was opened. */
  readonly atMs: number;
  readonly estimateBps: number;
  readonly sentBps: number;
  readonly playoutDelayMs: number;
  /** Playout delay with which no picture of the last GOP would have come late; NaN where nobody knows. */
  readonly needMs: number;
  readonly queueDelayMs: number;
  readonly rttMs: number;
  /** By the player's clock, from camera to glass; NaN where it has not said. */
  readonly latencyMs: number;
  /** Stood still, as reported within this second; reports come every other second. */
  readonly frozenMs: number;
  readonly renditionId: string;
};

/** How a viewer fares, by totals since its session was opened. */
export type TimelineLook = {
  readonly atMs: number;
  readonly decision: Pick<Decision, 'estimateBps' | 'playoutDelayMs' | 'needMs' | 'queueDelayMs' | 'rttMs'>;
  readonly sentBytes: number;
  /** As its player said last; undefined: it has not. */
  readonly reported: { readonly stallMs: number; readonly latencyMs?: number | null } | undefined;
  readonly renditionId: string;
};

const STEP_MS = 1_000;
/** Five minutes. */
const POINT_MAX_COUNT = 300;
const COLUMNS = [
  'atMs',
  'estimateBps',
  'sentBps',
  'playoutDelayMs',
  'needMs',
  'queueDelayMs',
  'rttMs',
  'latencyMs',
  'frozenMs',
] as const;

export class SessionTimeline {
  readonly #ring = new ColumnRing(COLUMNS, POINT_MAX_COUNT);
  // Of the last look that was kept.
  #lookedAtMs = 0;
  #sentBytes = 0;
  #stallMs = 0;

  /** A few times a second: one a second is kept. */
  look({ atMs, decision, sentBytes, reported, renditionId }: TimelineLook): void {
    const passedMs = atMs - this.#lookedAtMs;
    if (passedMs < STEP_MS) {
      return;
    }
    const stallMs = reported?.stallMs ?? 0;
    this.#ring.add({
      ...{ atMs, label: renditionId, estimateBps: decision.estimateBps, rttMs: decision.rttMs },
      playoutDelayMs: decision.playoutDelayMs ?? Number.NaN,
      needMs: decision.needMs ?? Number.NaN,
      queueDelayMs: decision.queueDelayMs,
      sentBps: (8_000 * (sentBytes - this.#sentBytes)) / passedMs,
      latencyMs: reported?.latencyMs ?? Number.NaN,
      frozenMs: stallMs - this.#stallMs,
    });
    this.#lookedAtMs = atMs;
    this.#sentBytes = sentBytes;
    this.#stallMs = stallMs;
  }

  /** Oldest first. */
  points(): TimelinePoint[] {
    return this.#ring.rows().map(({ label, ...values }) => ({ ...values, renditionId: label }));
  }
}
