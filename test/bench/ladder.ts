/**
 * The ladder: bits for the same picture against the usual encoder, over real clips; what it costs beside a plain command; how much later than its
 * source a rung is. The clips are not part of the project: without the folder this bench is skipped, aloud.
 */
import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../server/base/clock.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Rendition } from '../../server/relay/rendition.ts';
import { planAv1 } from '../../transcode/av1/av1-plan.ts';
import { BACKOFF_DEFAULTS } from '../../server/base/backoff.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT, planLadder, type Rung } from '../../transcode/ladder-plan.ts';
import { Ladder, LADDER_RUN_DEFAULTS } from '../../transcode/ladder.ts';
import { bdRateOf, compareRung, type Measure, type RungComparison, type Span } from '../quality/compare.ts';
import { encode, videoFacts } from '../quality/encode.ts';
import { av1Contender, liveContender, liveLadder, plainLadder } from '../quality/encoders.ts';
import { crfsAround } from '../quality/ladder-tool.ts';
import { findQualityTools, type QualityTools } from '../quality/quality-tools.ts';
import { encodeClip } from '../support/encoded-clip.ts';
import { playLive } from '../support/live-clip.ts';
import { cpuMs } from '../support/process-usage.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { passMs } from '../support/wait.ts';
import type { Bench, BenchRow } from './row.ts';

const RUNG_ID = 'h720';
/** Of each clip; the first second is not scored. */
const CLIP_S = 6;
const CLIPS_MAX_COUNT = 12;
/** libaom's, over the qualities that the others reach. */
const AV1_CRFS = [30, 37, 45, 52];
/** As the planner is told on the machine of README's numbers. */
const CORE_COUNT = 2;
const SETTLE_MS = 8_000;
const LIVE_MS = 20_000;
/** Two pictures at 30 a second, and 10 ms. */
const LATENCY_ADDED_MAX_MS = 77;
/** One and a half times real time. */
const TIME_RATIO_MAX = 0.667;

const onClips =
  (name: string, rowsOf: (tools: QualityTools, clips: readonly string[]) => Promise<BenchRow[]>): Bench['run'] =>
  async ({ clipsDir }) => {
    const tools = await findQualityTools();
    const clips = await clipsIn(tools, clipsDir);
    if (clips.length === 0) {
      console.error(`  ${name} skipped: no clips of 720 lines or more in ${clipsDir} (--clips DIR)`);
      return [];
    }
    return rowsOf(tools, clips);
  };

/** Bits for the same picture: hours of encoding. */
export const ladderBench: Bench = { name: 'ladder', run: onClips('ladder', async (...given) => qualityRows(...given)) };

/** What it costs, and how much later than its source a rung is: a minute. */
export const ladderCostBench: Bench = {
  name: 'ladder-cost',
  run: onClips('ladder-cost', async (tools, clips) => [...(await costRows(tools, clips)), ...(await liveRows(clips))]),
};

/** Largest first: what is smaller than the rung would have to be scaled up. */
const clipsIn = async (tools: QualityTools, folder: string): Promise<string[]> => {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /\.(?:mp4|mkv|264)$/.test(name)) : [];
  const found: { readonly path: string; readonly heightPx: number }[] = [];
  for (const name of names) {
    const path = join(folder, name);
    found.push({ path, heightPx: (await videoFacts(tools, path)).heightPx });
  }
  return found
    .filter(({ heightPx }) => heightPx >= 720)
    .toSorted((a, b) => b.heightPx - a.heightPx)
    .slice(0, CLIPS_MAX_COUNT)
    .map(({ path }) => path);
};

/** For a source of 1080 lines: what the clip's pictures would be part of. */
const plannedFor = (frameRateFps: number) => ({
  source: { widthPx: 1920, heightPx: 1080, frameRateFps },
  options: LADDER_DEFAULTS,
  speeds: SPEEDS_DEFAULT,
  coreCount: CORE_COUNT,
  shedCount: 0,
});

const plannedRungs = (frameRateFps: number): readonly Rung[] => planLadder(plannedFor(frameRateFps)).rungs;

/** As on a machine that has room for it. */
const plannedAv1Rung = (frameRateFps: number): Rung => {
  const planned = plannedFor(frameRateFps);
  const options = { ...planned.options, av1: 'on' } as const;
  return planAv1({ ...planned, options, h264: { rungCount: 1, cpuCores: 0, shedCount: 0 }, crfRise: 0 }).rungs[0]!;
};

const qualityRows = async (tools: QualityTools, clips: readonly string[]): Promise<BenchRow[]> => {
  const comparisons: RungComparison[] = [];
  for (const path of clips) {
    const { frameRateFps } = await videoFacts(tools, path);
    const rung = plannedRungs(frameRateFps).find(({ id }) => id === RUNG_ID)!;
    const crfs = crfsAround(rung.crf);
    comparisons.push(
      await compareRung({
        ...{ tools, rung, clip: path, inputPath: path, durationS: CLIP_S },
        contenders: [
          liveContender(rung, crfs),
          liveContender({ ...rung, preset: 'medium' }, crfs),
          av1Contender(plannedAv1Rung(frameRateFps), AV1_CRFS),
        ],
        onStep: (words) => console.error(`  ${path}: ${words}`),
      }),
    );
  }
  return [
    { place: 1, max: -30 },
    { place: 2, max: -34 },
    { place: 3, max: -40 },
  ].flatMap(({ place, max }) =>
    (['vmaf', 'ssim'] as const).flatMap((measure) => bdRow(comparisons, { place, max, measure }) ?? []),
  );
};

const bdRow = (
  comparisons: readonly RungComparison[],
  { place, max, measure }: { place: number; max: number; measure: Measure },
): BenchRow | undefined => {
  const percents = (span: Span): number[] =>
    comparisons.flatMap((comparison) => {
      const ratio = bdRateOf(comparison, place, { measure, span })?.ratio;
      return ratio === undefined ? [] : [ratio * 100];
    });
  const settled = percents('settled');
  const whole = percents('whole');
  if (settled.length === 0) {
    return undefined;
  }
  const name = [...new Set(comparisons.map(({ curves }) => curves[place]!.name))].join(' / ');
  return {
    name: `${name}: bits for the same 720p picture by ${measure.toUpperCase()}, against x264 veryfast CBR zerolatency`,
    value: meanOf(settled),
    unit: '%',
    target: { max },
    note: `${settled.length} clips: ${settled.map((value) => value.toFixed(0)).join(', ')}; first second scored too: ${meanOf(whole).toFixed(0)}`,
  };
};

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const costRows = async (tools: QualityTools, [inputPath = '']: readonly string[]): Promise<BenchRow[]> => {
  const folder = tempFolder('ladder-bench');
  try {
    const { frameRateFps } = await videoFacts(tools, inputPath);
    const rungs = plannedRungs(30);
    const outputPaths = rungs.map(({ id }) => join(folder, `${id}.nut`));
    const durationS = 6;
    const run = async (plan: ReturnType<typeof liveLadder>) =>
      encode(tools, { inputPath, inputArgs: ['-t', String(durationS)], plan, outputPaths });
    // Taken in turns, the least of each: what else the machine does only adds.
    const [ours, plain] = [await run(liveLadder(rungs)), await run(plainLadder(rungs))];
    const [oursAgain, plainAgain] = [await run(liveLadder(rungs)), await run(plainLadder(rungs))];
    const oursMs = Math.min(ours.cpuMs, oursAgain.cpuMs);
    const plainMs = Math.min(plain.cpuMs, plainAgain.cpuMs);
    const frameCount = durationS * frameRateFps;
    const bestElapsedMs = Math.min(ours.elapsedMs, oursAgain.elapsedMs);
    return [
      {
        name: 'CPU of the default ladder from 1080 lines ÷ a plain ffmpeg command for the same rungs',
        value: oursMs / plainMs,
        unit: '',
        target: { max: 1.05 },
        note: `${(oursMs / frameCount).toFixed(1)} ms of one core a picture, ${((oursMs / frameCount) * 0.03).toFixed(2)} cores at 30 fps`,
      },
      {
        name: 'Time the whole ladder takes for a second of 1080p30',
        value: bestElapsedMs / frameCount / (1000 / 30),
        unit: 's',
        target: { max: TIME_RATIO_MAX },
        note: `${rungs.map(({ id, preset }) => `${id} ${preset}`).join(', ')}; a busy machine makes it more`,
      },
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
};

/** The real child, fed at the real pace: from the arrival of a source unit to the rung's unit made from it. */
const liveRows = async ([filePath = '']: readonly string[]): Promise<BenchRow[]> => {
  const size = { widthPx: 1920, heightPx: 1080 };
  const clip = await encodeClip({ filePath, ...size, fps: 30, durationS: 8, bitrateBps: 6_000_000 });
  const source = new Rendition('source-video', { cacheMaxBytes: 16e6, cacheMaxCount: 600 });
  const delaysMs = new Map<string, number[]>();
  let isCounting = false;
  const ladder = new Ladder({
    options: LADDER_DEFAULTS,
    ffmpegPath: 'ffmpeg',
    run: LADDER_RUN_DEFAULTS,
    backoff: BACKOFF_DEFAULTS,
    speeds: SPEEDS_DEFAULT,
    coreCount: CORE_COUNT,
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics({ collectDefaults: false }),
    output: {
      onRung: ({ id }) => delaysMs.set(id, []),
      onUnit: (id, unit) => {
        if (isCounting) {
          delaysMs.get(id)?.push(systemClock.nowMs() - unit.arrivedAtMs);
        }
      },
      onEnd: () => undefined,
    },
  });
  ladder.attach(source);
  const stop = playLive(
    clip,
    { push: (unit) => source.push({ ...unit, isDiscontinuity: false }), close: () => undefined },
    systemClock,
  );
  try {
    await passMs(SETTLE_MS);
    isCounting = true;
    const pid = ladder.pid ?? 0;
    const cpuBeforeMs = cpuMs(pid, { withChildren: true });
    await passMs(LIVE_MS);
    const cores = (cpuMs(pid, { withChildren: true }) - cpuBeforeMs) / LIVE_MS;
    const { droppedCount, rungs, leftOut } = ladder.status();
    if (rungs.length === 0) {
      throw new Error(`no rung ran: ${leftOut.map(({ id, why }) => `${id}, ${why}`).join('; ')}`);
    }
    return rungs.map(({ id, preset }) => {
      const sorted = (delaysMs.get(id) ?? []).toSorted((a, b) => a - b);
      const at = (ratio: number): number => sorted[Math.floor(sorted.length * ratio)] ?? Number.NaN;
      return {
        name: `${id} live, from the source unit's arrival to the rung's: p95`,
        value: at(0.95),
        unit: 'ms',
        target: { max: LATENCY_ADDED_MAX_MS },
        note: `p50 ${at(0.5).toFixed(0)}; ${sorted.length} pictures, ${droppedCount} left out, ${preset}, child ${cores.toFixed(2)} cores`,
      };
    });
  } finally {
    stop();
    ladder.close('bench_done');
  }
};
