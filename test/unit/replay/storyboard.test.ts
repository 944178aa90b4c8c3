// Storyboards: which thumbnails, on which sheets, and what is served while there are none.
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import { WorldError } from '../../../server/base/errors.ts';
import type { HttpAnswer, HttpRequest } from '../../../server/base/http-exchange.ts';
import { silentLog } from '../../../server/observability/log.ts';
import type { OpenRecording } from '../../../server/replay/recording.ts';
import type { SheetJob } from '../../../server/replay/storyboard.ts';
import { Storyboards } from '../../../server/replay/storyboard.ts';
import { durationOfVtt, planStoryboard, renderStoryboardVtt } from '../../../server/replay/storyboard-plan.ts';
import { MemoryRecordings, recordingSummary } from '../../support/memory-recordings.ts';
import type { SampleStretch } from '../../support/sample-recording.ts';
import { SAMPLE_ID, makeSampleRecording } from '../../support/sample-recording.ts';
import { syntheticAudio, syntheticVideo, testVideoTrack } from '../../support/synthetic-media.ts';
import { tempFolder } from '../../support/temp-folder.ts';

let folder = '';
before(() => (folder = tempFolder('storyboard')));

const REQUEST: HttpRequest = {
  method: 'GET',
  path: '/',
  query: new URLSearchParams(),
  headers: {},
  body: new Uint8Array(),
  remoteAddress: '192.0.2.1',
  signal: new AbortController().signal,
};

const pictures = (durationS: number): SampleStretch => ({
  startMs: 0,
  video: syntheticVideo({ frameRateFps: 30, durationS, gopFrames: 60 }),
});

const makeBoards = (
  stretches: readonly SampleStretch[],
  makeSheet: (job: SheetJob) => Promise<Uint8Array>,
): { boards: Storyboards; recording: OpenRecording } => {
  const recording = makeSampleRecording(folder, stretches);
  const { durationMs } = recording.index;
  const summary = recordingSummary(1, { id: SAMPLE_ID, durationMs });
  const boards = new Storyboards({
    recordings: new MemoryRecordings([summary], new Map([[SAMPLE_ID, recording]])),
    makeSheet,
    isWatched: () => false,
    clock: new ManualClock(),
    log: silentLog,
  });
  return { boards, recording };
};

const emptyBoards = (): void => rmSync(join(folder, 'storyboard'), { recursive: true, force: true });

test('thumbnails are as close as a bounded number of them allows', () => {
  const plan = (durationMs: number): { intervalMs: number; count: number } => {
    const { intervalMs, atMs } = planStoryboard({ durationMs, pictureWidthPx: 1920, pictureHeightPx: 1080 });
    return { intervalMs, count: atMs.length };
  };
  assert.deepEqual(plan(60_000), { intervalMs: 2_000, count: 30 });
  assert.deepEqual(plan(40 * 60_000), { intervalMs: 10_000, count: 240 });
  assert.deepEqual(plan(8 * 3_600_000), { intervalMs: 120_000, count: 240 });
  assert.ok(plan(7 * 86_400_000).count <= 240);
  assert.deepEqual(plan(300), { intervalMs: 2_000, count: 1 });
});

test('thumbnails keep the shape of the picture, in even pixels', () => {
  const heightOf = (pictureWidthPx: number, pictureHeightPx: number): number =>
    planStoryboard({ durationMs: 1_000, pictureWidthPx, pictureHeightPx }).heightPx;
  assert.equal(heightOf(1920, 1080), 90);
  assert.equal(heightOf(1080, 1920), 284);
  assert.equal(heightOf(640, 480), 120);
});

test('the WebVTT covers the recording without a hole and finds each thumbnail on its sheet', () => {
  const plan = planStoryboard({ durationMs: 25_500, pictureWidthPx: 16, pictureHeightPx: 9 });
  const thumbnails = plan.atMs.map((_at, place) => ({
    sheetIndex: 0,
    placeIndex: place,
    startMs: place * plan.intervalMs,
  }));
  const vtt = renderStoryboardVtt(plan, { durationMs: 25_500, thumbnails, sheetNames: ['sprite-1-0.jpg'] });
  assert.ok(vtt.startsWith('WEBVTT\n\n'));
  assert.match(vtt, /00:00:22\.000 --> 00:00:24\.000\nsprite-1-0\.jpg#xywh=160,90,160,90\n/);
  assert.match(vtt, /00:00:24\.000 --> 00:00:25\.500\n/);
  assert.equal(durationOfVtt(vtt), 25_500);
  assert.equal(durationOfVtt('WEBVTT'), undefined);
});

test('made once after the end: a poster, sheets by the encoder’s parameters, a WebVTT that names them', async () => {
  emptyBoards();
  const jobs: SheetJob[] = [];
  const other = testVideoTrack({ codecString: 'avc1.42c01f', widthPx: 1280, heightPx: 720 });
  const { boards, recording } = makeBoards(
    [
      pictures(7),
      { startMs: 60_000, video: syntheticVideo({ frameRateFps: 30, durationS: 6, gopFrames: 60, track: other }) },
    ],
    async (job) => {
      jobs.push(job);
      return Uint8Array.of(0xff, 0xd8, jobs.length);
    },
  );
  await boards.look();
  await boards.look();
  boards.close();
  assert.deepEqual(
    jobs.map(({ columnCount, rowCount, widthPx }) => [columnCount, rowCount, widthPx]),
    [
      [1, 1, 640],
      [3, 1, 160],
      [4, 1, 160],
    ],
  );
  // Thirteen seconds, less a millisecond for each of the two stretches (part-cutter).
  const names = readdirSync(join(folder, 'storyboard')).toSorted();
  assert.deepEqual(names, ['poster.jpg', 'sprite-12998-0.jpg', 'sprite-12998-1.jpg', 'storyboard.vtt']);
  const vtt = (await boards.answer(recording, 'storyboard.vtt', REQUEST)) as HttpAnswer;
  assert.equal(vtt.status, 200);
  assert.match(String(vtt.body), /sprite-12998-1\.jpg#xywh=480,0,160,90/);
  const sprite = (await boards.answer(recording, 'sprite-12998-0.jpg', REQUEST)) as HttpAnswer;
  assert.match(sprite.headers['cache-control'] ?? '', /immutable/);
  const headers = { 'if-none-match': vtt.headers['etag'] ?? '' };
  assert.equal((await boards.answer(recording, 'storyboard.vtt', { ...REQUEST, headers }))?.status, 304);
});

test('without ffmpeg there is a 404 that says so, and nothing is tried again', async () => {
  emptyBoards();
  let tryCount = 0;
  const { boards, recording } = makeBoards([pictures(5)], async () => {
    tryCount += 1;
    throw new WorldError('FFMPEG_MISSING', 'not here');
  });
  await boards.look();
  await boards.look();
  boards.close();
  assert.equal(tryCount, 1);
  const answer = (await boards.answer(recording, 'poster.jpg', REQUEST)) as HttpAnswer;
  assert.equal(answer.status, 404);
  assert.match(String(answer.body), /REPLAY_STORYBOARD_ABSENT.*no ffmpeg/);
});

test('sound alone has no storyboard, and that is no failure', async () => {
  emptyBoards();
  const { boards, recording } = makeBoards([{ startMs: 0, audio: syntheticAudio({ durationS: 5 }) }], async () =>
    assert.fail('there is no picture'),
  );
  await boards.look();
  boards.close();
  assert.equal((await boards.answer(recording, 'poster.jpg', REQUEST))?.status, 404);
});

test('names that are none of a storyboard are left to others', async () => {
  const { boards, recording } = makeBoards([pictures(3)], async () => new Uint8Array(3));
  boards.close();
  for (const file of ['sprite-1-0.png', '../index', 'poster.jpg.new', 'index', 'sprite-..-0.jpg']) {
    assert.equal(await boards.answer(recording, file, REQUEST), undefined, file);
  }
});
