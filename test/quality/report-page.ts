/** Runs in the report: draws rate-quality curves with uPlot from the JSON that stands in the page. Imports nothing at run time. */
import type uPlotType from 'uplot';
import type { PageCurve, PageData } from './report-data.ts';

type Measure = 'vmaf' | 'ssim';

const UPlot = (globalThis as unknown as { uPlot: typeof uPlotType }).uPlot;
const HEIGHT_PX = 300;
const WIDTH_MIN_PX = 280;
const COLOUR_COUNT = 8;

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const axis = (values: (value: number) => string): uPlotType.Axis => ({
  stroke: css('--quiet'),
  grid: { stroke: css('--line'), width: 1 },
  ticks: { show: false },
  font: '12px system-ui, sans-serif',
  values: (_plot, splits) => splits.map(values),
});

const series = ({ name }: PageCurve, index: number, digits: number): uPlotType.Series => ({
  label: name,
  stroke: css(`--c${index % COLOUR_COUNT}`),
  width: 1.75,
  spanGaps: true,
  points: { show: true, size: 7 },
  value: (_plot, value: number | null) => (value === null ? '–' : value.toFixed(digits)),
});

/** One column of bitrates for all curves; a curve has nothing where the others have their points. */
const columnsOf = (curves: readonly PageCurve[], measure: Measure): (number | null)[][] => {
  const places = curves
    .flatMap((curve, index) => curve.points.map((point) => ({ index, point })))
    .toSorted((a, b) => a.point.kbps - b.point.kbps);
  return [
    places.map(({ point }) => point.kbps),
    ...curves.map((_, curveIndex) => places.map(({ index, point }) => (index === curveIndex ? point[measure] : null))),
  ];
};

const draw = (host: HTMLElement, { rungs }: PageData): uPlotType | undefined => {
  const measure = host.dataset['measure'] as Measure;
  const curves = rungs[Number(host.dataset['rung'])]?.curves ?? [];
  const digits = measure === 'vmaf' ? 1 : 4;
  host.replaceChildren();
  return new UPlot(
    {
      width: Math.max(WIDTH_MIN_PX, host.clientWidth),
      height: HEIGHT_PX,
      scales: { x: { time: false } },
      axes: [
        axis((value) => `${value} kbit/s`),
        { ...axis((value) => String(Number(value.toFixed(digits)))), size: 58 },
      ],
      series: [
        {
          label: 'bitrate',
          value: (_plot, value: number | null) => (value === null ? '–' : `${value.toFixed(0)} kbit/s`),
        },
        ...curves.map((curve, index) => series(curve, index, digits)),
      ],
    },
    columnsOf(curves, measure) as uPlotType.AlignedData,
    host,
  );
};

const start = (): void => {
  const data = JSON.parse(document.querySelector('#ladder-data')?.textContent ?? '{"rungs":[]}') as PageData;
  const hosts = [...document.querySelectorAll<HTMLElement>('[data-measure]')];
  const plots = new Map<HTMLElement, uPlotType>();
  const redraw = (): void => {
    for (const host of hosts) {
      plots.get(host)?.destroy();
      const plot = draw(host, data);
      if (plot !== undefined) {
        plots.set(host, plot);
      }
    }
  };
  redraw();
  addEventListener('resize', redraw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
};

start();
