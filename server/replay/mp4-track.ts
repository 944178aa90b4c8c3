/** One track of a download: fragments in, samples of the wanted range out, on one timeline without gaps. Pure. */
import { msToTicks } from '../media/access-unit.ts';
import type { FragmentHead } from '../media/fmp4/fragment-reader.ts';
import type { InitFacts } from '../media/fmp4/init-reader.ts';
import type { ProgressiveTrack } from '../media/fmp4/progressive.ts';
import { MOVIE_TIMESCALE_HZ } from '../media/fmp4/progressive.ts';
import { SampleTable } from '../media/fmp4/sample-table.ts';
import type { CopyList } from './copy-list.ts';

/** A fragment, and where it lies. */
export type PlacedFragment = {
  readonly head: FragmentHead;
  readonly fileNumber: number;
  /** Of the fragment's first byte in its file. */
  readonly byteOffset: number;
  readonly initIndex: number;
  /** What turns the broadcast's time into the replay's. */
  readonly shiftMs: number;
  /** End of its stretch: what lasts longer is left out, so that the next stretch finds its place free. */
  readonly limitMs: number;
};

export type Mp4TrackOptions = {
  readonly kind: 'video' | 'audio';
  readonly fromMs: number;
  readonly toMs: number;
  /** By init index; the first one's timescale is the track's. */
  readonly inits: readonly InitFacts[];
};

/** Stands in the list of copies for the parameter sets of an init segment. */
export const inBandNumber = (initIndex: number): number => -1 - initIndex;

export class Mp4Track {
  readonly #options: Mp4TrackOptions;
  readonly #timescaleHz: number;
  readonly #table = new SampleTable();
  readonly #descriptions = new Map<number, number>();
  readonly #sampleEntries: Uint8Array[] = [];
  #endTicks = Number.NEGATIVE_INFINITY;
  #firstPtsTicks: number | undefined;
  #lastDtsTicks = 0;
  #skipUntilTicks = Number.NEGATIVE_INFINITY;

  constructor(options: Mp4TrackOptions) {
    this.#options = options;
    this.#timescaleHz = options.inits[0]?.timescaleHz ?? MOVIE_TIMESCALE_HZ;
  }

  get sampleCount(): number {
    return this.#table.sampleCount;
  }

  /** Pictures decoded before this (on the broadcast's own timeline) are left out. */
  skipUntil(dtsTicks: number): void {
    this.#skipUntilTicks = dtsTicks;
  }

  /** Adds what of it lies in the range; its bytes join `copies`. Pictures begin with the first keyframe handed in. */
  add(fragment: PlacedFragment, copies: CopyList): void {
    const { head, initIndex, fileNumber } = fragment;
    const init = this.#options.inits[initIndex];
    const scaleRatio = this.#timescaleHz / (init?.timescaleHz ?? this.#timescaleHz);
    const shiftTicks = this.#ticksOf(fragment.shiftMs);
    const limitTicks = Math.min(this.#ticksOf(this.#options.toMs), this.#ticksOf(fragment.limitMs));
    let sourceTicks = head.startTicks;
    let byteOffset = fragment.byteOffset + head.dataStartBytes;
    let hasChunk = false;
    for (let index = 0; index < head.sizesBytes.length; index += 1) {
      const dtsTicks = Math.round(sourceTicks * scaleRatio) + shiftTicks;
      const durationTicks = Math.round((head.durationsTicks[index] ?? 0) * scaleRatio);
      const byteLength = head.sizesBytes[index] ?? 0;
      const isKeyframe = head.keyframes[index] === 1 && sourceTicks >= this.#skipUntilTicks;
      const isWanted = this.#isWanted({ dtsTicks, durationTicks, limitTicks, isKeyframe });
      if (isWanted) {
        const descriptionIndex = this.#descriptionOf(initIndex);
        if (!hasChunk) {
          hasChunk = true;
          this.#table.startChunk({ startBytes: copies.totalBytes, descriptionIndex });
        }
        // Many players never look at a second sample entry: once there is one, keyframes carry their parameter sets with them.
        const sets = isKeyframe && this.#sampleEntries.length > 1 ? init?.inBandSets : undefined;
        const setsBytes = sets?.byteLength ?? 0;
        if (setsBytes > 0) {
          copies.push({ fileNumber: inBandNumber(initIndex), byteOffset: 0, byteLength: setsBytes });
        }
        copies.push({ fileNumber, byteOffset, byteLength });
        const ptsTicks = dtsTicks + Math.round((head.compositionOffsetsTicks[index] ?? 0) * scaleRatio);
        this.#addSample({ dtsTicks, ptsTicks, durationTicks, sizeBytes: setsBytes + byteLength, isKeyframe });
      } else if (hasChunk) {
        break;
      }
      sourceTicks += head.durationsTicks[index] ?? 0;
      byteOffset += byteLength;
    }
  }

  /** Undefined without a sample. Call once, when all fragments were added. */
  finish(): ProgressiveTrack | undefined {
    const { kind, inits } = this.#options;
    if (this.sampleCount === 0) {
      return undefined;
    }
    const fromTicks = this.#ticksOf(this.#options.fromMs);
    const toTicks = this.#ticksOf(this.#options.toMs);
    // Pictures are shown until the range ends, whatever their last one says of itself.
    this.#table.finish(kind === 'video' ? Math.max(this.#endTicks, toTicks) : this.#endTicks);
    const firstDtsTicks = this.#table.firstDtsTicks;
    const shownFromTicks = Math.max(fromTicks, this.#firstPtsTicks ?? firstDtsTicks);
    const shownToTicks = kind === 'video' ? toTicks : Math.min(toTicks, this.#endTicks);
    const used = inits.filter((_init, index) => this.#descriptions.has(index));
    return {
      kind,
      timescaleHz: this.#timescaleHz,
      widthPx: Math.max(...used.map((init) => init.widthPx)),
      heightPx: Math.max(...used.map((init) => init.heightPx)),
      sampleEntries: this.#sampleEntries,
      table: this.#table,
      edit: {
        emptyTicks: shownFromTicks - fromTicks,
        startTicks: shownFromTicks - firstDtsTicks,
        durationTicks: Math.max(0, shownToTicks - shownFromTicks),
      },
    };
  }

  #ticksOf(ms: number): number {
    return msToTicks(ms, this.#timescaleHz);
  }

  #isWanted(sample: { dtsTicks: number; durationTicks: number; limitTicks: number; isKeyframe: boolean }): boolean {
    const { dtsTicks, durationTicks, limitTicks } = sample;
    if (this.#options.kind === 'video') {
      return dtsTicks < this.#ticksOf(this.#options.toMs) && (this.sampleCount > 0 || sample.isKeyframe);
    }
    // A decoder of sound needs the frame before the first that is heard; more than half of one must lie before the limit and behind the last.
    const isEarly = dtsTicks + 2 * durationTicks <= this.#ticksOf(this.#options.fromMs);
    return !isEarly && dtsTicks + durationTicks / 2 < limitTicks && dtsTicks + durationTicks / 2 > this.#endTicks;
  }

  #addSample(sample: {
    dtsTicks: number;
    ptsTicks: number;
    durationTicks: number;
    sizeBytes: number;
    isKeyframe: boolean;
  }): void {
    // Where another encoder's stretch begins its pictures' reordering may reach back into the one before: decoding times never do.
    // And no picture is decoded after it is shown: the packager's predictions may say so by a fraction of a frame.
    const isVideo = this.#options.kind === 'video';
    const earlyTicks = isVideo ? Math.min(sample.dtsTicks, sample.ptsTicks) : sample.dtsTicks;
    const dtsTicks = this.sampleCount === 0 ? earlyTicks : Math.max(earlyTicks, this.#lastDtsTicks + 1);
    const ptsTicks = isVideo ? Math.max(sample.ptsTicks, dtsTicks) : dtsTicks;
    this.#firstPtsTicks ??= ptsTicks;
    this.#lastDtsTicks = dtsTicks;
    this.#endTicks = dtsTicks + sample.durationTicks;
    this.#table.add({ dtsTicks, ptsTicks, sizeBytes: sample.sizeBytes, isKeyframe: sample.isKeyframe });
  }

  #descriptionOf(initIndex: number): number {
    const known = this.#descriptions.get(initIndex);
    if (known !== undefined) {
      return known;
    }
    const entry = this.#options.inits[initIndex]?.sampleEntry;
    if (entry === undefined) {
      throw new TypeError(`init ${initIndex} is not known, expected one of ${this.#options.inits.length}`);
    }
    const same = this.#sampleEntries.findIndex((one) => Buffer.compare(one, entry) === 0);
    const descriptionIndex = same === -1 ? this.#sampleEntries.push(entry) - 1 : same;
    this.#descriptions.set(initIndex, descriptionIndex);
    return descriptionIndex;
  }
}
