/** A clip encoded by the real ffmpeg, as access units: what a publisher's pictures look like. Kept in memory. */
import { execFile } from 'node:child_process';
import { buildAvcConfig, avcCodecString, parseAvcConfig } from '../../server/media/h264/avc-config.ts';
import { NAL_AUD, NAL_IDR, NAL_PPS, NAL_SPS, joinNalUnits, nalTypeOf } from '../../server/media/h264/nal-units.ts';
import type { VideoTrack } from '../../server/media/track.ts';
import { VIDEO_TIMESCALE_HZ } from '../../server/media/track.ts';

export type ClipFrame = { readonly payload: Uint8Array; readonly isKeyframe: boolean };

export type EncodedClip = { readonly track: VideoTrack; readonly frames: readonly ClipFrame[]; readonly fps: number };

export type ClipOptions = {
  readonly fps?: number;
  readonly durationS?: number;
  readonly gopFrames?: number;
  /** A file whose pictures are taken, one each `1 / fps`, instead of a made-up one of 640x360. */
  readonly filePath?: string;
  readonly widthPx?: number;
  readonly heightPx?: number;
  readonly bitrateBps?: number;
};

/** x264 zerolatency (no B-frames). */
export const encodeClip = async (options: ClipOptions = {}): Promise<EncodedClip> => {
  const { fps = 30, durationS = 4, gopFrames = 30, widthPx = 640, heightPx = 360, bitrateBps = 1_500_000 } = options;
  const input =
    options.filePath === undefined
      ? ['-f', 'lavfi', '-i', `testsrc2=size=${widthPx}x${heightPx}:rate=${fps}`]
      : [
          '-i',
          options.filePath,
          '-an',
          '-vf',
          `settb=1/${fps},setpts=N,scale=${widthPx}:${heightPx}`,
          '-r',
          String(fps),
        ];
  const bytes = await runFfmpeg([
    ...[...input, '-t', String(durationS)],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p'],
    ...['-g', String(gopFrames), '-keyint_min', String(gopFrames), '-sc_threshold', '0', '-b:v', String(bitrateBps)],
    ...['-x264-params', 'aud=1', '-f', 'h264', 'pipe:1'],
  ]);
  return readClip(bytes, { fps, widthPx, heightPx });
};

/** Of a raw stream with access unit delimiters. */
export const readClip = (
  bytes: Buffer,
  { fps, widthPx, heightPx }: { readonly fps: number; readonly widthPx: number; readonly heightPx: number },
): EncodedClip => {
  const nalUnits = splitAnnexB(bytes);
  const sps = nalUnits.find((nalUnit) => nalTypeOf(nalUnit) === NAL_SPS)!;
  const pps = nalUnits.find((nalUnit) => nalTypeOf(nalUnit) === NAL_PPS)!;
  const decoderConfig = buildAvcConfig([sps], [pps]);
  const track: VideoTrack = {
    kind: 'video',
    codec: 'h264',
    timescaleHz: VIDEO_TIMESCALE_HZ,
    decoderConfig,
    codecString: avcCodecString(parseAvcConfig(decoderConfig)),
    widthPx,
    heightPx,
  };
  return { track, frames: toFrames(nalUnits), fps };
};

const runFfmpeg = async (args: readonly string[]): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const options = { encoding: 'buffer' as const, maxBuffer: 64 * 1024 * 1024 };
    execFile('ffmpeg', ['-hide_banner', '-loglevel', 'error', ...args], options, (error, stdout) => {
      if (error === null) {
        resolve(stdout);
      } else {
        reject(error);
      }
    });
  });

/** NAL units between start codes. */
const splitAnnexB = (bytes: Buffer): Uint8Array[] => {
  const starts: number[] = [];
  for (let at = bytes.indexOf('000001', 0, 'hex'); at >= 0; at = bytes.indexOf('000001', at + 3, 'hex')) {
    starts.push(at);
  }
  return starts.map((start, index) => {
    let end = starts[index + 1] ?? bytes.byteLength;
    while (end > start && bytes[end - 1] === 0) {
      end -= 1;
    }
    return Uint8Array.from(bytes.subarray(start + 3, end));
  });
};

/** An access unit begins at each delimiter; parameter sets are in the track. */
const toFrames = (nalUnits: readonly Uint8Array[]): ClipFrame[] => {
  const groups: Uint8Array[][] = [];
  for (const nalUnit of nalUnits) {
    const type = nalTypeOf(nalUnit);
    if (type === NAL_AUD) {
      groups.push([]);
    } else if (type !== NAL_SPS && type !== NAL_PPS) {
      groups.at(-1)?.push(nalUnit);
    }
  }
  return groups
    .filter((group) => group.length > 0)
    .map((group) => ({
      payload: joinNalUnits(group),
      isKeyframe: group.some((nalUnit) => nalTypeOf(nalUnit) === NAL_IDR),
    }));
};
