/** Files with secrets in them. */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
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
