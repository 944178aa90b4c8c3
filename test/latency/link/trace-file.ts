/** Reads a capacity trace: CSV with a header, columns `time_ms` and `kbit_per_s`; each value holds from its time until the next. */
import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../../../server/base/errors.ts';
import type { CapacityStep } from './capacity.ts';

const TRACE_MAX_BYTES = 20_000_000;

/** `name` is a path inside `tracesDir` and nowhere else. Throws `TypeError` that names the trace and what is wrong with it. */
export const loadTrace = async (tracesDir: string, name: string): Promise<CapacityStep[]> => {
  const file = await findInside(tracesDir, name);
  return parseTrace(await readFile(file, 'utf8'), name);
};

const findInside = async (tracesDir: string, name: string): Promise<string> => {
  try {
    const folder = await realpath(tracesDir);
    const file = await realpath(path.resolve(folder, name));
    if (!file.startsWith(folder + path.sep)) {
      throw new TypeError('it lies outside the folder of traces');
    }
    const { size } = await stat(file);
    if (size > TRACE_MAX_BYTES) {
      throw new TypeError(`${size} bytes, at most ${TRACE_MAX_BYTES}`);
    }
    return file;
  } catch (error) {
    throw new TypeError(`trace ${name}: ${messageOf(error)}`, { cause: error });
  }
};

/** The text of a trace as steps; the last value holds as long as the one before it. */
export const parseTrace = (text: string, name: string): CapacityStep[] => {
  const [header = '', ...rows] = text.trim().split(/\r?\n/u);
  const columns = header.split(',').map((column) => column.trim());
  const timeIndex = columns.indexOf('time_ms');
  const rateIndex = columns.indexOf('kbit_per_s');
  if (timeIndex < 0 || rateIndex < 0) {
    throw new TypeError(`trace ${name}: expected the columns time_ms and kbit_per_s, got ${header.slice(0, 80)}`);
  }
  const points = rows.map((row, index) => {
    const cells = row.split(',');
    const atMs = toNumber(cells[timeIndex]);
    const rateBps = toNumber(cells[rateIndex]) * 1000;
    if (!Number.isFinite(atMs) || !(rateBps >= 0) || rateBps === Infinity) {
      throw new TypeError(`trace ${name}, line ${index + 2}: expected numbers, got ${row.slice(0, 80)}`);
    }
    return { atMs, rateBps };
  });
  if (points.length < 2) {
    throw new TypeError(`trace ${name}: expected at least two rows`);
  }
  if (points.every(({ rateBps }) => rateBps === 0)) {
    throw new TypeError(`trace ${name}: its capacity is 0 throughout`);
  }
  return points.map(({ atMs, rateBps }, index) => {
    const next = points[index + 1];
    const durationMs = next === undefined ? atMs - points[index - 1]!.atMs : next.atMs - atMs;
    if (!(durationMs > 0)) {
      throw new TypeError(`trace ${name}, line ${index + 3}: time_ms does not grow`);
    }
    return { durationMs, rateBps };
  });
};

const toNumber = (cell: string | undefined): number =>
  cell === undefined || cell.trim() === '' ? Number.NaN : Number(cell);
