/** The renditions of a lab's run as a source: the very sizes that the server had to send, aligned by their times. */
import type { GopOffer } from '../../server/congestion/controller.ts';
import { RTP_PAYLOAD_MAX_BYTES } from '../../server/media/rtp/h264-packetiser.ts';
import type { RenditionRecord } from '../latency/run/stream-record.ts';
import type { FrameSource } from './ladder-source.ts';

/** Of RTP with its extensions and tag, UDP and IP, in each packet: as production counts (relay/webrtc/rendition-meter). */
const OVERHEAD_BYTES = 24 + 16 + 28;
/** GOPs of which the mean rate is told. */
const RATE_GOP_COUNT = 5;
const MAIN_ID = 'video';

export type RecordedRung = { readonly record: RenditionRecord; readonly qualityRatio: number };

export class RecordedSource implements FrameSource {
  readonly framesPerGop: number;
  readonly frameIntervalMs: number;
  /** Media time of picture 0. */
  readonly fromMediaMs: number;
  readonly #rungs: readonly { readonly bytes: Float64Array; readonly qualityRatio: number }[];
  readonly #frameCount: number;

  /** `rungs` from the lowest up, the publisher's picture last. Throws `TypeError` for a stream without regular GOPs. */
  constructor(rungs: readonly RecordedRung[]) {
    const main = rungs.at(-1)?.record;
    const [first = 0, second = Number.NaN] = main?.keyframes ?? [];
    if (main === undefined || !main.keyframes.every((frame, gop) => frame === first + gop * (second - first))) {
      throw new TypeError('expected a recorded rendition with a keyframe each so many pictures');
    }
    this.framesPerGop = second - first;
    this.fromMediaMs = main.mediaMs[first] ?? 0;
    const spanMs = (main.mediaMs.at(-1) ?? 0) - this.fromMediaMs;
    this.#frameCount = main.mediaMs.length - first;
    this.frameIntervalMs = spanMs / (this.#frameCount - 1);
    this.#rungs = rungs.map(({ record, qualityRatio }) => ({ bytes: this.#columnOf(record), qualityRatio }));
  }

  isKeyframe(frame: number): boolean {
    return frame % this.framesPerGop === 0;
  }

  bytes(frame: number, rungIndex: number): number {
    return this.#rungs[rungIndex]?.bytes[this.#within(frame)] ?? 0;
  }

  offer(keyframe: number): GopOffer {
    const gopMs = this.framesPerGop * this.frameIntervalMs;
    const fromFrame = Math.max(0, keyframe - RATE_GOP_COUNT * this.framesPerGop);
    const count = Math.max(1, keyframe - fromFrame);
    const renditions = this.#rungs.map(({ qualityRatio }, rungIndex) => {
      let bytes = 0;
      for (let frame = fromFrame; frame < fromFrame + count; frame += 1) {
        bytes += this.bytes(frame, rungIndex);
      }
      const bitrateBps = (8_000 * bytes) / (count * this.frameIntervalMs);
      return { bitrateBps, qualityRatio, keyframeBytes: this.bytes(keyframe, rungIndex) };
    });
    return { renditions, gopMs, frameIntervalMs: this.frameIntervalMs };
  }

  /** What came after the recording is taken from its last whole GOP. */
  #within(frame: number): number {
    const wholeCount = this.#frameCount - (this.#frameCount % this.framesPerGop);
    return frame < wholeCount ? frame : wholeCount - this.framesPerGop + (frame % this.framesPerGop);
  }

  #columnOf({ mediaMs, bytes }: RenditionRecord): Float64Array {
    const column = new Float64Array(this.#frameCount);
    for (const [index, atMs] of mediaMs.entries()) {
      const frame = Math.round((atMs - this.fromMediaMs) / this.frameIntervalMs);
      if (frame >= 0 && frame < this.#frameCount) {
        column[frame] = wireBytes(bytes[index] ?? 0);
      }
    }
    return column;
  }
}

/** From the lowest up; the publisher's picture is the highest. */
export const rungsOf = (records: readonly RenditionRecord[]): RecordedRung[] => {
  const sorted = records.toSorted(
    (a, b) => Number(a.id === MAIN_ID) - Number(b.id === MAIN_ID) || meanBytes(a) - meanBytes(b),
  );
  // Quality only orders them here.
  return sorted.map((record, index) => ({ record, qualityRatio: (index + 1) / sorted.length }));
};

const meanBytes = ({ bytes }: RenditionRecord): number => bytes.reduce((sum, size) => sum + size, 0) / bytes.length;

const wireBytes = (bytes: number): number => bytes + OVERHEAD_BYTES * Math.ceil(bytes / RTP_PAYLOAD_MAX_BYTES);
