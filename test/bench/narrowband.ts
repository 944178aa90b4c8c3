/**
 * Narrowband HD on real clips, by models that have not seen the clip they are tried on: what a CRF that follows the content saves at equal quality against
 * a ladder of fixed bitrates, and whether quality holds when scenes change. `SLUICE_CLIPS`: a folder of clips; needs an ffmpeg with libvmaf.
 */
import { readFile, rm, stat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CrfController } from '../../transcode/narrowband/crf-controller.ts';
import { LADDER_DEFAULTS, type Rung } from '../../transcode/ladder-plan.ts';
import { CRF_RANGE, crfsToProbe } from '../../transcode/narrowband/narrowband.ts';
import type { QualityModel } from '../../transcode/narrowband/quality-model.ts';
import { qualityLine, safeCrf } from '../../transcode/narrowband/quality-model.ts';
import { probeSample } from '../../transcode/narrowband/quality-probe.ts';
import { fitModel } from '../quality/calibration-fit.ts';
import { readRows } from '../quality/calibration-rows.ts';
import type { Clip } from '../quality/clips.ts';
import { listClips, makeReference, makeReversed, rungOf, sizeOf } from '../quality/clips.ts';
import { encodeAsLive } from '../quality/live-encode.ts';
import { makeSource, runNarrowband, unitsOf } from '../quality/narrowband-run.ts';
import { measurePictures } from '../quality/picture-quality.ts';
import type { QualityTools } from '../quality/quality-tools.ts';
import { findQualityTools, runTool, ToolError } from '../quality/quality-tools.ts';
import { readClip } from '../support/encoded-clip.ts';
import type { Bench, BenchRow } from './row.ts';
import { tempFolder } from '../support/temp-folder.ts';

const CLIPS_FOLDER = process.env['SLUICE_CLIPS'] ?? '../shared/corpus/clips';
const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const TARGET_VMAF = 93;
const BELOW_VMAF = 3;
const LINES = 480;
/** The clips of smaller pictures are tried as they are. */
const LINES_MIN = 360;
const PRESET = 'veryfast';
const CLIP_S = 6;
/** Two refine what the first has found. */
const PROBE_ROUNDS = 3;
const PROBE_TIMEOUT_MS = 120_000;
const WINDOW_S = 2;
/** Of what narrowband took: fixed bitrates among which the one of equal quality lies. */
const CBR_RATIOS = IS_SOAK ? [0.9, 1.25, 1.7, 2.4] : [1, 1.4, 2];

type Tried = {
  readonly name: string;
  readonly vmaf: number;
  readonly bitrateBps: number;
  /** Fixed bitrates at the same quality, and at the target. */
  readonly cbrEqualBps: number;
  readonly cbrTargetBps: number;
};

const modelWithout = (names: readonly string[]): QualityModel =>
  fitModel(readRows().filter(({ clip }) => !names.includes(clip)));

/** Each alone: real probes, one after the other, until the CRF has settled; then all of the clip with that. */
const tryClip = async (tools: QualityTools, clip: Clip, folder: string): Promise<Tried> => {
  const { frameRateFps } = clip;
  const size = sizeOf(clip, Math.min(LINES, clip.heightPx));
  const referencePath = join(folder, `${clip.name}.mkv`);
  await makeReference({ tools, clip, ...size, durationS: CLIP_S, path: referencePath });
  const sourcePath = join(folder, 'source.264');
  await makeSource({ tools, referencePaths: [referencePath], frameRateFps, path: sourcePath });
  const rung = rungOf({ ...size, frameRateFps, preset: PRESET, crf: 0 });
  const crfs = await settle({ tools, rung, sourcePath, model: modelWithout([clip.name]) });
  const job = { tools, inputPath: sourcePath, folder, size, frameRateFps };
  const encodedPath = join(folder, 'settled.264');
  const settledRung = { ...rung, crf: crfs.at(-1) ?? 0 };
  const logPath = join(folder, 'x264.log');
  await encodeAsLive({ tools, inputPath: sourcePath, rung: settledRung, outputPath: encodedPath, logPath });
  const settled = await scorePictures(job, encodedPath);
  const cbr: Score[] = [];
  for (const ratio of CBR_RATIOS) {
    cbr.push(await scoreCbr(job, Math.round(settled.bitrateBps * ratio)));
  }
  const tried = {
    ...{ name: clip.name, vmaf: settled.vmaf, bitrateBps: settled.bitrateBps },
    cbrEqualBps: bitrateAt(cbr, settled.vmaf),
    cbrTargetBps: bitrateAt(cbr, TARGET_VMAF),
  };
  const kbits = [tried.bitrateBps, tried.cbrEqualBps, tried.cbrTargetBps].map((bps) => Math.round(bps / 1000));
  console.error(
    `  ${clip.name}: CRF ${crfs.join(', ')}; VMAF ${tried.vmaf.toFixed(1)}, ${kbits[0]} kbit/s; CBR ${kbits[1]}, for 93 ${kbits[2]}`,
  );
  return tried;
};

/** The CRFs one after the other, from the safe one on. */
const settle = async (job: {
  readonly tools: QualityTools;
  readonly rung: Rung;
  readonly sourcePath: string;
  readonly model: QualityModel;
}): Promise<number[]> => {
  const { tools, rung, sourcePath, model } = job;
  const { frameRateFps, widthPx, heightPx } = rung;
  const source = readClip(await readFile(sourcePath), { fps: frameRateFps, widthPx, heightPx });
  const sample = unitsOf(source).slice(0, Math.round(1.4 * frameRateFps) + 1);
  const crfSafe = safeCrf(model, { targetVmaf: TARGET_VMAF, crf: LADDER_DEFAULTS.crf });
  const controller = new CrfController({ ...CRF_RANGE, crfSafe, targetVmaf: TARGET_VMAF, changeEveryMs: 0 });
  const crfs = [crfSafe];
  for (let round = 1; round <= PROBE_ROUNDS; round += 1) {
    const rungs = crfsToProbe(controller.crfOf(rung.id)).map((crf) => ({ ...rung, crf }));
    const probing = { ffmpegPath: tools.ffmpegPath, sample, hasReordering: false, rungs, timeoutMs: PROBE_TIMEOUT_MS };
    const { reports, content } = await probeSample({
      ...probing,
      ...{ keyframes: 'as-source', sourceFrameRateFps: frameRateFps },
    });
    const points = rungs.flatMap(({ crf }, index) => {
      const report = reports[index];
      return report === undefined ? [] : [{ crf, widthPx, heightPx, report, content }];
    });
    const line = qualityLine(model, points);
    controller.onProbe(line === undefined ? [] : [{ rungId: rung.id, line }]);
    if (controller.decide({ nowMs: round, isCalm: true }) !== undefined) {
      crfs.push(controller.crfOf(rung.id));
    }
  }
  return crfs;
};

type Scoring = {
  readonly tools: QualityTools;
  readonly inputPath: string;
  readonly folder: string;
  readonly size: { readonly widthPx: number; readonly heightPx: number };
  readonly frameRateFps: number;
};

type Score = { readonly vmaf: number; readonly bitrateBps: number };

/** What people run: veryfast, zerolatency, a buffer of one second. */
const scoreCbr = async (job: Scoring, bitrateBps: number): Promise<Score> => {
  const { tools, inputPath, folder, frameRateFps } = job;
  const encodedPath = join(folder, 'cbr.264');
  const rate = String(bitrateBps);
  await runTool('nice', [
    ...['-n', '19', tools.ffmpegPath, '-nostdin', '-v', 'error', '-y', '-threads', '1'],
    ...['-framerate', String(frameRateFps), '-i', inputPath, '-c:v', 'libx264', '-preset', 'veryfast'],
    ...['-b:v', rate, '-maxrate', rate, '-bufsize', rate, '-tune', 'zerolatency', '-profile:v', 'high', '-bf', '0'],
    ...['-sc_threshold', '0', '-g', String(frameRateFps), '-threads', '1', '-x264-params', 'sliced-threads=0'],
    ...['-f', 'h264', encodedPath],
  ]);
  return scorePictures(job, encodedPath);
};

const scorePictures = async (
  { tools, inputPath, size, frameRateFps }: Scoring,
  encodedPath: string,
): Promise<Score> => {
  const { vmaf, frameCount } = await measurePictures({ tools, encodedPath, referencePath: inputPath, ...size });
  return { vmaf: vmaf?.mean ?? 0, bitrateBps: ((await stat(encodedPath)).size * 8 * frameRateFps) / frameCount };
};

/** Straight lines over the logarithm of bitrate, also a little beyond what was measured. */
const bitrateAt = (points: readonly { vmaf: number; bitrateBps: number }[], vmaf: number): number => {
  const sorted = points.toSorted((a, b) => a.vmaf - b.vmaf);
  const upper = Math.max(
    1,
    sorted.findIndex((point) => point.vmaf >= vmaf),
  );
  const [a, b] = sorted.at(-1)!.vmaf < vmaf ? [sorted.at(-2)!, sorted.at(-1)!] : [sorted[upper - 1]!, sorted[upper]!];
  const [from, to] = [Math.log(a.bitrateBps), Math.log(b.bitrateBps)];
  return Math.exp(from + ((vmaf - a.vmaf) * (to - from)) / (b.vmaf - a.vmaf));
};

type Shown = {
  readonly lowWindows: number;
  readonly windows: number;
  readonly bitrateBps: number;
  readonly probeCpuRatio: number;
};

/** Scene after scene, at one size and rate; the model knows none of them. */
const tryScenes = async (tools: QualityTools, clips: readonly Clip[], folder: string): Promise<Shown> => {
  const size = { widthPx: 854, heightPx: LINES };
  const frameRateFps = 30;
  const referencePaths: string[] = [];
  for (const clip of clips) {
    const path = join(folder, `scene-${clip.name}.mkv`);
    const reversedPath = join(folder, `scene-${clip.name}-reversed.mkv`);
    await makeReference({ tools, clip, ...size, durationS: CLIP_S, path });
    await makeReversed(tools, path, reversedPath);
    // Long enough for a probe and a change, and cut off when the CRF has only just risen.
    referencePaths.push(path, reversedPath, path);
  }
  const [sourcePath, outputPath] = [join(folder, 'scenes.264'), join(folder, 'scenes-made.264')];
  await makeSource({ tools, referencePaths, frameRateFps, path: sourcePath });
  const rung = rungOf({ ...size, frameRateFps, preset: PRESET, crf: 0 });
  const model = modelWithout(clips.map(({ name }) => name));
  const outcome = await runNarrowband({ tools, model, targetVmaf: TARGET_VMAF, sourcePath, rung, outputPath });
  const { vmaf } = await measurePictures({ tools, encodedPath: outputPath, referencePath: sourcePath, ...size });
  const windowCount = WINDOW_S * frameRateFps;
  const windows = Array.from({ length: Math.floor((vmaf?.frames.length ?? 0) / windowCount) }, (_, index) =>
    meanOf(vmaf?.frames.slice(index * windowCount, (index + 1) * windowCount) ?? []),
  );
  console.error(`  ${clips.map(({ name }) => name).join(', ')}`);
  console.error(`  ${outcome.changes.map(({ atS, crf, why }) => `${atS} s CRF ${crf} (${why})`).join(', ')}`);
  console.error(`  ${windows.map((score) => score.toFixed(0)).join(' ')}`);
  return {
    lowWindows: windows.filter((score) => score < TARGET_VMAF - BELOW_VMAF).length,
    windows: windows.length,
    bitrateBps: outcome.bitrateBps,
    probeCpuRatio: outcome.probeCpuRatio,
  };
};

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const savedPercent = (own: readonly number[], other: readonly number[]): number =>
  meanOf(own.map((bps, index) => (bps / other[index]! - 1) * 100));

export const narrowbandBench: Bench = {
  name: 'narrowband',
  run: async (): Promise<readonly BenchRow[]> => {
    const tools = await findQualityTools();
    if (tools.vmafFfmpegPath === undefined || !existsSync(CLIPS_FOLDER)) {
      throw new ToolError('narrowband', `needs an ffmpeg with libvmaf and clips in ${CLIPS_FOLDER}`);
    }
    const clips = (await listClips(CLIPS_FOLDER)).filter(({ heightPx }) => heightPx >= LINES_MIN);
    const folder = tempFolder('narrowband-bench');
    try {
      // Every other clip: the model is fitted with those that are not shown.
      const halves = (IS_SOAK ? [0, 1] : [0]).map((half) => clips.filter((_, index) => index % 2 === half));
      const shown: Shown[] = [];
      for (const half of halves) {
        shown.push(await tryScenes(tools, half, folder));
      }
      const tried: Tried[] = [];
      for (const clip of halves.flat()) {
        tried.push(await tryClip(tools, clip, folder));
      }
      const own = tried.map(({ bitrateBps }) => bitrateBps);
      const fixedBps = Math.max(...tried.map(({ cbrTargetBps }) => cbrTargetBps));
      const offs = tried.map(({ vmaf }) => Math.abs(vmaf - TARGET_VMAF));
      const count = `${tried.length} clips, ${LINES} lines, x264 ${PRESET}, model without the clip`;
      const low = shown.reduce((sum, { lowWindows }) => sum + lowWindows, 0);
      const windows = shown.reduce((sum, part) => sum + part.windows, 0);
      return [
        {
          name: 'narrowband: bits against a CBR ladder whose one bitrate holds VMAF 93 on every clip',
          value: savedPercent(
            own,
            own.map(() => fixedBps),
          ),
          unit: '%',
          target: { max: -40 },
          note: `${count}; CBR needs ${(fixedBps / 1e6).toFixed(2)} Mbit/s`,
        },
        {
          name: 'narrowband: bits against CBR at the same VMAF, clip by clip',
          value: savedPercent(
            own,
            tried.map(({ cbrEqualBps }) => cbrEqualBps),
          ),
          unit: '%',
          note: `${count}; x264 veryfast, VBV 1 s`,
        },
        {
          name: 'narrowband: clips further than 1 VMAF from 93',
          value: offs.filter((off) => off > 1).length,
          unit: `of ${tried.length}`,
          target: { max: 0 },
          note: `mean ${meanOf(offs).toFixed(2)}, lowest ${Math.min(...tried.map(({ vmaf }) => vmaf)).toFixed(1)}, highest ${Math.max(...tried.map(({ vmaf }) => vmaf)).toFixed(1)}`,
        },
        {
          name: 'narrowband, scene after scene: 2 s windows below VMAF 90',
          value: (low / windows) * 100,
          unit: '%',
          target: { max: 5 },
          note: `${low} of ${windows}`,
        },
        {
          name: 'narrowband: probes, share of a core',
          value: Math.max(...shown.map(({ probeCpuRatio }) => probeCpuRatio)) * 100,
          unit: '%',
          target: { max: 5 },
        },
      ];
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};
