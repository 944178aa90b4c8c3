// The journal's bytes: what a crash leaves at whatever byte counts up to the last whole record, and a hole is never taken for an end.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import type { JournalRecord } from '../../../server/drops/journal-format.ts';
import { decodeJournal, encodeJournalPrefix, encodeJournalRecord } from '../../../server/drops/journal-format.ts';

const HEADER = { runId: 'ab'.repeat(16), broadcast: 'shop', id: 'shoes-1', isDemo: false, createdAtWallMs: 1.5 };
const claim = (number: number): JournalRecord => ({
  type: 'claim',
  number,
  claim: { subject: `客户 ${number}`, host: '2001:db8:0:1/64', claimedAtWallMs: 1_790_000_000_000.25 + number },
});
const RECORDS: readonly JournalRecord[] = [
  { type: 'header', header: HEADER },
  { type: 'terms', terms: { stock: 3, opensAtWallMs: null } },
  { type: 'opened' },
  claim(1),
  claim(2),
  { type: 'terms', terms: { stock: 4, opensAtWallMs: 7 } },
  claim(3),
  { type: 'end', reason: 'withdrawn', atWallMs: 9 },
];

const journalOf = (records: readonly JournalRecord[]): { bytes: Buffer; ends: readonly number[] } => {
  const pieces = [encodeJournalPrefix(), ...records.map(encodeJournalRecord)];
  let at = 0;
  const ends = pieces.map((piece) => (at += piece.byteLength));
  return { bytes: Buffer.concat(pieces), ends };
};

test('what was written is read', () => {
  const { bytes } = journalOf(RECORDS);
  assert.deepEqual(decodeJournal(bytes), { records: RECORDS, soundBytes: bytes.byteLength, damage: undefined });
});

test('cut at any byte, it is read up to the last whole record', () => {
  const { bytes, ends } = journalOf(RECORDS);
  for (let length = ends[0]!; length <= bytes.byteLength; length += 1) {
    const whole = ends.filter((end) => end <= length).length - 1;
    assert.deepEqual(decodeJournal(bytes.subarray(0, length)), {
      records: RECORDS.slice(0, whole),
      soundBytes: ends[whole],
      damage: undefined,
    });
  }
});

test('with rubbish, or zeros, where the last write was torn, it is read up to there', () => {
  const { bytes, ends } = journalOf(RECORDS);
  const prng = new Prng(8);
  const soundBytes = ends.at(-2)!;
  for (let round = 0; round < 200; round += 1) {
    const torn = Buffer.from(bytes);
    for (let at = soundBytes; at < torn.byteLength; at += 1) {
      torn[at] = round === 0 ? 0 : prng.nextIndex(256);
    }
    assert.deepEqual(decodeJournal(torn), { records: RECORDS.slice(0, -1), soundBytes, damage: undefined });
  }
});

test('any byte changed before the last record is damage, not an end', () => {
  const { bytes, ends } = journalOf(RECORDS);
  for (let at = ends[0]!; at < ends.at(-2)!; at += 1) {
    const broken = Buffer.from(bytes);
    broken[at] = broken[at]! ^ 0x41;
    const { damage, soundBytes } = decodeJournal(broken);
    assert.match(damage ?? 'none', /does not check out/, `byte ${at}`);
    assert.equal(
      soundBytes,
      ends.findLast((end) => end <= at),
    );
  }
});

test('a ticket that is missing, or there twice, is damage', () => {
  for (const numbers of [[1, 3], [1, 1], [2]]) {
    const { bytes } = journalOf([...RECORDS.slice(0, 3), ...numbers.map(claim)]);
    assert.match(decodeJournal(bytes).damage ?? 'none', /expected/);
  }
});

test('what is no journal, or one of another version, is refused', () => {
  const { bytes } = journalOf(RECORDS);
  const later = Buffer.from(bytes);
  later[8] = 2;
  for (const [other, detail] of [
    [Buffer.alloc(0), /begin/],
    [Buffer.from('SLUICEIX and more'), /begin/],
    [later, /version 2/],
  ] as const) {
    assert.throws(() => decodeJournal(other), { code: 'DROP_JOURNAL_UNREADABLE', detail });
  }
});
