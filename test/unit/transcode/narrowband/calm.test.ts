/** When there is CPU for a second encoder. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CalmLook } from '../../../../transcode/narrowband/calm.ts';
import { Calm } from '../../../../transcode/narrowband/calm.ts';

const QUIET = { lagMs: 40, droppedCount: 0, isSteady: true };

/** Looks four times a second from `fromMs` on; answers after how long it was calm, undefined when it never was. */
const calmAfterMs = (calm: Calm, fromMs: number, given: Omit<CalmLook, 'nowMs'> = QUIET): number | undefined => {
  for (let passedMs = 0; passedMs <= 20_000; passedMs += 250) {
    if (calm.look({ nowMs: fromMs + passedMs, ...given })) {
      return passedMs;
    }
  }
  return undefined;
};

test('after five seconds without lag, loss or change', () => {
  assert.equal(calmAfterMs(new Calm(), 0), 5_000);
});

test('never while something is late, or another encoder starts', () => {
  assert.equal(calmAfterMs(new Calm(), 0, { ...QUIET, lagMs: 151 }), undefined);
  assert.equal(calmAfterMs(new Calm(), 0, { ...QUIET, isSteady: false }), undefined);
});

test('one late look, or one picture left out, and the five seconds begin anew', () => {
  for (const trouble of [{ lagMs: 300 }, { droppedCount: 1 }]) {
    const calm = new Calm();
    assert.equal(calmAfterMs(calm, 0), 5_000);
    assert.ok(!calm.look({ nowMs: 5_250, ...QUIET, ...trouble }));
    const after = { ...QUIET, droppedCount: trouble.droppedCount ?? 0 };
    assert.equal(calmAfterMs(calm, 5_500, after), 5_000);
  }
});
