/** The state on disk: hostile, cut or torn, there is a line in the log and the learner goes on; killed while writing, the file is whole. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Prng } from '../../../server/base/prng.ts';
import { Learner } from '../../../server/learning/learner.ts';
import type { LearnerState } from '../../../server/learning/learner-state.ts';
import { STATE_MAX_BYTES, emptyState, readState, writeState } from '../../../server/learning/learner-state.ts';
import { replacePrivateFileAsync } from '../../../server/base/private-file.ts';
import { loadState } from '../../../server/learning/state-file.ts';
import type { Log, LogFields } from '../../../server/observability/log.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { MIDDLING, lesson, newLearner, someFeatures } from '../../support/learning.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { within } from '../../support/wait.ts';

const CLASS = 'stable|jittery';
const MUTATION_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 100_000 : 1_500;

const goodText = (): string => {
  const prng = new Prng(1);
  const learner = newLearner(prng);
  for (let index = 0; index < 60; index += 1) {
    const features = someFeatures(prng);
    learner.learn(CLASS, learner.choose(CLASS, features).id, lesson({ features, utility: prng.nextRatio() }));
    const outcome = {
      seconds: 60,
      stallRatio: 0.01,
      freezesPerMinute: 1,
      latencyMs: 200,
      latencyP95Ms: 300,
      qualityRatio: 0.8,
      switchesPerMinute: 0,
    };
    learner.noteSession(index % 5 === 0 ? 'defaults' : 'learning', {
      networkClass: CLASS,
      features,
      outcome,
      smoothnessRatio: 0.5,
    });
  }
  return writeState(learner.state, learner.armIds);
};

/** Whatever was read can be used: choices are arms, beliefs are numbers. */
const use = (text: string): void => {
  const { state } = readState(text);
  if (state !== undefined) {
    const learner = new Learner({ policies: [], state, nextRatio: () => 0.3 });
    assert.ok(learner.armNames.includes(learner.choose(CLASS, MIDDLING).name));
    for (const { arms } of learner.report()) {
      assert.ok(
        arms.every(({ utility, stallFactor }) => Number.isFinite(utility.mean + utility.deviation + stallFactor)),
      );
    }
  }
};

const NUMBERS = ['1e999', '-1', '1e300', 'null', '"x"', '0', '-1e14', '[]', '{}'];

test('any text gives a state that can be used, or a fault', () => {
  const good = goodText();
  const prng = new Prng(2);
  let readCount = 0;
  for (let index = 0; index < MUTATION_COUNT; index += 1) {
    const at = prng.nextIndex(good.length);
    const kind = prng.nextIndex(4);
    const spot = good.slice(at);
    const mutated = [
      () => good.slice(0, at),
      () => good.slice(0, at) + String.fromCharCode(prng.nextIndex(256)) + spot.slice(1),
      () => good.slice(0, at) + spot.slice(prng.nextIndex(40)),
      () => good.slice(0, at) + spot.replace(/-?\d+(?:\.\d+)?(?:e-?\d+)?/u, NUMBERS[prng.nextIndex(NUMBERS.length)]!),
    ][kind]!();
    readCount += readState(mutated).state === undefined ? 0 : 1;
    use(mutated);
  }
  assert.ok(readCount > 0, 'some are still states');
  assert.ok(readCount < MUTATION_COUNT / 2, 'most are not');
});

test('each fault has its code', () => {
  const good = JSON.parse(goodText()) as Record<string, unknown>;
  const codeOf = (value: unknown): string | undefined => readState(JSON.stringify(value)).fault?.code;
  assert.equal(readState(goodText()).fault, undefined);
  assert.equal(readState('x'.repeat(STATE_MAX_BYTES + 1)).fault?.code, 'LEARNED_TOO_LARGE');
  assert.equal(readState('{"schema":').fault?.code, 'LEARNED_NOT_JSON');
  assert.equal(codeOf({ ...good, version: 99 }), 'LEARNED_VERSION_UNKNOWN');
  assert.equal(codeOf({ ...good, arms: { 'another class': {} } }), 'LEARNED_FIELD_WRONG');
  const sums = structuredClone(good) as { arms: Record<string, Record<string, { pairs: number[]; weight: number }>> };
  const first = Object.values(sums.arms[CLASS]!)[0]!;
  first.pairs[1] = 1e6;
  assert.match(readState(JSON.stringify(sums)).fault?.detail ?? '', /no sessions have such sums/);
  // Each pair alone could be, all together cannot: three features that all go against each other.
  const size = 10 * first.weight;
  first.pairs.fill(0);
  [0, 9, 17].forEach((place) => (first.pairs[place] = size / 10));
  [1, 2, 10].forEach((place) => (first.pairs[place] = -0.09 * size));
  assert.match(readState(JSON.stringify(sums)).fault?.detail ?? '', /no sessions have such sums/);
  assert.equal(codeOf({ ...good, groups: JSON.parse('{"all":{"__proto__":{}}}') }), 'LEARNED_FIELD_WRONG');
});

const logTo = (lines: [string, LogFields][]): Log => ({
  ...silentLog,
  info: (event, fields = {}) => lines.push([event, fields]),
  warn: (event, fields = {}) => lines.push([event, fields]),
});

test('a file that cannot be used is one line, is put aside, and nothing is known', async () => {
  const folder = tempFolder('learned');
  const file = path.join(folder, 'learned.json');
  const lines: [string, LogFields][] = [];
  assert.deepEqual(await loadState(file, 5, logTo(lines)), emptyState(5));
  assert.deepEqual(lines, [], 'none is no fault');
  await writeFile(file, goodText().slice(0, 500));
  assert.deepEqual(await loadState(file, 5, logTo(lines)), emptyState(5));
  assert.equal(lines.length, 1);
  assert.equal(lines[0]![0], 'congestion.learned.refused');
  assert.equal(lines[0]![1]['code'], 'LEARNED_NOT_JSON');
  assert.deepEqual(await readdir(folder), ['learned.json.refused']);
  await replacePrivateFileAsync(file, goodText());
  assert.equal((await loadState(file, 5, silentLog)).arms.size, 1);
});

test('what other nodes have learned is added once', async () => {
  const folder = tempFolder('learned');
  const file = path.join(folder, 'learned.json');
  await replacePrivateFileAsync(file, goodText());
  await writeFile(path.join(folder, 'learned-north.json'), goodText());
  await writeFile(path.join(folder, 'learned-south.json'), 'not a state');
  const countOf = (state: LearnerState): number =>
    [...state.arms.get(CLASS)!.values()].reduce((sum, { sessionCount }) => sum + sessionCount, 0);
  const lines: [string, LogFields][] = [];
  assert.equal(countOf(await loadState(file, 0, logTo(lines))), 120);
  assert.deepEqual(
    lines.map(([event]) => event),
    ['congestion.learned.loaded', 'congestion.learned.loaded', 'congestion.learned.refused'],
  );
  assert.equal(countOf(await loadState(file, 0, silentLog)), 60, 'it was not saved, so only its own is there');
});

/** Writes states of growing size without end. */
const WRITER = (stateFile: string): string => `
  const { replacePrivateFileAsync } = await import(${JSON.stringify(pathToFileURL(path.resolve(import.meta.dirname, '../../../server/base/private-file.ts')).href)});
  const text = process.argv[1];
  process.stdout.write('begun');
  for (let index = 1; ; index += 1) {
    await replacePrivateFileAsync(${JSON.stringify(stateFile)}, text.replace('"fadedAtWallMs":0', '"fadedAtWallMs":' + index).padEnd(200_000));
  }`;

test('killed while it writes, the file is the old one or the new one', async () => {
  const folder = tempFolder('learned');
  const file = path.join(folder, 'learned.json');
  const prng = new Prng(6);
  for (let round = 0; round < 6; round += 1) {
    const writer = spawn(process.execPath, ['--input-type=module', '-e', WRITER(file), goodText()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(writer, 'exit');
    await once(writer.stdout, 'data');
    await within(10_000, 'a state was written', async () => (await readdir(folder)).includes('learned.json'));
    const seen = await readFile(file, 'utf8');
    // At any moment of the next writing.
    await within(10_000, 'another one was', async () => (await readFile(file, 'utf8')) !== seen);
    for (let turn = prng.nextIndex(400); turn > 0; turn -= 1) {
      await new Promise(setImmediate);
    }
    writer.kill('SIGKILL');
    await ended;
    const { state, fault } = readState(await readFile(file, 'utf8'));
    assert.equal(fault, undefined);
    assert.ok(state.fadedAtWallMs > 0);
  }
});
