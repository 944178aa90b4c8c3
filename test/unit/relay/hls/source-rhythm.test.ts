// A source that begins with a scene cut: x264's own words keep LL-HLS from beginning with what it would have to leave.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { joinNalUnits } from '../../../../server/media/h264/nal-units.ts';
import type { VideoUnit } from '../../../../server/media/access-unit.ts';
import { HlsRig, settledOf, textOf } from '../../../support/hls-rig.ts';
import { syntheticVideo, testVideoTrack } from '../../../support/synthetic-media.ts';

let rig: HlsRig;

describe('source rhythm', () => {
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    rig = new HlsRig();
  });

  afterEach(() => {
    rig.close();
    mock.timers.reset();
  });

  const saying = (settings: string): Uint8Array =>
    joinNalUnits([Buffer.concat([Buffer.of(6, 5, 200), Buffer.from(`x264 - core 164 - options: ${settings}\0`)])]);

  /** Keyframes after so many frames, then as `rest` says; the first one carries x264's words. */
  const source = (firstGops: readonly number[], rest: number, settings: string): VideoUnit[] => {
    const gops = [...firstGops];
    const units = syntheticVideo({ frameRateFps: 30, durationS: 14, gopFrames: () => gops.shift() ?? rest });
    return units.map((unit, index) => (index === 0 ? { ...unit, payload: saying(settings) } : unit));
  };

  const pushWithRepair = (units: readonly VideoUnit[]): void => {
    const track = testVideoTrack({ widthPx: 320 });
    const repaired = syntheticVideo({ frameRateFps: 30, durationS: 14, gopFrames: 30, track });
    units.forEach((unit, index) => {
      rig.push([unit]);
      rig.broadcast.addRendition('repaired-video').push(repaired[index]!);
    });
  };

  test('a scene cut of 1.5 s in a stream of GOPs up to 250 frames does not make the source the choice', async () => {
    pushWithRepair(source([45], 250, 'cabac=1 keyint=250 keyint_min=25 scenecut=40'));
    assert.match(textOf(await rig.get('/hls/demo/index.m3u8')), /RESOLUTION=320x360/);
    assert.doesNotMatch(await rig.text('video.m3u8'), /#EXT-X-DISCONTINUITY\n/);
  });

  test('an encoder that is forced to a rhythm is believed after two GOPs alike, whatever it says of 250 frames', async () => {
    rig.push(source([60, 60], 60, 'keyint=250').slice(0, 160));
    assert.match(textOf((await settledOf(rig.get('/hls/demo/index.m3u8')))!), /RESOLUTION=640x360/);
  });

  test('an encoder that announces short GOPs is believed at its first', async () => {
    rig.push(source([], 60, 'keyint=60').slice(0, 130));
    assert.equal((await settledOf(rig.get('/hls/demo/index.m3u8')))?.status, 200);
  });

  test('where nobody repairs, the doubt ends with the wait for the repair', async () => {
    rig.push(source([45, 70, 33, 55, 38, 66, 41], 60, 'keyint=infinite'));
    assert.match(textOf((await settledOf(rig.get('/hls/demo/index.m3u8')))!), /RESOLUTION=640x360/);
  });
});
