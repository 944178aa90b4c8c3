/** What the calibration measured, one row a window of a clip at one size, preset and CRF: a table in CSV that lies beside this file. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProbedPoint } from '../../transcode/narrowband/quality-model.ts';

export type CalibrationRow = {
  readonly clip: string;
  readonly lines: number;
  readonly preset: string;
  readonly windowIndex: number;
  /** Mean of the window's pictures. */
  readonly vmaf: number;
  readonly point: ProbedPoint;
};

/** So long is a window, two GOPs of the ladder. */
export const WINDOW_S = 2;

const ROWS_PATH = join(import.meta.dirname, 'calibration.csv');

const NUMBERS = {
  windowIndex: ({ windowIndex }) => windowIndex,
  vmaf: ({ vmaf }) => vmaf,
  crf: ({ point }) => point.crf,
  widthPx: ({ point }) => point.widthPx,
  heightPx: ({ point }) => point.heightPx,
  temporalInfo: ({ point }) => point.content.temporalInfo,
  keyframeCount: ({ point }) => point.report.keyframeCount,
  pictureCount: ({ point }) => point.report.pictureCount,
  keyframeQp: ({ point }) => point.report.keyframeQp,
  pictureQp: ({ point }) => point.report.pictureQp,
  keyframeBytes: ({ point }) => point.report.keyframeBytes,
  pictureBytes: ({ point }) => point.report.pictureBytes,
  intraRatio: ({ point }) => point.report.intraRatio,
  skipRatio: ({ point }) => point.report.skipRatio,
  psnrDb: ({ point }) => point.report.psnrDb,
  ssimRatio: ({ point }) => point.report.ssimRatio,
} as const satisfies Readonly<Record<string, (row: CalibrationRow) => number>>;

type Column = keyof typeof NUMBERS;
const COLUMNS = Object.keys(NUMBERS) as Column[];

export const toCsv = (rows: readonly CalibrationRow[]): string =>
  [
    ['clip', 'preset', ...COLUMNS].join(','),
    ...rows.map((row) => [row.clip, row.preset, ...COLUMNS.map((name) => compact(NUMBERS[name](row)))].join(',')),
    '',
  ].join('\n');

const compact = (value: number): string => String(Number(value.toPrecision(6)));

export const readRows = (): CalibrationRow[] => readFileSync(ROWS_PATH, 'utf8').trim().split('\n').slice(1).map(toRow);

export const writeRows = (rows: readonly CalibrationRow[]): void => writeFileSync(ROWS_PATH, toCsv(rows));

const toRow = (line: string): CalibrationRow => {
  const [clip = '', preset = '', ...values] = line.split(',');
  const of = (name: Column): number => Number(values[COLUMNS.indexOf(name)]);
  const [widthPx, heightPx] = [of('widthPx'), of('heightPx')];
  return {
    ...{ clip, preset, lines: Math.min(widthPx, heightPx), windowIndex: of('windowIndex'), vmaf: of('vmaf') },
    point: {
      ...{ crf: of('crf'), widthPx, heightPx, content: { temporalInfo: of('temporalInfo') } },
      report: {
        keyframeCount: of('keyframeCount'),
        pictureCount: of('pictureCount'),
        keyframeQp: of('keyframeQp'),
        pictureQp: of('pictureQp'),
        keyframeBytes: of('keyframeBytes'),
        pictureBytes: of('pictureBytes'),
        intraRatio: of('intraRatio'),
        skipRatio: of('skipRatio'),
        psnrDb: of('psnrDb'),
        ssimRatio: of('ssimRatio'),
      },
    },
  };
};
