/** The number a browser keeps for a month, and none where it can keep nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NumberStore } from '../../../player/viewer-number.ts';
import { viewerNumber } from '../../../player/viewer-number.ts';

const DAY_MS = 24 * 3_600_000;

const storeOf = (kept: Map<string, string>): NumberStore => ({
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => void kept.set(key, value),
});

test('the same for a month, then another', () => {
  const store = storeOf(new Map());
  let drawn = 0x0a1e;
  const at = (wallMs: number): string | null => viewerNumber(() => store, { wallMs, draw: () => (drawn += 1) });
  assert.equal(at(1_000), '0a1f');
  assert.equal(at(1_000 + 29 * DAY_MS), '0a1f');
  assert.equal(at(1_000 + 31 * DAY_MS), '0a20');
  assert.equal(at(5 * DAY_MS), '0a21', 'kept by a clock that was ahead');
});

test('what somebody else has written there is replaced', () => {
  const kept = new Map([['sluice-viewer', 'ffff; DROP@9']]);
  assert.equal(
    viewerNumber(() => storeOf(kept), { wallMs: 9, draw: () => 255 }),
    '00ff',
  );
});

test('where storage is forbidden there is none', () => {
  const forbidden = (): never => {
    throw new DOMException('not here', 'SecurityError');
  };
  assert.equal(viewerNumber(forbidden, { wallMs: 0, draw: () => 1 }), null);
});
