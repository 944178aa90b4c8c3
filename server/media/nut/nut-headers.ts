/** NUT's main header and stream headers, parsed. */
import { ProtocolError } from '../../base/errors.ts';
import { NutCursor } from './nut-cursor.ts';
import * as nut from './nut-format.ts';

export type NutTimeBase = { readonly num: number; readonly den: number };

export type NutStream = {
  readonly index: number;
  readonly kind: 'video' | 'audio' | 'other';
  /** As in the file: `H264`, `Opus`, …, four characters or two. */
  readonly fourCc: string;
  readonly timeBase: NutTimeBase;
  readonly ptsShiftBits: number;
  /** Codec set-up, in the form the encoder gave it. */
  readonly codecSpecific: Uint8Array;
  /** Video: size in pixels; else 0. */
  readonly widthPx: number;
  readonly heightPx: number;
  /** Audio; else 0. */
  readonly sampleRateHz: number;
  readonly channelCount: number;
};

/** What a frame whose first byte is this code looks like. */
export type FrameCode = {
  readonly flags: number;
  readonly streamIndex: number;
  readonly sizeMul: number;
  readonly sizeLsb: number;
  readonly ptsDelta: number;
  readonly reservedCount: number;
  readonly elisionIndex: number;
};

export type MainHeader = {
  readonly timeBases: readonly NutTimeBase[];
  readonly frameCodes: readonly FrameCode[];
  readonly elisionHeaders: readonly Uint8Array[];
};

const TIME_BASE_MAX_COUNT = 64;
const STREAM_MAX_COUNT = 16;
const ELISION_MAX_COUNT = 128;
const FIELD_MAX_COUNT = 64;
const SHIFT_MAX_BITS = 16;

const invalid = (detail: string): ProtocolError => new ProtocolError('NUT_INVALID', detail);

/** The packet's body without checksum. Throws `ProtocolError` `NUT_INVALID`. */
export const parseMainHeader = (body: Uint8Array): MainHeader => {
  const cursor = new NutCursor(body);
  const version = cursor.unsigned();
  if (version < 2 || version > 3) {
    throw invalid(`version ${version}, expected 2 or 3`);
  }
  const streamCount = cursor.unsigned();
  cursor.unsigned(); // max_distance: for seeking
  const timeBaseCount = cursor.unsigned();
  if (streamCount > STREAM_MAX_COUNT || timeBaseCount === 0 || timeBaseCount > TIME_BASE_MAX_COUNT) {
    throw invalid(`${streamCount} streams and ${timeBaseCount} time bases`);
  }
  const timeBases = Array.from({ length: timeBaseCount }, () => readTimeBase(cursor));
  const frameCodes = readFrameCodes(cursor);
  const elisionHeaders = readElisionHeaders(cursor);
  return whole(cursor, { timeBases, frameCodes, elisionHeaders });
};

/** The packet's body without checksum. Throws `ProtocolError` `NUT_INVALID`. */
export const parseStreamHeader = (body: Uint8Array, timeBases: readonly NutTimeBase[]): NutStream => {
  const cursor = new NutCursor(body);
  const index = cursor.unsigned();
  const kind = kindOf(cursor.unsigned());
  const fourCc = Buffer.from(cursor.block()).toString('latin1');
  const timeBase = timeBases[cursor.unsigned()];
  const ptsShiftBits = cursor.unsigned();
  cursor.unsigned(); // max_pts_distance
  cursor.unsigned(); // decode_delay
  cursor.unsigned(); // stream_flags
  const codecSpecific = cursor.block().slice();
  if (timeBase === undefined || index >= STREAM_MAX_COUNT || ptsShiftBits >= SHIFT_MAX_BITS) {
    throw invalid(`stream ${index} has no time base, or a shift of ${ptsShiftBits} bits`);
  }
  const shape = readShape(cursor, kind);
  return whole(cursor, { index, kind, fourCc, timeBase, ptsShiftBits, codecSpecific, ...shape });
};

const kindOf = (streamClass: number): NutStream['kind'] => {
  if (streamClass === nut.STREAM_CLASS_VIDEO) {
    return 'video';
  }
  return streamClass === nut.STREAM_CLASS_AUDIO ? 'audio' : 'other';
};

type Shape = Pick<NutStream, 'widthPx' | 'heightPx' | 'sampleRateHz' | 'channelCount'>;

const readShape = (cursor: NutCursor, kind: NutStream['kind']): Shape => {
  const shape = { widthPx: 0, heightPx: 0, sampleRateHz: 0, channelCount: 0 };
  if (kind === 'video') {
    return { ...shape, widthPx: cursor.unsigned(), heightPx: cursor.unsigned() };
  }
  if (kind === 'audio') {
    const num = cursor.unsigned();
    const den = Math.max(1, cursor.unsigned());
    return { ...shape, sampleRateHz: num / den, channelCount: cursor.unsigned() };
  }
  return shape;
};

const readTimeBase = (cursor: NutCursor): NutTimeBase => {
  const num = cursor.unsigned();
  const den = cursor.unsigned();
  if (!cursor.isShort && (num === 0 || den === 0 || num > 2 ** 31 || den > 2 ** 31)) {
    throw invalid(`time base ${num}/${den}`);
  }
  return { num, den };
};

/** Run-length coded; a field that a run does not name keeps its value, and code `N` is skipped over as invalid. */
const readFrameCodes = (cursor: NutCursor): FrameCode[] => {
  const codes: FrameCode[] = [];
  const run = { ptsDelta: 0, sizeMul: 1, streamIndex: 0, elisionIndex: 0 };
  while (codes.length < 256 && !cursor.isShort) {
    const flags = cursor.unsigned();
    const fieldCount = cursor.unsigned();
    const has = (place: number): boolean => fieldCount > place;
    run.ptsDelta = has(0) ? cursor.signed() : run.ptsDelta;
    run.sizeMul = has(1) ? cursor.unsigned() : run.sizeMul;
    run.streamIndex = has(2) ? cursor.unsigned() : run.streamIndex;
    const sizeLsb = has(3) ? cursor.unsigned() : 0;
    const reservedCount = has(4) ? cursor.unsigned() : 0;
    const count = has(5) ? cursor.unsigned() : run.sizeMul - sizeLsb;
    if (has(6)) {
      cursor.signed();
    }
    run.elisionIndex = has(7) ? cursor.unsigned() : run.elisionIndex;
    skipFields(cursor, fieldCount - 8);
    if (count <= 0 || count > 256) {
      throw invalid(`frame code run of ${count}`);
    }
    appendRun(codes, count, { flags, sizeLsb, reservedCount, ...run });
  }
  return codes;
};

const appendRun = (codes: FrameCode[], count: number, first: FrameCode): void => {
  for (let index = 0; index < count && codes.length < 256; index += 1) {
    if (codes.length === nut.START_BYTE) {
      codes.push({ ...first, flags: nut.FLAG_INVALID });
    }
    codes.push({ ...first, sizeLsb: first.sizeLsb + index });
  }
};

const skipFields = (cursor: NutCursor, count: number): void => {
  if (count > FIELD_MAX_COUNT) {
    throw invalid(`${count} unknown fields`);
  }
  for (let index = 0; index < count; index += 1) {
    cursor.unsigned();
  }
};

/** Index 0 is always the empty header. */
const readElisionHeaders = (cursor: NutCursor): Uint8Array[] => {
  const count = cursor.unsigned();
  if (count >= ELISION_MAX_COUNT) {
    throw invalid(`${count} elision headers`);
  }
  return [new Uint8Array(0), ...Array.from({ length: count }, () => cursor.block().slice())];
};

const whole = <T>(cursor: NutCursor, value: T): T => {
  if (cursor.isShort) {
    throw invalid('header ends too soon');
  }
  return value;
};
