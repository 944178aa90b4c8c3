/** The last minutes of one viewer, second by second, for whoever looks into a complaint: what was decided for it, and what it saw. Pure, of fixed size. */

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

export const TIMELINE_STEP_MS = 1_000;
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

  add(point: TimelinePoint): void {
    const at = this.#count % POINT_MAX_COUNT;
    COLUMNS.forEach((name, column) => {
      this.#values[at * COLUMNS.length + column] = point[name];
    });
    this.#renditionAt[at] = this.#indexOf(point.renditionId);
    this.#count += 1;
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

  #indexOf(renditionId: string): number {
    const index = this.#renditionIds.indexOf(renditionId);
    if (index >= 0 || this.#renditionIds.length > RENDITION_MAX_COUNT) {
      return Math.max(0, index);
    }
    return this.#renditionIds.push(renditionId) - 1;
  }
}
