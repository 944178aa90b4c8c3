/** Learns the structure of one video (or audio) stream from its access units: B-frames, GOP length, frame rate, bitrate. */
import type { AccessUnit } from './access-unit.ts';
import { dtsMsOf, ptsMsOf } from './access-unit.ts';
import type { StreamFacts } from './stream-source.ts';

const GOP_WINDOW_MS = 60_000;
const RATE_WINDOW_MS = 5_000;
const GOP_LONG_MS = 2_000;
const GOP_TELLING_MS = 900;
const GOP_ALIKE_RATIO = 0.2;
const FRAME_GAP_MAX_COUNT = 60;

type RateSample = { readonly dtsMs: number; readonly bytes: number };

export class StreamFactsTracker {
  #ptsMaxMs = Number.NEGATIVE_INFINITY;
  #hasReordering = false;
  #keyframeAtMs: number | undefined;
  #lastDtsMs: number | undefined;
  #gops: { readonly atMs: number; readonly durationMs: number }[] = [];
  #frameGapsMs: number[] = [];
  /** Asked for several times per join; sorted out once a picture. */
  #frameRate: { readonly fps: number | undefined } | undefined;
  #rateSamples: RateSample[] = [];
  #rateBytes = 0;

  add(unit: AccessUnit): void {
    if (unit.isDiscontinuity) {
      this.#restart();
    }
    const dtsMs = dtsMsOf(unit);
    const ptsMs = ptsMsOf(unit);
    if (ptsMs < this.#ptsMaxMs) {
      this.#hasReordering = true;
    }
    this.#ptsMaxMs = Math.max(this.#ptsMaxMs, ptsMs);
    if (unit.isKeyframe && unit.track.kind === 'video') {
      this.#closeGop(dtsMs);
    }
    this.#addFrameGap(dtsMs);
    this.#addRate({ dtsMs, bytes: unit.payload.byteLength });
    this.#lastDtsMs = dtsMs;
  }

  get facts(): StreamFacts {
    const openMs = this.#openGopMs();
    return {
      hasReordering: this.#hasReordering,
      gopMaxMs: this.#gops.reduce((longest, gop) => Math.max(longest, gop.durationMs), openMs),
      isGopKnown: openMs > GOP_LONG_MS || this.#hasTellingGop(),
      frameRateFps: (this.#frameRate ??= { fps: this.#frameRateFps() }).fps,
      bitrateBps: this.#bitrateBps(),
    };
  }

  /** What comes after a gap may be another encoder's: only the rates carry over. */
  #restart(): void {
    this.#ptsMaxMs = Number.NEGATIVE_INFINITY;
    this.#hasReordering = false;
    this.#keyframeAtMs = undefined;
    this.#lastDtsMs = undefined;
    this.#gops = [];
  }

  #openGopMs(): number {
    return this.#keyframeAtMs === undefined || this.#lastDtsMs === undefined ? 0 : this.#lastDtsMs - this.#keyframeAtMs;
  }

  /** A short first GOP may be a scene cut in a stream of long ones; two alike, or a long one, are the encoder's rhythm. */
  #hasTellingGop(): boolean {
    return this.#gops.some(({ durationMs }, index) => {
      const beforeMs = this.#gops[index - 1]?.durationMs ?? 0;
      return durationMs >= GOP_TELLING_MS || Math.abs(durationMs - beforeMs) <= durationMs * GOP_ALIKE_RATIO;
    });
  }

  #closeGop(dtsMs: number): void {
    if (this.#keyframeAtMs !== undefined) {
      this.#gops.push({ atMs: dtsMs, durationMs: dtsMs - this.#keyframeAtMs });
      this.#gops = this.#gops.filter((gop) => dtsMs - gop.atMs <= GOP_WINDOW_MS);
    }
    this.#keyframeAtMs = dtsMs;
  }

  #addFrameGap(dtsMs: number): void {
    if (this.#lastDtsMs !== undefined) {
      this.#frameGapsMs.push(dtsMs - this.#lastDtsMs);
      if (this.#frameGapsMs.length > FRAME_GAP_MAX_COUNT) {
        this.#frameGapsMs.shift();
      }
      this.#frameRate = undefined;
    }
  }

  /** From the mean of the recent gaps: RTMP's whole milliseconds make a median read 30.3 for 30. */
  #frameRateFps(): number | undefined {
    if (this.#frameGapsMs.length < 2) {
      return undefined;
    }
    const sorted = this.#frameGapsMs.toSorted((a, b) => a - b);
    const medianMs = sorted[sorted.length >> 1] ?? 0;
    const regular = sorted.filter((gapMs) => gapMs > medianMs / 2 && gapMs < medianMs * 1.8);
    const meanMs = regular.reduce((sum, gapMs) => sum + gapMs, 0) / regular.length;
    return meanMs > 0 ? Math.round((1000 / meanMs) * 100) / 100 : undefined;
  }

  #addRate(sample: RateSample): void {
    this.#rateSamples.push(sample);
    this.#rateBytes += sample.bytes;
    let oldest = this.#rateSamples[0];
    while (oldest !== undefined && sample.dtsMs - oldest.dtsMs > RATE_WINDOW_MS) {
      this.#rateBytes -= oldest.bytes;
      this.#rateSamples.shift();
      oldest = this.#rateSamples[0];
    }
  }

  #bitrateBps(): number {
    const first = this.#rateSamples[0];
    const last = this.#rateSamples.at(-1);
    if (first === undefined || last === undefined || last.dtsMs === first.dtsMs) {
      return 0;
    }
    return Math.round(((this.#rateBytes - last.bytes) * 8000) / (last.dtsMs - first.dtsMs));
  }
}
