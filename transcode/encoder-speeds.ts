/** What encoding costs on this machine: measured once, in the background at the lowest priority, and remembered beside the keys. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { replacePrivateFile } from '../server/base/private-file.ts';
import { messageOf } from '../server/base/errors.ts';
import type { Log } from '../server/observability/log.ts';
import { measureFfmpegCpuMs } from './ffmpeg-process.ts';
import type { EncoderSpeeds } from './ladder-plan.ts';
import { PRESETS, SPEEDS_DEFAULT } from './ladder-plan.ts';

const [WIDTH_PX, HEIGHT_PX, FPS, DURATION_S] = [1280, 720, 30, 1.5];
const MEGAPIXELS = (WIDTH_PX * HEIGHT_PX * FPS * DURATION_S) / 1e6;
/** Moving, with detail and grain: what is too easy would promise too much. */
const PICTURE = `testsrc2=size=${WIDTH_PX}x${HEIGHT_PX}:rate=${FPS}:duration=${DURATION_S},noise=alls=10:allf=t,format=yuv420p`;
const TIMEOUT_MS = 120_000;
/**
 * What this picture cost, in ms a megapixel, on the machine on which the usual costs were measured with real clips (2026-11-26): grain is
 * dear to encode, so the picture tells how fast a machine is, not what a broadcast will cost.
 */
const REFERENCE_MS_PER_MPX = 23.6;
/** A machine further from that one than this was not measured but disturbed. */
const FACTOR_MIN = 0.05;
const FACTOR_MAX = 20;

/** `cpuMs` of ffmpeg turning `PICTURE` into nothing with these output arguments. */
export type MeasureCpu = (outputArgs: readonly string[]) => Promise<number>;

const ENCODE_ARGS = [
  ...['-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-crf', '23', '-bf', '0', '-g', '30'],
  ...['-threads', '1', '-x264-params', 'sliced-threads=0', '-f', 'null'],
];

/** The usual costs, by how much faster or slower this machine is. Throws `RangeError` for what no machine is. */
export const measureSpeeds = async (measure: MeasureCpu): Promise<EncoderSpeeds> => {
  const baseMs = await measure(['-c:v', 'rawvideo', '-f', 'null']);
  const factor = ((await measure(ENCODE_ARGS)) - baseMs) / MEGAPIXELS / REFERENCE_MS_PER_MPX;
  if (!(factor >= FACTOR_MIN && factor <= FACTOR_MAX)) {
    throw new RangeError(
      `measured ${factor.toFixed(3)} times the usual costs, expected ${FACTOR_MIN} to ${FACTOR_MAX}`,
    );
  }
  const { decodeMsPerMpx, scaleMsPerMpx, encodeMsPerMpx } = SPEEDS_DEFAULT;
  const scaled = PRESETS.map((preset) => [preset, encodeMsPerMpx[preset] * factor] as const);
  return {
    decodeMsPerMpx: decodeMsPerMpx * factor,
    scaleMsPerMpx: scaleMsPerMpx * factor,
    encodeMsPerMpx: Object.fromEntries(scaled) as EncoderSpeeds['encodeMsPerMpx'],
  };
};

/** Another processor, or another count of them, is another machine. */
const machineOf = (): string => `${cpus()[0]?.model.trim() ?? 'unknown'} x ${cpus().length}`;

/** `usual`: what `speeds` was made of; with other usual costs it is measured again. */
type Remembered = { readonly machine: string; readonly usual: EncoderSpeeds; readonly speeds: EncoderSpeeds };

export class SpeedBook {
  readonly #path: string;
  readonly #log: Log;
  #speeds: EncoderSpeeds | undefined;

  /** `path`: where it is remembered. What cannot be read is measured again. */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#speeds = recall(path);
  }

  get isMeasured(): boolean {
    return this.#speeds !== undefined;
  }

  get speeds(): EncoderSpeeds {
    return this.#speeds ?? SPEEDS_DEFAULT;
  }

  /** Takes some seconds of what processor time nobody else wants. Never rejects: without a result the usual speeds hold. */
  async measure(ffmpegPath: string): Promise<void> {
    try {
      const speeds = await measureSpeeds(async (outputArgs) =>
        measureFfmpegCpuMs({ ffmpegPath, lavfiInput: PICTURE, outputArgs, timeoutMs: TIMEOUT_MS }),
      );
      this.#speeds = speeds;
      const remembered: Remembered = { machine: machineOf(), usual: SPEEDS_DEFAULT, speeds };
      replacePrivateFile(this.#path, JSON.stringify(remembered, undefined, 2));
      this.#log.info('transcode.speeds.measured', speeds);
    } catch (error) {
      this.#log.warn('transcode.speeds.unknown', { error: messageOf(error) });
    }
  }
}

const recall = (path: string): EncoderSpeeds | undefined => {
  try {
    const { machine, usual, speeds } = JSON.parse(readFileSync(path, 'utf8')) as Remembered;
    const costs = [
      speeds.decodeMsPerMpx,
      speeds.scaleMsPerMpx,
      ...PRESETS.map((preset) => speeds.encodeMsPerMpx[preset]),
    ];
    const isOfToday = machine === machineOf() && isDeepStrictEqual(usual, SPEEDS_DEFAULT);
    return isOfToday && costs.every((cost) => cost > 0 && cost < 1e4) ? speeds : undefined;
  } catch {
    return undefined;
  }
};
