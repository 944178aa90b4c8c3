// Cues over a hub fed by hand: what sockets are told and when, what the disk keeps, and dates that agree with the playlists'.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import type { CueContent, CueTiming } from '../../../server/api/contract/cues-host.ts';
import type { CueAnswer } from '../../../server/cues/cue-desk.ts';
import type { SourceUnit } from '../../../server/media/access-unit.ts';
import type { CueStage } from '../../support/cue-stage.ts';
import { closeCueStage, openCueStage } from '../../support/cue-stage.ts';
import { testMedia } from '../../support/hls-rig.ts';

const content = (id: string, over: Partial<CueContent> = {}): CueContent => ({
  ...{ id, mode: 'media', kind: 'product', title: id, durationMs: null },
  ...over,
});
const NOW: CueTiming = { at: 'now' };

const cueIn = (answer: CueAnswer): (CueAnswer & { ok: true })['cue'] => {
  assert.ok(answer.ok, JSON.stringify(answer));
  return answer.cue;
};

const before = (units: readonly SourceUnit[], atMs: number): readonly SourceUnit[] =>
  units.filter((unit) => unit.arrivedAtMs < atMs);
const from = (units: readonly SourceUnit[], atMs: number): readonly SourceUnit[] =>
  units.filter((unit) => unit.arrivedAtMs >= atMs);

let stage: CueStage;

describe('the desk of cues', () => {
  beforeEach(async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    stage = await openCueStage();
  });

  afterEach(async () => {
    await closeCueStage(stage);
    mock.timers.reset();
  });

  const playlist = async (query = ''): Promise<string> => {
    const broadcast = stage.hub.find('demo');
    const answer = await stage.hls.endpoint({
      ...{ method: 'GET', path: `/hls/demo/${broadcast?.id.slice(0, 16)}/video.m3u8`, headers: {} },
      ...{ query: new URLSearchParams(query), body: new Uint8Array(), remoteAddress: '::1' },
      signal: new AbortController().signal,
    });
    return Buffer.from(answer.body ?? '').toString();
  };

  /** Program date of a media time, as the segment says that it lies in: here each begins at a whole number of two seconds. */
  const dateIn = (text: string, mediaMs: number): number => {
    const dates = [...text.matchAll(/PROGRAM-DATE-TIME:(.*)/g)].map(([, date]) => Date.parse(date!));
    const firstMsn = Number(/MEDIA-SEQUENCE:(\d+)/.exec(text)![1]);
    return dates[Math.floor(mediaMs / 2_000) - firstMsn]! + (mediaMs % 2_000);
  };

  test('sockets are told the mark, and the cue with the picture of its instant', async () => {
    const { feed, broadcast } = stage.publish();
    const units = testMedia(20);
    stage.push(feed, before(units, 8_000));
    const cue = cueIn(
      await stage.desk.create('demo', content('a', { link: 'https://shop/1' }), { at: { countdownMs: 2_000 } }),
    );
    const mediaMs = Math.round(cue.mediaMs!);
    assert.ok(Math.abs(mediaMs - 10_200) < 40, `${mediaMs}: after the countdown and the encoder's delay of 200 ms`);
    assert.deepEqual(stage.told.at(-1), {
      type: 'cue-mark',
      mark: { id: 'a', mode: 'media', mediaMs, programWallMs: cue.programWallMs, showAtWallMs: null },
    });
    assert.doesNotMatch(JSON.stringify(stage.told), /shop/);
    const rest = from(units, 8_000);
    stage.push(feed, before(rest, mediaMs - 40));
    assert.equal(stage.told.at(-1)?.type, 'cue-mark');
    stage.push(feed, before(from(rest, mediaMs - 40), mediaMs + 40));
    const fired = stage.told.at(-1);
    assert.ok(fired?.type === 'cue' && fired.cue.link === 'https://shop/1' && fired.cue.mediaMs === mediaMs);
    assert.deepEqual(
      stage.news.map(({ event, broadcastId }) => [event.type, broadcastId === broadcast.id]),
      [
        ['armed', true],
        ['fired', true],
      ],
    );
    const snapshot = JSON.parse(stage.desk.snapshotText('demo')) as object;
    assert.deepEqual(snapshot, { type: 'cues', marks: [], cues: [fired.cue] });
  });

  test('its date is the playlists’, before and after it fires, within a millisecond', async () => {
    const { feed } = stage.publish();
    const units = testMedia(30);
    stage.push(feed, before(units, 9_000));
    const { programWallMs, mediaMs } = cueIn(
      await stage.desk.create('demo', content('a'), { at: { countdownMs: 3_000 } }),
    );
    stage.push(feed, before(from(units, 9_000), 15_000));
    const text = await playlist();
    assert.ok(Math.abs(dateIn(text, mediaMs!) - programWallMs!) <= 1, `${dateIn(text, mediaMs!)} ${programWallMs}`);
    const fired = stage.told.find((message) => message.type === 'cue');
    assert.ok(fired?.type === 'cue' && Math.abs(dateIn(text, mediaMs!) - fired.cue.programWallMs) <= 1);
    const line = /^#EXT-X-DATERANGE:ID="a".*$/m.exec(text)![0];
    const date = Date.parse(/START-DATE="([^"]+)"/.exec(line)![1]!);
    assert.ok(Math.abs(date - programWallMs!) <= 1);
  });

  test('armed with the first pictures, which came late, its date is still the playlists’', async () => {
    const { feed } = stage.publish();
    const units = testMedia(10);
    const lateMs = 60;
    const late = before(units, 100).map((unit) => ({
      ...unit,
      ...{ arrivedAtMs: unit.arrivedAtMs + lateMs, arrivedAtWallMs: unit.arrivedAtWallMs + lateMs },
    }));
    stage.push(feed, late);
    const armed = cueIn(await stage.desk.create('demo', content('a'), { at: { countdownMs: 3_000 } }));
    stage.push(feed, from(units, 100));
    const text = await playlist();
    const date = Date.parse(/^#EXT-X-DATERANGE:ID="a".*START-DATE="([^"]+)"/m.exec(text)![1]!);
    const playlistDate = dateIn(text, armed.mediaMs!);
    assert.ok(armed.programWallMs! - playlistDate > 20, 'the stage is set: it was armed by another clock');
    assert.ok(Math.abs(date - playlistDate) <= 1, `${date} ${playlistDate}`);
    const fired = stage.told.find((message) => message.type === 'cue');
    assert.ok(fired?.type === 'cue' && Math.abs(date - fired.cue.programWallMs) <= 1);
  });

  test('L26 playlists tell the bare instant, then the cue, then how long it was; `?dvr=1` tells the same', async () => {
    const { feed } = stage.publish();
    const units = testMedia(30);
    stage.push(feed, before(units, 8_000));
    cueIn(await stage.desk.create('demo', content('a', { link: 'https://shop/1' }), { at: { countdownMs: 1_000 } }));
    stage.push(feed, before(from(units, 8_000), 8_800));
    const linesOf = async (query = ''): Promise<string[]> =>
      (await playlist(query)).match(/^#EXT-X-DATERANGE:.*$/gm) ?? [];
    const [bare] = await linesOf();
    assert.match(bare!, /^#EXT-X-DATERANGE:ID="a",CLASS="live\.sluice\.cue",START-DATE="[^"]+"$/);
    stage.push(feed, before(from(units, 8_800), 12_000));
    const [fired] = await linesOf();
    assert.ok(fired!.startsWith(`${bare!},`), 'what was told stays');
    const json = decodeURIComponent(/X-SLUICE-CUE="([^"]*)"/.exec(fired!)![1]!);
    assert.equal((JSON.parse(json) as { link: string }).link, 'https://shop/1');
    assert.doesNotMatch(fired!, /DURATION/);
    await stage.desk.withdraw('demo', 'a', { isForgotten: false });
    stage.push(feed, before(from(units, 12_000), 13_000));
    const [ended] = await linesOf();
    assert.match(ended!, /,DURATION=2\.[78]\d\d,X-SLUICE-CUE=/);
    assert.deepEqual(await linesOf('dvr=1'), [ended]);
  });

  test('what is on stays in the playlist when its beginning has left the window', async () => {
    const { feed } = stage.publish();
    const units = testMedia(60);
    stage.push(feed, before(units, 4_000));
    cueIn(await stage.desk.create('demo', content('open'), NOW));
    cueIn(await stage.desk.create('demo', content('short', { durationMs: 3_000 }), NOW));
    stage.push(feed, from(units, 4_000));
    const ids = [...(await playlist()).matchAll(/DATERANGE:ID="([^"]+)"/g)].map(([, id]) => id);
    assert.deepEqual(ids, ['open']);
  });

  test('a cue whose media never comes does not fire by the clock', async () => {
    const { feed } = stage.publish();
    const units = testMedia(20);
    stage.push(feed, before(units, 5_000));
    cueIn(await stage.desk.create('demo', content('a'), { at: { countdownMs: 1_000 } }));
    const told = stage.told.length;
    // The publisher hangs for three seconds; then its media comes at once.
    (stage.clock as unknown as { advanceMs(ms: number): void }).advanceMs(3_000);
    mock.timers.tick(3_000);
    assert.equal(stage.told.length, told);
    for (const unit of before(from(units, 5_000), 7_000)) {
      feed.push({ ...unit, arrivedAtMs: stage.clock.nowMs(), arrivedAtWallMs: stage.clock.wallMs() });
    }
    assert.equal(stage.told.at(-1)?.type, 'cue');
  });

  test('after the encoder’s return cues fire with their pictures as before; one whose instant fell into the gap fires on return', async () => {
    const first = stage.publish();
    stage.push(first.feed, testMedia(10));
    for (const [id, mediaMs] of [
      ['gap', 12_000],
      ['after', 20_500],
    ] as const) {
      cueIn(await stage.desk.create('demo', content(id), { at: { mediaMs } }));
    }
    first.feed.close('gone');
    // Away for five seconds, and back with stamps of its own.
    const { feed } = stage.publish();
    const firedAt = new Map<string, number>();
    stage.desk.listen(({ event }) => {
      if (event.type === 'fired') {
        firedAt.set(event.cue.id, stage.hub.find('demo')!.timeline.lastMediaMs);
      }
    });
    for (const unit of testMedia(10)) {
      stage.push(feed, [
        { ...unit, arrivedAtMs: unit.arrivedAtMs + 15_000, arrivedAtWallMs: unit.arrivedAtWallMs + 15_000 },
      ]);
    }
    const pictureMs = 34;
    assert.ok(Math.abs(firedAt.get('gap')! - 15_000) < pictureMs, `${firedAt.get('gap')}`);
    assert.ok(Math.abs(firedAt.get('after')! - 20_500) < pictureMs, `${firedAt.get('after')}`);
  });

  test('prepared cues outlive the server; a broadcast’s end and beginning are told as a whole', async () => {
    cueIn(await stage.desk.create('demo', content('planned'), { at: { mediaMs: 4_000 } }));
    cueIn(await stage.desk.create('demo', content('prepared', { payload: { nested: ['"', '<b>'] } }), undefined));
    assert.deepEqual(JSON.parse(stage.desk.snapshotText('demo')), { type: 'cues', marks: [], cues: [] });
    await stage.stop();
    stage = await openCueStage({ folder: stage.folder });
    assert.deepEqual(
      stage.desk.list('demo').cues.map(({ id, state, payload }) => [id, state, payload]),
      [
        ['planned', 'prepared', undefined],
        ['prepared', 'prepared', { nested: ['"', '<b>'] }],
      ],
    );
    const { feed, broadcast } = stage.publish();
    stage.push(feed, testMedia(8));
    assert.deepEqual(
      stage.told.map((message) => message.type),
      ['cue-mark', 'cues', 'cue'],
    );
    broadcast.end('over');
    assert.deepEqual(stage.told.at(-1), { type: 'cues', marks: [], cues: [] });
    assert.deepEqual(
      stage.desk.list('demo').cues.map(({ id }) => id),
      ['prepared'],
    );
    assert.equal(stage.desk.list('demo').clock, null);
  });

  test('names become no paths, and a file that cannot be used is put aside', async () => {
    cueIn(await stage.desk.create('Demo-1', content('a'), undefined));
    const [file, ...others] = readdirSync(stage.folder);
    assert.match(file!, /^[0-9a-f]{32}\.json$/);
    assert.deepEqual(others, []);
    await stage.stop();
    writeFileSync(join(stage.folder, file!), readFileSync(join(stage.folder, file!), 'utf8').slice(0, -10));
    stage = await openCueStage({ folder: stage.folder });
    assert.deepEqual(stage.desk.list('Demo-1').cues, []);
    assert.deepEqual(readdirSync(stage.folder), [`${file}.refused`]);
  });

  test('without cues a name keeps no file', async () => {
    cueIn(await stage.desk.create('demo', content('a'), undefined));
    cueIn(await stage.desk.withdraw('demo', 'a', { isForgotten: false }));
    assert.deepEqual(readdirSync(stage.folder), []);
  });

  test('what a newcomer is told has a bound: what is on comes before what is over, new before old', async () => {
    await closeCueStage(stage);
    stage = await openCueStage({ settings: { snapshotMaxBytes: 5_000 } });
    const { feed } = stage.publish();
    const units = testMedia(20);
    stage.push(feed, before(units, 2_000));
    const payload = 'x'.repeat(1_500);
    for (const [id, durationMs] of [
      ['over-1', 500],
      ['on-1', null],
      ['over-2', 500],
      ['on-2', null],
    ] as const) {
      cueIn(await stage.desk.create('demo', content(id, { payload, durationMs }), { at: { mediaMs: 2_500 } }));
    }
    stage.push(feed, before(from(units, 2_000), 5_000));
    mock.timers.tick(5_000);
    const text = stage.desk.snapshotText('demo');
    assert.ok(text.length <= 5_000, `${text.length}`);
    const { cues } = JSON.parse(text) as { cues: { id: string }[] };
    assert.deepEqual(
      cues.map(({ id }) => id),
      ['on-1', 'on-2'],
    );
  });

  test('of what is to come a newcomer is told the soonest', async () => {
    const { feed } = stage.publish();
    stage.push(feed, testMedia(1));
    for (let place = 0; place < 120; place += 1) {
      cueIn(await stage.desk.create('demo', content(`c${place}`), { at: { mediaMs: 60_000 - place } }));
    }
    const { marks } = JSON.parse(stage.desk.snapshotText('demo')) as { marks: { mediaMs: number }[] };
    assert.deepEqual([marks.length, marks[0]?.mediaMs, marks[99]?.mediaMs], [100, 59_881, 59_980]);
  });

  test('a listener that fails keeps the cue from nobody', async () => {
    stage.desk.listen(() => {
      throw new Error('no');
    });
    const seen: string[] = [];
    stage.desk.listen(({ event }) => seen.push(event.type));
    const { feed } = stage.publish();
    stage.push(feed, testMedia(2));
    cueIn(await stage.desk.create('demo', content('a'), { at: { mediaMs: 1_000 } }));
    assert.deepEqual(seen, ['armed', 'fired']);
  });
});
