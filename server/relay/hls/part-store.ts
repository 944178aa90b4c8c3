/**
 * Parts and segments of one broadcast in memory: a window per rendition, and one cap in bytes over all of them. When the cap
 * is passed the oldest segment of any rendition goes, and is counted.
 */
import type { CutPart } from '../../media/part-cutter.ts';
import { TARGET_DURATION_S } from '../../media/segment-plan.ts';
import type { Track } from '../../media/track.ts';
import type { SegmentPlace } from './gaps.ts';
import { gapsBetween } from './gaps.ts';

export type StoredPart = {
  /** Runs through the whole rendition, so that the URL of the next part is known before anyone knows its segment. */
  readonly number: number;
  readonly durationS: number;
  readonly isIndependent: boolean;
  readonly bytes: Uint8Array;
};

export type StoredSegment = {
  readonly msn: number;
  readonly initIndex: number;
  readonly track: Track;
  readonly startPtsMs: number;
  readonly startAtWallMs: number;
  readonly isDiscontinuity: boolean;
  /** False for a segment cut inside a GOP. */
  readonly isIndependent: boolean;
  /** A number that this rendition has nothing for: it stands in the playlist as EXT-X-GAP. */
  readonly isGap: boolean;
  /** `EXT-X-DISCONTINUITY-SEQUENCE` of this segment: how many discontinuities came up to and including its own. */
  readonly discontinuitySequence: number;
  readonly parts: StoredPart[];
  durationTicks: number;
  durationS: number;
  bytes: number;
  isComplete: boolean;
  /** The whole segment, once complete; its parts are views of it, so nothing is kept twice. */
  body: Uint8Array | undefined;
};

/** What is known of a segment when it begins. */
export type SegmentOpening = Pick<
  StoredSegment,
  'msn' | 'initIndex' | 'track' | 'startPtsMs' | 'startAtWallMs' | 'isDiscontinuity' | 'isIndependent'
>;

export type WindowOptions = {
  /** Complete segments that the playlist lists. */
  readonly segmentMaxCount: number;
  /** Segments that stay fetchable after they left the playlist (RFC 8216bis 6.2.2). */
  readonly segmentGraceCount: number;
  /** Init segments of forgotten segments that are kept all the same, for who rewinds. */
  readonly initGraceCount: number;
};

export class RenditionWindow {
  readonly #options: WindowOptions;
  /** Oldest first; those before `#listedFrom` are no longer in the playlist. */
  #segments: StoredSegment[] = [];
  readonly #partsByNumber = new Map<number, Uint8Array>();
  readonly #initsByIndex = new Map<number, Uint8Array>();
  #initIndex = -1;
  #bytes = 0;
  #partCount = 0;
  #discontinuityCount: number;

  constructor(options: WindowOptions & { discontinuityCount: number }) {
    this.#options = options;
    this.#discontinuityCount = options.discontinuityCount;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get nextPartNumber(): number {
    return this.#partCount;
  }

  /** What the playlist shows, oldest first. */
  get listed(): readonly StoredSegment[] {
    const last = this.#segments.at(-1);
    const openCount = last !== undefined && !last.isComplete ? 1 : 0;
    return this.#segments.slice(-(this.#options.segmentMaxCount + openCount));
  }

  get last(): StoredSegment | undefined {
    return this.#segments.at(-1);
  }

  get oldest(): StoredSegment | undefined {
    return this.#segments[0];
  }

  /** The index of this init segment, which is stored when it differs from the last. */
  addInit(bytes: Uint8Array): number {
    const last = this.#initsByIndex.get(this.#initIndex);
    if (last !== undefined && Buffer.compare(last, bytes) === 0) {
      return this.#initIndex;
    }
    this.#initIndex += 1;
    this.#initsByIndex.set(this.#initIndex, bytes);
    this.#bytes += bytes.byteLength;
    this.#forgetInits();
    return this.#initIndex;
  }

  init(index: number): Uint8Array | undefined {
    return this.#initsByIndex.get(index);
  }

  part(number: number): Uint8Array | undefined {
    return this.#partsByNumber.get(number);
  }

  segment(msn: number): StoredSegment | undefined {
    const oldest = this.#segments[0];
    return oldest === undefined ? undefined : this.#segments[msn - oldest.msn];
  }

  /** Numbers in a playlist are implied by counting: what is jumped over is listed as gaps; after a long jump only what follows it. */
  startSegment(start: SegmentOpening): void {
    const last = this.#segments.at(-1);
    if (last !== undefined && start.msn !== last.msn + 1) {
      const missingCount = start.msn - last.msn - 1;
      if (missingCount > 0 && missingCount < this.#options.segmentMaxCount) {
        this.#segments.push(...gapsBetween(last, start).map((gap) => asGap(last, gap)));
      } else {
        this.#forgetAll();
      }
    }
    this.#discontinuityCount += start.isDiscontinuity ? 1 : 0;
    const discontinuitySequence = this.#discontinuityCount;
    this.#segments.push({
      ...start,
      isGap: false,
      discontinuitySequence,
      parts: [],
      durationTicks: 0,
      durationS: 0,
      bytes: 0,
      isComplete: false,
      body: undefined,
    });
    const { segmentMaxCount, segmentGraceCount } = this.#options;
    while (this.#segments.length > segmentMaxCount + segmentGraceCount + 1) {
      this.evictOldest();
    }
  }

  addPart(part: CutPart, options: { timescaleHz: number; bytes: Uint8Array }): StoredPart | undefined {
    const segment = this.#segments.at(-1);
    if (segment === undefined || segment.isComplete) {
      return undefined;
    }
    const durationS = part.durationTicks / options.timescaleHz;
    const stored = { number: this.#partCount, durationS, isIndependent: part.isIndependent, bytes: options.bytes };
    this.#partCount += 1;
    segment.parts.push(stored);
    segment.durationTicks += part.durationTicks;
    segment.durationS += durationS;
    segment.bytes += options.bytes.byteLength;
    this.#bytes += options.bytes.byteLength;
    this.#partsByNumber.set(stored.number, options.bytes);
    return stored;
  }

  /** The segment that is now whole; undefined when none was open. */
  endSegment(): StoredSegment | undefined {
    const segment = this.#segments.at(-1);
    if (segment === undefined || segment.isComplete) {
      return undefined;
    }
    segment.isComplete = true;
    segment.body = new Uint8Array(segment.bytes);
    let offset = 0;
    segment.parts.forEach((part, index) => {
      const { byteLength } = part.bytes;
      segment.body?.set(part.bytes, offset);
      const view = segment.body?.subarray(offset, offset + byteLength) ?? part.bytes;
      segment.parts[index] = { ...part, bytes: view };
      this.#partsByNumber.set(part.number, view);
      offset += byteLength;
    });
    return segment;
  }

  /** False when there is nothing to forget. */
  evictOldest(): boolean {
    const segment = this.#segments.shift();
    if (segment === undefined) {
      return false;
    }
    this.#bytes -= segment.bytes;
    for (const part of segment.parts) {
      this.#partsByNumber.delete(part.number);
    }
    return true;
  }

  clear(): void {
    this.#forgetAll();
    this.#initsByIndex.clear();
    this.#bytes = 0;
  }

  /** Those that no segment refers to any more. */
  #forgetAll(): void {
    while (this.evictOldest()) {
      // Until none is left.
    }
  }

  #forgetInits(): void {
    const neededFrom = (this.#segments[0]?.initIndex ?? this.#initIndex) - this.#options.initGraceCount;
    for (const [index, bytes] of this.#initsByIndex) {
      if (index < neededFrom) {
        this.#initsByIndex.delete(index);
        this.#bytes -= bytes.byteLength;
      }
    }
  }
}

const asGap = (last: StoredSegment, place: SegmentPlace): StoredSegment => ({
  ...last,
  ...place,
  ...{ isGap: true, isDiscontinuity: false, isIndependent: false, isComplete: true },
  ...{ parts: [], durationTicks: 0, bytes: 0, body: undefined },
});

/** Holds the windows of one broadcast under one cap. */
export class PartStore {
  readonly #bytesMax: number;
  readonly #windows = new Set<RenditionWindow>();
  #evictedCount = 0;

  constructor(options: { storeMaxBytes: number }) {
    this.#bytesMax = options.storeMaxBytes;
  }

  get bytes(): number {
    let sum = 0;
    for (const window of this.#windows) {
      sum += window.bytes;
    }
    return sum;
  }

  /** Segments that went because of the cap, before their time. */
  get evictedCount(): number {
    return this.#evictedCount;
  }

  add(window: RenditionWindow): void {
    this.#windows.add(window);
  }

  /**
   * Forgets the oldest complete segments until the cap holds. Open segments stay, so the true bound is the cap plus one
   * segment (2.45 s) of each rendition.
   */
  trim(): void {
    while (this.bytes > this.#bytesMax) {
      const fullest = this.#oldestWindow();
      if (fullest === undefined || !fullest.evictOldest()) {
        return;
      }
      this.#evictedCount += 1;
    }
  }

  #oldestWindow(): RenditionWindow | undefined {
    let found: RenditionWindow | undefined;
    for (const window of this.#windows) {
      const candidate = window.oldest;
      const isOlder = (candidate?.startAtWallMs ?? 0) < (found?.oldest?.startAtWallMs ?? Number.POSITIVE_INFINITY);
      if (candidate?.isComplete === true && isOlder) {
        found = window;
      }
    }
    return found;
  }

  clear(): void {
    for (const window of this.#windows) {
      window.clear();
    }
    this.#windows.clear();
  }
}

/** Parts are listed within this time of the playlist's end (RFC 8216bis 4.4.4.9). */
export const PARTS_LISTED_S = 3 * TARGET_DURATION_S;
