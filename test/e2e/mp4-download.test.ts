// Progressive MP4s made from a recording, judged by ffprobe and ffmpeg: counts, durations, sync, decoding.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { AudioUnit, VideoUnit } from '../../server/media/access-unit.ts';
import type { Mp4Download, Mp4Range } from '../../server/replay/mp4-download.ts';
import { planMp4 } from '../../server/replay/mp4-download.ts';
import { readVodTimeline } from '../../server/replay/vod-timeline.ts';
import { ffmpegMissing, makeElementaryStreams } from '../support/ffmpeg-media.ts';
import type { SampleStretch } from '../support/sample-recording.ts';
import { makeSampleRecording } from '../support/sample-recording.ts';
import { tempFolder } from '../support/temp-folder.ts';

const skip = ffmpegMissing();
const FRAME_S = 1 / 30;
let plain: { video: VideoUnit[]; audio: AudioUnit[] };
let reordered: { video: VideoUnit[]; audio: AudioUnit[] };
let folder = '';

before(() => {
  folder = tempFolder('mp4');
  if (skip === false) {
    plain = makeElementaryStreams({ durationS: 7, bFrames: 0, gopFrames: 30 });
    reordered = makeElementaryStreams({ durationS: 6, bFrames: 2, gopFrames: 60 });
  }
});

/** Bytes of the media behind the head. */
const sliceOf = ({ copies, filePaths, inBandSets }: Mp4Download, fromByte: number, toByte: number): Buffer => {
  const files = filePaths.map((path) => readFileSync(path));
  const pieces = [...copies.slice(fromByte, toByte)].map(({ fileNumber, byteOffset, byteLength }) =>
    (fileNumber < 0 ? inBandSets.get(fileNumber)! : files[fileNumber]!).subarray(byteOffset, byteOffset + byteLength),
  );
  return Buffer.concat(pieces);
};

const toBytes = (mp4: Mp4Download): Buffer => Buffer.concat([mp4.head, sliceOf(mp4, 0, mp4.copies.totalBytes)]);

type Probe = {
  readonly format: { readonly duration: string };
  readonly streams: readonly {
    codec_type: string;
    nb_read_frames: string;
    nb_frames: string;
    start_time: string;
    duration: string;
  }[];
};

/** Made, written, read by ffprobe with every frame decoded; ffmpeg must not say a word. */
const download = async (
  stretches: readonly SampleStretch[],
  range?: Mp4Range,
): Promise<{ probe: Probe; file: string; sizeBytes: number; mp4: Mp4Download }> => {
  const recording = makeSampleRecording(folder, stretches);
  const timeline = readVodTimeline(recording.index)!;
  const mp4 = await planMp4(recording, timeline, range ?? { fromMs: 0, toMs: timeline.durationMs });
  const bytes = toBytes(mp4);
  assert.equal(bytes.byteLength, mp4.sizeBytes);
  const file = join(folder, 'out.mp4');
  writeFileSync(file, bytes);
  const decoded = spawnSync('ffmpeg', ['-v', 'warning', '-i', file, '-f', 'null', '-'], { encoding: 'utf8' });
  assert.equal(decoded.stderr, '');
  const probed = spawnSync(
    'ffprobe',
    ['-v', 'error', '-count_frames', '-show_streams', '-show_format', '-of', 'json', file],
    { encoding: 'utf8' },
  );
  assert.equal(probed.stderr, '');
  return { probe: JSON.parse(probed.stdout) as Probe, file, sizeBytes: bytes.byteLength, mp4 };
};

const streamOf = (probe: Probe, type: string): Probe['streams'][number] =>
  probe.streams.find((stream) => stream.codec_type === type)!;

const assertNear = (actual: number | string, expected: number, tolerance: number, what: string): void =>
  assert.ok(
    Math.abs(Number(actual) - expected) <= tolerance,
    `${what} is ${actual}, expected ${expected} ± ${tolerance}`,
  );

test(
  'the whole recording: as many samples as were recorded, the right duration, no word from the decoder',
  { skip },
  async () => {
    const { probe } = await download([{ startMs: 0, ...plain }]);
    assertNear(probe.format.duration, 7, 0.05, 'duration');
    assert.equal(Number(streamOf(probe, 'video').nb_read_frames), plain.video.length);
    assertNear(streamOf(probe, 'audio').nb_read_frames, plain.audio.length, 2, 'frames of sound');
  },
);

test('a range in the middle of GOPs lasts what was asked for, to a frame, in both tracks', { skip }, async () => {
  for (const [fromMs, toMs] of [
    [2_350, 4_717],
    [0, 1_500],
    [3_000, 3_040],
    [5_990, 6_900],
  ] as const) {
    const { probe } = await download([{ startMs: 0, ...plain }], { fromMs, toMs });
    const wantedS = (toMs - fromMs) / 1000;
    assertNear(probe.format.duration, wantedS, FRAME_S, `duration of ${fromMs} to ${toMs}`);
    assertNear(streamOf(probe, 'video').duration, wantedS, FRAME_S, 'pictures');
    assertNear(streamOf(probe, 'audio').duration, wantedS, FRAME_S, 'sound');
    assertNear(streamOf(probe, 'video').start_time, 0, FRAME_S, 'start of the pictures');
    assertNear(streamOf(probe, 'audio').start_time, 0, FRAME_S, 'start of the sound');
  }
});

test('B-frames: durations and starts are those of what is shown, not of what is decoded', { skip }, async () => {
  const { probe } = await download([{ startMs: 0, ...reordered }], { fromMs: 1_000, toMs: 4_000 });
  assertNear(probe.format.duration, 3, FRAME_S, 'duration');
  assertNear(streamOf(probe, 'video').start_time, 0, FRAME_S, 'start');
  assertNear(streamOf(probe, 'video').nb_read_frames, 90, 1, 'pictures shown');
});

test(
  'reconnects are flattened: another encoder behind the gap, another sample entry, times that only rise',
  { skip },
  async () => {
    const { probe, file, mp4 } = await download([
      { startMs: 0, video: plain.video.slice(0, 95), audio: plain.audio.slice(0, 155) },
      { startMs: 12_345, ...reordered },
      { startMs: 40_000, video: plain.video.slice(0, 60), audio: plain.audio.slice(0, 80) },
    ]);
    const recordedS = (95 + 180 + 60) / 30;
    assertNear(probe.format.duration, recordedS, 0.1, 'duration');
    const stsdAt = Buffer.from(mp4.head).indexOf('stsd');
    assert.equal(Buffer.from(mp4.head).readUInt32BE(stsdAt + 8), 2, 'two sample entries');
    for (const type of ['v', 'a']) {
      const entries = ['-select_streams', type, '-show_entries', 'packet=pts_time,dts_time', '-of', 'csv=p=0'];
      const { stdout } = spawnSync('ffprobe', ['-v', 'error', ...entries, file], { encoding: 'utf8' });
      // Beside times there are lines about side data.
      const times = [...stdout.matchAll(/^(-?\d+\.\d+),(-?\d+\.\d+)/gm)].map((match) => [
        Number(match[1]),
        Number(match[2]),
      ]);
      assert.ok(times.length > 300);
      times.forEach(([, dts = 0], at) =>
        assert.ok(at === 0 || dts > (times[at - 1]?.[1] ?? 0), `${type} ${at}: ${dts}`),
      );
      const shown = times.map(([pts = 0]) => pts).toSorted((a, b) => a - b);
      const holes = shown.filter((pts, at) => at > 0 && pts - (shown[at - 1] ?? 0) > 0.2);
      assert.deepEqual(holes, [], `${type} has holes`);
    }
  },
);

test('a range over a join has pictures and sound of both sides', { skip }, async () => {
  const { probe } = await download(
    [
      { startMs: 0, ...plain },
      { startMs: 20_000, ...plain },
    ],
    { fromMs: 5_500, toMs: 9_250 },
  );
  assertNear(probe.format.duration, 3.75, FRAME_S, 'duration');
  assertNear(streamOf(probe, 'video').nb_read_frames, 112, 2, 'pictures shown');
});

test('sound alone, and pictures alone', { skip }, async () => {
  const sound = await download([{ startMs: 0, audio: plain.audio }], { fromMs: 1_010, toMs: 3_500 });
  assert.deepEqual(
    sound.probe.streams.map((stream) => stream.codec_type),
    ['audio'],
  );
  assertNear(sound.probe.format.duration, 2.49, 0.025, 'duration of sound');
  const pictures = await download([{ startMs: 0, video: plain.video }], { fromMs: 1_010, toMs: 3_500 });
  assert.deepEqual(
    pictures.probe.streams.map((stream) => stream.codec_type),
    ['video'],
  );
  assertNear(pictures.probe.format.duration, 2.49, FRAME_S, 'duration of pictures');
});

test('any byte is found again: every slice equals the same bytes of the whole', { skip }, async () => {
  const { mp4 } = await download([
    { startMs: 0, ...plain },
    { startMs: 20_000, ...reordered },
  ]);
  const whole = toBytes(mp4).subarray(mp4.head.byteLength);
  for (const [from, to] of [
    [0, 1],
    [1_000, 90_000],
    [whole.byteLength - 7, whole.byteLength],
    [50_000, whole.byteLength],
  ] as const) {
    assert.ok(sliceOf(mp4, from, to).equals(whole.subarray(from, to)), `${from} to ${to}`);
  }
});
