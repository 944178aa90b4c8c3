/** What a rendition costs a link: its rate over the last GOPs and its keyframes, as IP packets, measured whether or not anybody watches it. Pure. */
import type { RenditionCost } from '../../congestion/controller.ts';
import type { VideoUnit } from '../../media/access-unit.ts';
import { dtsMsOf } from '../../media/access-unit.ts';
import { RTP_PAYLOAD_MAX_BYTES } from '../../media/rtp/h264-packetiser.ts';

/** RTP header with both extensions, SRTP tag, IP and UDP. */
const OVERHEAD_BYTES = 24 + 16 + 28;
/** About five seconds of usual GOPs. */
const GOP_MAX_COUNT = 5;

/** By the lines of the shorter side (CONGESTION 2.1); between these in proportion. */
const QUALITY: readonly (readonly [linesPx: number, ratio: number])[] = [
  [0, 0],
  [360, 0.45],
  [480, 0.65],
  [720, 0.85],
  [1080, 1],
];

export class RenditionMeter {
  readonly #gops: { readonly bytes: number; readonly durationMs: number }[] = [];
  #linesPx = 0;
  #gopBytes = 0;
  #gopFromMs: number | undefined;
  #gopToMs = 0;
  #keyframeBytes = 0;
  #keyframeAtMs = 0;

  add(unit: VideoUnit): void {
    const dtsMs = dtsMsOf(unit);
    const bytes = wireBytes(unit.payload.byteLength);
    if (unit.isKeyframe) {
      this.#endGop(dtsMs);
      this.#keyframeBytes = bytes;
      this.#keyframeAtMs = unit.arrivedAtMs;
    }
    this.#linesPx = Math.min(unit.track.widthPx, unit.track.heightPx);
    this.#gopBytes += bytes;
    this.#gopToMs = dtsMs;
  }

  /** Undefined before the first keyframe. */
  get cost(): RenditionCost | undefined {
    if (this.#gopFromMs === undefined) {
      return undefined;
    }
    const bytes = this.#gops.reduce((sum, gop) => sum + gop.bytes, 0);
    const durationMs = this.#gops.reduce((sum, gop) => sum + gop.durationMs, 0);
    const openMs = Math.max(MS_PER_S / 30, this.#gopToMs - this.#gopFromMs);
    const bytesPerMs = durationMs > 0 ? bytes / durationMs : this.#gopBytes / openMs;
    return {
      bitrateBps: 8 * MS_PER_S * bytesPerMs,
      keyframeBytes: this.#keyframeBytes,
      qualityRatio: qualityOf(this.#linesPx),
    };
  }

  /** Usual time from keyframe to keyframe; undefined before two of them. */
  get gopMs(): number | undefined {
    const durationMs = this.#gops.reduce((sum, gop) => sum + gop.durationMs, 0);
    return this.#gops.length === 0 ? undefined : durationMs / this.#gops.length;
  }

  /** When the last keyframe reached this server: monotonic clock. */
  get keyframeAtMs(): number {
    return this.#keyframeAtMs;
  }

  #endGop(dtsMs: number): void {
    const durationMs = this.#gopFromMs === undefined ? 0 : dtsMs - this.#gopFromMs;
    if (durationMs > 0) {
      this.#gops.push({ bytes: this.#gopBytes, durationMs });
      if (this.#gops.length > GOP_MAX_COUNT) {
        this.#gops.shift();
      }
    }
    this.#gopBytes = 0;
    this.#gopFromMs = dtsMs;
  }
}

const MS_PER_S = 1000;

const wireBytes = (bytes: number): number => bytes + OVERHEAD_BYTES * Math.ceil(bytes / RTP_PAYLOAD_MAX_BYTES);

const qualityOf = (linesPx: number): number => {
  for (let index = 1; index < QUALITY.length; index += 1) {
    const [lowPx, low] = QUALITY[index - 1] ?? [0, 0];
    const [highPx, high] = QUALITY[index] ?? [0, 1];
    if (linesPx <= highPx) {
      return low + ((high - low) * (linesPx - lowPx)) / (highPx - lowPx);
    }
  }
  return 1;
};
