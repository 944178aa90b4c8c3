/** The arguments of the essentials' ffmpeg children: pure. One child makes one track from one elementary stream. */
import type { AudioTrack, Track, VideoTrack } from '../server/media/track.ts';

export type InputFormat = 'flv' | 'nut';

export type OpusOptions = {
  readonly bitrateBps: number;
  /** 20 by default; 10 saves 10 ms for twice the packets. */
  readonly frameMs: 10 | 20;
  /** libopus's effort, 0 … 10. */
  readonly complexity: number;
};

export type RepairOptions = {
  /** x264's quality to aim at; about 20 looks like the source. */
  readonly crf: number;
  /** The cap on bitrate, as a multiple of the source's: without B-frames and with a fast preset x264 needs more bits. */
  readonly bitrateMaxRatio: number;
  /** Slices encoded side by side in each picture; 0: one up to 720p, two above, where one core alone hardly keeps up. */
  readonly sliceCount: number;
};

export const OPUS_DEFAULTS: OpusOptions = { bitrateBps: 128_000, frameMs: 20, complexity: 5 };
export const REPAIR_DEFAULTS: RepairOptions = { crf: 20, bitrateMaxRatio: 1.5, sliceCount: 0 };

/** Where in front of the first picture the child's clock begins, so that no time it makes (Opus starts early) is below zero. */
export const CHILD_CLOCK_LEAD_MS = 10_000;

/** FLV wherever ffmpeg 5.1's reader knows the codec: its reader remembers keyframes only, NUT's every syncpoint. */
export const inputFormatOf = (track: Track): InputFormat =>
  track.codec === 'h264' || track.codec === 'aac' ? 'flv' : 'nut';

/**
 * Measured (research/TRANSCODE.md 1): frame-threaded decoding holds one picture per thread back; `nobuffer` throws the first
 * GOP away; `probesize 32` fails on some streams.
 */
export const inputArgs = (track: Track): string[] => [
  ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'error', '-copyts'],
  ...['-threads', '1', '-analyzeduration', '100000', '-f', inputFormatOf(track)],
];

/** Each packet at once, nothing looked up later. */
export const NUT_OUTPUT_ARGS: readonly string[] = ['-flush_packets', '1', '-write_index', '0', '-f', 'nut'];

/** AAC or anything else to Opus. Gaps and drift of the stamps are followed, so that sound stays with the picture. */
export const opusArgs = (track: AudioTrack, options: OpusOptions): string[] => [
  ...['-map', '0:a:0', '-vn', '-c:a', 'libopus', '-b:a', String(options.bitrateBps)],
  ...['-application', 'audio', '-frame_duration', String(options.frameMs)],
  ...['-compression_level', String(options.complexity), '-ar', '48000', '-ac', '2'],
  ...followStamps(track),
  ...NUT_OUTPUT_ARGS,
];

/** Opus to AAC, in the same way: what was lost on a publisher's uplink is a gap of the stamps, and becomes silence. */
export const aacArgs = (track: AudioTrack, options: OpusOptions): string[] => [
  ...['-map', '0:a:0', '-vn', '-c:a', 'aac', '-b:a', String(options.bitrateBps), '-ar', '48000', '-ac', '2'],
  ...followStamps(track),
  ...NUT_OUTPUT_ARGS,
];

/** RTMP rounds stamps to milliseconds: below 5 ms nothing is corrected; to 50 ms by 0.4 % of speed; above, at once. */
const followStamps = (track: AudioTrack): string[] => [
  '-af',
  `aresample=48000:async=${Math.round(track.timescaleHz * 0.004)}:min_comp=0.005:min_hard_comp=0.05`,
];

export type RepairJob = {
  readonly track: VideoTrack;
  readonly options: RepairOptions;
  /** What the source sends, where it has been measured long enough. */
  readonly sourceBitrateBps: number | undefined;
  readonly frameRateFps: number | undefined;
  /** Child time before which pictures are decoded but not encoded: the cached GOP up to the live edge. */
  readonly encodeFromMs: number;
};

/** Safe H.264: pictures in order, an IDR in each whole second of media time, lengths before NAL units. */
export const repairArgs = (job: RepairJob): string[] => {
  const capBps = bitrateMaxBps(job);
  const sliceCount = job.options.sliceCount || (isLarge(job.track) ? 2 : 1);
  return [
    ...['-map', '0:v:0', '-an', '-fps_mode', 'passthrough', '-enc_time_base', '-1'],
    ...['-vf', `select='gte(t,${((job.encodeFromMs - 0.5) / 1000).toFixed(4)})'${evenSize(job.track)}`],
    ...['-c:v', 'libx264', '-preset', presetFor(job.track), '-tune', 'zerolatency', '-profile:v', 'high'],
    ...['-pix_fmt', 'yuv420p', '-crf', String(job.options.crf)],
    ...['-maxrate', String(capBps), '-bufsize', String(capBps)],
    ...['-bf', '0', '-sc_threshold', '0', '-g', '1000', '-forced-idr', '1'],
    ...['-force_key_frames', keyframesOnWholeSeconds(job.encodeFromMs)],
    ...['-threads', String(sliceCount), '-x264-params', x264Params(sliceCount, job.frameRateFps)],
    ...NUT_OUTPUT_ARGS,
  ];
};

/** ffmpeg counts `t` from the first picture encoded, which is the one at `encodeFromMs`: its place in its second is added again. */
export const keyframesOnWholeSeconds = (encodeFromMs: number): string => {
  const offsetS = ((encodeFromMs % 1000) / 1000 + 0.0005).toFixed(4);
  return `expr:if(isnan(prev_forced_t),1,gte(floor(t+${offsetS}),floor(prev_forced_t+${offsetS})+1))`;
};

/** With a quarter of the colours, as browsers want it, each side must be even. */
const evenSize = ({ widthPx, heightPx }: VideoTrack): string => {
  const [width, height] = [widthPx, heightPx].map((px) => Math.max(2, px - (px % 2)));
  return width === widthPx && height === heightPx ? '' : `,scale=${width}:${height}`;
};

const PX_SMALL_MAX = 1280 * 720;

/** Chosen by measuring, see the README: above 720p one core has no room for more than superfast. */
const presetFor = (track: VideoTrack): string => (isLarge(track) ? 'superfast' : 'veryfast');

const isLarge = (track: VideoTrack): boolean => track.widthPx * track.heightPx > PX_SMALL_MAX;

/**
 * Frame threads would hold one picture each back, and so would rate control by real times (`force-cfr=0`) by one; so the rate is
 * told, as ffmpeg's own guess from whole milliseconds may be 1,000. Lengths before NAL units spare us rewriting them.
 */
const x264Params = (sliceCount: number, frameRateFps: number | undefined): string =>
  `sliced-threads=${sliceCount > 1 ? 1 : 0}:annexb=0:fps=${usualRateFps(frameRateFps)}`;

/** The rate is written into the SPS: it must not change from one run to the next because a few stamps were rounded otherwise. */
export const usualRateFps = (measuredFps = FRAME_RATE_GUESS_FPS): number =>
  USUAL_RATES_FPS.reduce((best, rate) => (Math.abs(rate - measuredFps) < Math.abs(best - measuredFps) ? rate : best));

const USUAL_RATES_FPS = [30, 5, 10, 15, 20, 24, 25, 48, 50, 60, 90, 120];

const FRAME_RATE_GUESS_FPS = 30;

/** 0.15 bits a pixel: what OBS users give 720p and below; used until the source was measured, and as a floor. */
const BITS_PER_PX = 0.15;

const bitrateMaxBps = (job: RepairJob): number => {
  const floorBps = job.track.widthPx * job.track.heightPx * (job.frameRateFps ?? FRAME_RATE_GUESS_FPS) * BITS_PER_PX;
  return Math.round(Math.max(floorBps, (job.sourceBitrateBps ?? 0) * job.options.bitrateMaxRatio));
};
