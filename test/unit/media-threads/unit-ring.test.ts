// The ring between threads: what is taken is what was written, whole, over any number of rounds; who is overtaken is told how much it lost.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import { Prng } from '../../../server/base/prng.ts';
import type { RingRecord } from '../../../server/media-threads/unit-ring.ts';
import { RingReader, RingWriter, createRingMemory } from '../../../server/media-threads/unit-ring.ts';
import type { RingReaderOrder, RingReaderReport } from '../../support/ring-reader-thread.ts';

const recordAt = (index: number, payload: Uint8Array): RingRecord => ({
  ...{ renditionNumber: 3, trackNumber: 4, dtsTicks: index, ptsTicks: index + 7, isKeyframe: index % 2 === 0 },
  ...{ isDiscontinuity: index % 3 === 0, payload, arrivedAtMs: index + 0.25, arrivedAtWallMs: 1.7e12 + index },
  ...{ enteredAtMs: index + 0.5, wallOffsetMs: 1.7e12 },
});

const START = { totalBytes: 0, sequence: 0 };

test('every unit comes out as it went in, over many rounds of the ring and at every place of the wrap', () => {
  const memory = createRingMemory(4_096);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory, START);
  const prng = new Prng(9);
  for (let index = 0; index < 5_000; index += 1) {
    const payload = Uint8Array.from({ length: Math.floor(prng.nextRatio() * 900) }, (_, at) => (at * 31 + index) % 256);
    assert.equal(writer.write(recordAt(index, payload)), true);
    const { lostCount, payload: taken, ...rest } = reader.take() ?? assert.fail('nothing to take');
    const { payload: _payload, ...written } = recordAt(index, payload);
    assert.deepEqual(rest, written);
    assert.deepEqual(new Uint8Array(taken), payload);
    assert.equal(lostCount, 0);
    assert.equal(reader.take(), undefined);
  }
});

test('an empty payload and one of exactly the largest size pass; a larger one is refused and leaves no trace', () => {
  const memory = createRingMemory(64 * 64);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory, START);
  const largestBytes = (64 * 64) / 4 - 64;
  assert.equal(writer.write(recordAt(0, new Uint8Array(0))), true);
  assert.equal(writer.write(recordAt(1, new Uint8Array(largestBytes + 1))), false);
  assert.equal(writer.write(recordAt(2, new Uint8Array(largestBytes).fill(5))), true);
  assert.deepEqual(
    [reader.take(), reader.take()].map((unit) => [unit?.dtsTicks, unit?.payload.byteLength, unit?.lostCount]),
    [
      [0, 0, 0],
      [2, largestBytes, 0],
    ],
  );
});

test('what is taken is a copy: writing over its place does not change it', () => {
  const memory = createRingMemory(1_024);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory, START);
  writer.write(recordAt(0, new Uint8Array(100).fill(1)));
  const unit = reader.take();
  for (let index = 1; index < 20; index += 1) {
    writer.write(recordAt(index, new Uint8Array(100).fill(2)));
  }
  assert.ok(unit?.payload.every((byte) => byte === 1));
});

test('a reader that was overtaken goes on with what is written next, and knows how many units it lost', () => {
  const memory = createRingMemory(4_096);
  const writer = new RingWriter(memory);
  const slow = new RingReader(memory, START);
  const quick = new RingReader(memory, START);
  for (let index = 0; index < 100; index += 1) {
    writer.write(recordAt(index, new Uint8Array(200)));
    assert.equal(quick.take()?.dtsTicks, index);
  }
  assert.equal(slow.take(), undefined);
  writer.write(recordAt(100, new Uint8Array(200)));
  const unit = slow.take();
  assert.deepEqual([unit?.dtsTicks, unit?.lostCount], [100, 100]);
  assert.equal(quick.take()?.lostCount, 0);
});

test('a reader that begins at a position misses nothing that is written after it, and sees nothing before', () => {
  const memory = createRingMemory(4_096);
  const writer = new RingWriter(memory);
  writer.write(recordAt(0, new Uint8Array(10)));
  const reader = new RingReader(memory, writer.position);
  assert.equal(reader.take(), undefined);
  writer.write(recordAt(1, new Uint8Array(10)));
  const unit = reader.take();
  assert.deepEqual([unit?.dtsTicks, unit?.lostCount], [1, 0]);
});

test('who waits is woken by a unit, and not at all where one lies there already', async () => {
  const memory = createRingMemory(4_096);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory, START);
  const woken = reader.written();
  writer.write(recordAt(0, new Uint8Array(10)));
  await woken;
  await reader.written();
  assert.equal(reader.take()?.dtsTicks, 0);
});

const readInThread = async (order: Omit<RingReaderOrder, 'memory'>): Promise<RingReaderReport> => {
  const memory = createRingMemory(65_536);
  const writer = new RingWriter(memory);
  const thread = new Worker(new URL('../../support/ring-reader-thread.ts', import.meta.url), {
    workerData: { memory, ...order } satisfies RingReaderOrder,
  });
  const end: { isReached: boolean; report: RingReaderReport | undefined } = { isReached: false, report: undefined };
  thread.once('message', (message: RingReaderReport) => {
    end.report = message;
  });
  thread.once('exit', () => {
    end.isReached = true;
  });
  // Bursts about as large as the ring, with the loop in between.
  for (let dts = 0; !end.isReached; dts += 1) {
    writer.write(recordAt(dts, new Uint8Array((dts * 37) % 3_000).fill(dts % 251)));
    if (dts % 48 === 0) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }
  return end.report ?? assert.fail('the thread ended early');
};

test('a thread that is overtaken again and again never takes a unit that is half another one', async () => {
  const report = await readInThread({ takenMinCount: 2_000, overtakenMinCount: 20 });
  assert.equal(report.tornCount, 0);
});
