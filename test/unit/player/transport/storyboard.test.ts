// Thumbnails from WebVTT: the server's own, and what strangers may write.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStoryboard, thumbnailAt } from '../../../../player/transport/storyboard.ts';
import { renderStoryboardVtt, planStoryboard } from '../../../../server/replay/storyboard-plan.ts';

const URL_BASE = 'https://host/replay/0123456789abcdef0123456789abcdef/storyboard.vtt';

test('what our server writes is read: each instant finds its rectangle', () => {
  const plan = planStoryboard({ durationMs: 60_000, pictureWidthPx: 1280, pictureHeightPx: 720 });
  const thumbnails = plan.atMs.map((_at, index) => ({
    ...{ sheetIndex: 0, placeIndex: index, startMs: index * plan.intervalMs },
  }));
  const vtt = renderStoryboardVtt(plan, { durationMs: 60_000, thumbnails, sheetNames: ['sprite-1-0.jpg'] });
  const cues = parseStoryboard(vtt, URL_BASE);
  assert.equal(cues.length, thumbnails.length);
  const { imageUrl, xPx, yPx, widthPx, heightPx } = thumbnailAt(cues, 12 * plan.intervalMs + 500)!;
  assert.equal(imageUrl, 'https://host/replay/0123456789abcdef0123456789abcdef/sprite-1-0.jpg');
  assert.deepEqual([xPx, yPx, widthPx, heightPx], [320, 90, 160, 90]);
  assert.equal(thumbnailAt(cues, 60_001), null, 'the recording has grown since');
  assert.equal(thumbnailAt([], 0), null);
});

test('lines of other making are skipped, and pictures come from the same place only', () => {
  const vtt = [
    'WEBVTT',
    '',
    '00:00.000 --> 00:02.000\na.jpg#xywh=0,0,160,90',
    '00:02.000 --> 00:04.000\na.jpg',
    '00:04.000 --> nonsense\na.jpg#xywh=0,0,160,90',
    '00:04.000 --> 00:06.000\nhttps://elsewhere/a.jpg#xywh=0,0,160,90',
    '00:06.000 --> 00:08.000\ndata:image/png;base64,AA#xywh=0,0,160,90',
    '00:08.000 --> 00:10.000\na.jpg#xywh=0,0,99999999,90',
    '100:00:10.000 --> 100:00:12.000\r\n/b.jpg#xywh=pixel:1,2,3,4',
  ].join('\n\n');
  const cues = parseStoryboard(vtt, URL_BASE);
  assert.deepEqual(
    cues.map(({ imageUrl }) => new URL(imageUrl).pathname),
    ['/replay/0123456789abcdef0123456789abcdef/a.jpg', '/b.jpg'],
  );
  assert.equal(cues[1]?.startMs, 360_010_000);
});

test('a text without end is cut', () => {
  const many = Array.from({ length: 30_000 }, () => '00:00.000 --> 00:02.000\na.jpg#xywh=0,0,160,90\n').join('\n');
  assert.ok(parseStoryboard(`WEBVTT\n\n${many}`, URL_BASE).length <= 5000);
});
