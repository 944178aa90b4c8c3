/**
 * Parameters as coordinates in [0, 1], the space in which they are searched and interpolated: logarithm for times and scales, logit for
 * fractions. Values lie on a decimal grid of at least four digits, so that a round trip is exact and a policy file can be read.
 */
import type { Parameters } from '../parameters.ts';
import { PARAMETER_RANGES, parametersWith } from '../parameters.ts';

/** `offset`: added before the logarithm, where a range begins at 0. */
type Scale = { readonly kind: 'log'; readonly offset: number } | { readonly kind: 'logit' };

const LOG: Scale = { kind: 'log', offset: 0 };
const LOGIT: Scale = { kind: 'logit' };

/** Fractions of which 1 is a legal value have no logit there; over their range the logarithm does as well. */
const SCALES: Readonly<Record<keyof Parameters, Scale>> = {
  backoffRatio: LOGIT,
  trendGain: LOG,
  lossToleranceRatio: LOGIT,
  queueEmergencyMs: LOG,
  queueDrainMs: LOG,
  trainGainRatio: LOGIT,
  safetyRatio: LOG,
  upMarginRatio: LOG,
  upHoldMs: { kind: 'log', offset: 500 },
  stickMs: LOG,
  paceRatio: LOG,
  burstMaxMs: LOG,
  cutBacklogMs: LOG,
  dropBacklogMs: LOG,
  repairShareRatio: LOGIT,
  repairPatienceRatio: { kind: 'log', offset: 0.5 },
  needHalfLifeS: LOG,
  playoutMarginMs: { kind: 'log', offset: 10 },
  playoutGraceMs: { kind: 'log', offset: 20 },
  playoutMinMs: LOG,
  playoutMaxMs: LOG,
  playoutFallMsPerS: LOG,
};

const GRID_DIGITS = 4;

/** Steps of the grid: `GRID_DIGITS` digits of the largest legal value. */
const digitsOf = (name: keyof Parameters): number =>
  Math.max(0, GRID_DIGITS - 1 - Math.floor(Math.log10(PARAMETER_RANGES[name].max)));

const stretch = (value: number, scale: Scale): number =>
  scale.kind === 'log' ? Math.log(value + scale.offset) : Math.log(value / (1 - value));

const unstretch = (stretched: number, scale: Scale): number =>
  scale.kind === 'log' ? Math.exp(stretched) - scale.offset : 1 / (1 + Math.exp(-stretched));

/** Any number folded into [0, 1] as by mirrors at both ends. */
export const reflect = (coordinate: number): number => {
  const folded = ((coordinate % 2) + 2) % 2;
  return folded > 1 ? 2 - folded : folded;
};

/** What is outside its safe range is brought inside first. */
export const encode = (name: keyof Parameters, value: number): number => {
  const { min, max } = PARAMETER_RANGES[name];
  const scale = SCALES[name];
  const low = stretch(min, scale);
  return (stretch(Math.min(max, Math.max(min, value)), scale) - low) / (stretch(max, scale) - low);
};

/** In its safe range for any finite coordinate. */
export const decode = (name: keyof Parameters, coordinate: number): number => {
  const { min, max } = PARAMETER_RANGES[name];
  const scale = SCALES[name];
  const low = stretch(min, scale);
  const value = unstretch(low + reflect(coordinate) * (stretch(max, scale) - low), scale);
  return Math.min(max, Math.max(min, Number(value.toFixed(digitsOf(name)))));
};

export const encodeAll = (names: readonly (keyof Parameters)[], values: Partial<Parameters>): number[] => {
  const whole = parametersWith(values);
  return names.map((name) => encode(name, whole[name]));
};

/** One coordinate a name, in the same order. */
export const decodeAll = (names: readonly (keyof Parameters)[], coordinates: readonly number[]): Partial<Parameters> =>
  Object.fromEntries(names.map((name, index) => [name, decode(name, coordinates[index] ?? 0)]));

/** Between two vectors, coordinate by coordinate: 0 is `from`, 1 is `to`. */
export const interpolate = (from: Parameters, to: Parameters, ratio: number): Parameters => {
  const names = Object.keys(SCALES) as (keyof Parameters)[];
  const mixed = names.map((name) => {
    const start = encode(name, from[name]);
    return [name, decode(name, start + ratio * (encode(name, to[name]) - start))];
  });
  return parametersWith(Object.fromEntries(mixed) as Partial<Parameters>);
};
