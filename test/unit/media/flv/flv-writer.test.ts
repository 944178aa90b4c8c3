/** FLV tags as ffmpeg reads them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flvHeader, flvTag } from '../../../../server/media/flv/flv-writer.ts';
import { TEST_AUDIO_TRACK, TEST_VIDEO_TRACK } from '../../../support/units.ts';

const unit = (track: typeof TEST_VIDEO_TRACK | typeof TEST_AUDIO_TRACK, isKeyframe: boolean) => ({
  track,
  dtsTicks: 0,
  ptsTicks: 0,
  isKeyframe,
  payload: Uint8Array.of(1, 2, 3),
  arrivedAtMs: 0,
  arrivedAtWallMs: 0,
});

test('the header says what follows and carries the decoder configuration', () => {
  const bytes = Buffer.from(flvHeader(TEST_VIDEO_TRACK, 0));
  assert.equal(bytes.subarray(0, 3).toString('latin1'), 'FLV');
  assert.equal(bytes[4], 1);
  assert.equal(bytes[13], 9);
  assert.deepEqual(Uint8Array.from(bytes.subarray(24, 29)), Uint8Array.of(0x17, 0, 0, 0, 0));
  assert.deepEqual(Uint8Array.from(bytes.subarray(29, bytes.length - 4)), TEST_VIDEO_TRACK.decoderConfig);
  assert.equal(flvHeader(TEST_AUDIO_TRACK, 0)[4], 4);
});

test('a picture carries its 32-bit time and a signed composition offset', () => {
  const bytes = Buffer.from(
    flvTag(unit(TEST_VIDEO_TRACK, false), { dtsMs: 0x1_2345_6789 % 2 ** 32, ptsMs: 0x2345_6749 }),
  );
  assert.equal(bytes.readUIntBE(4, 3), 0x456789);
  assert.equal(bytes[7], 0x23);
  assert.equal(bytes[11], 0x27);
  assert.equal(bytes.readIntBE(13, 3), -64);
  assert.equal(bytes.readUInt32BE(bytes.length - 4), bytes.length - 4);
});

test('a keyframe is marked, and sound is a raw AAC frame', () => {
  assert.equal(flvTag(unit(TEST_VIDEO_TRACK, true), { dtsMs: 0, ptsMs: 0 })[11], 0x17);
  const sound = flvTag(unit(TEST_AUDIO_TRACK, true), { dtsMs: 5, ptsMs: 5 });
  assert.deepEqual(sound.subarray(11, 16), Buffer.from([0xaf, 1, 1, 2, 3]));
});
