/** What the journals of earlier runs of the server tell: read at the start, before anybody may claim. */
import { readFile, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ProtocolError, messageOf } from '../base/errors.ts';
import type { Log } from '../observability/log.ts';
import { Drop } from './drop.ts';
import type { JournalContent, JournalRecord } from './journal-format.ts';
import { decodeJournal } from './journal-format.ts';

export type RecoveredDrop = {
  readonly drop: Drop;
  readonly path: string;
  readonly soundBytes: number;
  readonly damage: string | undefined;
};

/** Prefix, header and terms are longer. */
const BEGUN_MAX_BYTES = 128;
const NAME_FORM = /^[0-9a-f]{32}\.journal$/;

export const journalPath = (folder: string, runId: string): string => join(folder, `${runId}.journal`);

/** What is over first, then the oldest, whatever the wall clock said: of two of the same name and id the later one here counts. A file that tells nothing is left alone, and logged. */
export const recoverDrops = async (folder: string, log: Log): Promise<readonly RecoveredDrop[]> => {
  const recovered: RecoveredDrop[] = [];
  for (const path of await journalsIn(folder)) {
    const found = await recoverOne(path, log);
    if (found !== undefined) {
      recovered.push(found);
    }
  }
  return recovered.toSorted(
    ({ drop: a }, { drop: b }) =>
      Number(b.isOver) - Number(a.isOver) || a.header.createdAtWallMs - b.header.createdAtWallMs,
  );
};

/** Removes journals that nothing was added to since then, but for those in use. */
export const removeJournalsBefore = async (
  folder: string,
  options: { beforeWallMs: number; inUse: ReadonlySet<string>; log: Log },
): Promise<void> => {
  for (const path of await journalsIn(folder)) {
    if (!options.inUse.has(path) && (await stat(path)).mtimeMs < options.beforeWallMs) {
      await rm(path, { force: true });
      options.log.info('drop.journal.removed', { path });
    }
  }
};

const journalsIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => NAME_FORM.test(name)).map((name) => join(folder, name));

const recoverOne = async (path: string, log: Log): Promise<RecoveredDrop | undefined> => {
  const bytes = await readFile(path);
  const content = contentOf(bytes, { path, log });
  const drop = content === undefined ? undefined : replay(content);
  if (content === undefined || drop === undefined) {
    // A crash while it was begun: nobody was promised anything.
    if (content?.damage === undefined && bytes.byteLength <= BEGUN_MAX_BYTES) {
      await rm(path, { force: true });
    }
    return undefined;
  }
  const { soundBytes, damage } = content;
  if (damage !== undefined) {
    log.error('drop.journal.damaged', { path, damage });
  } else if (soundBytes < bytes.byteLength) {
    log.warn('drop.journal.cut', { path, cutBytes: bytes.byteLength - soundBytes });
  }
  return { drop, path, soundBytes, damage };
};

/** Undefined: it is no journal that we know. */
const contentOf = (bytes: Buffer, { path, log }: { path: string; log: Log }): JournalContent | undefined => {
  try {
    return decodeJournal(bytes);
  } catch (error) {
    if (!(error instanceof ProtocolError)) {
      throw error;
    }
    log.error('drop.journal.unreadable', { path, sizeBytes: bytes.byteLength, error: messageOf(error) });
    return undefined;
  }
};

/** Of a drop that gives nothing any more. */
const NO_TERMS = { stock: 0, opensAtWallMs: null };

/** Undefined: the crash came before the drop was on disk, so nobody was promised anything. */
const replay = ({ records, damage }: JournalContent): Drop | undefined => {
  const header = records.find((record) => record.type === 'header')?.header;
  const found = records.find((record) => record.type === 'terms')?.terms;
  const terms = damage === undefined ? found : (found ?? NO_TERMS);
  if (header === undefined || terms === undefined) {
    return undefined;
  }
  const drop = new Drop(header, terms);
  for (const record of records) {
    apply(drop, record);
  }
  return drop;
};

const apply = (drop: Drop, record: JournalRecord): void => {
  switch (record.type) {
    case 'terms':
      drop.edit(record.terms);
      break;
    case 'opened':
      drop.open();
      break;
    case 'claim':
      drop.commit(drop.reserve(record.claim));
      break;
    case 'end':
      drop.end(record.reason, record.atWallMs);
      break;
    case 'header':
      break;
  }
};
