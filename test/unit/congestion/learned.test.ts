/** Learned vectors as the server meets them: coordinates, interpolation, and files that may say anything. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { decode, encode, interpolate, reflect } from '../../../server/congestion/learned/coding.ts';
import type { Policy, PolicyClass } from '../../../server/congestion/learned/policy.ts';
import { POLICY_MAX_BYTES, gainFor, parametersFor, readPolicy } from '../../../server/congestion/learned/policy.ts';
import type { Parameters } from '../../../server/congestion/parameters.ts';
import { PARAMETER_RANGES, parametersWith } from '../../../server/congestion/parameters.ts';
import { Prng } from '../../../server/base/prng.ts';

const NAMES = Object.keys(PARAMETER_RANGES) as (keyof Parameters)[];

const isInRange = (name: keyof Parameters, value: number): boolean =>
  value >= PARAMETER_RANGES[name].min && value <= PARAMETER_RANGES[name].max;

test('parameters come back exactly from their coordinates: defaults, both ends, and anything in between', () => {
  const prng = new Prng(7);
  for (const name of NAMES) {
    const { min, max } = PARAMETER_RANGES[name];
    assert.equal(decode(name, encode(name, PARAMETER_RANGES[name].default)), PARAMETER_RANGES[name].default, name);
    assert.equal(decode(name, 0), min, name);
    assert.equal(decode(name, 1), max, name);
    for (let round = 0; round < 200; round += 1) {
      const value = decode(name, prng.nextRatio());
      assert.equal(decode(name, encode(name, value)), value, name);
    }
  }
});

test('coordinates grow with their parameter, and cover it finely', () => {
  for (const name of NAMES) {
    const values = Array.from({ length: 101 }, (_, index) => decode(name, index / 100));
    assert.deepEqual(
      values,
      values.toSorted((a, b) => a - b),
      name,
    );
    assert.ok(new Set(values).size > 70, `${name}: ${new Set(values).size} values`);
  }
});

test('whatever the coordinate, the parameter is inside its safe range', () => {
  for (const name of NAMES) {
    for (const coordinate of [-1e9, -2.5, -1e-12, 0.5, 1 + 1e-12, 1.25, 7, 1e9]) {
      assert.ok(isInRange(name, decode(name, coordinate)), `${name} at ${coordinate}`);
    }
  }
});

test('a coordinate beyond a bound is mirrored at it', () => {
  const near = (actual: number, expected: number): void => assert.ok(Math.abs(actual - expected) < 1e-9);
  near(reflect(-0.2), 0.2);
  near(reflect(1.3), 0.7);
  near(reflect(2.4), 0.4);
  near(reflect(-1.1), 0.9);
  assert.equal(reflect(0), 0);
  assert.equal(reflect(1), 1);
});

test('between two vectors lies their middle in coordinates, at the ends they themselves', () => {
  const low = parametersWith({ paceRatio: 1.5 });
  const high = parametersWith({ paceRatio: 3 });
  assert.deepEqual(interpolate(low, high, 0), low);
  assert.deepEqual(interpolate(low, high, 1), high);
  assert.equal(interpolate(low, high, 0.5).paceRatio, Number(Math.sqrt(4.5).toFixed(3)));
});

const FILE = {
  schema: 'sluice-policy',
  version: 1,
  dataSha256: 'a'.repeat(64),
  vectors: [
    { networkClass: 'all', smoothnessRatio: 0.25, parameters: { paceRatio: 1.5, burstMaxMs: 40 } },
    { networkClass: 'all', smoothnessRatio: 0.75, parameters: { paceRatio: 3 } },
  ],
  priors: [{ networkClass: 'stable|jittery', rateBps: 2_000_000, playoutDelayMs: 90, sessionCount: 12 }],
  made: { seed: 1 },
};

const policyOf = (changes: object = {}): Policy => {
  const { policy, fault } = readPolicy(JSON.stringify({ ...FILE, ...changes }));
  assert.equal(fault, undefined);
  assert.ok(policy !== undefined);
  return policy;
};

const vectorWith = (parameters: object): object => ({
  vectors: [{ networkClass: 'all', smoothnessRatio: 0.5, parameters }],
});

const codeOf = (text: string): string | undefined => readPolicy(text).fault?.code;
const codeWith = (changes: object): string | undefined => codeOf(JSON.stringify({ ...FILE, ...changes }));

test('a policy file gives complete vectors: what it does not name is the default', () => {
  const [first, second] = policyOf().vectors;
  assert.deepEqual(first?.parameters, parametersWith({ paceRatio: 1.5, burstMaxMs: 40 }));
  assert.equal(second?.parameters.burstMaxMs, PARAMETER_RANGES.burstMaxMs.default);
  assert.deepEqual(policyOf().priors.get('stable|jittery'), { rateBps: 2_000_000, playoutDelayMs: 90 });
});

test('what a vector is believed to gain is read, bounded, and nothing where a file does not say', () => {
  const gainWith = (gain: unknown) => readPolicy(JSON.stringify({ ...FILE, vectors: [{ ...FILE.vectors[0], gain }] }));
  assert.deepEqual(policyOf().vectors[0]?.gain, { utility: 0, logStall: 0 });
  const modest = gainWith({ utility: 0.04, logStall: -0.2 }).policy!;
  assert.deepEqual(modest.vectors[0]?.gain, { utility: 0.04, logStall: -0.2 });
  assert.deepEqual(gainFor([modest], FILE.vectors[0]!.networkClass as PolicyClass), { utility: 0.04, logStall: -0.2 });
  assert.deepEqual(gainWith({ utility: 1e9, logStall: -1e9 }).policy?.vectors[0]?.gain, {
    utility: 0.1,
    logStall: -0.3,
  });
  assert.equal(gainWith({ utility: 0.04 }).fault?.code, 'POLICY_FIELD_WRONG');
  assert.equal(gainWith('much').fault?.code, 'POLICY_FIELD_WRONG');
});

test('what a file says it reached is only shown: where it makes no sense the vectors count all the same', () => {
  const side = { latencyP50Ms: 90, stallRatio: 0.01 };
  const reachedWith = (learned: unknown): Policy['reached'] =>
    policyOf({ reached: { 'validation synthetic': { learned, defaults: side } } }).reached;
  const point = { latencyMs: 90, stallRatio: 0.01 };
  assert.deepEqual(reachedWith(side), { learned: point, defaults: point });
  for (const wrong of [
    undefined,
    7,
    [],
    { ...side, stallRatio: 1.5 },
    { ...side, latencyP50Ms: -1 },
    { stallRatio: 0 },
  ]) {
    assert.equal(reachedWith(wrong), undefined);
  }
  assert.equal(policyOf().reached, undefined);
  assert.equal(policyOf({ reached: [] }).reached, undefined);
});

test('for a λ between two vectors there is one between them; beyond the outermost it is that one', () => {
  const policies = [policyOf()];
  assert.equal(parametersFor(policies, 'all', 0)?.paceRatio, 1.5);
  assert.equal(parametersFor(policies, 'all', 0.75)?.paceRatio, 3);
  assert.equal(parametersFor(policies, 'all', 1)?.paceRatio, 3);
  assert.equal(parametersFor(policies, 'all', 0.5)?.paceRatio, Number(Math.sqrt(4.5).toFixed(3)));
  assert.equal(parametersFor(policies, 'stable|jittery', 0.5), undefined);
  assert.equal(parametersFor([], 'all', 0.5), undefined);
});

test('hostile numbers are brought inside their safe ranges', () => {
  for (const value of [-1e308, -1, 0, 1e-300, 1e300]) {
    const everything = Object.fromEntries(NAMES.map((name) => [name, value]));
    const [vector] = policyOf(vectorWith(everything)).vectors;
    assert.ok(vector !== undefined);
    for (const name of NAMES) {
      assert.ok(isInRange(name, vector.parameters[name]), `${name} ${vector.parameters[name]} for ${value}`);
    }
  }
  const priors = [{ networkClass: 'all', rateBps: 1e300, playoutDelayMs: -1e300 }];
  assert.deepEqual(policyOf({ priors }).priors.get('all'), { rateBps: 5_000_000, playoutDelayMs: 20 });
  const [beyond] = policyOf({ vectors: [{ ...FILE.vectors[0], smoothnessRatio: 17 }] }).vectors;
  assert.equal(beyond?.smoothnessRatio, 1);
});

test('what is no finite number is a fault that names its place', () => {
  const infinite = JSON.stringify({ ...FILE, ...vectorWith({ paceRatio: 12_345 }) }).replace('12345', '1e999');
  assert.deepEqual(readPolicy(infinite).fault, {
    code: 'POLICY_FIELD_WRONG',
    detail: 'vectors[0].parameters.paceRatio: expected a finite number, got Infinity',
  });
  for (const value of ['2', null, [2], { value: 2 }, true]) {
    assert.equal(codeWith(vectorWith({ paceRatio: value })), 'POLICY_FIELD_WRONG', JSON.stringify(value));
  }
});

test('parameters of another version are told and left out', () => {
  const text = JSON.stringify({ ...FILE, ...vectorWith({ paceRatio: 1.5, warpFactor: 9 }) });
  const { policy, unknownNames } = readPolicy(text);
  assert.deepEqual(unknownNames, ['warpFactor']);
  assert.deepEqual(policy?.vectors[0]?.parameters, parametersWith({ paceRatio: 1.5 }));
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`x${index}`.padEnd(300, 'y'), index]));
  const told = readPolicy(JSON.stringify({ ...FILE, ...vectorWith(many) })).unknownNames ?? [];
  assert.ok(told.length > 0);
  assert.ok(told.length <= 16 && told.every((name) => name.length <= 64));
});

test('keys that mean something to JavaScript are names like any other', () => {
  const text = JSON.stringify({ ...FILE, ...vectorWith({ paceRatio: 1.5 }) }).replace(
    '"paceRatio":1.5',
    '"__proto__":{"paceRatio":4,"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1,"paceRatio":1.5',
  );
  const { policy, unknownNames } = readPolicy(text);
  assert.deepEqual(policy?.vectors[0]?.parameters, parametersWith({ paceRatio: 1.5 }));
  assert.deepEqual(new Set(unknownNames), new Set(['__proto__', 'constructor', 'toString']));
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  // A head that has its fields from a prototype has none.
  assert.equal(codeOf(`{"__proto__":${JSON.stringify(FILE)}}`), 'POLICY_VERSION_UNKNOWN');
  assert.equal(codeWith({ vectors: [{ ...FILE.vectors[0], networkClass: '__proto__' }] }), 'POLICY_FIELD_WRONG');
});

test('a file cut short at any byte is refused', () => {
  const text = JSON.stringify(FILE);
  for (let length = 0; length < text.length; length += 1) {
    assert.equal(codeOf(text.slice(0, length)), 'POLICY_NOT_JSON', `${length} bytes`);
  }
});

test('a file with any byte changed is refused, or every number of it is still safe', () => {
  const text = JSON.stringify(FILE);
  const prng = new Prng(3);
  for (let place = 0; place < text.length; place += 1) {
    const damaged = text.slice(0, place) + String.fromCharCode(32 + prng.nextIndex(95)) + text.slice(place + 1);
    const { policy, fault } = readPolicy(damaged);
    assert.equal(policy === undefined, fault !== undefined);
    for (const vector of policy?.vectors ?? []) {
      assert.ok(
        NAMES.every((name) => isInRange(name, vector.parameters[name])),
        damaged,
      );
    }
  }
});

test('what is no policy is refused by its own code', () => {
  assert.equal(codeOf(''), 'POLICY_NOT_JSON');
  assert.equal(codeOf('['.repeat(200_000)), 'POLICY_NOT_JSON');
  assert.equal(codeOf(' '.repeat(POLICY_MAX_BYTES + 1)), 'POLICY_TOO_LARGE');
  for (const text of ['null', '[]', '"sluice-policy"', '{}', '17']) {
    assert.equal(codeOf(text), 'POLICY_VERSION_UNKNOWN', text);
  }
  assert.equal(codeWith({ version: 2 }), 'POLICY_VERSION_UNKNOWN');
  assert.equal(codeWith({ schema: 'other' }), 'POLICY_VERSION_UNKNOWN');
  assert.equal(codeWith({ vectors: undefined }), 'POLICY_FIELD_WRONG');
  assert.equal(codeWith({ vectors: [null] }), 'POLICY_FIELD_WRONG');
  assert.equal(codeWith({ vectors: Array.from({ length: 65 }, () => FILE.vectors[0]) }), 'POLICY_FIELD_WRONG');
  assert.equal(codeWith({ priors: {} }), 'POLICY_FIELD_WRONG');
  assert.equal(codeWith({ dataSha256: 'b'.repeat(63) }), 'POLICY_FIELD_WRONG');
  assert.equal(codeWith({ vectors: [{ ...FILE.vectors[0], networkClass: 'lunar' }] }), 'POLICY_FIELD_WRONG');
});
