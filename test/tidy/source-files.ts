/** The repository as the tidy tests see it: tracked and new source files, and what each imports. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

export type SourceFile = {
  /** From the root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** Paths of imported files of ours, type-only imports included. */
  readonly imports: readonly string[];
};

/** Files git tracks or would track. */
export const listFiles = (): string[] =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
    .split('\n')
    .filter((path) => path !== '' && existsSync(join(ROOT, path)));

const IMPORT_FORM = /(?:from|import)\s*\(?\s*'(\.[^']+)'/g;

export const readSources = (): SourceFile[] =>
  listFiles()
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      const imports = [...text.matchAll(IMPORT_FORM)].map((match) =>
        relative(ROOT, resolve(ROOT, dirname(path), match[1] ?? '')),
      );
      return { path, text, imports };
    });
