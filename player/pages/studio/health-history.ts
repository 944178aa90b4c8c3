/** The health of a broadcast as curves: joins what is told bit by bit, and puts it on an even scale of time. Pure. */
import type { HealthColumn, HealthHistory } from '../../../server/api/contract/studio.ts';
import type { LinePlot } from '../plots.ts';
import { latencyWords } from '../plots.ts';
import type { StudioTexts } from './texts.ts';

/** What the server keeps, and the shorter spans that a young broadcast is drawn over. */
const SPANS_MS = [120_000, 300_000, 900_000] as const;
const KEPT_MS = SPANS_MS[2];

export type Points = readonly (readonly [atWallMs: number, Readonly<Record<HealthColumn, number | null>>])[];

const COLUMNS: readonly HealthColumn[] = [
  ...(['bitrateBps', 'frameRateFps', 'keyframeIntervalMs', 'missingCount', 'lateCount'] as const),
  ...(['viewerCount', 'latencyMedianMs', 'latencyP95Ms', 'stallRatio'] as const),
];

/** With what is new, and without what is older than the span. */
export const joinPoints = (known: Points, news: HealthHistory): Points => {
  const fresh = news.atWallMs.map(
    (atWallMs, index) =>
      [
        atWallMs,
        Object.fromEntries(COLUMNS.map((name) => [name, news[name][index] ?? null])) as Record<
          HealthColumn,
          number | null
        >,
      ] as const,
  );
  const all = [...known, ...fresh];
  const newest = all.at(-1)?.[0] ?? 0;
  return all.filter(([atWallMs]) => newest - atWallMs < KEPT_MS);
};

/** The shortest span that shows all there is. */
export const spanOf = (points: Points): number => {
  const lengthMs = (points.at(-1)?.[0] ?? 0) - (points[0]?.[0] ?? 0);
  return SPANS_MS.find((spanMs) => lengthMs < spanMs) ?? KEPT_MS;
};

export type Scale = { readonly spanMs: number; readonly everyMs: number };

/** One column, a value every `everyMs` up to the newest point; null where the broadcast was not live. */
export const columnOf = (points: Points, column: HealthColumn, { spanMs, everyMs }: Scale): (number | null)[] => {
  const newest = points.at(-1)?.[0] ?? 0;
  const values: (number | null)[] = Array.from({ length: Math.round(spanMs / everyMs) }, () => null);
  for (const [atWallMs, point] of points) {
    const index = values.length - 1 - Math.round((newest - atWallMs) / everyMs);
    if (index >= 0) {
      values[index] = point[column];
    }
  }
  return values;
};

const perSecond = (bps: number): string =>
  bps < 1e6 ? `${Math.round(bps / 1e3)} kbit/s` : `${trim(bps / 1e6)} Mbit/s`;
const trim = (value: number): string => String(Math.round(10 * value) / 10);
const percent = (ratio: number | null): number | null => (ratio === null ? null : 100 * ratio);
const whole = (value: number): string => (Number.isInteger(value) ? String(value) : trim(value));

/** In the order in which trouble travels: from the encoder to the viewer. */
export const healthPlots = (points: Points, { texts, ...scale }: Scale & { texts: StudioTexts }): LinePlot[] => {
  const of = (column: HealthColumn): (number | null)[] => columnOf(points, column, scale);
  return [
    {
      ...{ title: texts.bitrate, unitText: perSecond },
      lines: [{ name: '', values: of('bitrateBps'), style: 'first' }],
    },
    {
      ...{ title: texts.keyframeInterval, unitText: latencyWords },
      lines: [{ name: '', values: of('keyframeIntervalMs'), style: 'first' }],
    },
    {
      ...{ title: texts.faults, unitText: whole },
      lines: [
        { name: texts.missing, values: of('missingCount'), style: 'second' },
        { name: texts.late, values: of('lateCount'), style: 'bars' },
      ],
    },
    {
      ...{ title: texts.viewersOverTime, unitText: whole },
      lines: [{ name: '', values: of('viewerCount'), style: 'first' }],
    },
    {
      ...{ title: texts.latency, unitText: latencyWords },
      lines: [
        { name: texts.median, values: of('latencyMedianMs'), style: 'first' },
        { name: texts.p95, values: of('latencyP95Ms'), style: 'second' },
      ],
    },
    {
      ...{ title: texts.stalls, unitText: (value) => `${whole(value)} %` },
      lines: [{ name: texts.stalled, values: of('stallRatio').map(percent), style: 'bars' }],
    },
  ];
};

/** The newest value of each line that has one, with its unit: `150 ms / 310 ms`. */
export const newestWords = ({ lines, unitText }: LinePlot): string =>
  lines
    .map(({ values }) => values.at(-1) ?? null)
    .filter((value) => value !== null)
    .map(unitText)
    .join(' / ');
