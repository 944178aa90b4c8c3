/** What each preset asks of ffmpeg, for both doors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outputArgs, WHIP_AUDIO_ADDRESS, WHIP_VIDEO_ADDRESS } from '../../../latency/source/presets.ts';

const RTMP = 'rtmp://127.0.0.1/live/x';
const WHIP = 'http://127.0.0.1/whip/x';
const valueOf = (args: readonly string[], name: string): string | undefined => args[args.lastIndexOf(name) + 1];

test('OBS with its defaults has B-frames, look-ahead and long GOPs', () => {
  const args = outputArgs({ url: RTMP, preset: 'obs-default', gopS: 1 });
  assert.equal(valueOf(args, '-bf'), '2');
  assert.equal(valueOf(args, '-g'), '250');
  assert.ok(!args.includes('zerolatency'));
});

test('OBS as the doctor wants it: zerolatency, no B-frames, a keyframe each second, constant bitrate', () => {
  const args = outputArgs({ url: RTMP, preset: 'obs-tuned', frameRateFps: 60, bitrateBps: 3_000_000 });
  assert.ok(args.includes('zerolatency'));
  assert.equal(valueOf(args, '-bf'), '0');
  assert.equal(valueOf(args, '-g'), '60');
  assert.equal(valueOf(args, '-preset'), 'veryfast');
  assert.deepEqual([valueOf(args, '-minrate'), valueOf(args, '-maxrate')], ['3000000', '3000000']);
});

test('WHIP gets RTP of H.264 without B-frames and of Opus, each by its own muxer', () => {
  const args = outputArgs({ url: WHIP, preset: 'obs-default' });
  assert.equal(valueOf(args, '-bf'), '0');
  assert.equal(valueOf(args, '-c:a'), 'libopus');
  assert.ok(args.indexOf(WHIP_VIDEO_ADDRESS) < args.indexOf('-c:a'));
  assert.equal(args.at(-1), WHIP_AUDIO_ADDRESS);
});

test('video-only has no sound by either door', () => {
  assert.ok(outputArgs({ url: RTMP, preset: 'video-only' }).includes('-an'));
  assert.equal(outputArgs({ url: WHIP, preset: 'video-only' }).at(-1), WHIP_VIDEO_ADDRESS);
});
