/**
 * A rung with narrowband HD in media time: the real narrowband logic, real probes and real encodings, on a file instead of a live source. Time is the
 * place in the file; a probe's answer comes later by the processor time it took, an encoder with another CRF takes over at the first keyframe after its start-up.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { LADDER_DEFAULTS, type Rung } from '../../transcode/ladder-plan.ts';
import { Narrowband } from '../../transcode/narrowband/narrowband.ts';
import type { QualityModel } from '../../transcode/narrowband/quality-model.ts';
import { safeCrf } from '../../transcode/narrowband/quality-model.ts';
import type { Probe, ProbeJob } from '../../transcode/narrowband/quality-probe.ts';
import { probeSample } from '../../transcode/narrowband/quality-probe.ts';
import type { EncodedClip } from '../support/encoded-clip.ts';
import { readClip } from '../support/encoded-clip.ts';
import { encodeAsLive } from './live-encode.ts';
import type { QualityTools } from './quality-tools.ts';
import { runTool } from './quality-tools.ts';
import { tempFolder } from '../support/temp-folder.ts';

export type NarrowbandRun = {
  readonly tools: QualityTools;
  readonly model: QualityModel;
  readonly targetVmaf: number;
  /** H.264 with access unit delimiters, a keyframe each second, of the rung's size. */
  readonly sourcePath: string;
  readonly rung: Omit<Rung, 'crf'>;
  readonly outputPath: string;
};

export type NarrowbandOutcome = {
  /** In force from this second on. */
  readonly changes: readonly { readonly atS: number; readonly crf: number; readonly why: string }[];
  readonly bitrateBps: number;
  readonly probeCount: number;
  /** Of a core. */
  readonly probeCpuRatio: number;
};

/** From the decision to the first picture of a new child: 0.2 to 0.7 s (transcode/README). */
const START_MS = 700;
/** At the lowest priority beside a busy ladder, a probe gets this share of a core. */
const PROBE_SHARE = 0.3;
const TICK_FRAMES = 8;
/** What is encoded ahead of a change is thrown away. */
const AHEAD_S = 30;
const DELIMITER = Buffer.from('0000000109', 'hex');

type Encoder = {
  readonly number: number;
  readonly fromFrame: number;
  readonly crf: number;
  readonly pictures: readonly Buffer[];
};
type Waiting = { readonly dueMs: number; readonly answer: () => void };

/** Takes a few minutes of a core for a minute of 480 lines. Rejects with `ToolError` or `WorldError`. */
export const runNarrowband = async (run: NarrowbandRun): Promise<NarrowbandOutcome> => {
  const folder = tempFolder('narrowband');
  try {
    return await new MediaTimeRun(run, folder).go();
  } finally {
    await rm(folder, { recursive: true });
  }
};

class MediaTimeRun {
  readonly #run: NarrowbandRun;
  readonly #folder: string;
  readonly #waiting: Waiting[] = [];
  readonly #changes: { atS: number; crf: number; why: string }[] = [];
  readonly #made: Buffer[] = [];
  readonly #narrowband: Narrowband;
  #nowMs = 0;
  #probeCpuMs = 0;
  #probeCount = 0;
  #encoderCount = 0;
  #probing: Promise<void> | undefined;

  constructor(run: NarrowbandRun, folder: string) {
    this.#run = run;
    this.#folder = folder;
    const { model, targetVmaf, tools } = run;
    this.#narrowband = new Narrowband({
      options: {
        targetVmaf,
        crfSafe: safeCrf(model, { targetVmaf, crf: LADDER_DEFAULTS.crf }),
        probeCpuMaxRatio: 0.05,
      },
      ...{ model, ffmpegPath: tools.ffmpegPath, log: silentLog, metrics: new Metrics({ collectDefaults: false }) },
      clock: { nowMs: () => this.#nowMs, wallMs: () => this.#nowMs },
      probe: async (job) => this.#probeLater(job),
    });
  }

  async go(): Promise<NarrowbandOutcome> {
    const { rung, sourcePath, outputPath } = this.#run;
    const { frameRateFps, widthPx, heightPx } = rung;
    const source = readClip(await readFile(sourcePath), { fps: frameRateFps, widthPx, heightPx });
    const units = unitsOf(source);
    let encoder = await this.#start(0, units.length);
    let next: { readonly crf: number; readonly readyFrame: number } | undefined;
    for (const [frame, unit] of units.entries()) {
      this.#nowMs = (frame * 1000) / frameRateFps;
      const isOver = frame - encoder.fromFrame >= encoder.pictures.length;
      if (unit.isKeyframe && ((next !== undefined && frame >= next.readyFrame) || isOver)) {
        encoder = await this.#start(frame, units.length);
        next = undefined;
      }
      const picture = encoder.pictures[frame - encoder.fromFrame];
      if (picture === undefined) {
        throw new RangeError(`picture ${frame} was not encoded`);
      }
      this.#made.push(picture);
      this.#narrowband.onSourceUnit(unit);
      const made = { ...unit, payload: picture };
      this.#narrowband.onRungUnit({ rungId: rung.id, encoder: encoder.number, unit: made });
      if (frame % TICK_FRAMES === 0) {
        await this.#tick(encoder.crf, next === undefined);
      }
      const wanted = this.#narrowband.crfOf(rung.id);
      if (wanted !== encoder.crf && next?.crf !== wanted) {
        next = { crf: wanted, readyFrame: frame + (START_MS * frameRateFps) / 1000 };
      }
    }
    this.#narrowband.close();
    await writeFile(outputPath, Buffer.concat(this.#made));
    const bytes = this.#made.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return {
      changes: this.#changes,
      bitrateBps: (bytes * 8 * frameRateFps) / units.length,
      probeCount: this.#probeCount,
      probeCpuRatio: this.#probeCpuMs / ((units.length * 1000) / frameRateFps),
    };
  }

  async #tick(crf: number, isSteady: boolean): Promise<void> {
    const { rung } = this.#run;
    while ((this.#waiting[0]?.dueMs ?? Number.POSITIVE_INFINITY) <= this.#nowMs) {
      this.#waiting.shift()?.answer();
    }
    await new Promise((resolve) => setImmediate(resolve));
    this.#narrowband.tick({
      ...{ nowMs: this.#nowMs, rungs: [{ ...rung, crf }], keyframes: 'as-source', isSteady },
      ...{ sourceFrameRateFps: rung.frameRateFps, hasReordering: false, lagMs: 0, droppedCount: 0 },
    });
    // A probe that was started now has to have run before time goes on.
    while (this.#probing !== undefined) {
      await this.#probing;
    }
  }

  async #probeLater(job: ProbeJob): Promise<Probe> {
    const begun = this.#nowMs;
    const measured = probeSample(job);
    this.#probing = measured.then(
      () => (this.#probing = undefined),
      () => (this.#probing = undefined),
    );
    const probe = await measured;
    this.#probeCount += 1;
    this.#probeCpuMs += probe.cpuMs;
    return new Promise((resolve) => {
      const waiting = { dueMs: begun + probe.cpuMs / PROBE_SHARE, answer: () => resolve(probe) };
      this.#waiting.push(waiting);
    });
  }

  async #start(fromFrame: number, frameCount: number): Promise<Encoder> {
    const { tools, rung, sourcePath } = this.#run;
    const crf = this.#narrowband.crfOf(rung.id);
    const outputPath = join(this.#folder, 'ahead.264');
    const count = Math.min(frameCount - fromFrame, AHEAD_S * rung.frameRateFps);
    const encoding = { tools, inputPath: sourcePath, fromFrame, frameCount: count, rung: { ...rung, crf } };
    await encodeAsLive({ ...encoding, outputPath, logPath: join(this.#folder, 'x264.log') });
    if (this.#changes.at(-1)?.crf !== crf) {
      const why = this.#narrowband.status(this.#nowMs).lastChange ?? 'begin';
      this.#changes.push({ atS: fromFrame / rung.frameRateFps, crf, why });
    }
    this.#encoderCount += 1;
    return { number: this.#encoderCount, fromFrame, crf, pictures: splitPictures(await readFile(outputPath)) };
  }
}

/** Each begins with its delimiter. */
const splitPictures = (stream: Buffer): Buffer[] => {
  const starts: number[] = [];
  for (let at = stream.indexOf(DELIMITER); at >= 0; at = stream.indexOf(DELIMITER, at + 1)) {
    starts.push(at);
  }
  return starts.map((start, index) => stream.subarray(start, starts[index + 1]));
};

/** As a publisher would send it. */
export const unitsOf = ({ frames, fps, track }: EncodedClip): AccessUnit[] =>
  frames.map((frame, index) => {
    const atMs = (index * 1000) / fps;
    const ticks = Math.round(atMs * 90);
    const times = { dtsTicks: ticks, ptsTicks: ticks, arrivedAtMs: atMs, arrivedAtWallMs: atMs };
    return { ...frame, ...times, track, isDiscontinuity: false };
  });

/** Joins references of one size and rate to a source as `runNarrowband` wants it: an encoder that spares no bits, a keyframe each second. */
export const makeSource = async (job: {
  readonly tools: QualityTools;
  readonly referencePaths: readonly string[];
  readonly frameRateFps: number;
  readonly path: string;
}): Promise<void> => {
  const { tools, referencePaths, frameRateFps, path } = job;
  const inputs = referencePaths.flatMap((reference) => ['-i', reference]);
  const joined = `${referencePaths.map((_, index) => `[${index}:v]`).join('')}concat=n=${referencePaths.length}`;
  await runTool('nice', [
    ...['-n', '19', tools.ffmpegPath, '-nostdin', '-v', 'error', '-y', '-threads', '1', ...inputs],
    ...['-filter_complex', `${joined},setpts=N/${frameRateFps}/TB[v]`, '-map', '[v]', '-fps_mode', 'passthrough'],
    ...['-c:v', 'libx264', '-preset', 'superfast', '-tune', 'zerolatency', '-crf', '12', '-bf', '0'],
    ...['-g', String(frameRateFps), '-keyint_min', String(frameRateFps), '-sc_threshold', '0'],
    ...['-x264-params', 'aud=1:repeat-headers=1', '-f', 'h264', path],
  ]);
};
