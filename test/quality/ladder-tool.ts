/** `npm run ladder`: what our ladder makes of a file, beside the usual one. */
import { rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { planLadder, SPEEDS_DEFAULT, type LadderOptions, type Rung } from '../../transcode/ladder-plan.ts';
import { compareRung, type RungComparison } from './compare.ts';
import { encode, framesOf, makeReference, videoFacts, type VideoFacts } from './encode.ts';
import { measureLagFrames } from './encoder-lag.ts';
import { liveContender, liveLadder, liveRung, plainLadder, type EncodePlan } from './encoders.ts';
import type { QualityTools } from './quality-tools.ts';
import { ToolError } from './quality-tools.ts';
import type { LadderCost, LadderResults } from './report-data.ts';
import { tempFolder } from '../support/temp-folder.ts';

export type LadderToolJob = {
  readonly tools: QualityTools;
  readonly path: string;
  readonly options: LadderOptions;
  /** Empty: all that are planned. */
  readonly rungIds: readonly string[];
  /** Of the file's start. */
  readonly durationS: number;
  readonly coreCount: number;
  readonly startedAtWallMs: number;
  readonly onStep: (words: string) => void;
};

/** Around the configured one, so that the curves reach from good to poor; a distance of six halves the bits. */
export const crfsAround = (crf: number): number[] => [0, 3, 7, 11].map((offset) => crf + offset);
const DURATION_MIN_S = 2;
const LAG_DURATION_S = 1;

/** Rejects with `ToolError` for a file that cannot be read or is too short, `TypeError` for rungs that are not planned. */
export const compareLadders = async (job: LadderToolJob): Promise<LadderResults> => {
  const { tools, path, options, onStep } = job;
  const source = await videoFacts(tools, path);
  const planned = planLadder({ source, options, speeds: SPEEDS_DEFAULT, coreCount: job.coreCount, shedCount: 0 });
  const rungs = chosenRungs(planned.rungs, job);
  const seconds = Math.min(job.durationS, (await framesOf(tools, path)).length / source.frameRateFps);
  if (seconds < DURATION_MIN_S) {
    throw new ToolError(path, `has ${seconds.toFixed(1)} s of pictures; at least ${DURATION_MIN_S} are needed`);
  }
  const comparisons: RungComparison[] = [];
  for (const rung of rungs) {
    comparisons.push(
      await compareRung({
        ...{ tools, rung, durationS: seconds, clip: basename(path), inputPath: path },
        contenders: [liveContender(rung, crfsAround(options.crf))],
        onStep: (words) => onStep(`${rung.id}: ${words}`),
      }),
    );
  }
  return {
    file: basename(path),
    scoredS: seconds - 1,
    source,
    rungs: comparisons,
    leftOut: planned.leftOut.map(({ id, why }) => `${id}: ${why}`),
    ...(await measureCosts(job, { rungs, seconds, source })),
    hasVmaf: tools.vmafFfmpegPath !== undefined,
    startedAtWallMs: job.startedAtWallMs,
    machine: { cpuModel: cpus()[0]?.model.trim() ?? 'unknown processor', cpuCount: cpus().length },
  };
};

const chosenRungs = (planned: readonly Rung[], { rungIds, path }: LadderToolJob): readonly Rung[] => {
  const unknown = rungIds.filter((id) => planned.every((rung) => rung.id !== id));
  if (unknown.length > 0) {
    const known = planned.map(({ id }) => id).join(', ') || 'no rung';
    throw new TypeError(`--rungs ${unknown.join(',')}: ${known} is planned for this file`);
  }
  const chosen = planned.filter(({ id }) => rungIds.length === 0 || rungIds.includes(id));
  if (chosen.length === 0) {
    throw new ToolError(path, 'no rung is planned for it: it is too small, or the configuration allows none');
  }
  return chosen;
};

const measureCosts = async (
  { tools, path, onStep, options }: LadderToolJob,
  { rungs, seconds, source }: { rungs: readonly Rung[]; seconds: number; source: VideoFacts },
): Promise<Pick<LadderResults, 'costs' | 'lagFrames'>> => {
  const folder = tempFolder('ladder');
  try {
    const costOf = async (name: string, plan: EncodePlan): Promise<LadderCost> => {
      onStep(name);
      const outputPaths = rungs.map(({ id }) => join(folder, `${id}.nut`));
      const inputArgs = ['-t', String(seconds)];
      const { cpuMs, elapsedMs } = await encode(tools, { inputPath: path, inputArgs, plan, outputPaths });
      return {
        name,
        cpuMsPerFrame: cpuMs / (seconds * source.frameRateFps),
        realTimeFactor: (seconds * 1000) / elapsedMs,
      };
    };
    const costs = [
      await costOf('the whole ladder, as the server makes it', liveLadder(rungs)),
      await costOf('the same rungs by a plain command', plainLadder(rungs)),
    ];
    onStep('the encoder’s lag');
    const [rung] = rungs;
    const inputPath = join(folder, 'lag.nut');
    await makeReference(tools, { ...rung!, inputPath: path, outputPath: inputPath, durationS: LAG_DURATION_S });
    return { costs, lagFrames: await measureLagFrames(tools, { inputPath, plan: liveRung(rung!, options.crf) }) };
  } finally {
    await rm(folder, { recursive: true });
  }
};
