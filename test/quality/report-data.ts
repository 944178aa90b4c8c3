/** What a comparison of ladders gives: for the table on the screen, for the page, and as JSON. */
import type { Rung } from '../../transcode/ladder-plan.ts';
import { bdRateOf, type Measure, type RungComparison, type Span } from './compare.ts';

/** The whole ladder from the file, once with the live arguments and once with a plain command for the same rungs. */
export type LadderCost = {
  readonly name: string;
  readonly cpuMsPerFrame: number;
  /** Media time by time taken; other work on the machine makes it less. */
  readonly realTimeFactor: number;
};

export type LadderResults = {
  readonly file: string;
  readonly scoredS: number;
  readonly source: { readonly widthPx: number; readonly heightPx: number; readonly frameRateFps: number };
  readonly rungs: readonly RungComparison[];
  readonly leftOut: readonly string[];
  /** Pictures that the first rung's encoder holds back. */
  readonly lagFrames: number;
  readonly costs: readonly LadderCost[];
  readonly hasVmaf: boolean;
  readonly startedAtWallMs: number;
  readonly machine: { readonly cpuModel: string; readonly cpuCount: number };
};

/** "-31.4 %", or a dash where two curves share no scores. */
export const bdWords = (comparison: RungComparison, index: number, of: { measure: Measure; span?: Span }): string => {
  const ratio = bdRateOf(comparison, index, of)?.ratio;
  return ratio === undefined ? '–' : `${ratio > 0 ? '+' : ''}${(ratio * 100).toFixed(1)} %`;
};

export const rungWords = ({ id, widthPx, heightPx, frameRateFps }: Rung): string =>
  `${id} (${widthPx}×${heightPx}, ${Number(frameRateFps.toFixed(2))} fps)`;

const toKbps = (bps: number): string => (bps / 1000).toFixed(0);

/** Lines for a terminal. */
export const toText = (results: LadderResults): string => {
  const lines = results.rungs.flatMap((comparison) => [
    '',
    rungWords(comparison.rung),
    `  ${'encoder'.padEnd(34)}${'point'.padEnd(22)}${'kbit/s'.padStart(8)}${'VMAF'.padStart(8)}${'SSIM'.padStart(9)}`,
    ...comparison.curves.flatMap(({ name, points }) =>
      points.map(({ label, settled: { bitrateBps, vmaf, ssim } }) => {
        const scores = `${(vmaf?.toFixed(2) ?? '–').padStart(8)}${ssim.toFixed(4).padStart(9)}`;
        return `  ${name.padEnd(34)}${label.padEnd(22)}${toKbps(bitrateBps).padStart(8)}${scores}`;
      }),
    ),
    ...comparison.curves.slice(1).map(({ name }, index) => {
      const words = (measure: Measure): string => bdWords(comparison, index + 1, { measure });
      return `  ${name}: bits for the same quality ${words('vmaf')} by VMAF, ${words('ssim')} by SSIM`;
    }),
  ]);
  const costs = results.costs.map(
    ({ name, cpuMsPerFrame, realTimeFactor }) =>
      `${name}: ${cpuMsPerFrame.toFixed(1)} ms of one core a picture of the source, ${realTimeFactor.toFixed(2)} times real time`,
  );
  return [
    ...lines,
    '',
    `Encoder's lag: ${results.lagFrames} pictures.`,
    ...costs,
    ...results.leftOut.map((words) => `Left out: ${words}.`),
    ...(results.hasVmaf ? [] : ['VMAF left out: no ffmpeg with libvmaf was found (--vmaf-ffmpeg PATH).']),
  ].join('\n');
};

/** What the page draws. */
export type PageData = {
  readonly rungs: readonly { readonly curves: readonly PageCurve[] }[];
};

export type PageCurve = {
  readonly name: string;
  readonly points: readonly { readonly kbps: number; readonly vmaf: number | null; readonly ssim: number }[];
};

export const toPageData = ({ rungs }: LadderResults): PageData => ({
  rungs: rungs.map(({ curves }) => ({
    curves: curves.map(({ name, points }) => ({
      name,
      points: points
        .map(({ settled: { bitrateBps, vmaf, ssim } }) => ({ kbps: bitrateBps / 1000, vmaf: vmaf ?? null, ssim }))
        .toSorted((a, b) => a.kbps - b.kbps),
    })),
  })),
});
