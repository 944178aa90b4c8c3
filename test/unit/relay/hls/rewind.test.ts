// `?dvr=1`: playlists that reach back to the start, of which only the live window is in memory.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import type { AccessUnit } from '../../../../server/media/access-unit.ts';
import type { CompletedSegment, RewindKey, RewindSource } from '../../../../server/relay/hls/rewind-source.ts';
import { HlsRig, numberIn, textOf } from '../../../support/hls-rig.ts';
import { interleave, syntheticAudio, syntheticVideo, testVideoTrack } from '../../../support/synthetic-media.ts';

/** Keeps everything in a map; `lost` numbers of the video are not kept. */
class FakeRecorder implements RewindSource {
  readonly segments = new Map<string, CompletedSegment>();
  readonly lost = new Set<number>();
  readCount = 0;
  read = async (key: RewindKey): Promise<Uint8Array | undefined> => {
    this.readCount += 1;
    return this.segments.get(`${key.renditionId}${key.msn}`)?.body;
  };

  onSegment(segment: CompletedSegment): void {
    this.segments.set(`${segment.renditionId}${segment.msn}`, segment);
  }

  has(key: RewindKey): boolean {
    return !(key.renditionId === 'video' && this.lost.has(key.msn));
  }
}

let recorder: FakeRecorder;
let rig: HlsRig;

describe('rewind', () => {
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    recorder = new FakeRecorder();
    rig = new HlsRig({ rewind: recorder });
  });

  afterEach(() => {
    rig.close();
    mock.timers.reset();
  });

  const msnsOf = (text: string): number[] =>
    [...text.matchAll(/^segment-[va](\d+)\.m4s$/gm)].map(([, msn]) => Number(msn));

  test('every completed segment is handed over once, in order, whole, with what is needed to play it', () => {
    rig.goLive(21);
    const video = [...recorder.segments.values()].filter((segment) => segment.renditionId === 'video');
    assert.deepEqual(
      video.map(({ msn }) => msn),
      [...video.keys()],
    );
    assert.ok(video.length >= 9);
    for (const segment of recorder.segments.values()) {
      assert.ok(Math.abs(segment.durationMs - 2_000) < 30, `${segment.durationMs}`);
      assert.equal(Buffer.from(segment.init).toString('latin1', 4, 8), 'ftyp');
      assert.match(Buffer.from(segment.body).toString('latin1', 4, 8), /moof|styp/);
      assert.equal(segment.broadcastId, rig.broadcast.id);
    }
    assert.deepEqual(
      video.slice(0, 3).map(({ startPtsMs }) => Math.round(startPtsMs / 100)),
      [0, 20, 40],
    );
  });

  test('the rewind playlist begins with the broadcast, its tail is the live one, and all that it lists can be had', async () => {
    rig.goLive(61);
    const index = textOf(await rig.get('/hls/demo/index.m3u8?dvr=1'));
    assert.match(index, /\/video\.m3u8\?dvr=1$/m);
    assert.match(index, /URI="\w+\/audio\.m3u8\?dvr=1"/);
    for (const name of ['video', 'audio']) {
      const live = await rig.text(`${name}.m3u8`);
      const rewind = await rig.text(`${name}.m3u8?dvr=1`);
      const msns = msnsOf(rewind);
      assert.deepEqual(msns, [...msns.keys()]);
      assert.ok(msns.length >= 28 && msnsOf(live).length === 10);
      assert.match(rewind, /#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-MAP/);
      const tail = live.slice(live.indexOf('#EXTINF')).split('#EXT-X-RENDITION-REPORT')[0]!;
      assert.ok(rewind.includes(tail), 'parts, hint and dates are those of the live playlist');
      assert.match(rewind, /RENDITION-REPORT:URI="\w+\.m3u8\?dvr=1"/);
      for (const msn of msns) {
        const uri = `${rig.folder}/segment-${name[0]}${msn}.m4s`;
        assert.deepEqual((await rig.get(uri)).body, recorder.segments.get(`${name}${msn}`)!.body, uri);
      }
    }
  });

  test('L14 a delta of the rewind playlist is as short as a live one, however long the broadcast', async () => {
    rig.goLive(181);
    const full = await rig.text('video.m3u8?dvr=1');
    const delta = await rig.text('video.m3u8?dvr=1&_HLS_skip=YES');
    const skippedCount = numberIn(delta, /SKIPPED-SEGMENTS=(\d+)/);
    assert.equal(skippedCount + msnsOf(delta).length, msnsOf(full).length);
    assert.ok(delta.length < 4_000 && full.length > delta.length);
    assert.equal(msnsOf(delta)[0], skippedCount);
  });

  test('blocking reload works on the rewind playlist', async () => {
    const later = rig.goLive(46.5);
    const waiting = rig.get(`${rig.folder}/video.m3u8?dvr=1&_HLS_msn=23&_HLS_part=1`);
    rig.push(later.filter((unit) => unit.arrivedAtMs < 47_100));
    const text = textOf(await waiting);
    assert.match(text, /segment-v0\.m4s[^]*#EXT-X-PART[^]*PRELOAD-HINT/);
  });

  test('what the recorder could not keep stands as a gap, and does not move the numbers', async () => {
    recorder.lost.add(4);
    rig.goLive(41);
    const text = await rig.text('video.m3u8?dvr=1');
    assert.match(text, /#EXT-X-GAP\n#EXTINF:[\d.]+,\nsegment-v4\.m4s/);
    assert.equal(text.match(/EXT-X-GAP/g)!.length, 1);
    assert.equal((await rig.get(`${rig.folder}/segment-v4.m4s`)).status, 404);
  });

  test('a discontinuity in the past keeps its mark, its date and its init segment', async () => {
    rig.goLive(6);
    const track = testVideoTrack({
      codecString: 'avc1.64001f',
      decoderConfig: Uint8Array.from([1, 0x64, 0, 0x1f, 0xff, 0xe0, 0]),
    });
    rig.publish();
    const after = interleave<AccessUnit>(
      syntheticVideo({ frameRateFps: 30, durationS: 40, gopFrames: 30, track }),
      syntheticAudio({ durationS: 40 }),
    ).map((unit) => ({
      ...unit,
      arrivedAtMs: unit.arrivedAtMs + 9_000,
      arrivedAtWallMs: unit.arrivedAtWallMs + 9_000,
    }));
    rig.push(after);
    const text = await rig.text('video.m3u8?dvr=1');
    assert.match(text, /#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-v1\.mp4"\n#EXT-X-PROGRAM-DATE-TIME/);
    assert.equal(text.match(/#EXT-X-DISCONTINUITY\n/g)!.length, 1);
    assert.equal(text.match(/#EXT-X-MAP/g)!.length, 2);
    assert.equal((await rig.get(`${rig.folder}/init-v0.mp4`)).status, 200);
    assert.equal(numberIn(await rig.text('video.m3u8'), /DISCONTINUITY-SEQUENCE:(\d+)/), 1);
  });

  test('many who ask for the same old segment cost one read; a source that fails is answered with 503', async () => {
    rig.goLive(61);
    const uri = `${rig.folder}/segment-v2.m4s`;
    const answers = await Promise.all(Array.from({ length: 50 }, async () => rig.get(uri)));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(recorder.readCount, 1);
    recorder.read = async () => Promise.reject(new Error('disk on fire'));
    const failed = await rig.get(uri);
    assert.deepEqual([failed.status, failed.headers['retry-after']], [503, '1']);
    recorder.read = async () => undefined;
    assert.equal((await rig.get(uri)).status, 404);
  });

  test('without a recorder the rewind playlist is the live window', async () => {
    rig.close();
    rig = new HlsRig();
    rig.goLive(61);
    assert.deepEqual(msnsOf(await rig.text('video.m3u8?dvr=1')), msnsOf(await rig.text('video.m3u8')));
  });

  test('after the end the rewind playlist says ENDLIST and still has everything', async () => {
    rig.goLive(61);
    rig.broadcast.end('over');
    const text = await rig.text('video.m3u8?dvr=1');
    assert.match(text, /#EXT-X-ENDLIST\n$/);
    assert.equal(msnsOf(text)[0], 0);
    assert.equal((await rig.get(`${rig.folder}/segment-v0.m4s`)).status, 200);
  });
});
