// Times as people write, read and hear them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockText, linkTime, linkedTime, parseTime, spokenTime } from '../../../../player/ui/time-text.ts';

test('read, heard and linked', () => {
  assert.deepEqual([0, 65_400, 3_723_000, -5].map(clockText), ['0:00', '1:05', '1:02:03', '0:00']);
  assert.deepEqual([0, 1000, 62_000, 3_600_000].map(spokenTime), [
    '0 seconds',
    '1 second',
    '1 minute 2 seconds',
    '1 hour',
  ]);
  assert.deepEqual([3.7, 63, 3723].map(linkTime), ['3s', '1m3s', '1h2m3s']);
});

test('written in every usual way', () => {
  assert.deepEqual(['75', '1:15', '1:02:03', '1h2m3s', '2m', '1.5s', ''].map(parseTime), [
    75,
    75,
    3723,
    3723,
    120,
    1.5,
    null,
  ]);
  assert.deepEqual(['#t=1m30s', '#token=x&t=9', '#t=soon', '', '#t=%'].map(linkedTime), [90, 9, null, null, null]);
});
