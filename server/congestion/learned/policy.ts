/**
 * What the search found (`npm run learn`), as the server reads it: vectors of parameters per class of network and λ, what is known of a class
 * before the first packet, and where both came from. Files are outside data: every number is brought inside its safe range, every fault is a
 * value with a code and a sentence, and whoever asks goes on with the defaults.
 */
import type { Prior } from '../controller.ts';
import type { Parameters } from '../parameters.ts';
import { PARAMETER_RANGES, parametersWith } from '../parameters.ts';
import { interpolate } from './coding.ts';

/** `all`: one vector whatever the network. The others are those of CONGESTION 4.2, merged for want of traces. */
export const POLICY_CLASSES = ['all', 'constrained|outage', 'lossy|long|volatile', 'stable|jittery'] as const;
export type PolicyClass = (typeof POLICY_CLASSES)[number];

export const POLICY_SCHEMA = 'sluice-policy';
export const POLICY_VERSION = 1;
/** Characters, and so bytes too: names and numbers are ASCII. */
export const POLICY_MAX_BYTES = 262_144;

export type PolicyVector = {
  readonly networkClass: PolicyClass;
  /** λ for which it was searched. */
  readonly smoothnessRatio: number;
  /** Complete and inside the safe ranges. */
  readonly parameters: Parameters;
  /** What it gained over the own defaults where it was vetted, at least: a session's utility, and the logarithm of its stall. */
  readonly gain: PolicyGain;
};

export type PolicyGain = { readonly utility: number; readonly logStall: number };

export type Policy = {
  readonly vectors: readonly PolicyVector[];
  /** What sessions of the class could receive and needed. */
  readonly priors: ReadonlyMap<PolicyClass, Prior>;
  /** Of the traces it was made from. */
  readonly dataSha256: string;
  /** What its first vector reached in the simulator beside the own defaults; undefined where the file does not say. It is only shown. */
  readonly reached?: PolicyReached | undefined;
};

export type PolicyReached = { readonly learned: FrontierPoint; readonly defaults: FrontierPoint };

/** Means of sessions. */
export type FrontierPoint = { readonly latencyMs: number; readonly stallRatio: number };

/** `POLICY_TOO_LARGE`, `POLICY_NOT_JSON`, `POLICY_VERSION_UNKNOWN`, `POLICY_FIELD_WRONG`. */
export type PolicyFault = { readonly code: string; readonly detail: string };

export type PolicyReading =
  | {
      readonly policy: Policy;
      /** Parameters that this version does not know; left out. */
      readonly unknownNames: readonly string[];
      readonly fault?: undefined;
    }
  | { readonly policy?: undefined; readonly unknownNames?: undefined; readonly fault: PolicyFault };

const VECTOR_MAX_COUNT = 64;
const UNKNOWN_MAX_COUNT = 16;
const NAME_MAX_LENGTH = 64;
const PRIOR_RATE_BPS = { min: 300_000, max: 5_000_000 };
const PRIOR_DELAY_MS = { min: 20, max: 800 };
/** A file may not make anybody believe more than some dozens of sessions can mend. */
const GAIN_MAX: PolicyGain = { utility: 0.1, logStall: 0.3 };
export const NO_GAIN: PolicyGain = { utility: 0, logStall: 0 };
const PARAMETER_NAMES: readonly string[] = Object.keys(PARAMETER_RANGES);

/** Any text; never throws. */
export const readPolicy = (text: string): PolicyReading => {
  if (text.length > POLICY_MAX_BYTES) {
    return { fault: { code: 'POLICY_TOO_LARGE', detail: `more than ${POLICY_MAX_BYTES} characters` } };
  }
  const json = parseJson(text);
  if (json === undefined) {
    return { fault: { code: 'POLICY_NOT_JSON', detail: 'cut short, or no JSON at all' } };
  }
  const faults: string[] = [];
  const unknownNames = new Set<string>();
  const head = fieldsOf(json.value);
  const schema = head?.['schema'];
  const version = head?.['version'];
  if (head === undefined || schema !== POLICY_SCHEMA || version !== POLICY_VERSION) {
    const detail = `expected schema ${POLICY_SCHEMA}, version ${POLICY_VERSION}, got ${shown(schema)}, ${shown(version)}`;
    return { fault: { code: 'POLICY_VERSION_UNKNOWN', detail } };
  }
  const vectors = listOf(head['vectors'], 'vectors', faults).map((entry, index) =>
    toVector(entry, `vectors[${index}]`, { faults, unknownNames }),
  );
  const priors = listOf(head['priors'], 'priors', faults).map((entry, index) =>
    toPrior(entry, `priors[${index}]`, faults),
  );
  const dataSha256 = head['dataSha256'];
  if (typeof dataSha256 !== 'string' || !/^[0-9a-f]{64}$/.test(dataSha256)) {
    faults.push(`dataSha256: expected 64 hexadecimal digits, got ${shown(dataSha256)}`);
  }
  const [first] = faults;
  if (first !== undefined) {
    return { fault: { code: 'POLICY_FIELD_WRONG', detail: first } };
  }
  return {
    policy: {
      vectors: vectors.filter((vector) => vector !== undefined),
      priors: new Map(priors.filter((prior) => prior !== undefined)),
      dataSha256: String(dataSha256),
      reached: reachedOf(head['reached']),
    },
    unknownNames: [...unknownNames],
  };
};

/**
 * The parameters of a class for a λ: between the nearest vectors below and above, in coded space; beyond the outermost, that one. Undefined
 * where nothing was learned.
 */
export const parametersFor = (
  policies: readonly Policy[],
  networkClass: PolicyClass,
  smoothnessRatio: number,
): Parameters | undefined => {
  const vectors = policies
    .flatMap((policy) => policy.vectors.filter((vector) => vector.networkClass === networkClass))
    .sort((a, b) => a.smoothnessRatio - b.smoothnessRatio);
  const above = vectors.find((vector) => vector.smoothnessRatio >= smoothnessRatio);
  const below = vectors.findLast((vector) => vector.smoothnessRatio <= smoothnessRatio);
  if (above === undefined || below === undefined || above.smoothnessRatio === below.smoothnessRatio) {
    return (below ?? above)?.parameters;
  }
  const ratio = (smoothnessRatio - below.smoothnessRatio) / (above.smoothnessRatio - below.smoothnessRatio);
  return interpolate(below.parameters, above.parameters, ratio);
};

/** What is believed of a class's vectors before any session: as vetted at the λ that most viewers have. */
export const gainFor = (policies: readonly Policy[], networkClass: PolicyClass): PolicyGain => {
  const distanceOf = ({ smoothnessRatio }: PolicyVector): number => Math.abs(smoothnessRatio - 0.5);
  const [nearest] = policies
    .flatMap(({ vectors }) => vectors.filter((vector) => vector.networkClass === networkClass))
    .sort((a, b) => distanceOf(a) - distanceOf(b));
  return nearest?.gain ?? NO_GAIN;
};

const parseJson = (text: string): { value: unknown } | undefined => {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    // Of a text that deep or broken nothing more can be said than that it is.
    return undefined;
  }
};

type Fields = Readonly<Record<string, unknown>>;

/** Own fields alone: what a file calls `__proto__` or `constructor` is a name like any other. */
const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.assign(Object.create(null) as Record<string, unknown>, value)
    : undefined;

const listOf = (value: unknown, path: string, faults: string[]): readonly unknown[] => {
  if (!Array.isArray(value) || value.length > VECTOR_MAX_COUNT) {
    faults.push(`${path}: expected a list of at most ${VECTOR_MAX_COUNT}, got ${shown(value)}`);
    return [];
  }
  return value;
};

const toVector = (
  entry: unknown,
  path: string,
  { faults, unknownNames }: { faults: string[]; unknownNames: Set<string> },
): PolicyVector | undefined => {
  const fields = fieldsOf(entry);
  const networkClass = classOf(fields?.['networkClass'], path, faults);
  const smoothnessRatio = numberOf(fields?.['smoothnessRatio'], `${path}.smoothnessRatio`, faults);
  const given = fieldsOf(fields?.['parameters']);
  if (given === undefined) {
    faults.push(`${path}.parameters: expected an object, got ${shown(fields?.['parameters'])}`);
  }
  const wanted: Partial<Record<keyof Parameters, number>> = {};
  for (const [name, value] of Object.entries(given ?? {})) {
    if (!PARAMETER_NAMES.includes(name)) {
      if (unknownNames.size < UNKNOWN_MAX_COUNT) {
        unknownNames.add(name.slice(0, NAME_MAX_LENGTH));
      }
      continue;
    }
    const number = numberOf(value, `${path}.parameters.${name}`, faults);
    if (number !== undefined) {
      wanted[name as keyof Parameters] = number;
    }
  }
  const gain = gainOf(fields?.['gain'], `${path}.gain`, faults);
  if (networkClass === undefined || smoothnessRatio === undefined) {
    return undefined;
  }
  return {
    networkClass,
    gain,
    smoothnessRatio: Math.min(1, Math.max(0, smoothnessRatio)),
    parameters: parametersWith(wanted),
  };
};

/** Files from before there were gains say nothing. */
const gainOf = (value: unknown, path: string, faults: string[]): PolicyGain => {
  if (value === undefined) {
    return NO_GAIN;
  }
  const fields = fieldsOf(value);
  const within = (name: keyof PolicyGain): number => {
    const number = numberOf(fields?.[name], `${path}.${name}`, faults) ?? 0;
    return Math.min(GAIN_MAX[name], Math.max(-GAIN_MAX[name], number));
  };
  return { utility: within('utility'), logStall: within('logStall') };
};

const toPrior = (entry: unknown, path: string, faults: string[]): readonly [PolicyClass, Prior] | undefined => {
  const fields = fieldsOf(entry);
  const networkClass = classOf(fields?.['networkClass'], path, faults);
  const rateBps = numberOf(fields?.['rateBps'], `${path}.rateBps`, faults);
  const playoutDelayMs = numberOf(fields?.['playoutDelayMs'], `${path}.playoutDelayMs`, faults);
  if (networkClass === undefined || rateBps === undefined || playoutDelayMs === undefined) {
    return undefined;
  }
  return [
    networkClass,
    {
      rateBps: Math.min(PRIOR_RATE_BPS.max, Math.max(PRIOR_RATE_BPS.min, rateBps)),
      playoutDelayMs: Math.min(PRIOR_DELAY_MS.max, Math.max(PRIOR_DELAY_MS.min, playoutDelayMs)),
    },
  ];
};

/** Links that were not searched on say more, and recorded ones more than made-up ones. */
const TABLE_NAMES = ['validation real', 'validation synthetic', 'search real', 'search synthetic'];
const LATENCY_MAX_MS = 60_000;

const reachedOf = (value: unknown): PolicyReached | undefined => {
  const tables = fieldsOf(value);
  const table = fieldsOf(TABLE_NAMES.map((name) => tables?.[name]).find((found) => found !== undefined));
  const learned = pointOf(table?.['learned']);
  const defaults = pointOf(table?.['defaults']);
  return learned === undefined || defaults === undefined ? undefined : { learned, defaults };
};

const pointOf = (value: unknown): FrontierPoint | undefined => {
  const { latencyP50Ms, stallRatio } = fieldsOf(value) ?? {};
  const isPoint =
    typeof latencyP50Ms === 'number' &&
    typeof stallRatio === 'number' &&
    latencyP50Ms >= 0 &&
    latencyP50Ms <= LATENCY_MAX_MS &&
    stallRatio >= 0 &&
    stallRatio <= 1;
  return isPoint ? { latencyMs: latencyP50Ms, stallRatio } : undefined;
};

const classOf = (value: unknown, path: string, faults: string[]): PolicyClass | undefined => {
  const found = POLICY_CLASSES.find((name) => name === value);
  if (found === undefined) {
    faults.push(`${path}.networkClass: expected one of ${POLICY_CLASSES.join(', ')}, got ${shown(value)}`);
  }
  return found;
};

/** JSON knows no NaN, but 1e999 is Infinity. */
const numberOf = (value: unknown, path: string, faults: string[]): number | undefined => {
  if (typeof value === 'number' && Number.isFinite(value)) {
    return value;
  }
  faults.push(`${path}: expected a finite number, got ${shown(value)}`);
  return undefined;
};

const SHOWN_MAX_LENGTH = 40;

/** Of anything, for a log line. */
const shown = (value: unknown): string => {
  if (Array.isArray(value)) {
    return `a list of ${value.length}`;
  }
  if (typeof value === 'string') {
    return JSON.stringify(value.slice(0, SHOWN_MAX_LENGTH));
  }
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
};
