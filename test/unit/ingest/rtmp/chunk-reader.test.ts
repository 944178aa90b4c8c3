/** RTMP chunks into messages, however they are cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteBudget } from '../../../../server/ingest/rtmp/byte-budget.ts';
import { ChunkReader } from '../../../../server/ingest/rtmp/chunk-reader.ts';
import { chunked } from '../../../support/rtmp-client.ts';

type Got = { type: number; timestampTs32: number; streamId: number; payload: Buffer };
const LIMITS = { messageMaxBytes: 10_000, bufferedMaxBytes: 12_000, chunkStreamMaxCount: 4 };

const readerWith = (budget = new ByteBudget(100_000)): ChunkReader => new ChunkReader({ limits: LIMITS, budget });
const readAll = (reader: ChunkReader, bytes: Buffer): Got[] => {
  const messages: Got[] = [];
  for (let offset = 0; offset < bytes.byteLength;) {
    const result = reader.read(bytes, offset);
    offset = result.offset;
    if (result.message !== undefined) {
      messages.push({ ...result.message, payload: Buffer.from(result.message.payload) });
    }
  }
  return messages;
};
const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;
const counting = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => index & 0xff));

test('a message of many chunks is put together, fed byte by byte or at once', () => {
  const bytes = chunked({ type: 9, payload: counting(1_000), timestamp: 77, streamId: 5 });
  const whole = readAll(readerWith(), bytes);
  const reader = readerWith();
  const pieces = [...bytes].flatMap((byte) => readAll(reader, Buffer.from([byte])));
  assert.deepEqual(pieces, whole);
  assert.deepEqual(whole, [{ type: 9, timestampTs32: 77, streamId: 5, payload: counting(1_000) }]);
});

test('messages on two chunk streams may be interleaved', () => {
  const a = chunked({ type: 9, csid: 6, payload: counting(200) });
  const b = chunked({ type: 8, csid: 4, payload: counting(20) });
  const messages = readAll(readerWith(), Buffer.concat([a.subarray(0, 140), b, a.subarray(140)]));
  assert.deepEqual(
    messages.map((message) => message.type),
    [8, 9],
  );
  assert.deepEqual(messages[1]?.payload, counting(200));
});

test('deltas add up, and go on over 2^32', () => {
  const first = chunked({ type: 8, csid: 4, payload: counting(1), timestamp: 2 ** 32 - 10 });
  const delta = Buffer.from([0x40 | 4, 0, 0, 23, 0, 0, 1, 8, 9]);
  const shortDelta = Buffer.from([0x80 | 4, 0, 0, 20, 9]);
  const repeated = Buffer.from([0xc0 | 4, 9]);
  const messages = readAll(readerWith(), Buffer.concat([first, delta, shortDelta, repeated]));
  assert.deepEqual(
    messages.map((message) => message.timestampTs32),
    [2 ** 32 - 10, 13, 33, 53],
  );
});

test('continuing chunks may repeat the extended time or leave it out', () => {
  const payload = counting(300);
  const withTime = chunked({ type: 9, csid: 6, payload, timestamp: 0x0200_0000 });
  const headEnd = 16 + 128;
  const without = Buffer.concat([
    withTime.subarray(0, headEnd),
    Buffer.from([0xc6]),
    payload.subarray(128, 256),
    Buffer.from([0xc6]),
    payload.subarray(256),
  ]);
  for (const bytes of [withTime, without]) {
    const [message] = readAll(readerWith(), bytes);
    assert.equal(message?.timestampTs32, 0x0200_0000);
    assert.deepEqual(message?.payload, payload);
  }
});

test('chunk stream ids of two and three bytes are told apart', () => {
  const header = [0, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 7];
  const reader = readerWith();
  assert.equal(readAll(reader, Buffer.from([0, 1, ...header])).length, 1);
  assert.equal(readAll(reader, Buffer.from([1, 1, 0, ...header])).length, 1, 'the same id 65 in three bytes');
  assert.equal(readAll(reader, Buffer.from([0xc1, 1, 0, 7])).length, 1);
  assert.equal(readAll(reader, Buffer.from([0xc0, 1, 7])).length, 1);
  assert.throws(() => readAll(reader, Buffer.from([0xc1, 0, 1, 7])), hasCode('RTMP_CHUNK_HEADER_INVALID'));
});

test('a new chunk size holds from the next chunk on, abort throws away what came', () => {
  const reader = readerWith();
  const message = chunked({ type: 9, csid: 6, payload: counting(300) });
  assert.equal(readAll(reader, message.subarray(0, 140)).length, 0);
  reader.setChunkSize(4_096);
  assert.equal(readAll(reader, Buffer.concat([Buffer.from([0xc6]), counting(172)])).length, 1);
  readAll(reader, chunked({ type: 9, csid: 6, payload: counting(5_000), chunkSize: 4_096 }).subarray(0, 4_108));
  reader.abort(6);
  assert.equal(readAll(reader, chunked({ type: 8, csid: 6, payload: counting(3) }))[0]?.type, 8);
});

test('a message without payload is a message', () => {
  assert.deepEqual(readAll(readerWith(), chunked({ type: 9, payload: Buffer.alloc(0) }))[0]?.payload, Buffer.alloc(0));
});

test('a header that claims much takes little, and the budget gets everything back', () => {
  const budget = new ByteBudget(100_000);
  const reader = readerWith(budget);
  readAll(reader, chunked({ type: 9, payload: counting(9_999) }).subarray(0, 100));
  assert.ok(budget.usedBytes > 0 && budget.usedBytes <= 1_024, String(budget.usedBytes));
  reader.close();
  reader.close();
  assert.equal(budget.usedBytes, 0);
});

test('a message over the cap, buffers over the cap, and a used-up budget are refused', () => {
  const large = chunked({ type: 9, payload: counting(10_001) });
  assert.throws(() => readAll(readerWith(), large.subarray(0, 12)), hasCode('RTMP_MESSAGE_TOO_LARGE'));
  const reader = readerWith();
  reader.setChunkSize(100_000);
  const half = (csid: number): Buffer =>
    chunked({ type: 9, csid, payload: counting(9_000), chunkSize: 100_000 }).subarray(0, 12);
  assert.equal(readAll(reader, half(5)).length, 0);
  assert.equal(readAll(reader, counting(9_000)).length, 1);
  assert.throws(() => readAll(reader, Buffer.concat([half(6), counting(9_000)])), hasCode('RTMP_BUFFER_FULL'));
  assert.throws(
    () => readAll(readerWith(new ByteBudget(100)), chunked({ type: 9, payload: counting(200) })),
    hasCode('RTMP_BUFFER_FULL'),
  );
});
