/** The index of one recording in memory: a row of numbers per segment, no objects, so that eight hours are under 2 MB. */
import type { Cue } from '../api/contract/cues.ts';
import { unreachable } from '../base/assert.ts';
import { ProtocolError } from '../base/errors.ts';
import type { IndexRecord, TrackRecord } from './index-format.ts';
import {
  INDEX_PREFIX_BYTES,
  SEGMENT_RECORD_BYTES,
  SEGMENT_ROW_BYTES,
  checkPrefix,
  decodeRecord,
  isPlausibleRow,
  readRow,
  segmentRowAt,
  writeRow,
} from './index-format.ts';
import type {
  RecordedCue,
  RecordedSegment,
  RecordedTrack,
  RecordingHeader,
  RecordingIndex,
  RecordingMark,
  RecordingSummary,
  TrackInit,
} from './recording.ts';

/** A stored row, and the played time before it (f64, milliseconds). */
const ROW_BYTES = SEGMENT_ROW_BYTES + 8;
const FIRST_ROW_COUNT = 64;
const SCRATCH = new DataView(new ArrayBuffer(SEGMENT_ROW_BYTES));
const MARK_MAX_COUNT = 1_000;
/** Of all cues of a recording, as JSON: 500 of the largest, 20,000 usual ones. What is beyond is not kept. */
export const CUES_MAX_BYTES = 6 * 2 ** 20;

export class SegmentIndex implements RecordingIndex {
  readonly #tracks: TrackRows[] = [];
  readonly #marks: RecordingMark[] = [];
  #header: RecordingHeader;
  #summary: RecordingSummary | undefined;
  readonly #cues = new Map<string, RecordedCue>();
  #cuesBytes = 0;
  #mediaBytes = 0;
  #version = 0;

  constructor(header: RecordingHeader) {
    this.#header = header;
  }

  get header(): RecordingHeader {
    return this.#header;
  }

  get tracks(): readonly RecordedTrack[] {
    return this.#tracks;
  }

  get marks(): readonly RecordingMark[] {
    return this.#marks;
  }

  get cues(): readonly Cue[] {
    return this.recordedCues
      .flatMap(({ cue, isForgotten }) => (isForgotten ? [] : cue))
      .sort((a, b) => a.mediaMs - b.mediaMs);
  }

  /** Forgotten ones too, in the order in which they came. */
  get recordedCues(): readonly RecordedCue[] {
    return [...this.#cues.values()];
  }

  get endReason(): string | undefined {
    return this.#summary?.endReason;
  }

  get mediaBytes(): number {
    return this.#mediaBytes;
  }

  get durationMs(): number {
    return this.#tracks.reduce((longestMs, track) => Math.max(longestMs, track.elapsedMs), 0);
  }

  get version(): number {
    return this.#version;
  }

  /** As the library lists it; of one without an end, as it stands. */
  get summary(): RecordingSummary {
    const { mediaBytes, durationMs } = this;
    return {
      ...this.#header,
      endedAtWallMs: this.#summary?.endedAtWallMs,
      endReason: this.#summary?.endReason,
      durationMs,
      mediaBytes,
    };
  }

  /** Where the last segment of any track ends on the wall clock. */
  get lastWallMs(): number {
    return this.#tracks.reduce((lastMs, track) => Math.max(lastMs, track.lastWallMs), this.#header.startedAtWallMs);
  }

  segmentCount(trackId: number): number {
    return this.#tracks[trackId]?.count ?? 0;
  }

  segmentAt(trackId: number, position: number): RecordedSegment | undefined {
    return this.#tracks[trackId]?.at(position);
  }

  positionOfMsn(trackId: number, msn: number): number {
    const track = this.#tracks[trackId];
    return track === undefined ? 0 : track.firstPosition((position) => track.msnAt(position) >= msn);
  }

  elapsedMsAt(trackId: number, position: number): number {
    return this.#tracks[trackId]?.elapsedMsAt(position) ?? 0;
  }

  positionAtElapsedMs(trackId: number, elapsedMs: number): number {
    const track = this.#tracks[trackId];
    if (track === undefined || track.count === 0) {
      return 0;
    }
    const after = track.firstPosition((position) => track.elapsedMsAt(position) > elapsedMs);
    return Math.min(Math.max(0, after - 1), track.count - 1);
  }

  trackOf(renditionId: string): RecordedTrack | undefined {
    return this.#tracks.find((track) => track.renditionId === renditionId);
  }

  /** Exactly this number of this rendition. */
  find(renditionId: string, msn: number): RecordedSegment | undefined {
    const track = this.trackOf(renditionId);
    const segment =
      track === undefined ? undefined : this.segmentAt(track.trackId, this.positionOfMsn(track.trackId, msn));
    return segment?.msn === msn ? segment : undefined;
  }

  /** Takes the next record. False, and nothing changes, for one that cannot follow what came before. */
  apply(record: IndexRecord): boolean {
    const isTaken = this.#applyOne(record);
    this.#version += isTaken ? 1 : 0;
    return isTaken;
  }

  /** As `apply`, of a segment as it lies in the file. */
  applyRow(view: DataView, at: number): boolean {
    const isTaken = this.#appendRow(view, at);
    this.#version += isTaken ? 1 : 0;
    return isTaken;
  }

  #appendRow(view: DataView, at: number): boolean {
    const isTaken = isPlausibleRow(view, at) && this.#tracks[view.getUint8(at)]?.append(view, at) === true;
    this.#mediaBytes += isTaken ? view.getUint32(at + 40, true) : 0;
    return isTaken;
  }

  #applyOne(record: IndexRecord): boolean {
    switch (record.type) {
      case 'header':
        return false;
      case 'track':
        return this.#addTrack(record.track);
      case 'segment':
        writeRow(SCRATCH, 0, record.segment);
        return this.#appendRow(SCRATCH, 0);
      case 'mark':
        if (this.#marks.length < MARK_MAX_COUNT) {
          this.#marks.push(record.mark);
        }
        return true;
      case 'title':
        this.#header = { ...this.#header, title: record.title };
        return true;
      case 'cue':
        this.#keepCue(record.cue);
        return true;
      case 'summary':
        this.#summary = record.summary;
        return true;
      default:
        return unreachable(record);
    }
  }

  #keepCue(recorded: RecordedCue): void {
    const key = cueKeyOf(recorded.cue);
    const before = this.#cues.get(key);
    const bytes = this.#cuesBytes + bytesOf(recorded) - (before === undefined ? 0 : bytesOf(before));
    if (bytes <= CUES_MAX_BYTES) {
      this.#cues.set(key, recorded);
      this.#cuesBytes = bytes;
    }
  }

  #addTrack({ trackId, renditionId, kind, init }: TrackRecord): boolean {
    const existing = this.#tracks[trackId];
    if (existing !== undefined) {
      return existing.addInit(init);
    }
    if (trackId !== this.#tracks.length || init.initIndex !== 0) {
      return false;
    }
    this.#tracks.push(new TrackRows({ trackId, renditionId, kind, init }));
    return true;
  }
}

/** An id may come again after it was withdrawn; at the same instant it is the same cue. */
export const cueKeyOf = ({ id, mediaMs }: Pick<Cue, 'id' | 'mediaMs'>): string => `${id} ${mediaMs}`;

const bytesOf = (recorded: RecordedCue): number => Buffer.byteLength(JSON.stringify(recorded));

class TrackRows implements RecordedTrack {
  readonly trackId: number;
  readonly renditionId: string;
  readonly kind: 'video' | 'audio';
  readonly timescaleHz: number;
  readonly #inits: TrackInit[];
  #view = new DataView(new ArrayBuffer(FIRST_ROW_COUNT * ROW_BYTES));
  #count = 0;
  #elapsedMs = 0;

  constructor({ trackId, renditionId, kind, init }: TrackRecord) {
    this.trackId = trackId;
    this.renditionId = renditionId;
    this.kind = kind;
    this.timescaleHz = init.timescaleHz;
    this.#inits = [init];
  }

  get inits(): readonly TrackInit[] {
    return this.#inits;
  }

  get count(): number {
    return this.#count;
  }

  get elapsedMs(): number {
    return this.#elapsedMs;
  }

  get lastWallMs(): number {
    const last = this.at(this.#count - 1);
    return last === undefined ? 0 : last.wallMs + (last.durationTicks * 1000) / last.timescaleHz;
  }

  addInit(init: TrackInit): boolean {
    if (init.initIndex !== this.#inits.length) {
      return false;
    }
    this.#inits.push(init);
    return true;
  }

  /** A copy of the row at `from`. */
  append(row: DataView, from: number): boolean {
    const init = this.#inits[row.getUint16(from + 2, true)];
    if (init === undefined || (this.#count > 0 && row.getUint32(from + 8, true) <= this.msnAt(this.#count - 1))) {
      return false;
    }
    const at = this.#count * ROW_BYTES;
    this.#reserve(at + ROW_BYTES);
    for (let offset = 0; offset < SEGMENT_ROW_BYTES; offset += 4) {
      this.#view.setUint32(at + offset, row.getUint32(from + offset));
    }
    this.#view.setFloat64(at + SEGMENT_ROW_BYTES, this.#elapsedMs, true);
    this.#count += 1;
    this.#elapsedMs += (row.getUint32(from + 12, true) * 1000) / init.timescaleHz;
    return true;
  }

  at(position: number): RecordedSegment | undefined {
    if (!(position >= 0 && position < this.#count)) {
      return undefined;
    }
    const row = readRow(this.#view, position * ROW_BYTES);
    return { ...row, timescaleHz: this.#inits[row.initIndex]?.timescaleHz ?? 1 };
  }

  msnAt(position: number): number {
    return this.#view.getUint32(position * ROW_BYTES + 8, true);
  }

  elapsedMsAt(position: number): number {
    return position < this.#count
      ? this.#view.getFloat64(position * ROW_BYTES + SEGMENT_ROW_BYTES, true)
      : this.#elapsedMs;
  }

  /** The first position where `isBeyond` holds, which must then hold for all that follow; the count when there is none. */
  firstPosition(isBeyond: (position: number) => boolean): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBeyond(middle)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  #reserve(bytes: number): void {
    if (bytes > this.#view.byteLength) {
      const grown = new Uint8Array(Math.ceil(bytes * 1.5));
      grown.set(new Uint8Array(this.#view.buffer));
      this.#view = new DataView(grown.buffer);
    }
  }
}

/** Reads an index in steps, so that a long one does not hold up whoever shares the thread. */
export class IndexParser {
  readonly index: SegmentIndex;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #offset: number;
  #isDone = false;

  /** Throws `ProtocolError` `REPLAY_INDEX_UNREADABLE` for bytes that do not begin as an index does. */
  constructor(bytes: Buffer) {
    checkPrefix(bytes);
    const first = decodeRecord(bytes, INDEX_PREFIX_BYTES);
    if (first?.record?.type !== 'header') {
      throw new ProtocolError('REPLAY_INDEX_UNREADABLE', 'the index has no header');
    }
    this.index = new SegmentIndex(first.record.header);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = first.endOffset;
  }

  /** How much of the file counts, so far. */
  get validBytes(): number {
    return this.#offset;
  }

  /** Takes up to so many records. True when the end, or what does not check out, is reached. */
  step(recordMaxCount: number): boolean {
    for (let count = 0; count < recordMaxCount && !this.#isDone; count += 1) {
      const rowAt = segmentRowAt(this.#bytes, this.#view, this.#offset);
      if (rowAt !== undefined && this.index.applyRow(this.#view, rowAt)) {
        this.#offset += SEGMENT_RECORD_BYTES;
        continue;
      }
      const decoded = decodeRecord(this.#bytes, this.#offset);
      if (decoded === undefined || (decoded.record !== undefined && !this.index.apply(decoded.record))) {
        this.#isDone = true;
      } else {
        this.#offset = decoded.endOffset;
      }
    }
    return this.#isDone;
  }
}
