/** The flags that research/TRANSCODE.md found to matter, each for its reason. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPUS_DEFAULTS, REPAIR_DEFAULTS, inputArgs, opusArgs, repairArgs } from '../../../transcode/ffmpeg-args.ts';
import type { RepairJob } from '../../../transcode/ffmpeg-args.ts';
import { TEST_AUDIO_TRACK, TEST_VIDEO_TRACK } from '../../support/units.ts';

const job: RepairJob = {
  track: TEST_VIDEO_TRACK,
  options: REPAIR_DEFAULTS,
  sourceBitrateBps: 4_000_000,
  frameRateFps: 30.3,
  encodeFromMs: 10_233,
};

const valueOf = (args: readonly string[], flag: string): string | undefined => args[args.indexOf(flag) + 1];

test('input is decoded on one thread, probed briefly, and keeps its times', () => {
  const args = inputArgs(TEST_VIDEO_TRACK);
  assert.equal(valueOf(args, '-threads'), '1');
  assert.equal(valueOf(args, '-analyzeduration'), '100000');
  assert.equal(valueOf(args, '-f'), 'flv');
  assert.ok(args.includes('-copyts'));
  assert.ok(!args.includes('nobuffer') && !args.includes('-probesize'));
  assert.equal(valueOf(inputArgs({ ...TEST_VIDEO_TRACK, codec: 'hevc' }), '-f'), 'nut');
});

test('a repair has no B-frames, no look-ahead, one slice at 360p, and keyframes on whole seconds of media time', () => {
  const args = repairArgs(job);
  assert.equal(valueOf(args, '-bf'), '0');
  assert.equal(valueOf(args, '-tune'), 'zerolatency');
  assert.equal(valueOf(args, '-x264-params'), 'sliced-threads=0:annexb=0:fps=30');
  assert.match(valueOf(args, '-force_key_frames') ?? '', /floor\(t\+0\.2335\)/);
  assert.equal(valueOf(args, '-vf'), "select='gte(t,10.2325)'");
});

test('the cap follows the source, and a size-based floor where the source is not measured', () => {
  assert.equal(valueOf(repairArgs(job), '-maxrate'), '6000000');
  const unmeasured = { ...job, sourceBitrateBps: undefined, frameRateFps: undefined };
  assert.equal(valueOf(repairArgs(unmeasured), '-maxrate'), String(640 * 360 * 30 * 0.15));
});

test('1080p is encoded faster and in two slices', () => {
  const args = repairArgs({ ...job, track: { ...TEST_VIDEO_TRACK, widthPx: 1920, heightPx: 1080 } });
  assert.equal(valueOf(args, '-preset'), 'superfast');
  assert.equal(valueOf(args, '-threads'), '2');
});

test('Opus is 48 kHz stereo in packets of 20 ms, or of 10 on request', () => {
  const args = opusArgs(TEST_AUDIO_TRACK, OPUS_DEFAULTS);
  assert.deepEqual(
    ['-ar', '-ac', '-frame_duration'].map((flag) => valueOf(args, flag)),
    ['48000', '2', '20'],
  );
  assert.equal(valueOf(opusArgs(TEST_AUDIO_TRACK, { ...OPUS_DEFAULTS, frameMs: 10 }), '-frame_duration'), '10');
});

test('odd sides are made even, and never nothing', () => {
  const filterOf = (widthPx: number, heightPx: number): string | undefined =>
    valueOf(repairArgs({ ...job, track: { ...TEST_VIDEO_TRACK, widthPx, heightPx } }), '-vf');
  assert.match(filterOf(853, 479) ?? '', /,scale=852:478$/);
  assert.match(filterOf(1, 1) ?? '', /,scale=2:2$/);
  assert.doesNotMatch(filterOf(854, 480) ?? '', /scale/);
});
