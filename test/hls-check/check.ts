/** The whole check of one URL: watch, judge, one line per row. */
import { observe } from './observe.ts';
import type { Verdict } from './row.ts';
import { MEDIA_ROWS } from './rows-media.ts';
import { PLAYLIST_ROWS } from './rows-playlist.ts';
import { REQUEST_ROWS } from './rows-requests.ts';

export type CheckedRow = Verdict & { readonly id: string; readonly level: 'MUST' | 'SHOULD'; readonly title: string };

export type CheckReport = {
  readonly url: string;
  readonly seconds: number;
  /** In the order of their numbers. */
  readonly rows: readonly CheckedRow[];
  readonly brokenMustCount: number;
};

const ROWS = [...PLAYLIST_ROWS, ...REQUEST_ROWS, ...MEDIA_ROWS].toSorted(
  (a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)),
);

/** Throws when there is no playlist at `url`. */
export const checkHls = async (url: string, options: { seconds: number }): Promise<CheckReport> => {
  const observation = await observe(url, options);
  const rows = ROWS.map((row) => ({ id: row.id, level: row.level, title: row.title, ...row.judge(observation) }));
  const brokenMustCount = rows.filter(({ level, state }) => level === 'MUST' && state === 'broken').length;
  return { url, seconds: options.seconds, rows, brokenMustCount };
};

const WORDS = { kept: 'kept', broken: 'BROKEN', 'not-applicable': 'n/a', 'cannot-tell': '?' } as const;

export const toTable = (report: CheckReport): string => {
  const lines = report.rows.map(
    ({ id, level, title, state, evidence }) => `| ${id} | ${level} | ${title} | ${WORDS[state]} | ${evidence} |`,
  );
  const count = (state: Verdict['state']): number => report.rows.filter((row) => row.state === state).length;
  return [
    `${report.url}, watched for ${report.seconds} s`,
    '',
    '| row | | rule | | evidence |',
    '|---|---|---|---|---|',
    ...lines,
    '',
    `${count('kept')} kept, ${count('broken')} broken (${report.brokenMustCount} of them MUST), ${count('not-applicable')} not applicable, ${count('cannot-tell')} cannot be told from outside`,
  ].join('\n');
};
