/**
 * Evens out the departures of sound. Encoders send it in bursts (interleaved with pictures, two or three frames together), and a
 * browser answers bursts with a buffer larger than they are wide: waiting here costs less. Each frame leaves when its media time is
 * due by the usual lateness. Pure; it is told the time and says which frames leave, in their order.
 */

/** The frames whose lateness is remembered: 4 s of 20 ms each. */
const WINDOW_COUNT = 200;
/** Of those, this part was in time: the rest leaves at once, late as it is. */
const IN_TIME_RATIO = 0.95;
/** Nothing waits longer: wider bursts are the browser's to smooth. */
const HOLD_MAX_MS = 80;
/** Sooner than a timer can tell. */
const DUE_EARLY_MS = 1;

type Timed = { readonly ptsMs: number };

export class AudioPacer<Frame extends Timed> {
  /** As they came, and in order: one goes and one comes with each frame, so neither is made anew. */
  readonly #latenessMs = new Float64Array(WINDOW_COUNT);
  readonly #sortedMs = new Float64Array(WINDOW_COUNT);
  readonly #queue: { readonly frame: Frame; readonly dueMs: number }[] = [];
  #usualMs = 0;
  #count = 0;

  /** When the first that waits is due; undefined when none waits. */
  get nextDueMs(): number | undefined {
    return this.#queue[0]?.dueMs;
  }

  /** A frame came. It is in what `take` gives, now or later. */
  offer(frame: Frame, nowMs: number): void {
    this.#observe(nowMs - frame.ptsMs);
    const lastDueMs = this.#queue.at(-1)?.dueMs ?? nowMs;
    const dueMs = Math.min(nowMs + HOLD_MAX_MS, Math.max(lastDueMs, frame.ptsMs + this.#usualMs));
    this.#queue.push({ frame, dueMs });
  }

  /** Frames that are due. */
  take(nowMs: number): Frame[] {
    let count = 0;
    while (count < this.#queue.length && (this.#queue[count]?.dueMs ?? 0) <= nowMs + DUE_EARLY_MS) {
      count += 1;
    }
    return this.#queue.splice(0, count).map(({ frame }) => frame);
  }

  #observe(latenessMs: number): void {
    const sorted = this.#sortedMs;
    const place = this.#count % WINDOW_COUNT;
    let at = Math.min(this.#count, WINDOW_COUNT);
    if (at === WINDOW_COUNT) {
      at -= 1;
      const gone = sorted.indexOf(this.#latenessMs[place] ?? 0);
      sorted.copyWithin(gone, gone + 1);
    }
    this.#latenessMs[place] = latenessMs;
    this.#count += 1;
    for (; at > 0 && (sorted[at - 1] ?? 0) > latenessMs; at -= 1) {
      sorted[at] = sorted[at - 1] ?? 0;
    }
    sorted[at] = latenessMs;
    this.#usualMs = sorted[Math.floor(IN_TIME_RATIO * (Math.min(this.#count, WINDOW_COUNT) - 1))] ?? latenessMs;
  }
}
