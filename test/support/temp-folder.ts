/** Folders for as long as this process lives: whatever a test did, and however it ended, they go with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What still writes there while the process ends, such as a server that is being killed, is waited for so long. */
const REMOVE_TRY_MAX_COUNT = 5;

const made = new Set<string>();

/** A new folder `sluice-NAME-…`, below `parent` where that is given. May be removed earlier by whoever made it. */
export const tempFolder = (name: string, parent = tmpdir()): string => {
  if (made.size === 0) {
    process.once('exit', removeAll);
  }
  const folder = mkdtempSync(join(parent, `sluice-${name}-`));
  made.add(folder);
  return folder;
};

const removeAll = (): void => {
  for (const folder of made) {
    rmSync(folder, { recursive: true, force: true, maxRetries: REMOVE_TRY_MAX_COUNT });
  }
};
