// EXT-X-DATERANGE from an injected source, in full playlists and in delta updates.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import type { DateRange } from '../../../../server/relay/hls/date-ranges.ts';
import { HlsRig, numberIn } from '../../../support/hls-rig.ts';

let ranges: DateRange[];
let rig: HlsRig;

describe('date ranges', () => {
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    ranges = [];
    rig = new HlsRig({ dates: { rangesOf: () => ranges } });
  });

  afterEach(() => {
    rig.close();
    mock.timers.reset();
  });

  const cue = (id: string, startMediaMs: number, overrides: Partial<DateRange> = {}): DateRange => ({
    ...{ id, startMediaMs, class: 'live.sluice.cue', durationMs: undefined, attributes: { 'X-PRODUCT': 'shoes' } },
    ...overrides,
  });

  const datesIn = (text: string): string[] => text.match(/^#EXT-X-DATERANGE:.*$/gm) ?? [];
  const idsIn = (text: string): string[] => [...text.matchAll(/DATERANGE:ID="([^"]+)"/g)].map(([, id]) => id!);

  test('L26 a cue is listed in every rendition with class, date and X- attributes, and its line never changes', async () => {
    ranges = [cue('c1', 5_000)];
    const later = rig.goLive(7);
    const [first] = datesIn(await rig.text('video.m3u8'));
    assert.match(
      first!,
      /^#EXT-X-DATERANGE:ID="c1",CLASS="live\.sluice\.cue",START-DATE="[\d-]+T[\d:.]+Z",X-PRODUCT="shoes"$/,
    );
    assert.deepEqual(datesIn(await rig.text('audio.m3u8')), [first]);
    const date = Date.parse(/START-DATE="([^"]+)"/.exec(first!)![1]!);
    const segmentDate = Date.parse(/PROGRAM-DATE-TIME:(.*)/.exec(await rig.text('video.m3u8'))![1]!);
    assert.ok(Math.abs(date - segmentDate - 5_000) < 60, `${date - segmentDate}`);
    rig.push(later);
    assert.deepEqual(datesIn(await rig.text('video.m3u8')), [first]);
  });

  test('L26 a cue leaves the live playlist with the last segment that it touches, and stays in the rewind', async () => {
    rig.close();
    const none = { onSegment: () => undefined, has: () => true, read: async () => Promise.resolve(undefined) };
    rig = new HlsRig({ dates: { rangesOf: () => ranges }, rewind: none });
    ranges = [cue('early', 1_000), cue('long', 1_000, { durationMs: 300_000 }), cue('late', 60_000)];
    rig.goLive(65);
    assert.deepEqual(idsIn(await rig.text('video.m3u8')), ['long', 'late']);
    assert.deepEqual(idsIn(await rig.text('video.m3u8?dvr=1')), ['early', 'long', 'late']);
  });

  test('L26 whatever a product is called, the line stays one line of well-formed attributes', async () => {
    ranges = [cue('c1', 5_000, { attributes: { 'X-JSON': '{"a":"50 % \n"}', 'X-PRICE': 4.5 } }), cue('b"ad', 5_000)];
    rig.goLive(7);
    const lines = datesIn(await rig.text('video.m3u8'));
    assert.equal(lines.length, 1);
    const [, json] = /X-JSON="([^"]*)"/.exec(lines[0]!)!;
    assert.equal(decodeURIComponent(json!), '{"a":"50 % \n"}');
    assert.match(lines[0]!, /X-PRICE=4\.5$/);
  });

  test('L15 v2 skips dates that are known, names those that went, and says VERSION 10; YES skips segments only', async () => {
    ranges = [cue('gone', 2_500), cue('old', 3_000, { durationMs: 600_000 })];
    const later = rig.goLive(23, 80);
    await rig.text('video.m3u8');
    rig.push(later.filter((unit) => unit.arrivedAtMs < 24_500));
    await rig.text('video.m3u8');
    rig.push(later.filter((unit) => unit.arrivedAtMs >= 24_500 && unit.arrivedAtMs < 38_000));
    ranges = [...ranges, cue('new', 37_000)];
    rig.push(later.filter((unit) => unit.arrivedAtMs >= 38_000 && unit.arrivedAtMs < 39_000));
    const full = await rig.text('video.m3u8');
    assert.match(full, /CAN-SKIP-DATERANGES=YES/);
    assert.ok(numberIn(full, /VERSION:(\d+)/) >= 10);
    assert.deepEqual(idsIn(full), ['old', 'new']);
    const v2 = await rig.text('video.m3u8?_HLS_skip=v2');
    assert.deepEqual(idsIn(v2), ['new']);
    assert.match(v2, /#EXT-X-SKIP:SKIPPED-SEGMENTS=\d+,RECENTLY-REMOVED-DATERANGES="gone"/);
    const yes = await rig.text('video.m3u8?_HLS_skip=YES');
    assert.deepEqual(idsIn(yes), ['old', 'new']);
    assert.doesNotMatch(yes, /RECENTLY-REMOVED/);
  });

  test('L15 where nobody gives dates, skipping them is not offered, and v2 gets a full playlist', async () => {
    rig.close();
    rig = new HlsRig();
    rig.goLive(23);
    const full = await rig.text('video.m3u8');
    assert.doesNotMatch(full, /CAN-SKIP-DATERANGES/);
    assert.equal(await rig.text('video.m3u8?_HLS_skip=v2'), full);
  });
});
