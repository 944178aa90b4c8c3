// The beginning of the rewind playlist, read from as much of it as has come.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstDateMs, firstVariantUrl } from '../../../../player/transport/rewind-window.ts';

test('the first media playlist that is named, past comments and sound', () => {
  const text = [
    '#EXTM3U',
    '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",URI="0/audio.m3u8?dvr=1"',
    '#EXT-X-STREAM-INF:BANDWIDTH=1',
    'abc/video.m3u8?dvr=1',
    '',
  ].join('\n');
  assert.equal(
    firstVariantUrl(text, 'http://host/hls/~t/demo/index.m3u8?dvr=1'),
    'http://host/hls/~t/demo/abc/video.m3u8?dvr=1',
  );
  assert.equal(firstVariantUrl('#EXTM3U\n', 'http://host/'), null);
});

test('the first date, once its line is whole', () => {
  const head = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PROGRAM-DATE-TIME:2026-11-23T00:00:01.5';
  assert.equal(firstDateMs(head), null);
  const more = `${head}00Z\n#EXTINF:2,\nsegment-v0.m4s\n#EXT-X-PROGRAM-DATE-TIME:2026-11-23T00:00:03.500Z\n`;
  assert.equal(firstDateMs(more), Date.parse('2026-11-23T00:00:01.500Z'));
  assert.equal(firstDateMs('#EXT-X-PROGRAM-DATE-TIME:yesterday\n'), null);
});
