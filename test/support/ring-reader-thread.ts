/** A thread that takes units from a ring, rests now and then, and checks each of them: the other end of unit-ring.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { RingReader } from '../../server/media-threads/unit-ring.ts';

export type RingReaderOrder = {
  readonly memory: SharedArrayBuffer;
  /** It ends when it has taken so many, and was overtaken so often. */
  readonly takenMinCount: number;
  readonly overtakenMinCount: number;
};
export type RingReaderReport = { takenCount: number; overtakenCount: number; tornCount: number };

const REST_AFTER_COUNT = 50;

const { memory, takenMinCount, overtakenMinCount } = workerData as RingReaderOrder;
const reader = new RingReader(memory, { totalBytes: 0, sequence: 0 });
const report: RingReaderReport = { takenCount: 0, overtakenCount: 0, tornCount: 0 };
// To wait for memory keeps no thread alive.
const alive = setInterval(() => undefined, 1_000);

while (report.takenCount < takenMinCount || report.overtakenCount < overtakenMinCount) {
  const unit = reader.take();
  if (unit === undefined) {
    await reader.written();
    continue;
  }
  const { dtsTicks, ptsTicks, payload, lostCount } = unit;
  report.takenCount += 1;
  report.overtakenCount += lostCount > 0 ? 1 : 0;
  // Written so by the test: every byte and the length follow from the time.
  const isWhole = payload.byteLength === (dtsTicks * 37) % 3_000 && payload.every((byte) => byte === dtsTicks % 251);
  report.tornCount += isWhole && ptsTicks === dtsTicks + 7 ? 0 : 1;
  if (report.takenCount % REST_AFTER_COUNT === 0) {
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}
clearInterval(alive);
parentPort?.postMessage({ ...report }, []);
