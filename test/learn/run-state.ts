/** What is kept on disk between runs of a search: written whole or not at all, refused when it belongs to another search. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../../server/base/errors.ts';
import type { Trace } from '../sim/corpus.ts';
import type { SearchState } from './search.ts';

const SCHEMA = 'sluice-learn-state-1';

export type SavedRun = {
  /** Of everything that makes a search what it is: options, traces, code. */
  readonly key: string;
  readonly search: SearchState;
};

export const sha256Of = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** What was seen, in an order that does not hang on the folder's. */
export const dataSha256Of = (traces: readonly Trace[]): string =>
  sha256Of(
    traces.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(({ id, networkClass, steps }) => [id, networkClass, steps]),
  );

/** Of the source files in these folders: what a number was reached with. */
export const codeSha256Of = async (root: string, folders: readonly string[]): Promise<string> => {
  const texts: [string, string][] = [];
  for (const folder of folders) {
    const names = (await readdir(path.join(root, folder), { recursive: true })).filter((name) => name.endsWith('.ts'));
    for (const name of names.sort()) {
      texts.push([path.posix.join(folder, name), await readFile(path.join(root, folder, name), 'utf8')]);
    }
  }
  return sha256Of(texts);
};

export const saveRun = async (file: string, run: SavedRun): Promise<void> => {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.new`, `${JSON.stringify({ schema: SCHEMA, ...run })}\n`);
  await rename(`${file}.new`, file);
};

/** Throws `TypeError` with a sentence when there is nothing to go on with. */
export const loadRun = async (file: string, key: string): Promise<SearchState> => {
  let saved: Partial<SavedRun> & { schema?: string };
  try {
    saved = JSON.parse(await readFile(file, 'utf8')) as typeof saved;
  } catch (error) {
    throw new TypeError(`cannot go on: ${messageOf(error)}`, { cause: error });
  }
  if (saved.schema !== SCHEMA || saved.search === undefined) {
    throw new TypeError(`cannot go on: ${file} is of another version`);
  }
  if (saved.key !== key) {
    throw new TypeError(`cannot go on: ${file} belongs to a search with other options, traces or code`);
  }
  return saved.search;
};
