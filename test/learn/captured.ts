/**
 * Links that a server captured from its sessions (`congestion.capture`), as traces to learn from. Where the pictures were the limit the file says only
 * that the link carried at least so much; there it is taken to have carried what was measured next to it.
 */
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../../server/base/errors.ts';
import type { SplitName, Trace } from '../sim/corpus.ts';
import { splitOf, toTrace } from '../sim/corpus.ts';

export type CapturedLinks = {
  readonly traces: readonly Trace[];
  /** What was left out and why, a line each. */
  readonly leftOut: readonly string[];
};

type Row = { readonly atMs: number; readonly bps: number; readonly isAtLeast: boolean; readonly lossRatio: number };

const HEADER = 'time_ms,kbit_per_s,is_at_least,loss_ratio,rtt_ms';
const FILE_MAX_COUNT = 10_000;
const ROW_MIN_COUNT = 60;
/** With less of it measured, the rest would be made up. */
const MEASURED_MIN_RATIO = 0.2;
/** A measurement speaks for so long before and after it. */
const NEAR_MS = 10_000;
/** Outages must not become random loss in an average. */
const LOSS_ROW_MAX_RATIO = 0.3;
const LOSS_MAX_RATIO = 0.1;
const RTT_MS: readonly [number, number] = [1, 1_000];

/** Of these parts alone; the others are not opened. Rejects where there is no such folder. */
export const loadCaptured = async (folder: string, splits: readonly SplitName[]): Promise<CapturedLinks> => {
  const traces: Trace[] = [];
  const leftOut: string[] = [];
  const names = (await readdir(folder)).filter((name) => name.endsWith('.csv')).sort();
  for (const name of names.slice(0, FILE_MAX_COUNT)) {
    const split = splitOf(name);
    if (splits.includes(split)) {
      try {
        traces.push(parseCaptured(await readFile(path.join(folder, name), 'utf8'), name, split));
      } catch (error) {
        leftOut.push(`${name}: ${messageOf(error)}`);
      }
    }
  }
  return { traces, leftOut };
};

/** Throws `TypeError` that says what is wrong, or what it has too little of. */
export const parseCaptured = (text: string, name: string, split: SplitName): Trace => {
  const [header, ...lines] = text.trim().split('\n');
  if (header !== HEADER) {
    throw new TypeError(`expected the columns ${HEADER}`);
  }
  const cells = lines.map((line) => line.split(',').map(Number));
  if (cells.some((row) => row.length !== 5 || row.some((value) => !Number.isFinite(value) || value < 0))) {
    throw new TypeError('expected five numbers a line, none below 0');
  }
  const rows = cells.map(([atMs = 0, kbps = 0, isAtLeast = 0, lossRatio = 0]): Row => ({
    ...{ atMs, bps: 1_000 * kbps, isAtLeast: isAtLeast !== 0, lossRatio },
  }));
  const measuredRatio = rows.filter(({ isAtLeast }) => !isAtLeast).length / rows.length;
  if (rows.length < ROW_MIN_COUNT || measuredRatio < MEASURED_MIN_RATIO) {
    throw new TypeError(
      `${rows.length} steps of which ${Math.round(100 * measuredRatio)} % are measured, expected ${ROW_MIN_COUNT} and ${100 * MEASURED_MIN_RATIO} %`,
    );
  }
  const bps = filled(rows);
  const steps = rows.map(({ atMs }, index) => {
    const durationMs = (rows[index + 1]?.atMs ?? 2 * atMs - (rows[index - 1]?.atMs ?? 0)) - atMs;
    if (!(durationMs > 0)) {
      throw new TypeError(`line ${index + 2}: time does not grow`);
    }
    return { durationMs, rateBps: bps[index] ?? 0 };
  });
  if (steps.every(({ rateBps }) => rateBps === 0)) {
    throw new TypeError('nothing ever came through');
  }
  const losses = rows.map(({ lossRatio }) => lossRatio).filter((ratio) => ratio < LOSS_ROW_MAX_RATIO);
  const measured = {
    rttMs: clip(cells[0]?.[4] ?? 0, RTT_MS),
    lossRatio: Math.min(LOSS_MAX_RATIO, losses.reduce((sum, ratio) => sum + ratio, 0) / Math.max(1, losses.length)),
  };
  // What networks of no known class do beyond what was measured.
  return { ...toTrace({ id: name, file: name, class: 'mixed', group: name }, split, steps), measured };
};

/** At least what was seen, else what was measured nearest, else the median of what was measured at all. */
const filled = (rows: readonly Row[]): number[] => {
  const measured = rows.filter(({ isAtLeast }) => !isAtLeast);
  const median = measured.map(({ bps }) => bps).toSorted((a, b) => a - b)[measured.length >> 1] ?? 0;
  let next = 0;
  return rows.map(({ atMs, bps, isAtLeast }) => {
    if (!isAtLeast) {
      return bps;
    }
    while (next < measured.length && measured[next]!.atMs < atMs) {
      next += 1;
    }
    const near = [measured[next - 1], measured[next]]
      .filter((row) => row !== undefined && Math.abs(row.atMs - atMs) <= NEAR_MS)
      .toSorted((a, b) => Math.abs(a!.atMs - atMs) - Math.abs(b!.atMs - atMs))[0];
    return Math.max(bps, near?.bps ?? median);
  });
};

const clip = (value: number, [min, max]: readonly [number, number]): number => Math.min(max, Math.max(min, value));
