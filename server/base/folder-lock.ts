/**
 * One process at a time in a folder. The lock is a file that says which process holds it; a process that was ended by `kill -9`, or with the machine, holds
 * nothing any more, and its lock is taken over. Among the processes of one machine: who shares a folder over a network, or between containers, sees to it himself.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorldError } from './errors.ts';

/** Numbers of processes are given again: with its start, and the start of the machine, one is told from another. */
type Holder = { readonly pid: number; readonly startedTicks: string; readonly bootId: string };

const FILE_NAME = 'lock';
const TRY_MAX_COUNT = 3;
/** In place of a start: it has ended, and only its parent has not looked yet. */
const ENDED = 'ended';

export class FolderLock {
  readonly #path: string;
  readonly #text: string;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  /** Makes the folder where it is not there. Throws `WorldError` `FOLDER_IN_USE` while another process holds it. */
  static take(folder: string): FolderLock {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, FILE_NAME);
    const ownPath = `${path}.${process.pid}`;
    const text = JSON.stringify(holderOf(process.pid));
    writeFileSync(ownPath, text);
    try {
      for (let tryIndex = 0; tryIndex < TRY_MAX_COUNT; tryIndex += 1) {
        if (isLinked(ownPath, path)) {
          return new FolderLock(path, text);
        }
        clearStale(path, folder);
      }
    } finally {
      rmSync(ownPath, { force: true });
    }
    throw inUse(folder, 'another process');
  }

  /** What somebody else holds by now stays. */
  release(): void {
    if (readLock(this.#path) === this.#text) {
      rmSync(this.#path, { force: true });
    }
  }
}

/** Moved away before it is removed: of two that find the same stale lock, one moves it, and none removes what the other has taken meanwhile. */
const clearStale = (path: string, folder: string): void => {
  const text = readLock(path);
  if (text === undefined) {
    return;
  }
  const holder = readHolder(text);
  if (holder !== undefined && isHeldBy(holder)) {
    throw inUse(folder, `process ${holder.pid}`);
  }
  const stalePath = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, stalePath);
  } catch (error) {
    if (isCode(error, 'ENOENT')) {
      return;
    }
    throw error;
  }
  const isOurs = readLock(stalePath) === text || isLinked(stalePath, path);
  rmSync(stalePath, { force: true });
  if (!isOurs) {
    throw inUse(folder, 'another process');
  }
};

const inUse = (folder: string, who: string): WorldError =>
  new WorldError(
    'FOLDER_IN_USE',
    `${who} is working in ${folder} already: end it first, or give this server a dataDir of its own`,
  );

/** Ourselves, started anew under the same number, are told by the start. */
const isHeldBy = ({ pid, startedTicks, bootId }: Holder): boolean => {
  const now = isAlive(pid) ? holderOf(pid) : undefined;
  return now !== undefined && now.startedTicks === startedTicks && now.bootId === bootId;
};

/** Not ours to signal, but there. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, 'EPERM');
  }
};

/** Where there is no `/proc`, the number alone must do. */
const holderOf = (pid: number): Holder => {
  const stat = readOrNothing(`/proc/${pid}/stat`);
  // proc(5): the name, in parentheses, may hold anything; behind it the state, and as the 22nd field the start, in ticks since the machine's.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const hasEnded = fields[0] === 'Z' || fields[0] === 'X';
  return {
    pid,
    startedTicks: hasEnded ? ENDED : (fields[19] ?? ''),
    bootId: readOrNothing('/proc/sys/kernel/random/boot_id').trim(),
  };
};

const readHolder = (text: string): Holder | undefined => {
  try {
    const { pid, startedTicks = '', bootId = '' } = JSON.parse(text) as Partial<Holder>;
    return pid !== undefined && Number.isSafeInteger(pid) && pid > 0 ? { pid, startedTicks, bootId } : undefined;
  } catch {
    // Cut off by a loss of power: nobody's.
    return undefined;
  }
};

const isLinked = (from: string, to: string): boolean => {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) {
      return false;
    }
    throw error;
  }
};

const readLock = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  }
};

const readOrNothing = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === code;
