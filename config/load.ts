/**
 * Reads the configuration: `default.yaml`, then the user's file over it, then `--set key.path=value`. Everything is checked at the start;
 * all faults are listed together, by key path. The result is frozen; parts are handed their slice.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { WorldError, messageOf } from '../server/base/errors.ts';
import type { QualityModel } from '../transcode/narrowband/quality-model.ts';
import type { Config } from './schema.ts';
import { CONFIG_SCHEMA, QUALITY_MODEL_SCHEMA } from './schema.ts';

export type ConfigSources = {
  /** A YAML file with whatever differs from `default.yaml`. */
  readonly filePath?: string | undefined;
  /** `key.path=value` each; the value is read as YAML. */
  readonly settings?: readonly string[];
};

type Tree = { [key: string]: unknown };

const DEFAULT_PATH = join(import.meta.dirname, 'default.yaml');
const MODEL_PATH = join(import.meta.dirname, 'quality-model.json');

/** Throws `WorldError` `CONFIG_UNREADABLE` or `CONFIG_INVALID`, whose detail has one line per fault. */
export const loadConfig = (sources: ConfigSources = {}): Config => {
  let tree = readTree(DEFAULT_PATH);
  if (sources.filePath !== undefined) {
    tree = mergeTrees(tree, readTree(sources.filePath));
  }
  for (const setting of sources.settings ?? []) {
    tree = mergeTrees(tree, parseSetting(setting));
  }
  const checked = CONFIG_SCHEMA.safeParse(tree);
  if (!checked.success) {
    const faults = checked.error.issues.map((issue) => `${issue.path.join('.') || '(top)'}: ${issue.message}`);
    throw new WorldError('CONFIG_INVALID', `\n  ${faults.join('\n  ')}`);
  }
  return deepFreeze(checked.data);
};

/** What a CRF shows, as it was calibrated. Throws as `loadConfig` does. */
export const loadQualityModel = (): QualityModel => {
  const checked = QUALITY_MODEL_SCHEMA.safeParse(readTree(MODEL_PATH));
  if (!checked.success) {
    throw new WorldError('CONFIG_INVALID', `${MODEL_PATH}: ${checked.error.message}`);
  }
  return deepFreeze(checked.data);
};

const readTree = (path: string): Tree => {
  try {
    const parsed: unknown = parseYaml(readFileSync(path, 'utf8')) ?? {};
    if (isTree(parsed)) {
      return parsed;
    }
  } catch (error) {
    throw new WorldError('CONFIG_UNREADABLE', `${path}: ${messageOf(error)}`, error);
  }
  throw new WorldError('CONFIG_UNREADABLE', `${path}: expected keys and values at the top`);
};

/** `a.b=1` → `{ a: { b: 1 } }`. */
const parseSetting = (setting: string): Tree => {
  const equals = setting.indexOf('=');
  if (equals < 1) {
    throw new WorldError('CONFIG_INVALID', `--set ${setting}: expected key.path=value`);
  }
  const value: unknown = parseYaml(setting.slice(equals + 1));
  const keys = setting.slice(0, equals).split('.');
  return keys.reduceRight<Tree>((inner, key, index) => ({ [key]: index === keys.length - 1 ? value : inner }), {});
};

/** Keys of `over` win; trees are merged, lists are replaced whole. */
const mergeTrees = (under: Tree, over: Tree): Tree => {
  const merged: Tree = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isTree(below) && isTree(value) ? mergeTrees(below, value) : value;
  }
  return merged;
};

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
};
