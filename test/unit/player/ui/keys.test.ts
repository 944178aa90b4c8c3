// Keys, and whose they are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deedOf } from '../../../../player/ui/keys.ts';

test('the picture has them all', () => {
  assert.deepEqual(deedOf('ArrowLeft', 'frame'), { type: 'seek-by', byMs: -5000 });
  assert.deepEqual(deedOf('L', 'frame'), { type: 'seek-by', byMs: 10_000 });
  assert.deepEqual(deedOf('3', 'frame'), { type: 'seek-to-ratio', ratio: 0.3 });
  assert.deepEqual(deedOf('Home', 'frame'), { type: 'seek-to-ratio', ratio: 0 });
  assert.deepEqual(deedOf('End', 'frame'), { type: 'go-live-or-end' });
  assert.deepEqual(deedOf(' ', 'frame'), { type: 'toggle-play' });
  assert.deepEqual(deedOf(',', 'frame'), { type: 'step', frameCount: -1 });
  assert.deepEqual(deedOf('[', 'frame'), { type: 'seek-chapter', direction: -1 });
  assert.deepEqual(deedOf('i', 'frame'), { type: 'toggle-health' });
  assert.equal(deedOf('ArrowUp', 'frame')?.type, 'louder');
  assert.equal(deedOf('Tab', 'frame'), undefined);
});

test('a button keeps space and enter, a slider of volume and a list keep arrows and digits', () => {
  assert.equal(deedOf(' ', 'button'), undefined);
  assert.equal(deedOf('Enter', 'button'), undefined);
  assert.equal(deedOf('ArrowLeft', 'button')?.type, 'seek-by');
  assert.equal(deedOf('k', 'button')?.type, 'toggle-play');
  for (const key of ['ArrowLeft', 'ArrowUp', '5', 'Home', 'End', ' ']) {
    assert.equal(deedOf(key, 'input'), undefined, key);
  }
  assert.equal(deedOf('m', 'input')?.type, 'toggle-sound');
});

test('on the bar up and down move it, as sliders do', () => {
  assert.deepEqual(deedOf('ArrowUp', 'seek-bar'), { type: 'seek-by', byMs: 5000 });
  assert.deepEqual(deedOf('ArrowDown', 'seek-bar'), { type: 'seek-by', byMs: -5000 });
});
