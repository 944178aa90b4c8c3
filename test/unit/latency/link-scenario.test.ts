/** What users write under `link:`: defaults, faults by key, traces from their folder only. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { parseLinkScenario, planLink } from '../../latency/link/link-scenario.ts';
import { parseTrace } from '../../latency/link/trace-file.ts';
import { tempFolder } from '../../support/temp-folder.ts';

test('an empty scenario is a perfect link', async () => {
  const { down, up } = await planLink({});
  assert.deepEqual(down, up);
  assert.equal(down.capacity, undefined);
  assert.deepEqual([down.delayMs, down.lossRatio, down.jitterMs, down.reorderRatio], [0, 0, 0, 0]);
});

test('rttMs is halved, lossRatio goes down only, the queue holds 250 ms of the mean rate', async () => {
  const { down, up } = await planLink({ rttMs: 40, lossRatio: 0.01, down: { rateBps: 3_000_000 } });
  assert.deepEqual([down.delayMs, up.delayMs], [20, 20]);
  assert.deepEqual([down.lossRatio, up.lossRatio], [0.01, 0]);
  assert.equal(down.queueMaxBytes, 93_750);
  assert.equal(up.capacity, undefined);
});

test('the queue of a slow link still holds five packets', async () => {
  const { down } = await planLink({ down: { steps: [{ durationMs: 1_000, rateBps: 50_000 }] } });
  assert.equal(down.queueMaxBytes, 7_500);
});

const FAULTS: readonly (readonly [string, unknown, RegExp])[] = [
  ['two capacities', { down: { rateBps: 1, trace: 'x.csv' } }, /link\.down\.trace: expected one of rateBps, steps/u],
  ['two queues', { down: { rateBps: 1e6, queueMs: 5, queueMaxBytes: 5_000 } }, /link\.down\.queueMs: expected one/u],
  ['a queue without capacity', { up: { queueMs: 100 } }, /link\.up\.queueMs: a link without/u],
  ['percent for a ratio', { lossRatio: 5 }, /link\.lossRatio: expected a share .* not percent/u],
  ['a key nobody knows', { down: { rateMbit: 5 } }, /link\.down.*rateMbit/u],
  ['delay stated twice', { rttMs: 40, up: { delayMs: 20 } }, /link\.up\.delayMs: expected either/u],
  ['loss stated twice', { lossRatio: 0.1, down: { lossRatio: 0.1 } }, /link\.lossRatio: stated twice/u],
  ['bursts that cannot be', { down: { lossRatio: 0.9, lossBurstCount: 2 } }, /link\.down\.lossBurstCount: runs of 2/u],
  ['a negative step', { down: { steps: [{ durationMs: 1, rateBps: -1 }] } }, /link\.down\.steps\[0\]\.rateBps/u],
];

for (const [name, scenario, message] of FAULTS) {
  test(`refuses ${name} and names the key`, () => {
    assert.throws(() => parseLinkScenario(scenario), { name: 'TypeError', message });
  });
}

test('reads a trace in kbit/s, the last value as long as the one before', () => {
  assert.deepEqual(parseTrace('time_ms,kbit_per_s,rtt_ms\n0,1000,20\n500,0,\n1000,32.5,9\n', 'x'), [
    { durationMs: 500, rateBps: 1_000_000 },
    { durationMs: 500, rateBps: 0 },
    { durationMs: 500, rateBps: 32_500 },
  ]);
});

test('refuses traces that are none, with their line', () => {
  assert.throws(() => parseTrace('a,b\n1,2\n', 'x.csv'), /x\.csv: expected the columns/u);
  assert.throws(() => parseTrace('time_ms,kbit_per_s\n0,5\n100,fast\n', 'x.csv'), /x\.csv, line 3/u);
  assert.throws(() => parseTrace('time_ms,kbit_per_s\n0,5\n100,5\n100,5\n', 'x.csv'), /does not grow/u);
  assert.throws(() => parseTrace('time_ms,kbit_per_s\n0,0\n100,0\n', 'x.csv'), /0 throughout/u);
});

test('takes traces from their folder and from nowhere else', async () => {
  const parent = tempFolder('traces');
  const tracesDir = tempFolder('in', parent);
  const text = 'time_ms,kbit_per_s\n0,800\n100,1200\n';
  await writeFile(path.join(tracesDir, 'good.csv'), text);
  await writeFile(path.join(parent, 'outside.csv'), text);
  const { down } = await planLink({ down: { trace: 'good.csv' } }, tracesDir);
  assert.equal(down.capacity?.isLooped, true);
  assert.equal(down.queueMaxBytes, 31_250);
  await assert.rejects(planLink({ down: { trace: '../outside.csv' } }, tracesDir), /outside the folder/u);
  await assert.rejects(planLink({ down: { trace: 'none.csv' } }, tracesDir), /trace none\.csv/u);
  await assert.rejects(planLink({ down: { trace: 'good.csv' } }), /asks for a folder/u);
});
