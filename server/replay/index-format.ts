/**
 * The index of a recording, byte for byte: a file of records (`base/record-file`), whose payloads are JSON but for
 *
 *     segment track u8 │ flags u8 │ init u16 │ file u32 │ msn u32 │ duration u32 │ start f64 │ wall f64 │ offset f64 │ length u32 │ crc32 u32
 *     cue     JSON: a cue that has fired as it is now, or that it is to be forgotten; the last word on each counts
 *     summary JSON │ length of the JSON u32: the last record of a recording that has ended, found from the end of the file
 *
 * What does not check out ends the index: everything before it counts, it and what follows do not.
 */
import { z } from 'zod';
import { unreachable } from '../base/assert.ts';
import { CRC_BYTES, RECORD_HEAD_BYTES, RecordFileFormat } from '../base/record-file.ts';
import type {
  RecordedCue,
  RecordedSegment,
  RecordingHeader,
  RecordingMark,
  RecordingSummary,
  TrackInit,
} from './recording.ts';

const FORMAT = new RecordFileFormat({
  ...{ noun: 'an index', magic: 'SLUICEIX', version: 1 },
  // The largest honest one is an init segment with its JSON, about 1 kB.
  payloadMaxBytes: 2 ** 20,
  unreadableCode: 'REPLAY_INDEX_UNREADABLE',
});
export const INDEX_PREFIX_BYTES = FORMAT.prefixBytes;
export const SEGMENT_ROW_BYTES = 48;
export const TRACK_MAX_COUNT = 16;
const SEGMENT_MAX_BYTES = 2 ** 28;

export type TrackRecord = {
  readonly trackId: number;
  readonly renditionId: string;
  readonly kind: 'video' | 'audio';
  readonly init: TrackInit;
};

export type StoredSegmentRow = Omit<RecordedSegment, 'timescaleHz'>;

export type IndexRecord =
  | { readonly type: 'header'; readonly header: RecordingHeader }
  | { readonly type: 'track'; readonly track: TrackRecord }
  | { readonly type: 'segment'; readonly segment: StoredSegmentRow }
  | { readonly type: 'mark'; readonly mark: RecordingMark }
  | { readonly type: 'title'; readonly title: string }
  | { readonly type: 'cue'; readonly cue: RecordedCue }
  | { readonly type: 'summary'; readonly summary: RecordingSummary };

const TYPE_NUMBERS = { header: 1, track: 2, segment: 3, mark: 4, title: 5, summary: 6, cue: 7 } as const;

const TEXT = z.string().max(1_024);
const INSTANT = z.number().min(0).max(8.64e15);
const AMOUNT = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const HEADER_SHAPE = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  name: TEXT,
  title: TEXT,
  startedAtWallMs: INSTANT,
});
const MARK_SHAPE = z.object({ kind: z.enum(['loss', 'end']), atWallMs: INSTANT, reason: TEXT });
const TITLE_SHAPE = z.object({ title: TEXT });
const SUMMARY_SHAPE = HEADER_SHAPE.extend({
  endedAtWallMs: INSTANT,
  endReason: TEXT,
  durationMs: AMOUNT,
  mediaBytes: AMOUNT,
});
const TRACK_SHAPE = z.object({
  trackId: z
    .number()
    .int()
    .min(0)
    .max(TRACK_MAX_COUNT - 1),
  renditionId: TEXT,
  kind: z.enum(['video', 'audio']),
  initIndex: z.number().int().min(0).max(0xffff),
  codecString: TEXT,
  timescaleHz: z.number().int().min(1).max(0xffffffff),
  widthPx: AMOUNT,
  heightPx: AMOUNT,
  channelCount: AMOUNT,
});

const CUE_SHAPE = z.object({
  isForgotten: z.boolean(),
  cue: z.object({
    id: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/),
    mode: z.enum(['media', 'clock']),
    mediaMs: z.number(),
    programWallMs: z.number(),
    showAtWallMs: z.number().nullable(),
    kind: TEXT,
    title: TEXT.exactOptional(),
    price: TEXT.exactOptional(),
    picture: z.string().max(4_096).exactOptional(),
    link: z.string().max(4_096).exactOptional(),
    durationMs: z.number().positive().nullable(),
    payload: z.unknown().optional(),
    stock: z.number().exactOptional(),
  }),
});

/** What every index begins with. */
export const encodePrefix = (): Buffer => FORMAT.prefix();

/** Throws `ProtocolError` `REPLAY_INDEX_UNREADABLE` for what is no index, or one of a version we do not know. */
export const checkPrefix = (bytes: Buffer): void => FORMAT.checkPrefix(bytes);

export const encodeRecord = (record: IndexRecord): Buffer =>
  FORMAT.frame(TYPE_NUMBERS[record.type], encodePayload(record));

const jsonOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const encodePayload = (record: IndexRecord): Buffer => {
  switch (record.type) {
    case 'header':
      return jsonOf(record.header);
    case 'track': {
      const { bytes, ...init } = record.track.init;
      const json = jsonOf({ ...record.track, ...init, init: undefined });
      const jsonBytes = Buffer.alloc(4);
      jsonBytes.writeUInt32LE(json.byteLength);
      return Buffer.concat([jsonBytes, json, bytes]);
    }
    case 'segment': {
      const row = Buffer.alloc(SEGMENT_ROW_BYTES);
      writeRow(new DataView(row.buffer, row.byteOffset), 0, record.segment);
      return row;
    }
    case 'mark':
      return jsonOf(record.mark);
    case 'title':
      return jsonOf({ title: record.title });
    case 'cue':
      return jsonOf(record.cue);
    case 'summary': {
      const json = jsonOf(record.summary);
      const jsonBytes = Buffer.alloc(4);
      jsonBytes.writeUInt32LE(json.byteLength);
      return Buffer.concat([json, jsonBytes]);
    }
    default:
      return unreachable(record);
  }
};

const FLAG_DISCONTINUITY = 1;
const FLAG_INDEPENDENT = 2;
const FLAG_AFTER_LOSS = 4;

export const writeRow = (view: DataView, at: number, segment: StoredSegmentRow): void => {
  const flags =
    (segment.isDiscontinuity ? FLAG_DISCONTINUITY : 0) |
    (segment.isIndependent ? FLAG_INDEPENDENT : 0) |
    (segment.isAfterLoss ? FLAG_AFTER_LOSS : 0);
  view.setUint8(at, segment.trackId);
  view.setUint8(at + 1, flags);
  view.setUint16(at + 2, segment.initIndex, true);
  view.setUint32(at + 4, segment.fileIndex, true);
  view.setUint32(at + 8, segment.msn, true);
  view.setUint32(at + 12, segment.durationTicks, true);
  view.setFloat64(at + 16, segment.startTicks, true);
  view.setFloat64(at + 24, segment.wallMs, true);
  view.setFloat64(at + 32, segment.byteOffset, true);
  view.setUint32(at + 40, segment.byteLength, true);
  view.setUint32(at + 44, segment.crc32, true);
};

export const readRow = (view: DataView, at: number): StoredSegmentRow => {
  const flags = view.getUint8(at + 1);
  return {
    trackId: view.getUint8(at),
    msn: view.getUint32(at + 8, true),
    initIndex: view.getUint16(at + 2, true),
    startTicks: view.getFloat64(at + 16, true),
    durationTicks: view.getUint32(at + 12, true),
    isDiscontinuity: (flags & FLAG_DISCONTINUITY) !== 0,
    isIndependent: (flags & FLAG_INDEPENDENT) !== 0,
    isAfterLoss: (flags & FLAG_AFTER_LOSS) !== 0,
    wallMs: view.getFloat64(at + 24, true),
    fileIndex: view.getUint32(at + 4, true),
    byteOffset: view.getFloat64(at + 32, true),
    byteLength: view.getUint32(at + 40, true),
    crc32: view.getUint32(at + 44, true),
  };
};

/** Whether the numbers of a row can be true; a checksum does not say that a sane program wrote it. */
export const isPlausibleRow = (view: DataView, at: number): boolean => {
  const wallMs = view.getFloat64(at + 24, true);
  const byteOffset = view.getFloat64(at + 32, true);
  const byteLength = view.getUint32(at + 40, true);
  return (
    Math.abs(view.getFloat64(at + 16, true)) <= Number.MAX_SAFE_INTEGER &&
    view.getUint32(at + 12, true) > 0 &&
    wallMs >= 0 &&
    wallMs <= 8.64e15 &&
    Number.isSafeInteger(byteOffset) &&
    byteOffset >= 0 &&
    byteLength > 0 &&
    byteLength <= SEGMENT_MAX_BYTES
  );
};

/** Where the payload of a whole, unbroken record of a segment begins; undefined when there is none at `offset`. The way of nearly all records. */
export const segmentRowAt = (bytes: Buffer, view: DataView, offset: number): number | undefined => {
  const crcAt = offset + RECORD_HEAD_BYTES + SEGMENT_ROW_BYTES;
  const isWhole =
    crcAt + CRC_BYTES <= bytes.byteLength &&
    view.getUint32(offset, true) === SEGMENT_ROW_BYTES &&
    view.getUint8(offset + 4) === TYPE_NUMBERS.segment &&
    crc32Of(bytes, offset, crcAt) === view.getUint32(crcAt, true);
  return isWhole ? offset + RECORD_HEAD_BYTES : undefined;
};

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    crc = (crc & 1) === 0 ? crc >>> 1 : 0xedb88320 ^ (crc >>> 1);
  }
  return crc;
});

/** As zlib's. For fifty bytes the way into native code and back costs three times this. */
const crc32Of = (bytes: Uint8Array, from: number, to: number): number => {
  let crc = 0xffffffff;
  for (let at = from; at < to; at += 1) {
    crc = (CRC_TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
};

/** Bytes of a whole record of a segment. */
export const SEGMENT_RECORD_BYTES = RECORD_HEAD_BYTES + SEGMENT_ROW_BYTES + CRC_BYTES;

/** `record` is undefined for a type that a later version added. */
export type DecodedRecord = { readonly record: IndexRecord | undefined; readonly endOffset: number };

/** The record at `offset`, or undefined when there is none that checks out. Never throws. */
export const decodeRecord = (bytes: Buffer, offset: number): DecodedRecord | undefined => {
  const frame = FORMAT.frameAt(bytes, offset);
  if (frame === undefined) {
    return undefined;
  }
  const record = decodePayload(frame.type, frame.payload);
  return record === 'damaged' ? undefined : { record, endOffset: frame.endOffset };
};

const decodePayload = (type: number, payload: Buffer): IndexRecord | undefined | 'damaged' => {
  switch (type) {
    case TYPE_NUMBERS.header:
      return withShape(HEADER_SHAPE, payload, (header) => ({ type: 'header', header }));
    case TYPE_NUMBERS.track:
      return decodeTrack(payload);
    case TYPE_NUMBERS.segment:
      return decodeSegment(payload);
    case TYPE_NUMBERS.mark:
      return withShape(MARK_SHAPE, payload, (mark) => ({ type: 'mark', mark }));
    case TYPE_NUMBERS.title:
      return withShape(TITLE_SHAPE, payload, ({ title }) => ({ type: 'title', title }));
    case TYPE_NUMBERS.cue:
      return withShape(CUE_SHAPE, payload, (cue) => ({ type: 'cue', cue }));
    case TYPE_NUMBERS.summary:
      return withShape(SUMMARY_SHAPE, payload.subarray(0, -4), (summary) => ({ type: 'summary', summary }));
    case 0:
      return 'damaged';
    default:
      return undefined;
  }
};

const withShape = <T>(shape: z.ZodType<T>, json: Buffer, make: (value: T) => IndexRecord): IndexRecord | 'damaged' => {
  const parsed = shape.safeParse(parseJson(json));
  return parsed.success ? make(parsed.data) : 'damaged';
};

const parseJson = (json: Buffer): unknown => {
  try {
    return JSON.parse(json.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) {
      return undefined;
    }
    throw error;
  }
};

const decodeTrack = (payload: Buffer): IndexRecord | 'damaged' => {
  const jsonBytes = payload.byteLength < 4 ? Number.POSITIVE_INFINITY : payload.readUInt32LE(0);
  if (4 + jsonBytes > payload.byteLength) {
    return 'damaged';
  }
  return withShape(TRACK_SHAPE, payload.subarray(4, 4 + jsonBytes), ({ trackId, renditionId, kind, ...init }) => ({
    type: 'track',
    // A copy: the rest of the file need not stay in memory for it.
    track: { trackId, renditionId, kind, init: { ...init, bytes: Uint8Array.from(payload.subarray(4 + jsonBytes)) } },
  }));
};

const decodeSegment = (payload: Buffer): IndexRecord | 'damaged' => {
  if (payload.byteLength !== SEGMENT_ROW_BYTES) {
    return 'damaged';
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return isPlausibleRow(view, 0) ? { type: 'segment', segment: readRow(view, 0) } : 'damaged';
};

/** The most that `decodeLastSummary` needs of a file's end. */
export const SUMMARY_TAIL_BYTES = 16_384;

/** The summary that ends the index of a recording that has ended; `tail` are the file's last bytes. */
export const decodeLastSummary = (tail: Buffer): RecordingSummary | undefined => {
  if (tail.byteLength < RECORD_HEAD_BYTES + 4 + CRC_BYTES) {
    return undefined;
  }
  const jsonBytes = tail.readUInt32LE(tail.byteLength - CRC_BYTES - 4);
  const offset = tail.byteLength - CRC_BYTES - 4 - jsonBytes - RECORD_HEAD_BYTES;
  const decoded = offset < 0 ? undefined : decodeRecord(tail, offset);
  const isLast = decoded?.endOffset === tail.byteLength;
  return isLast && decoded.record?.type === 'summary' ? decoded.record.summary : undefined;
};
