/**
 * How a publisher's media came in during the last moments: bits, keyframes, pictures left out and pictures that came late. Pure: units go in, a
 * reading comes out each time one is taken.
 */
import type { AccessUnit } from '../media/access-unit.ts';
import { dtsMsOf } from '../media/access-unit.ts';

/** Undefined where nothing came that would say it. */
export type SourceReading = {
  readonly bitrateBps: number;
  readonly frameRateFps: number | undefined;
  readonly keyframeIntervalMs: number | undefined;
  readonly missingCount: number;
  readonly lateCount: number;
};

/** Four pictures and a half at 30 a second: more than any encoder's rhythm moves by itself. */
const LATE_MS = 150;
/** What is on time is judged by the readings of about the last ten seconds. */
const PUNCTUAL_MAX_COUNT = 5;
const GAP_MAX_COUNT = 31;
/** A distance of two pictures that is this many usual ones has one left out. */
const MISSING_FROM_RATIO = 1.6;
/** A source that stood still for seconds left nothing out: it is another time. */
const GAP_MAX_MS = 2_000;

export class SourceMeter {
  #takenAtMs: number;
  #bytes = 0;
  #pictureCount = 0;
  #missingCount = 0;
  #lateCount = 0;
  #gopMaxMs: number | undefined;
  #lastGopMs: number | undefined;
  #keyframeDtsMs: number | undefined;
  #lastDtsMs: number | undefined;
  /** Of arrival after decoding time, the least of each reading: the least of these is what counts as punctual. */
  #punctualMs: number[] = [];
  #punctualNowMs = Number.POSITIVE_INFINITY;
  #gapsMs: number[] = [];

  constructor(options: { readonly startedAtMs: number }) {
    this.#takenAtMs = options.startedAtMs;
  }

  onUnit(unit: AccessUnit): void {
    this.#bytes += unit.payload.byteLength;
    if (unit.track.kind !== 'video') {
      return;
    }
    if (unit.isDiscontinuity) {
      this.#restart();
    }
    const dtsMs = dtsMsOf(unit);
    this.#pictureCount += 1;
    this.#addGap(dtsMs);
    this.#addArrival(unit.arrivedAtMs - dtsMs);
    if (unit.isKeyframe) {
      this.#addKeyframe(dtsMs);
    }
    this.#lastDtsMs = dtsMs;
  }

  /** What came since the last one was taken. */
  take(nowMs: number): SourceReading {
    const passedMs = Math.max(1, nowMs - this.#takenAtMs);
    const reading = {
      bitrateBps: Math.round((8_000 * this.#bytes) / passedMs),
      frameRateFps: this.#pictureCount === 0 ? undefined : Math.round((10_000 * this.#pictureCount) / passedMs) / 10,
      keyframeIntervalMs: this.#keyframeIntervalMs(),
      missingCount: this.#missingCount,
      lateCount: this.#lateCount,
    };
    this.#takenAtMs = nowMs;
    this.#bytes = this.#pictureCount = this.#missingCount = this.#lateCount = 0;
    this.#gopMaxMs = undefined;
    if (Number.isFinite(this.#punctualNowMs)) {
      this.#punctualMs.push(this.#punctualNowMs);
      this.#punctualMs.splice(0, this.#punctualMs.length - PUNCTUAL_MAX_COUNT);
      this.#punctualNowMs = Number.POSITIVE_INFINITY;
    }
    return reading;
  }

  /** What comes after a gap is measured by itself. */
  #restart(): void {
    this.#keyframeDtsMs = this.#lastDtsMs = this.#lastGopMs = undefined;
    this.#punctualMs = [];
    this.#punctualNowMs = Number.POSITIVE_INFINITY;
    this.#gapsMs = [];
  }

  #addGap(dtsMs: number): void {
    const gapMs = this.#lastDtsMs === undefined ? 0 : dtsMs - this.#lastDtsMs;
    if (gapMs <= 0 || gapMs > GAP_MAX_MS) {
      return;
    }
    const usualMs = this.#gapsMs.toSorted((a, b) => a - b)[this.#gapsMs.length >> 1];
    if (usualMs !== undefined && gapMs > usualMs * MISSING_FROM_RATIO) {
      this.#missingCount += Math.round(gapMs / usualMs) - 1;
    }
    this.#gapsMs.push(gapMs);
    if (this.#gapsMs.length > GAP_MAX_COUNT) {
      this.#gapsMs.shift();
    }
  }

  #addArrival(afterMs: number): void {
    this.#punctualNowMs = Math.min(this.#punctualNowMs, afterMs);
    if (afterMs - Math.min(this.#punctualNowMs, ...this.#punctualMs) > LATE_MS) {
      this.#lateCount += 1;
    }
  }

  #addKeyframe(dtsMs: number): void {
    if (this.#keyframeDtsMs !== undefined) {
      this.#lastGopMs = dtsMs - this.#keyframeDtsMs;
      this.#gopMaxMs = Math.max(this.#gopMaxMs ?? 0, this.#lastGopMs);
    }
    this.#keyframeDtsMs = dtsMs;
  }

  #keyframeIntervalMs(): number | undefined {
    if (this.#pictureCount === 0) {
      return undefined;
    }
    const openMs = (this.#lastDtsMs ?? 0) - (this.#keyframeDtsMs ?? this.#lastDtsMs ?? 0);
    const closedMs = this.#gopMaxMs ?? this.#lastGopMs;
    return closedMs === undefined && openMs === 0 ? undefined : Math.max(closedMs ?? 0, openMs);
  }
}
