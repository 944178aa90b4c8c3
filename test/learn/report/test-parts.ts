/**
 * Test parts are opened on purpose, once a release, and never unseen (CONGESTION 7.2): each opening is a line of a file that is committed, written before the
 * first trace is read.
 */
import { execFileSync } from 'node:child_process';
import { appendFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { SplitName } from '../../sim/corpus.ts';

export const OPENED_FILE = 'test/learn/report/opened.tsv';

export type Opening = {
  readonly split: SplitName;
  readonly why: string;
  /** ISO date. */
  readonly date: string;
  readonly commit: string;
};

export const testPartsOf = (splits: readonly SplitName[]): SplitName[] =>
  splits.filter((split) => split === 'test-a' || split === 'test-b');

/** Appends a line a part; resolves to how often each was opened before. */
export const noteOpening = async (file: string, openings: readonly Opening[]): Promise<number[]> => {
  const lines = (await readFile(file, 'utf8')).split('\n');
  const before = openings.map(({ split }) => lines.filter((line) => line.split('\t')[1] === split).length);
  const added = openings.map(({ date, split, commit, why }) =>
    [date, split, commit, why.replaceAll(/\s+/g, ' ')].join('\t'),
  );
  await appendFile(file, `${added.join('\n')}\n`);
  return before;
};

/**
 * The commit that is looked at. Throws `TypeError` where something else than it would be judged: what is changed and not committed, but for the
 * file of openings itself.
 */
export const commitOf = (root: string): string => {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trimEnd();
  const changed = git('status', '--porcelain')
    .split('\n')
    .filter((line) => line !== '' && line.slice(3) !== path.posix.normalize(OPENED_FILE));
  if (changed.length > 0) {
    throw new TypeError(
      `commit first, so that it is known what was judged: ${changed.map((line) => line.slice(3)).join(', ')}`,
    );
  }
  return git('rev-parse', 'HEAD');
};
