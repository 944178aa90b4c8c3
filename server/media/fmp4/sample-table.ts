/**
 * The tables of a progressive MP4's track (`stbl`, ISO/IEC 14496-12 8.5 to 8.7), made sample by sample. Times are given as absolute ticks;
 * the tables' durations are their differences, so that a gap becomes a sample that lasts longer and nothing ever drifts.
 */
import { box, fullBox, u32 } from './box.ts';

export type TableSample = {
  /** Not below the one before. */
  readonly dtsTicks: number;
  readonly ptsTicks: number;
  readonly sizeBytes: number;
  readonly isKeyframe: boolean;
};

const PLAIN = { version: 0, flags: 0 };
const FIRST_CAPACITY = 1_024;

/** A growing list of 32-bit numbers: an eighth of what an array of numbers in objects would take. */
class WordList {
  #words = new Int32Array(FIRST_CAPACITY);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(word: number): void {
    if (this.#count === this.#words.length) {
      const larger = new Int32Array(this.#count * 2);
      larger.set(this.#words);
      this.#words = larger;
    }
    this.#words[this.#count] = word;
    this.#count += 1;
  }

  /** Adds one to the word at `index`. */
  increment(index: number): void {
    this.#words[index] = (this.#words[index] ?? 0) + 1;
  }

  at(index: number): number {
    return this.#words[index] ?? 0;
  }

  /** Big-endian. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#count * 4);
    const view = new DataView(bytes.buffer);
    for (let index = 0; index < this.#count; index += 1) {
      view.setInt32(index * 4, this.at(index));
    }
    return bytes;
  }
}

/** Pairs of (how often, value), as `stts` and `ctts` have them. */
class RunList {
  readonly #words = new WordList();

  get count(): number {
    return this.#words.count / 2;
  }

  push(value: number): void {
    const last = this.#words.count - 2;
    if (last >= 0 && this.#words.at(last + 1) === value) {
      this.#words.increment(last);
      return;
    }
    this.#words.push(1);
    this.#words.push(value);
  }

  toBytes(): Uint8Array {
    return this.#words.toBytes();
  }
}

type Chunk = { readonly descriptionIndex: number; sampleCount: number };

export class SampleTable {
  readonly #durations = new RunList();
  readonly #offsets = new RunList();
  readonly #sizes = new WordList();
  readonly #keyframes = new WordList();
  /** Triples of `stsc`: first chunk, samples in each, description. */
  readonly #chunkRuns = new WordList();
  /** Where chunks begin, counted from the first byte of the media: high and low word. */
  readonly #chunkStarts = new WordList();
  #open: Chunk | undefined;
  #lastRun: Chunk | undefined;
  #firstDtsTicks = 0;
  #lastDtsTicks = 0;
  #endDtsTicks = 0;
  #hasOffsets = false;

  get sampleCount(): number {
    return this.#sizes.count;
  }

  get keyframeCount(): number {
    return this.#keyframes.count;
  }

  get firstDtsTicks(): number {
    return this.#firstDtsTicks;
  }

  /** Decoding time the samples cover, once finished. */
  get durationTicks(): number {
    return this.#endDtsTicks - this.#firstDtsTicks;
  }

  /** The samples that follow lie one behind the other from here. `descriptionIndex` counts the entries of `stsd` from 0. */
  startChunk(options: { readonly startBytes: number; readonly descriptionIndex: number }): void {
    this.#closeChunk();
    this.#chunkStarts.push(Math.floor(options.startBytes / 2 ** 32));
    this.#chunkStarts.push(options.startBytes | 0);
    this.#open = { descriptionIndex: options.descriptionIndex, sampleCount: 0 };
  }

  add(sample: TableSample): void {
    if (this.#open === undefined) {
      throw new TypeError('a sample without a chunk, expected startChunk before add');
    }
    if (this.sampleCount === 0) {
      this.#firstDtsTicks = sample.dtsTicks;
    } else {
      this.#durations.push(sample.dtsTicks - this.#lastDtsTicks);
    }
    this.#lastDtsTicks = sample.dtsTicks;
    const offsetTicks = sample.ptsTicks - sample.dtsTicks;
    this.#hasOffsets = this.#hasOffsets || offsetTicks !== 0;
    this.#offsets.push(offsetTicks);
    this.#sizes.push(sample.sizeBytes);
    if (sample.isKeyframe) {
      this.#keyframes.push(this.sampleCount);
    }
    this.#open.sampleCount += 1;
  }

  /** No sample follows; the last one lasts until `endTicks`. Call once. */
  finish(endTicks: number): void {
    this.#closeChunk();
    this.#open = undefined;
    this.#endDtsTicks = this.#lastDtsTicks;
    if (this.sampleCount > 0) {
      this.#endDtsTicks = Math.max(endTicks, this.#lastDtsTicks);
      this.#durations.push(this.#endDtsTicks - this.#lastDtsTicks);
    }
  }

  /** `co64` of a finished table when the media begins at `mediaStartBytes` of the file. Its size does not depend on that. */
  chunkOffsets(mediaStartBytes: number): Uint8Array {
    const count = this.#chunkStarts.count / 2;
    const bytes = new Uint8Array(4 + count * 8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, count);
    for (let index = 0; index < count; index += 1) {
      const relative = this.#chunkStarts.at(index * 2) * 2 ** 32 + (this.#chunkStarts.at(index * 2 + 1) >>> 0);
      view.setBigUint64(4 + index * 8, BigInt(relative + mediaStartBytes));
    }
    return fullBox('co64', PLAIN, bytes);
  }

  /** The boxes of `stbl` beside `stsd` and `co64`. `isVideo`: with a table of keyframes. */
  boxes(isVideo: boolean): Uint8Array[] {
    const hasKeyframeTable = isVideo && this.#keyframes.count < this.sampleCount;
    return [
      fullBox('stts', PLAIN, u32(this.#durations.count), this.#durations.toBytes()),
      ...(this.#hasOffsets
        ? [fullBox('ctts', { version: 1, flags: 0 }, u32(this.#offsets.count), this.#offsets.toBytes())]
        : []),
      ...(hasKeyframeTable ? [fullBox('stss', PLAIN, u32(this.#keyframes.count), this.#keyframes.toBytes())] : []),
      fullBox('stsc', PLAIN, u32(this.#chunkRuns.count / 3), this.#chunkRuns.toBytes()),
      box('stsz', u32(0, 0, this.#sizes.count), this.#sizes.toBytes()),
    ];
  }

  #closeChunk(): void {
    const chunk = this.#open;
    if (chunk === undefined) {
      return;
    }
    const last = this.#lastRun;
    if (
      last === undefined ||
      last.sampleCount !== chunk.sampleCount ||
      last.descriptionIndex !== chunk.descriptionIndex
    ) {
      this.#chunkRuns.push(this.#chunkStarts.count / 2);
      this.#chunkRuns.push(chunk.sampleCount);
      this.#chunkRuns.push(chunk.descriptionIndex + 1);
      this.#lastRun = chunk;
    }
  }
}
