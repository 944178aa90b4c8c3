// Cues in recordings: kept whatever the disk does, and shown at the replay's positions, gaps left out.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import test from 'node:test';
import type { Cue } from '../../../server/api/contract/cues.ts';
import { ManualClock } from '../../../server/base/clock.ts';
import type { HttpAnswer } from '../../../server/base/http-exchange.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { chaptersOf, renderChaptersVtt } from '../../../server/replay/chapters.ts';
import { ReplayServer } from '../../../server/replay/http-handler.ts';
import { RECORDER_DEFAULTS } from '../../../server/replay/options.ts';
import { Recorder } from '../../../server/replay/recorder.ts';
import { RecordingStore } from '../../../server/replay/recording-store.ts';
import type { SegmentIndex } from '../../../server/replay/segment-index.ts';
import { ViewingLeases } from '../../../server/replay/viewing-leases.ts';
import { renderVodPlaylist } from '../../../server/replay/vod-playlist.ts';
import { readVodTimeline } from '../../../server/replay/vod-timeline.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { MemoryRecordings, recordingSummary } from '../../support/memory-recordings.ts';
import { packagedProgramme, packagedSegment } from '../../support/packaged-segments.ts';
import { SAMPLE_ID, makeSampleRecording } from '../../support/sample-recording.ts';
import { syntheticAudio, syntheticVideo } from '../../support/synthetic-media.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { within } from '../../support/wait.ts';

const ROOT = '/replay';
const { broadcastId } = packagedSegment(0);
const BROADCAST = { id: broadcastId, name: 'shop' };

const cue = (id: string, mediaMs: number, over: Partial<Cue> = {}): Cue => ({
  ...{ id, mode: 'media', mediaMs, programWallMs: 1_700_000_000_000 + mediaMs, showAtWallMs: null },
  ...{ kind: 'product', title: `title of ${id}`, durationMs: null },
  ...over,
});

const rigOver = (files: MemoryFiles): { recorder: Recorder; store: RecordingStore } => {
  const store = new RecordingStore({ root: ROOT, files, log: silentLog });
  const settings = { ...RECORDER_DEFAULTS, freeMinBytes: 1_000 };
  const parts = { root: ROOT, store, files, clock: new ManualClock(), log: silentLog };
  return { store, recorder: new Recorder({ ...parts, settings, metrics: new Metrics({ collectDefaults: false }) }) };
};

const cuesOf = async (store: RecordingStore): Promise<string[]> => {
  const [newest] = store.list();
  const recording = newest === undefined ? undefined : await store.open(newest.id);
  return recording?.index.cues.map(({ id, title, durationMs }) => `${id} ${title} ${durationMs}`) ?? [];
};

test('cues are in the recording as they were last, forgotten ones are not, whenever they came', async () => {
  const { recorder, store } = rigOver(new MemoryFiles());
  recorder.onCue(BROADCAST, { cue: cue('early', 10), isForgotten: false });
  for (const segment of packagedProgramme(3)) {
    recorder.onSegment(segment);
  }
  recorder.onCue(BROADCAST, { cue: cue('later', 3_000), isForgotten: false });
  recorder.onCue(BROADCAST, { cue: cue('wrong', 3_500), isForgotten: false });
  recorder.onCue(BROADCAST, { cue: cue('early', 10, { title: 'edited' }), isForgotten: false });
  recorder.onCue(BROADCAST, { cue: cue('later', 3_000, { durationMs: 900 }), isForgotten: false });
  recorder.onCue(BROADCAST, { cue: cue('wrong', 3_500), isForgotten: true });
  recorder.onCue(BROADCAST, { cue: cue('later', 5_000, { title: 'again' }), isForgotten: false });
  const all = ['early edited null', 'later title of later 900', 'later again null'];
  await within(1_000, 'the index has them', async () => (await cuesOf(store)).join() === all.join());
  await recorder.end(broadcastId, 'broadcast_ended');
  assert.deepEqual(await cuesOf(store), all);
});

test('a writer that was interrupted leaves its cues; recovering twice changes nothing', async () => {
  const files = new MemoryFiles();
  const { recorder, store } = rigOver(files);
  for (const segment of packagedProgramme(3)) {
    recorder.onSegment(segment);
  }
  recorder.onCue(BROADCAST, { cue: cue('kept', 1_000, { payload: { deep: ['"', 1] } }), isForgotten: false });
  recorder.onCue(BROADCAST, { cue: cue('gone', 2_000), isForgotten: false });
  recorder.onCue(BROADCAST, { cue: cue('gone', 2_000), isForgotten: true });
  await within(1_000, 'the index has it', async () => (await cuesOf(store)).length === 1);
  const left = files.copy();
  for (let round = 0; round < 2; round += 1) {
    const again = new RecordingStore({ root: ROOT, files: left, log: silentLog });
    await again.scan();
    const [summary] = again.list();
    assert.equal(summary?.endReason, 'interrupted');
    const { index } = (await again.open(summary.id))!;
    assert.deepEqual(index.cues, [cue('kept', 1_000, { payload: { deep: ['"', 1] } })]);
  }
});

test('a cue that the disk refuses goes out with the segments that it takes again', async () => {
  const files = new MemoryFiles();
  const { recorder, store } = rigOver(files);
  for (const segment of packagedProgramme(2)) {
    recorder.onSegment(segment);
  }
  recorder.onCue(BROADCAST, { cue: cue('a', 10), isForgotten: false });
  await within(1_000, 'the index has it', async () => (await cuesOf(store)).length === 1);
  files.writeFailure = 'EIO';
  recorder.onCue(BROADCAST, { cue: cue('b', 20), isForgotten: false });
  await within(1_000, 'it was tried', () => files.writeCount > 0);
  files.writeFailure = undefined;
  for (const segment of packagedProgramme(2, 2)) {
    recorder.onSegment(segment);
  }
  await recorder.end(broadcastId, 'broadcast_ended');
  const again = new RecordingStore({ root: ROOT, files, log: silentLog });
  await again.scan();
  assert.deepEqual(await cuesOf(again), ['a title of a null', 'b title of b null']);
});

/** Ten seconds, a gap of twenty, ten seconds more. */
const withGap = (use: (index: SegmentIndex) => void, options: { isEnded?: boolean } = {}): void => {
  const folder = tempFolder('recorded-cues');
  const stretch = {
    video: syntheticVideo({ frameRateFps: 30, durationS: 10, gopFrames: 60 }),
    audio: syntheticAudio({ durationS: 10 }),
  };
  try {
    use(
      makeSampleRecording(
        folder,
        [
          { ...stretch, startMs: 0 },
          { ...stretch, startMs: 30_000 },
        ],
        options,
      ).index,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** The made-up media ends a millisecond short of the second. */
const toTens = (ms: number): number => Math.round(ms / 10) * 10;

const add = (index: SegmentIndex, ...cues: readonly Cue[]): void => {
  for (const one of cues) {
    index.apply({ type: 'cue', cue: { cue: one, isForgotten: false } });
  }
};

test('chapters lie where the replay shows their pictures, each until the next begins', () => {
  withGap((index) => {
    add(index, cue('second', 33_000), cue('gap', 15_000), cue('first', 2_500), cue('beyond', 55_000));
    add(index, cue('before', -5_000, { durationMs: 60_000 }), cue('over', 12_000, { durationMs: 4_000 }));
    const chapters = chaptersOf(index, readVodTimeline(index));
    assert.deepEqual(
      chapters.map(({ cue: { id }, startMs, endMs }) => [id, toTens(startMs), toTens(endMs)]),
      [
        ['before', 0, 2_500],
        ['first', 2_500, 10_000],
        ['gap', 10_000, 13_000],
        ['second', 13_000, 20_000],
      ],
    );
  });
});

test('chapters as WebVTT: titles are one line and no markup', () => {
  withGap((index) => {
    add(index, cue('a', 1_000, { title: 'Boots & <b>more</b>\n--> now' }), cue('b', 61_000));
    const text = renderChaptersVtt(chaptersOf(index, readVodTimeline(index)));
    assert.match(
      text,
      /^WEBVTT\n\n00:00:01\.000 --> 00:00:(?:20\.0|19\.9)\d\d\nBoots &amp; &lt;b&gt;more&lt;\/b&gt; --&gt; now\n$/,
    );
    assert.equal(renderChaptersVtt([]), 'WEBVTT\n');
  });
});

test('L26 the VOD playlist dates each cue by its own dates, with how long the replay shows it; a growing one waits', () => {
  withGap((index) => {
    add(index, cue('across', 8_000, { durationMs: 24_000 }), cue('b', 34_500, { link: 'https://shop/"1"' }));
    const lines = renderVodPlaylist(index, readVodTimeline(index)!, index.tracks[0]!).split('\n');
    const ranges = lines.filter((line) => line.startsWith('#EXT-X-DATERANGE:'));
    assert.match(
      ranges[0]!,
      /^#EXT-X-DATERANGE:ID="across",CLASS="live\.sluice\.cue",START-DATE="[^"]*",DURATION=(?:4\.00|3\.99)\d,X-SLUICE-CUE="/,
    );
    const shown = JSON.parse(decodeURIComponent(/X-SLUICE-CUE="([^"]*)"/.exec(ranges[1]!)![1]!)) as Cue;
    assert.equal(shown.link, 'https://shop/"1"');
    const dates = lines
      .filter((line) => line.startsWith('#EXT-X-PROGRAM-DATE-TIME:'))
      .map((line) => Date.parse(line.slice(25)));
    const start = Date.parse(/START-DATE="([^"]*)"/.exec(ranges[1]!)![1]!);
    assert.ok(Math.abs(start - dates.at(-1)! - 4_500) <= 1, `${start - dates.at(-1)!}`);
    assert.ok(Math.abs(shown.programWallMs - start) <= 1);
  });
  withGap(
    (index) => {
      add(index, cue('a', 1_000));
      assert.doesNotMatch(renderVodPlaylist(index, readVodTimeline(index)!, index.tracks[0]!), /DATERANGE/);
    },
    { isEnded: false },
  );
});

test('chapters over HTTP: JSON and WebVTT, with a tag that changes with them', async () => {
  const folder = tempFolder('recorded-cues');
  const video = syntheticVideo({ frameRateFps: 30, durationS: 9, gopFrames: 60 });
  const recording = makeSampleRecording(folder, [{ startMs: 0, video }]);
  const server = new ReplayServer({
    recordings: new MemoryRecordings([recordingSummary(1, { id: SAMPLE_ID })], new Map([[SAMPLE_ID, recording]])),
    ...{ leases: new ViewingLeases(), storyboards: { answer: async () => undefined } },
    ...{ downloads: { take: () => () => undefined }, clock: new ManualClock(), log: silentLog },
    metrics: new Metrics({ collectDefaults: false }),
  });
  const ask = async (file: string, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
    server.endpoint({
      ...{ method: 'GET', path: `/replay/${SAMPLE_ID}/${file}`, query: new URLSearchParams(), headers },
      ...{ body: new Uint8Array(), remoteAddress: '::1', signal: new AbortController().signal },
    });
  const empty = await ask('chapters.json');
  assert.deepEqual(JSON.parse(Buffer.from(empty.body!).toString()), { chapters: [] });
  add(recording.index, cue('a', 1_000));
  const json = await ask('chapters.json');
  assert.deepEqual([json.status, json.headers['content-type']], [200, 'application/json; charset=utf-8']);
  assert.equal(json.headers['cache-control'], (await ask('index.m3u8')).headers['cache-control']);
  assert.equal(json.headers['access-control-allow-origin'], '*');
  assert.notEqual(json.headers['etag'], empty.headers['etag']);
  const { chapters } = JSON.parse(Buffer.from(json.body!).toString()) as { chapters: { cue: Cue }[] };
  assert.deepEqual(chapters[0]?.cue.title, 'title of a');
  assert.equal((await ask('chapters.json', { 'if-none-match': json.headers['etag']! })).status, 304);
  const vtt = await ask('chapters.vtt');
  assert.equal(vtt.headers['content-type'], 'text/vtt; charset=utf-8');
  assert.match(Buffer.from(vtt.body!).toString(), /^WEBVTT\n\n00:00:01\.000 --> 00:00:0[89]\.\d+\ntitle of a\n$/);
  rmSync(folder, { recursive: true });
});
