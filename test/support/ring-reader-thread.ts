/** A thread that takes units from a ring as fast as it can, with pauses, and checks each of them: the other end of unit-ring.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { RingReader } from '../../server/media-threads/unit-ring.ts';

export type RingReaderOrder = {
  readonly memory: SharedArrayBuffer;
  readonly lastDts: number;
  /** It rests so long after every hundred units. */
  readonly restMs: number;
};
export type RingReaderReport = { takenCount: number; lostCount: number; tornCount: number };

const { memory, lastDts, restMs } = workerData as RingReaderOrder;
const reader = new RingReader(memory, { totalBytes: 0, sequence: 0 });
const report: RingReaderReport = { takenCount: 0, lostCount: 0, tornCount: 0 };
parentPort?.postMessage({ isReady: true }, []);
// To wait for memory keeps no thread alive.
const alive = setInterval(() => undefined, 1_000);

for (let dts = -1; dts < lastDts;) {
  const unit = reader.take();
  if (unit === undefined) {
    await reader.written();
    continue;
  }
  dts = unit.dtsTicks;
  report.takenCount += 1;
  report.lostCount += unit.lostCount;
  // Written so by the test: every byte and the length follow from the time.
  const isWhole = unit.payload.byteLength === (dts * 37) % 3_000 && unit.payload.every((byte) => byte === dts % 251);
  report.tornCount += isWhole && unit.ptsTicks === dts + 7 ? 0 : 1;
  if (restMs > 0 && report.takenCount % 100 === 0) {
    await new Promise((resolve) => {
      setTimeout(resolve, restMs);
    });
  }
}
clearInterval(alive);
parentPort?.postMessage({ ...report }, []);
