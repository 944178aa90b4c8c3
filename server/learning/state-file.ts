/** The learner's state on disk: read once at the start, replaced as a whole so that a crash leaves the old one or the new one. */
import { readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../observability/log.ts';
import type { LearnerState } from './learner-state.ts';
import { STATE_MAX_BYTES, emptyState, mergeStates, readState } from './learner-state.ts';
import { readCapped } from './policy-files.ts';

const OTHERS_MAX_COUNT = 64;

/**
 * What was learned, or nothing where there is no such file or it cannot be used: then a line in the log says why. What other nodes have learned is
 * added once: `learned-anything.json` beside `learned.json`. Never throws.
 */
export const loadState = async (file: string, nowWallMs: number, log: Log): Promise<LearnerState> => {
  let state = (await readFileAt(file, log)) ?? emptyState(nowWallMs);
  for (const other of await othersBeside(file)) {
    // Put aside first: what is added twice would count twice.
    const added = await putAside(other, 'added', log);
    const found = added === undefined ? undefined : await readFileAt(added, log);
    state = found === undefined ? state : mergeStates(state, found);
  }
  return state;
};

const othersBeside = async (file: string): Promise<string[]> => {
  const { dir, name, ext } = path.parse(file);
  try {
    const names = (await readdir(dir)).filter((entry) => entry.startsWith(`${name}-`) && entry.endsWith(ext)).sort();
    return names.slice(0, OTHERS_MAX_COUNT).map((entry) => path.join(dir, entry));
  } catch {
    // There is no such folder yet.
    return [];
  }
};

/** Undefined where there is none, or none that can be used. */
const readFileAt = async (file: string, log: Log): Promise<LearnerState | undefined> => {
  let text: string;
  try {
    text = await readCapped(file, STATE_MAX_BYTES);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warn('congestion.learned.refused', { file, code: 'LEARNED_UNREADABLE', detail: messageOf(error) });
    }
    return undefined;
  }
  const reading = readState(text);
  if (reading.fault !== undefined) {
    log.warn('congestion.learned.refused', { file, ...reading.fault });
    // Not overwritten: somebody may want to know what it was.
    await putAside(file, 'refused', log);
    return undefined;
  }
  log.info('congestion.learned.loaded', { file });
  return reading.state;
};

/** Its new name; undefined: it stays where it is. */
const putAside = async (file: string, why: string, log: Log): Promise<string | undefined> => {
  const aside = `${file}.${why}`;
  try {
    await rename(file, aside);
    return aside;
  } catch (error) {
    log.warn('congestion.learned.not_put_aside', { file, detail: messageOf(error) });
    return undefined;
  }
};
