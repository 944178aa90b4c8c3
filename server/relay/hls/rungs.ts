/**
 * The rungs of one broadcast as LL-HLS: each a rendition of its own, led along the segments of the main video. A rung that is shed leaves the
 * playlists and comes back under its own numbers: no URL ever means two things.
 */
import type { VideoUnit } from '../../media/access-unit.ts';
import type { SegmentBoundary } from '../../media/boundary-queue.ts';
import { LedSegmenter } from '../../media/led-segmenter.ts';
import type { SegmenterEvent } from '../../media/segmenter.ts';
import { isAv1RungId } from '../broadcast.ts';
import type { Rendition } from '../rendition.ts';
import type { HlsRendition } from './hls-rendition.ts';

export type RungsOptions = {
  readonly partTargetMs: number;
  readonly epochAt: (mediaMs: number) => number;
  /** `discontinuityCount`: up to and including the segment that the rung begins with. */
  createOutput(rungId: string, options: { plan: LedSegmenter['plan']; msn: number }): HlsRendition;
  publish(output: HlsRendition, events: readonly SegmenterEvent[]): void;
};

type Rung = {
  readonly id: string;
  /** Undefined while it is shed. */
  rendition: Rendition | undefined;
  segmenter: LedSegmenter | undefined;
  output: HlsRendition | undefined;
};

const BOUNDARY_MAX_COUNT = 16;
const FRAME_RATE_GUESS_FPS = 30;

export class Rungs {
  readonly #options: RungsOptions;
  /** As in the multivariant playlist. */
  #rungs: Rung[] = [];
  /** The main video's last segments, for rungs that begin later. */
  #boundaries: SegmentBoundary[] = [];
  #mainMs = Number.NEGATIVE_INFINITY;

  constructor(options: RungsOptions) {
    this.#options = options;
  }

  /** Of those that play: H.264 before AV1, largest first. */
  get outputs(): readonly { readonly rendition: Rendition; readonly output: HlsRendition }[] {
    return this.#rungs.flatMap(({ rendition, output }) =>
      rendition === undefined || output === undefined ? [] : [{ rendition, output }],
    );
  }

  /** Each that is planned has a segment to play. */
  get isReady(): boolean {
    return this.#rungs.every(({ rendition, output }) => rendition === undefined || output?.hasSegment === true);
  }

  add(rendition: Rendition): void {
    const known = this.#rungs.find(({ id }) => id === rendition.id);
    if (known !== undefined) {
      known.rendition = rendition;
      return;
    }
    this.#rungs.push({ id: rendition.id, rendition, segmenter: undefined, output: undefined });
    this.#rungs.sort((a, b) => placeOf(a.id) - placeOf(b.id));
  }

  lose(rendition: Rendition): void {
    const rung = this.#rungs.find((one) => one.rendition === rendition);
    if (rung !== undefined) {
      rung.rendition = undefined;
      this.#publish(rung, rung.segmenter?.end() ?? []);
    }
  }

  onBoundary(boundary: SegmentBoundary): void {
    this.#boundaries = [...this.#boundaries, boundary].slice(-BOUNDARY_MAX_COUNT);
    for (const { segmenter } of this.#rungs) {
      segmenter?.onBoundary(boundary);
    }
  }

  /** The main video has reached this decoding time. */
  onMainTime(dtsMs: number): void {
    this.#mainMs = dtsMs;
    for (const rung of this.#rungs) {
      this.#publish(rung, rung.segmenter?.onMainTime(dtsMs) ?? []);
    }
  }

  push(rendition: Rendition, unit: VideoUnit): void {
    const rung = this.#rungs.find((one) => one.rendition === rendition);
    if (rung === undefined) {
      return;
    }
    rung.segmenter ??= this.#createSegmenter(rendition, unit);
    this.#publish(rung, rung.segmenter.push(unit));
  }

  end(): void {
    for (const rung of this.#rungs) {
      this.#publish(rung, rung.segmenter?.end() ?? []);
      rung.output?.end();
    }
  }

  #createSegmenter(rendition: Rendition, unit: VideoUnit): LedSegmenter {
    const segmenter = new LedSegmenter({
      partTargetMs: this.#options.partTargetMs,
      frameRateFps: rendition.facts.frameRateFps ?? FRAME_RATE_GUESS_FPS,
      timescaleHz: unit.track.timescaleHz,
      epochAt: this.#options.epochAt,
    });
    this.#boundaries.forEach((boundary) => segmenter.onBoundary(boundary));
    segmenter.onMainTime(this.#mainMs);
    return segmenter;
  }

  #publish(rung: Rung, events: readonly SegmenterEvent[]): void {
    const [first] = events;
    if (first === undefined || rung.segmenter === undefined) {
      return;
    }
    rung.output ??= this.#options.createOutput(rung.id, { plan: rung.segmenter.plan, msn: first.msn });
    this.#options.publish(rung.output, events);
  }
}

/** What every player decodes comes first, the largest before the others. */
const placeOf = (id: string): number => (isAv1RungId(id) ? AV1_LAST : 0) - Number(/\d+$/.exec(id)?.[0]);
const AV1_LAST = 10_000;
