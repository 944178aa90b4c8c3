/** Files that are their owner's business alone, replaced as a whole. */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Puts `text` at `path`, readable by its owner only, with the folders above it. Written beside and renamed, so that a crash leaves the old file or
 * the new one, never half of one.
 */
export const replacePrivateFile = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  const besidePath = `${path}.new`;
  writeFileSync(besidePath, text, { mode: 0o600, flush: true });
  chmodSync(besidePath, 0o600);
  renameSync(besidePath, path);
};

/** The same without holding up the process. Rejects when the disk does not want it. */
export const replacePrivateFileAsync = async (path: string, text: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true });
  const besidePath = `${path}.new`;
  const handle = await open(besidePath, 'w', 0o600);
  try {
    await handle.chmod(0o600);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(besidePath, path);
};
