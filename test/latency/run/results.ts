/** What a lab leaves behind: `results.json`, from which the report can be drawn again at any time. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { WorldError, messageOf } from '../../../server/base/errors.ts';
import type { ViewerReport } from '../viewer/viewer-report.ts';
import type { LinkCounts, LinkSample } from '../link/link-counts.ts';
import type { LabConfig } from './lab-config.ts';
import type { MachineFacts } from './machine.ts';
import type { PlannedRun } from './plan.ts';
import type { StreamRecord } from './stream-record.ts';

export const RESULTS_FORMAT = 1;

/** CPU as a share of one core (1.5: one and a half cores), while the viewer watched; children included. */
export type ServerUsage = { readonly cpuRatio: number; readonly rssBytes: number; readonly rssPeakBytes: number };

/** Did this machine, rather than the server, make the run what it is? Such runs are made again, and marked if they stay so. */
export const isDoubtful = (run: Pick<RunResult, 'isSourceLate' | 'isViewerStarved'>): boolean =>
  run.isSourceLate || run.isViewerStarved;

/** One viewer's look at one target through one scenario's link. A run that failed is a result, too. */
export type RunResult = PlannedRun & {
  readonly startedAtWallMs: number;
  /** 1 unless the source was late and the run was repeated. */
  readonly attemptCount: number;
  /** Why there is no measurement. */
  readonly error: string | null;
  /** Null without a picture, and after a failure. */
  readonly viewer: ViewerReport | null;
  readonly link: {
    readonly counts: LinkCounts;
    readonly series: readonly LinkSample[];
    readonly startsAtMs: number;
  } | null;
  readonly server: ServerUsage | null;
  /** Only with `recordsStream`. */
  readonly stream?: StreamRecord;
  /** How far the source was behind its own clock while the viewer watched; null: it did not say so in time, or there was no look. */
  readonly sourceLateMaxMs: number | null;
  /** The source was too late even in the last attempt: the numbers include this machine's own stutter. */
  readonly isSourceLate: boolean;
  /** The script that reads the pictures did not run for a good part of the look: frames went unseen. */
  readonly isViewerStarved: boolean;
  /** How busy all of the machine was, 0…1. */
  readonly machineBusyRatio: number | null;
};

export type LabResults = {
  readonly format: typeof RESULTS_FORMAT;
  readonly config: LabConfig;
  readonly machine: MachineFacts;
  readonly startedAtWallMs: number;
  readonly endedAtWallMs: number;
  /** How many runs the experiment has when it is complete. */
  readonly plannedCount: number;
  readonly runs: readonly RunResult[];
};

/** Written beside and renamed, so that a crash leaves the former file. */
export const writeResults = (file: string, results: LabResults): void => {
  writeFileSync(`${file}.part`, `${JSON.stringify(results)}\n`);
  renameSync(`${file}.part`, file);
};

/** Throws `WorldError` `LAB_RESULTS_UNREADABLE`. */
export const readResults = (file: string): LabResults => {
  try {
    const results = JSON.parse(readFileSync(file, 'utf8')) as LabResults;
    if (results.format === RESULTS_FORMAT && Array.isArray(results.runs)) {
      return results;
    }
  } catch (error) {
    throw new WorldError('LAB_RESULTS_UNREADABLE', messageOf(error), error);
  }
  throw new WorldError('LAB_RESULTS_UNREADABLE', `${file}: expected results of format ${RESULTS_FORMAT}`);
};
