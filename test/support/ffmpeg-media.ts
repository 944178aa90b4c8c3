/** Real H.264 and AAC, made once by ffmpeg and cut into access units, for tests that need something a decoder accepts. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { AudioUnit, VideoUnit } from '../../server/media/access-unit.ts';
import { avcCodecString, buildAvcConfig } from '../../server/media/h264/avc-config.ts';
import { NAL_IDR, NAL_PPS, NAL_SPS, joinNalUnits, nalTypeOf } from '../../server/media/h264/nal-units.ts';
import { testAudioTrack, testVideoTrack } from './synthetic-media.ts';
import { tempFolder } from './temp-folder.ts';

/** False when ffmpeg is there, else why a test is skipped. */
export const ffmpegMissing = (): false | string =>
  spawnSync('ffmpeg', ['-version']).status === 0 ? false : 'ffmpeg is not installed';

const FRAME_RATE_FPS = 30;

type MediaOptions = {
  readonly durationS: number;
  readonly bFrames: number;
  readonly gopFrames: number;
  /** One of ffmpeg's own pictures that takes a size and a rate; `testsrc2` without. */
  readonly picture?: string;
};

/** A moving test picture at 30 fps with a tone. Stamps are in whole milliseconds, as RTMP would carry them. */
export const makeElementaryStreams = (options: MediaOptions): { video: VideoUnit[]; audio: AudioUnit[] } => {
  const folder = tempFolder('media');
  try {
    return { video: makeVideo(folder, options), audio: makeAudio(folder, options.durationS) };
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const runTool = (tool: string, args: readonly string[]): string => {
  const result = spawnSync(tool, ['-v', 'error', ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (result.status !== 0) {
    throw new Error(`${tool} failed: ${result.stderr}`);
  }
  return result.stdout;
};

type ProbedPacket = { readonly pts: number; readonly dts: number; readonly size: string; readonly pos: string };

/** Packets as ffprobe sees them in a file, with their bytes. */
const probePackets = (file: string): { packet: ProbedPacket; payload: Uint8Array }[] => {
  const json = runTool('ffprobe', ['-show_packets', '-of', 'json', file]);
  const { packets } = JSON.parse(json) as { packets: ProbedPacket[] };
  const bytes = readFileSync(file);
  return packets.map((packet) => {
    const at = Number(packet.pos);
    return { packet, payload: Uint8Array.from(bytes.subarray(at, at + Number(packet.size))) };
  });
};

const makeVideo = (folder: string, options: MediaOptions): VideoUnit[] => {
  const file = join(folder, 'video.mp4');
  const source = `${options.picture ?? 'testsrc2'}=size=320x180:rate=${FRAME_RATE_FPS}`;
  const encoder = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-bf', String(options.bFrames)];
  const gop = ['-g', String(options.gopFrames), '-keyint_min', String(options.gopFrames), '-sc_threshold', '0'];
  // In-band parameter sets (annex B beside the file) are the simplest place to read them from.
  const muxer = ['-video_track_timescale', '90000', '-bsf:v', 'dump_extra=freq=keyframe'];
  runTool('ffmpeg', ['-f', 'lavfi', '-t', String(options.durationS), '-i', source, ...encoder, ...gop, ...muxer, file]);
  const packets = probePackets(file).map(({ packet, payload }) => ({ packet, nalUnits: splitMixed(payload) }));
  const all = packets.flatMap(({ nalUnits }) => nalUnits);
  const sps = all.find((nalUnit) => nalTypeOf(nalUnit) === NAL_SPS) ?? new Uint8Array();
  const pps = all.find((nalUnit) => nalTypeOf(nalUnit) === NAL_PPS) ?? new Uint8Array();
  const track = testVideoTrack({
    decoderConfig: buildAvcConfig([sps], [pps]),
    codecString: avcCodecString({ profileIdc: sps[1] ?? 0, constraintFlags: sps[2] ?? 0, levelIdc: sps[3] ?? 0 }),
    widthPx: 320,
    heightPx: 180,
  });
  const firstDts = packets[0]?.packet.dts ?? 0;
  const toTicks = (ticks: number): number => Math.round((ticks - firstDts) / 90) * 90;
  return packets.map(({ packet, nalUnits }) => ({
    track,
    dtsTicks: toTicks(packet.dts),
    ptsTicks: toTicks(packet.pts),
    isKeyframe: nalUnits.some((nalUnit) => nalTypeOf(nalUnit) === NAL_IDR),
    payload: joinNalUnits(nalUnits.filter((nalUnit) => ![NAL_SPS, NAL_PPS].includes(nalTypeOf(nalUnit)))),
    arrivedAtMs: toTicks(packet.dts) / 90,
    arrivedAtWallMs: toTicks(packet.dts) / 90,
    isDiscontinuity: false,
  }));
};

/** Length-prefixed NAL units; the filter puts the whole avcC record before a keyframe's, which is unpacked here. */
const splitMixed = (payload: Uint8Array): Uint8Array[] => {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const nalUnits: Uint8Array[] = [];
  let at = 0;
  if (payload[0] === 1) {
    const spsBytes = view.getUint16(6);
    nalUnits.push(payload.subarray(8, 8 + spsBytes));
    const ppsBytes = view.getUint16(9 + spsBytes);
    const ppsAt = 11 + spsBytes;
    nalUnits.push(payload.subarray(ppsAt, ppsAt + ppsBytes));
    at = ppsAt + ppsBytes;
    const isHighProfile = [100, 110, 122, 144].includes(payload[1] ?? 0);
    at += isHighProfile && (payload[at] ?? 0) >= 0xfc ? 4 : 0;
  }
  while (at + 4 < payload.byteLength) {
    const bytes = view.getUint32(at);
    nalUnits.push(payload.subarray(at + 4, at + 4 + bytes));
    at += 4 + bytes;
  }
  return nalUnits;
};

const SAMPLES_PER_UNIT = 1024;
const RATE_HZ = 48_000;

const makeAudio = (folder: string, durationS: number): AudioUnit[] => {
  const file = join(folder, 'audio.aac');
  const source = `sine=frequency=440:sample_rate=${RATE_HZ}:duration=${durationS}`;
  runTool('ffmpeg', ['-f', 'lavfi', '-i', source, '-ac', '2', '-c:a', 'aac', '-b:a', '96k', '-f', 'adts', file]);
  const track = testAudioTrack();
  return splitAdts(readFileSync(file)).map((payload, index) => {
    const atMs = Math.round((index * SAMPLES_PER_UNIT * 1000) / RATE_HZ);
    const dtsTicks = (atMs * RATE_HZ) / 1000;
    const times = { dtsTicks, ptsTicks: dtsTicks, arrivedAtMs: atMs, arrivedAtWallMs: atMs };
    return { track, ...times, isKeyframe: true, payload, isDiscontinuity: false };
  });
};

/** ADTS frames (ISO/IEC 13818-7 6.2) without their headers of 7 bytes. */
const splitAdts = (bytes: Uint8Array): Uint8Array[] => {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 7 < bytes.byteLength;) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at + 3, at + 6);
    const frameBytes = ((a & 3) << 11) | (b << 3) | (c >> 5);
    frames.push(Uint8Array.from(bytes.subarray(at + 7, at + frameBytes)));
    at += frameBytes;
  }
  return frames;
};
