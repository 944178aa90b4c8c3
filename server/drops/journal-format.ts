/**
 * The journal of one drop, byte for byte: a file of records (`base/record-file`) whose payloads are, by type:
 *
 *     header  JSON: what the drop is     terms  JSON: stock and instant, the latest counts     opened  nothing     end  JSON: reason, instant
 *     claim   ticket number u32 │ claimed at, Unix ms f64 │ length of the subject u16 │ subject UTF-8 │ host UTF-8
 *
 * Tickets count up from 1 without a gap. A record that does not check out, with nothing that does after it, is what a crash left of the last write: it was
 * never answered, and is cut. If something does check out after it, the disk has lost what was answered, and nobody may go on as if it had not.
 */
import { z } from 'zod';
import { unreachable } from '../base/assert.ts';
import { CRC_BYTES, RECORD_HEAD_BYTES, RecordFileFormat } from '../base/record-file.ts';
import type { Claim, DropEnd, DropHeader, DropTerms } from './drop.ts';

const CLAIM_HEAD_BYTES = 14;
const FORMAT = new RecordFileFormat({
  ...{ noun: 'the journal of a drop', magic: 'SLUICEDJ', version: 1 },
  // A subject and a host, or a header: far below.
  payloadMaxBytes: 4_096,
  unreadableCode: 'DROP_JOURNAL_UNREADABLE',
});
export const JOURNAL_PREFIX_BYTES = FORMAT.prefixBytes;

export type JournalRecord =
  | { readonly type: 'header'; readonly header: DropHeader }
  | { readonly type: 'terms'; readonly terms: DropTerms }
  | { readonly type: 'opened' }
  | { readonly type: 'claim'; readonly number: number; readonly claim: Claim }
  | { readonly type: 'end'; readonly reason: DropEnd; readonly atWallMs: number };

const TYPE_NUMBERS = { header: 1, terms: 2, opened: 3, claim: 4, end: 5 } as const;

const INSTANT = z.number().min(0).max(8.64e15);
const HEADER_SHAPE = z.object({
  runId: z.string().regex(/^[0-9a-f]{32}$/),
  broadcast: z.string().max(64),
  id: z.string().max(64),
  isDemo: z.boolean(),
  createdAtWallMs: INSTANT,
});
const TERMS_SHAPE = z.object({ stock: z.number().int().min(0), opensAtWallMs: INSTANT.nullable() });
const END_SHAPE = z.object({ reason: z.enum(['withdrawn', 'ended', 'abandoned']), atWallMs: INSTANT });

/** What every journal begins with. */
export const encodeJournalPrefix = (): Buffer => FORMAT.prefix();

export const encodeJournalRecord = (record: JournalRecord): Buffer =>
  FORMAT.frame(TYPE_NUMBERS[record.type], encodePayload(record));

const jsonOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const encodePayload = (record: JournalRecord): Buffer => {
  switch (record.type) {
    case 'header':
      return jsonOf(record.header);
    case 'terms':
      return jsonOf(record.terms);
    case 'opened':
      return Buffer.alloc(0);
    case 'claim':
      return encodeClaim(record.number, record.claim);
    case 'end':
      return jsonOf({ reason: record.reason, atWallMs: record.atWallMs });
    default:
      return unreachable(record);
  }
};

const encodeClaim = (number: number, { subject, host, claimedAtWallMs }: Claim): Buffer => {
  const subjectBytes = Buffer.from(subject);
  const head = Buffer.alloc(CLAIM_HEAD_BYTES);
  head.writeUInt32LE(number, 0);
  head.writeDoubleLE(claimedAtWallMs, 4);
  head.writeUInt16LE(subjectBytes.byteLength, 12);
  return Buffer.concat([head, subjectBytes, Buffer.from(host)]);
};

export type JournalContent = {
  readonly records: readonly JournalRecord[];
  /** Up to here the journal is sound; what lies beyond is to be cut. */
  readonly soundBytes: number;
  /** What is broken although it is not the end. Then nothing may be cut, nor given from this stock. */
  readonly damage: string | undefined;
};

/** Reads a whole journal. Throws `ProtocolError` `DROP_JOURNAL_UNREADABLE` when it is none, or none of this version. */
export const decodeJournal = (bytes: Buffer): JournalContent => {
  FORMAT.checkPrefix(bytes);
  const records: JournalRecord[] = [];
  let at = JOURNAL_PREFIX_BYTES;
  let claimCount = 0;
  for (let found = recordAt(bytes, at); found !== undefined; found = recordAt(bytes, at)) {
    claimCount += found.record.type === 'claim' ? 1 : 0;
    if (found.record.type === 'claim' && found.record.number !== claimCount) {
      return { records, soundBytes: at, damage: `ticket ${found.record.number} at byte ${at}, expected ${claimCount}` };
    }
    records.push(found.record);
    at = found.end;
  }
  const isTornOnly = !hasRecordAfter(bytes, at);
  const damage = isTornOnly ? undefined : `what is at byte ${at} does not check out, but what comes later does`;
  return { records, soundBytes: at, damage };
};

const hasRecordAfter = (bytes: Buffer, brokenAt: number): boolean => {
  for (let at = brokenAt + 1; at <= bytes.byteLength - RECORD_HEAD_BYTES - CRC_BYTES; at += 1) {
    if (recordAt(bytes, at) !== undefined) {
      return true;
    }
  }
  return false;
};

/** Undefined where nothing checks out. */
const recordAt = (bytes: Buffer, at: number): { record: JournalRecord; end: number } | undefined => {
  const frame = FORMAT.frameAt(bytes, at);
  const record = frame === undefined ? undefined : decodePayload(frame.type, frame.payload);
  return frame === undefined || record === undefined ? undefined : { record, end: frame.endOffset };
};

const decodePayload = (type: number, payload: Buffer): JournalRecord | undefined => {
  switch (type) {
    case TYPE_NUMBERS.claim:
      return decodeClaim(payload);
    case TYPE_NUMBERS.opened:
      return { type: 'opened' };
    case TYPE_NUMBERS.header: {
      const header = HEADER_SHAPE.safeParse(jsonIn(payload)).data;
      return header === undefined ? undefined : { type: 'header', header };
    }
    case TYPE_NUMBERS.terms: {
      const terms = TERMS_SHAPE.safeParse(jsonIn(payload)).data;
      return terms === undefined ? undefined : { type: 'terms', terms };
    }
    case TYPE_NUMBERS.end: {
      const end = END_SHAPE.safeParse(jsonIn(payload)).data;
      return end === undefined ? undefined : { type: 'end', ...end };
    }
    default:
      return undefined;
  }
};

const decodeClaim = (payload: Buffer): JournalRecord | undefined => {
  if (payload.byteLength < CLAIM_HEAD_BYTES) {
    return undefined;
  }
  const hostAt = CLAIM_HEAD_BYTES + payload.readUInt16LE(12);
  const subject = payload.toString('utf8', CLAIM_HEAD_BYTES, hostAt);
  const host = payload.toString('utf8', hostAt);
  return {
    type: 'claim',
    number: payload.readUInt32LE(0),
    claim: { subject, host, claimedAtWallMs: payload.readDoubleLE(4) },
  };
};

const jsonIn = (payload: Buffer): unknown => {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
};
