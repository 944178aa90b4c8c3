/** Whether the machine has CPU to spare for a second encoder: pure, told the time. */

export type CalmLook = {
  readonly nowMs: number;
  readonly lagMs: number;
  readonly droppedCount: number;
  /** No rung is shed, an encoder runs, and no other is about to follow it. */
  readonly isSteady: boolean;
};

const LAG_MAX_MS = 150;
const CALM_MIN_MS = 5_000;

export class Calm {
  #sinceMs: number | undefined;
  #droppedCount = 0;

  /** True when nothing was late, left out or changed for some seconds. */
  look({ nowMs, lagMs, droppedCount, isSteady }: CalmLook): boolean {
    const isQuiet = isSteady && lagMs <= LAG_MAX_MS && droppedCount === this.#droppedCount;
    this.#droppedCount = droppedCount;
    this.#sinceMs = isQuiet ? (this.#sinceMs ?? nowMs) : undefined;
    return this.#sinceMs !== undefined && nowMs - this.#sinceMs >= CALM_MIN_MS;
  }
}
