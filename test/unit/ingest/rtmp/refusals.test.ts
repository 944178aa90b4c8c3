/** Who was turned away of late: the newest reason of each name, for a minute, of so many names at most. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusals } from '../../../../server/ingest/rtmp/refusals.ts';

const refusal = (detail: string): { code: string; detail: string } => ({ code: 'AVC_CONFIG_INVALID', detail });

test('the newest reason is told for a minute', () => {
  const refusals = new Refusals();
  refusals.note('shop', refusal('first'), 0);
  refusals.note('shop', refusal('second'), 1_000);
  const [finding, ...others] = refusals.of('shop', 60_000);
  assert.equal(finding?.severity, 'problem');
  assert.match(finding.advice, /: second \(AVC_CONFIG_INVALID\)\./u);
  assert.deepEqual(others, []);
  assert.deepEqual(refusals.of('kitchen', 60_000), []);
  assert.deepEqual(refusals.of('shop', 61_001), []);
});

test('of many names the oldest are forgotten', () => {
  const refusals = new Refusals();
  for (let index = 0; index < 300; index += 1) {
    refusals.note(`name-${index}`, refusal('x'), index);
    refusals.note('again', refusal('x'), index);
  }
  const known = Array.from({ length: 300 }, (_, index) => refusals.of(`name-${index}`, 300).length);
  assert.equal(
    known.reduce((sum, count) => sum + count, 0),
    255,
  );
  assert.equal(known.at(-1), 1);
  assert.equal(refusals.of('again', 300).length, 1);
});
