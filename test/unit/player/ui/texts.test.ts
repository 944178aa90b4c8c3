// What a rendition is called.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bitrateText, linesText } from '../../../../player/ui/texts.ts';

test('a rendition is named by the lines of its shorter side, and by its rate where that is more than usual', () => {
  assert.equal(linesText({ widthPx: 1280, heightPx: 720, frameRateFps: 29.97 }), '720p');
  assert.equal(linesText({ widthPx: 1280, heightPx: 720, frameRateFps: 59.94 }), '720p60');
  assert.equal(linesText({ widthPx: 480, heightPx: 854, frameRateFps: null }), '480p');
});

test('bitrates are said as people compare them', () => {
  assert.deepEqual([4_460_000, 995_000, 994_000, 44_000, 1, 0].map(bitrateText), [
    '4.5 Mbit/s',
    '1.0 Mbit/s',
    '990 kbit/s',
    '40 kbit/s',
    '10 kbit/s',
    '',
  ]);
});
