/** The doctor's opinion of made-up publishers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Doctor } from '../../../server/ingest/doctor.ts';
import type { SourceUnit } from '../../../server/media/access-unit.ts';
import type { AudioTrack, VideoTrack } from '../../../server/media/track.ts';

const VIDEO: VideoTrack = {
  kind: 'video',
  codec: 'h264',
  timescaleHz: 90_000,
  decoderConfig: new Uint8Array(),
  codecString: 'avc1.64000d',
  widthPx: 320,
  heightPx: 180,
};
const AUDIO: AudioTrack = {
  kind: 'audio',
  codec: 'aac',
  timescaleHz: 48_000,
  decoderConfig: new Uint8Array(),
  codecString: 'mp4a.40.2',
  channelCount: 2,
  samplesPerUnit: 1_024,
};

type Shape = {
  seconds?: number;
  gopFrames?: number;
  reorder?: number;
  keyframeBytes?: number;
  frameBytes?: (frame: number) => number;
  stampMs?: (frame: number) => number;
  arrivalMs?: (frame: number) => number;
  track?: VideoTrack;
  hasAudio?: boolean;
  firstPayload?: Uint8Array;
};

/** Plays a publisher at 30 fps into a doctor, evaluating as the session does. Returns it with the number of changes told. */
const play = (
  shape: Shape,
  doctor = new Doctor({ startedAtMs: 0 }),
  fromFrame = 0,
): { doctor: Doctor; changes: number } => {
  const { seconds = 8, gopFrames = 30, reorder = 0, keyframeBytes = 5_000, hasAudio = true, track = VIDEO } = shape;
  let changes = 0;
  for (let frame = fromFrame; frame < fromFrame + seconds * 30; frame += 1) {
    const stampMs = shape.stampMs?.(frame) ?? Math.round((frame * 1_000) / 30);
    const arrivedAtMs = shape.arrivalMs?.(frame) ?? stampMs;
    const isKeyframe = frame % gopFrames === 0;
    const shownLaterFrames =
      reorder === 0 || isKeyframe ? reorder : frame % (reorder + 1) === 1 ? 2 * reorder : reorder - 1;
    const size = isKeyframe ? keyframeBytes : (shape.frameBytes?.(frame) ?? 2_000);
    const payload = frame === 0 && shape.firstPayload !== undefined ? shape.firstPayload : new Uint8Array(size);
    const common = { isKeyframe, payload, arrivedAtMs, arrivedAtWallMs: 0 };
    const unit: SourceUnit = {
      ...common,
      track,
      dtsTicks: stampMs * 90,
      ptsTicks: (stampMs + Math.round((shownLaterFrames * 1_000) / 30)) * 90,
    };
    doctor.onUnit(unit);
    if (hasAudio) {
      doctor.onUnit({ ...common, track: AUDIO, isKeyframe: true, dtsTicks: stampMs * 48, ptsTicks: stampMs * 48 });
    }
    changes += doctor.evaluate(arrivedAtMs) ? 1 : 0;
  }
  return { doctor, changes };
};

const codesOf = (shape: Shape): string[] => play(shape).doctor.findings.map((finding) => finding.code);

test('a good publisher has no findings', () => {
  assert.deepEqual(codesOf({}), []);
});

test('B-frames are named with their cost', () => {
  const [finding] = play({ reorder: 2 }).doctor.findings;
  assert.equal(finding?.code, 'B_FRAMES');
  assert.ok((finding?.costMs ?? 0) >= 33 && (finding?.costMs ?? 0) <= 140, String(finding?.costMs));
});

test('x264’s own words give the lookahead, zerolatency gives none', () => {
  const withSettings = (settings: string): Uint8Array => {
    const sei = Buffer.concat([
      Buffer.from([6, 5, 90]),
      Buffer.alloc(16),
      Buffer.from(`x264 - options: ${settings}\0`),
    ]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(sei.byteLength);
    return Buffer.concat([length, sei]);
  };
  const slow = play({ firstPayload: withSettings('rc_lookahead=20 bframes=2 threads=6 sliced_threads=0') });
  const finding = slow.doctor.findings.find((one) => one.code === 'LOOKAHEAD');
  assert.ok(Math.abs((finding?.costMs ?? 0) - 933) < 10, String(finding?.costMs));
  assert.deepEqual(codesOf({ firstPayload: withSettings('rc_lookahead=0 bframes=0 threads=6 sliced_threads=1') }), []);
});

test('250 pictures between keyframes are known as the default', () => {
  const { doctor } = play({ gopFrames: 250, seconds: 20 });
  const finding = doctor.findings.find((one) => one.code === 'KEYFRAME_INTERVAL_LONG');
  assert.match(finding?.advice ?? '', /default of 250/u);
});

test('keyframes out of rhythm are named', () => {
  const doctor = new Doctor({ startedAtMs: 0 });
  const { doctor: seen } = play({ seconds: 8, gopFrames: 30 }, doctor);
  play({ seconds: 4, gopFrames: 17 }, seen, 240);
  assert.deepEqual(
    seen.findings.map((one) => one.code),
    ['KEYFRAME_INTERVAL_IRREGULAR'],
  );
});

test('huge keyframes and peaks of a second are named', () => {
  assert.deepEqual(codesOf({ keyframeBytes: 150_000 }), ['KEYFRAMES_LARGE']);
  const peak = (frame: number): number => (Math.floor(frame / 30) === 4 ? 20_000 : 2_000);
  assert.deepEqual(codesOf({ frameBytes: peak }), ['BITRATE_PEAKS']);
});

test('stamps that stumble are named, whole milliseconds are not', () => {
  const stumbling = (frame: number): number => Math.round((frame * 1_000) / 30) + (frame % 10 === 0 ? 30 : 0);
  assert.deepEqual(codesOf({ stampMs: stumbling }), ['TIMESTAMPS_IRREGULAR']);
  assert.deepEqual(codesOf({ stampMs: (frame) => Math.floor((frame * 1_000) / 30) }), []);
});

test('a stalled uplink is named and forgotten again', () => {
  const stall = (frame: number): number => {
    const stampMs = Math.round((frame * 1_000) / 30);
    return frame >= 100 && frame < 124 ? 4_200 : stampMs;
  };
  const { doctor } = play({ arrivalMs: stall });
  assert.deepEqual(
    doctor.findings.map((one) => one.code),
    ['UPLINK_STALLS'],
  );
  play({ seconds: 30 }, doctor, 240);
  assert.deepEqual(doctor.findings, []);
});

test('missing sound, missing picture and codecs that need repair are named', () => {
  assert.deepEqual(codesOf({ hasAudio: false }), ['AUDIO_MISSING']);
  assert.deepEqual(codesOf({ track: { ...VIDEO, codec: 'hevc' } }), ['CODEC_NEEDS_REPAIR']);
  const blind = new Doctor({ startedAtMs: 0 });
  blind.evaluate(6_000);
  blind.evaluate(7_000);
  assert.deepEqual(
    blind.findings.map((one) => one.code),
    ['VIDEO_MISSING'],
  );
});

test('a queue let go at the start is told from steady arrival', () => {
  const held = (frame: number): number => (frame < 15 ? 500 + frame : Math.max(515, Math.round((frame * 1_000) / 30)));
  assert.ok(codesOf({ arrivalMs: held }).includes('BURST_AT_START'));
});

test('findings do not flap: one change for a lasting fault', () => {
  assert.equal(play({ reorder: 2, seconds: 20 }).changes, 1);
});

test('a fault of a single second is not shown', () => {
  const doctor = new Doctor({ startedAtMs: 0 });
  play({ hasAudio: false, seconds: 6 }, doctor);
  assert.equal(doctor.findings.length, 0);
});
