/** The last minutes of one viewer, second by second, for whoever looks into a complaint: what was decided for it, and what it saw. Pure, of fixed size. */
import type { Decision } from '../../congestion/controller.ts';

export type TimelinePoint = {
  /** Since the session was opened. */
  readonly atMs: number;
  readonly estimateBps: number;
  readonly sentBps: number;
  readonly playoutDelayMs: number;
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
  readonly decision: Pick<Decision, 'estimateBps' | 'playoutDelayMs' | 'queueDelayMs' | 'rttMs'>;
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
  'queueDelayMs',
  'rttMs',
  'latencyMs',
  'frozenMs',
] as const;
const RENDITION_MAX_COUNT = 255;

export class SessionTimeline {
  readonly #values = new Float32Array(COLUMNS.length * POINT_MAX_COUNT);
  readonly #renditionAt = new Uint8Array(POINT_MAX_COUNT);
  readonly #renditionIds: string[] = [];
  #count = 0;
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
    this.#add({
      ...{ atMs, renditionId, estimateBps: decision.estimateBps, rttMs: decision.rttMs },
      playoutDelayMs: decision.playoutDelayMs ?? Number.NaN,
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
    const keptCount = Math.min(this.#count, POINT_MAX_COUNT);
    return Array.from({ length: keptCount }, (_, index) => {
      const at = (this.#count - keptCount + index) % POINT_MAX_COUNT;
      const of = (name: (typeof COLUMNS)[number]): number =>
        this.#values[at * COLUMNS.length + COLUMNS.indexOf(name)] ?? Number.NaN;
      return {
        ...{ atMs: of('atMs'), estimateBps: of('estimateBps'), sentBps: of('sentBps') },
        ...{ playoutDelayMs: of('playoutDelayMs'), queueDelayMs: of('queueDelayMs'), rttMs: of('rttMs') },
        ...{ latencyMs: of('latencyMs'), frozenMs: of('frozenMs') },
        renditionId: this.#renditionIds[this.#renditionAt[at] ?? 0] ?? '',
      };
    });
  }

  #add(point: TimelinePoint): void {
    const at = this.#count % POINT_MAX_COUNT;
    COLUMNS.forEach((name, column) => {
      this.#values[at * COLUMNS.length + column] = point[name];
    });
    this.#renditionAt[at] = this.#indexOf(point.renditionId);
    this.#count += 1;
  }

  #indexOf(renditionId: string): number {
    const index = this.#renditionIds.indexOf(renditionId);
    if (index >= 0 || this.#renditionIds.length > RENDITION_MAX_COUNT) {
      return Math.max(0, index);
    }
    return this.#renditionIds.push(renditionId) - 1;
  }
}
