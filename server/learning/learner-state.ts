/**
 * What the learner knows, as plain data that adds: over sessions, over nodes, over restarts. Read from outside as hostile data: any text gives a state or
 * a fault in words, never an exception, and no number that could not have come from sessions.
 */
import type { NetworkClass } from '../congestion/learned/link-features.ts';
import { FEATURE_COUNT, FEATURE_MAX, NETWORK_CLASSES } from '../congestion/learned/link-features.ts';
import type { ArmSums } from './arm-sums.ts';
import { PAIR_COUNT, addSums } from './arm-sums.ts';
import { factorise } from './cholesky.ts';
import type { Group, GroupSums, MomentSums } from './holdout.ts';
import { GROUPS, MEASURES, addGroup, emptyGroup } from './holdout.ts';

export const STATE_SCHEMA = 'sluice-learned';
/** Of the layout, of the features' order and scales, and of what a target means. */
export const STATE_VERSION = 1;
/** Characters, and so bytes: it is ASCII. Three classes of eight arms are 60 kB. */
export const STATE_MAX_BYTES = 524_288;
/** Arms that no longer exist are kept for a while, since they may come back: an upgrade is undone, a file put back. */
const ARM_KEPT_MAX_COUNT = 16;
const NAME_MAX_LENGTH = 64;

export type Refusals = { unreported: number; contradicted: number; short: number };

export type LearnerState = {
  /** Unix time to which everything has been faded. */
  fadedAtWallMs: number;
  /** Of the oldest comparison. */
  sinceWallMs: number;
  /** By class and the arm's id. */
  readonly arms: Map<NetworkClass, Map<string, ArmSums>>;
  /** Of all networks (`all`), and by class where the groups' viewers are told apart in the same way. */
  readonly groups: Map<NetworkClass | 'all', Map<Group, GroupSums>>;
  /** Sessions from which nothing was learned, by why. */
  readonly refused: Refusals;
};

export type StateFault = { readonly code: string; readonly detail: string };
export type StateReading =
  | { readonly state: LearnerState; readonly fault?: undefined }
  | { readonly state?: undefined; readonly fault: StateFault };

export const emptyState = (nowWallMs: number): LearnerState => ({
  fadedAtWallMs: nowWallMs,
  sinceWallMs: nowWallMs,
  arms: new Map(),
  groups: new Map(),
  refused: { unreported: 0, contradicted: 0, short: 0 },
});

/** A week's half-life: networks and players change. */
const HALF_LIFE_MS = 7 * 24 * 3_600_000;
const FADED_AWAY = 0.02;

/** Older knowledge counts less. A clock that was put back fades nothing. */
export const fade = (state: LearnerState, nowWallMs: number): void => {
  const ratio = 2 ** (-Math.max(0, nowWallMs - state.fadedAtWallMs) / HALF_LIFE_MS);
  state.fadedAtWallMs = Math.max(state.fadedAtWallMs, nowWallMs);
  for (const [networkClass, arms] of state.arms) {
    for (const [id, sums] of arms) {
      // Twice the same, less one: the sums times the ratio.
      addSums(sums, sums, ratio - 1);
      if (sums.sessionCount + sums.abortCount < FADED_AWAY) {
        arms.delete(id);
      }
    }
    if (arms.size === 0) {
      state.arms.delete(networkClass);
    }
  }
};

/** Sums of both, as one node would have them that had seen the sessions of both. */
export const mergeStates = (a: LearnerState, b: LearnerState): LearnerState => {
  const nowWallMs = Math.max(a.fadedAtWallMs, b.fadedAtWallMs);
  const merged = emptyState(nowWallMs);
  merged.sinceWallMs = Math.min(a.sinceWallMs, b.sinceWallMs);
  for (const part of [a, b]) {
    const copy = structuredClone(part);
    fade(copy, nowWallMs);
    for (const [networkClass, arms] of copy.arms) {
      for (const [id, sums] of arms) {
        const there = armsOf(merged, networkClass);
        const existing = there.get(id);
        if (existing === undefined) {
          there.set(id, sums);
        } else {
          addSums(existing, sums);
        }
      }
    }
    for (const [name, groups] of copy.groups) {
      for (const [group, sums] of groups) {
        addGroup(groupSumsOf(merged, name, group), sums);
      }
    }
    for (const reason of REFUSALS) {
      merged.refused[reason] += copy.refused[reason];
    }
  }
  return merged;
};

export const armsOf = (state: LearnerState, networkClass: NetworkClass): Map<string, ArmSums> =>
  getOrPut(state.arms, networkClass, () => new Map<string, ArmSums>());

export const groupSumsOf = (state: LearnerState, name: NetworkClass | 'all', group: Group): GroupSums =>
  getOrPut(
    getOrPut(state.groups, name, () => new Map<Group, GroupSums>()),
    group,
    emptyGroup,
  );

const getOrPut = <Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value => {
  const existing = map.get(key);
  if (existing !== undefined) {
    return existing;
  }
  const made = make();
  map.set(key, made);
  return made;
};

/** The arms in use and those seen most, so that no number of upgrades lets the file grow. */
export const writeState = (state: LearnerState, armIdsInUse: ReadonlySet<string>): string => {
  const kept = (arms: ReadonlyMap<string, ArmSums>): [string, ArmSums][] =>
    [...arms]
      .sort(([a, sumsA], [b, sumsB]) => {
        const use = Number(armIdsInUse.has(b)) - Number(armIdsInUse.has(a));
        return use === 0 ? sumsB.sessionCount - sumsA.sessionCount : use;
      })
      .slice(0, ARM_KEPT_MAX_COUNT);
  const { fadedAtWallMs, sinceWallMs, refused } = state;
  return JSON.stringify({
    schema: STATE_SCHEMA,
    version: STATE_VERSION,
    fadedAtWallMs,
    sinceWallMs,
    arms: Object.fromEntries([...state.arms].map(([name, arms]) => [name, Object.fromEntries(kept(arms))])),
    groups: Object.fromEntries([...state.groups].map(([name, groups]) => [name, Object.fromEntries(groups)])),
    refused,
  });
};

/** Any text; never throws. */
export const readState = (text: string): StateReading => {
  if (text.length > STATE_MAX_BYTES) {
    return fault('LEARNED_TOO_LARGE', `more than ${STATE_MAX_BYTES} characters`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fault('LEARNED_NOT_JSON', 'cut short, or no JSON at all');
  }
  const head = fieldsOf(json);
  if (head === undefined || head['schema'] !== STATE_SCHEMA || head['version'] !== STATE_VERSION) {
    return fault('LEARNED_VERSION_UNKNOWN', `expected schema ${STATE_SCHEMA}, version ${STATE_VERSION}`);
  }
  try {
    return { state: toState(head) };
  } catch (error) {
    if (error instanceof FieldFault) {
      return fault('LEARNED_FIELD_WRONG', error.message);
    }
    throw error;
  }
};

const fault = (code: string, detail: string): StateReading => ({ fault: { code, detail } });

/** One field is not what it should be; `message` says which. */
class FieldFault extends Error {}

type Fields = Readonly<Record<string, unknown>>;

const WALL_MAX_MS = 8.64e15;
/** More sessions than anybody has: a sum beyond this is no sum. */
const COUNT_MAX = 1e12;
/** Of a feature, of a utility, of the logarithm of a stall ratio: none is larger than seven. */
const SQUARE_MAX = 49;
const SUM_MAX = COUNT_MAX * FEATURE_MAX * FEATURE_MAX * 100;
const REFUSALS: readonly (keyof Refusals)[] = ['unreported', 'contradicted', 'short'];

const toState = (head: Fields): LearnerState => {
  const state = emptyState(numberOf(head['fadedAtWallMs'], 'fadedAtWallMs', [0, WALL_MAX_MS]));
  state.sinceWallMs = numberOf(head['sinceWallMs'], 'sinceWallMs', [0, WALL_MAX_MS]);
  for (const [name, entries] of Object.entries(objectOf(head['arms'], 'arms'))) {
    const networkClass = oneOf(name, NETWORK_CLASSES, 'arms');
    const arms = Object.entries(objectOf(entries, `arms.${networkClass}`));
    if (arms.length > ARM_KEPT_MAX_COUNT) {
      throw new FieldFault(`arms.${networkClass}: expected at most ${ARM_KEPT_MAX_COUNT}, got ${arms.length}`);
    }
    for (const [id, sums] of arms) {
      if (id.length > NAME_MAX_LENGTH) {
        throw new FieldFault(`arms.${networkClass}: expected names of at most ${NAME_MAX_LENGTH} characters`);
      }
      armsOf(state, networkClass).set(id, toSums(sums, `arms.${networkClass}.${id}`));
    }
  }
  for (const [name, entries] of Object.entries(objectOf(head['groups'], 'groups'))) {
    const place = oneOf(name, ['all', ...NETWORK_CLASSES] as const, 'groups');
    for (const [group, sums] of Object.entries(objectOf(entries, `groups.${place}`))) {
      const path = `groups.${place}.${group}`;
      const into = groupSumsOf(state, place, oneOf(group, GROUPS, `groups.${place}`));
      const fields = objectOf(sums, path);
      toMoments(into.moments, fields['moments'], `${path}.moments`);
      addSums(into.sums, toSums(fields['sums'], `${path}.sums`));
    }
  }
  const refused = objectOf(head['refused'], 'refused');
  for (const reason of REFUSALS) {
    state.refused[reason] = numberOf(refused[reason], `refused.${reason}`, [0, COUNT_MAX]);
  }
  return state;
};

const toSums = (value: unknown, path: string): ArmSums => {
  const fields = objectOf(value, path);
  const target = (name: string): { products: number[]; squares: number } => {
    const inner = objectOf(fields[name], `${path}.${name}`);
    return {
      products: listOf(inner['products'], FEATURE_COUNT, `${path}.${name}.products`),
      squares: numberOf(inner['squares'], `${path}.${name}.squares`, [0, SUM_MAX]),
    };
  };
  const count = (name: string): number => numberOf(fields[name], `${path}.${name}`, [0, COUNT_MAX]);
  const sums: ArmSums = {
    sessionCount: count('sessionCount'),
    abortCount: count('abortCount'),
    seconds: count('seconds'),
    weight: count('weight'),
    pairs: listOf(fields['pairs'], PAIR_COUNT, `${path}.pairs`),
    utility: target('utility'),
    logStall: target('logStall'),
  };
  checkPossible(sums, path);
  return sums;
};

/** Of the largest square, added to all: what sums of many numbers may be off by. */
const ROUNDING_RATIO = 1e-6;

/**
 * Sums over sessions are positive semidefinite, targets included, and features are clipped. What is not came from no sessions, could not be solved,
 * and would make certainty of nothing.
 */
const checkPossible = (sums: ArmSums, path: string): void => {
  const isPossible = [sums.utility, sums.logStall].every((target) => isPossibleWith(sums, target));
  if (!isPossible) {
    throw new FieldFault(`${path}: no sessions have such sums`);
  }
};

const isPossibleWith = (sums: ArmSums, { products, squares }: ArmSums['utility']): boolean => {
  const n = FEATURE_COUNT + 1;
  const matrix = new Float64Array(n * n);
  let largest = squares;
  let at = 0;
  for (let row = 0; row < FEATURE_COUNT; row += 1) {
    for (let column = row; column < FEATURE_COUNT; column += 1) {
      matrix[column * n + row] = sums.pairs[at] ?? 0;
      at += 1;
    }
    matrix[FEATURE_COUNT * n + row] = products[row] ?? 0;
    largest = Math.max(largest, matrix[row * n + row] ?? 0);
  }
  matrix[n * n - 1] = squares;
  const rounding = ROUNDING_RATIO * (largest + 1);
  for (let row = 0; row < n; row += 1) {
    matrix[row * n + row] = (matrix[row * n + row] ?? 0) + rounding;
  }
  return largest <= SQUARE_MAX * sums.weight + rounding && factorise(matrix, n);
};

const toMoments = (into: MomentSums, value: unknown, path: string): void => {
  const fields = objectOf(value, path);
  into.sessionCount = numberOf(fields['sessionCount'], `${path}.sessionCount`, [0, COUNT_MAX]);
  for (const measure of MEASURES) {
    const inner = objectOf(fields[measure], `${path}.${measure}`);
    into[measure].sum = numberOf(inner['sum'], `${path}.${measure}.sum`, [-SUM_MAX, SUM_MAX]);
    into[measure].squares = numberOf(inner['squares'], `${path}.${measure}.squares`, [0, SUM_MAX * SUM_MAX]);
  }
};

/** Own fields alone: what a file calls `__proto__` or `constructor` is a name like any other. */
const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.assign(Object.create(null) as Record<string, unknown>, value)
    : undefined;

const objectOf = (value: unknown, path: string): Fields => {
  const fields = fieldsOf(value);
  if (fields === undefined) {
    throw new FieldFault(`${path}: expected an object`);
  }
  return fields;
};

/** JSON knows no NaN, but 1e999 is Infinity. */
const numberOf = (value: unknown, path: string, [min, max]: readonly [number, number]): number => {
  if (typeof value === 'number' && value >= min && value <= max) {
    return value;
  }
  throw new FieldFault(`${path}: expected a number from ${min} to ${max}`);
};

const listOf = (value: unknown, count: number, path: string): number[] => {
  if (!Array.isArray(value) || value.length !== count) {
    throw new FieldFault(`${path}: expected ${count} numbers`);
  }
  return value.map((entry: unknown, index) => numberOf(entry, `${path}[${index}]`, [-SUM_MAX, SUM_MAX]));
};

const oneOf = <Name extends string>(name: string, names: readonly Name[], path: string): Name => {
  const found = names.find((candidate) => candidate === name);
  if (found === undefined) {
    throw new FieldFault(
      `${path}: expected ${names.join(', ')}, got ${JSON.stringify(name.slice(0, NAME_MAX_LENGTH))}`,
    );
  }
  return found;
};
