/**
 * Runs in the report: draws its line plots with uPlot from the JSON that stands in the page, and redraws them when the light or the
 * width changes. Put into the page by `report-html.ts` with its types stripped, so it imports nothing at run time.
 */
import type uPlotType from 'uplot';
import type { RepeatTraces, ReportData, ScenarioData } from './report-data.ts';

type Chart = { readonly plot: uPlotType; readonly host: HTMLElement };
type Kind = 'latency' | 'cdf' | 'resolution';
type Inputs = { readonly data: ReportData; readonly scenario: ScenarioData; readonly repeatIndex: number };
type Drawing = {
  readonly series: uPlotType.Series[];
  readonly columns: (readonly (number | null)[])[];
  readonly options: Omit<uPlotType.Options, 'width' | 'height' | 'series'>;
};

const UPlot = (globalThis as unknown as { uPlot: typeof uPlotType }).uPlot;
const COLOUR_COUNT = 8;
const LANE_PX = 6;
const HEIGHTS_PX: Readonly<Record<Kind, number>> = { latency: 300, cdf: 300, resolution: 180 };
const NARROW_PX = 520;

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colourOf = (targetIndex: number): string => css(`--c${targetIndex % COLOUR_COUNT}`);

const msWords = (ms: number): string => {
  if (ms >= 1_000) {
    return `${Number((ms / 1_000).toFixed(2))} s`;
  }
  return `${Math.round(ms)} ms`;
};

/** A legend's value; a dash where the cursor is on nothing. */
const told =
  (words: (value: number) => string) =>
  (_plot: uPlotType, value: number | null | undefined): string =>
    value === null || value === undefined ? '–' : words(value);

/** Round values between the ends of a logarithmic axis. */
const logSplits = (low: number, high: number): number[] => {
  const splits: number[] = [];
  for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10) {
    splits.push(...[1, 2, 5].map((step) => step * decade).filter((value) => value >= low && value <= high));
  }
  return splits;
};

const axisStyle = (): Pick<uPlotType.Axis, 'stroke' | 'grid' | 'ticks' | 'font' | 'labelFont'> => ({
  stroke: css('--quiet'),
  grid: { stroke: css('--line'), width: 1 },
  ticks: { show: false },
  font: '12px system-ui, sans-serif',
  labelFont: '12px system-ui, sans-serif',
});

const logAxis = (): uPlotType.Axis => ({
  ...axisStyle(),
  splits: (plot, axisIndex) => {
    const scale = plot.scales[axisIndex === 0 ? 'x' : 'y'];
    return logSplits(scale?.min ?? 1, scale?.max ?? 10);
  },
  // uPlot leaves out all but powers of ten otherwise.
  filter: (_plot, splits) => splits,
  values: (_plot, splits) => splits.map(msWords),
  size: 58,
});

const secondsAxis = (): uPlotType.Axis => ({
  ...axisStyle(),
  values: (_plot, splits) => splits.map((seconds) => `${Number(seconds.toFixed(1))} s`),
  size: 34,
});

const boundsOf = (columns: readonly (readonly (number | null)[])[]): { low: number; high: number } => {
  let low = Infinity;
  let high = 0;
  for (const column of columns) {
    for (const value of column) {
      if (value !== null) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  }
  return low > high ? { low: 10, high: 1_000 } : { low: Math.max(1, low), high: Math.max(high, low * 1.5) };
};

const secondsOf = (repeat: RepeatTraces): number[] => repeat.atMs.map((atMs) => atMs / 1_000);

/** A lane for each target at the foot of the plot, filled while its picture stood still. */
const drawFreezes =
  (repeat: RepeatTraces) =>
  (plot: uPlotType): void => {
    const { ctx, bbox } = plot;
    const ratio = globalThis.devicePixelRatio;
    ctx.save();
    for (const [lane, trace] of repeat.traces.entries()) {
      const top = bbox.top + bbox.height - (repeat.traces.length - lane) * LANE_PX * ratio;
      ctx.fillStyle = colourOf(trace.targetIndex);
      for (const { fromMs, toMs } of trace.freezes) {
        const left = Math.max(bbox.left, plot.valToPos(fromMs / 1_000, 'x', true));
        const right = Math.min(bbox.left + bbox.width, plot.valToPos(toMs / 1_000, 'x', true));
        ctx.fillRect(left, top, Math.max(2 * ratio, right - left), (LANE_PX - 1) * ratio);
      }
    }
    ctx.restore();
  };

const lineSeries = (data: ReportData, targetIndex: number): uPlotType.Series => ({
  label: data.targetNames[targetIndex] ?? '',
  stroke: colourOf(targetIndex),
  width: 1.75,
  points: { show: false },
});

const capacityColumn = (repeat: RepeatTraces): (number | null)[] =>
  (repeat.capacityBps ?? []).map((bps) => (bps === null ? null : bps / 1_000_000));

const drawLatency = ({ data, scenario, repeatIndex }: Inputs): Drawing | undefined => {
  const repeat = scenario.repeats.find((each) => each.repeatIndex === repeatIndex) ?? scenario.repeats[0];
  if (repeat === undefined) {
    return undefined;
  }
  const traces = repeat.traces;
  const hasCapacity = repeat.capacityBps !== null;
  const { low, high } = boundsOf(traces.map((trace) => trace.latencyMs));
  // Room at the foot for the lanes of freezes.
  const footRatio = Math.min(0.4, (traces.length * LANE_PX + 8) / (HEIGHTS_PX.latency - 60));
  const floor = low / (high / low) ** (footRatio / (1 - footRatio)) / 1.1;
  const capacity: uPlotType.Series = {
    label: 'link capacity',
    scale: 'capacity',
    stroke: css('--capacity-edge'),
    fill: css('--capacity'),
    width: 1,
    points: { show: false },
    ...(UPlot.paths.stepped === undefined ? {} : { paths: UPlot.paths.stepped({ align: 1 }) }),
    value: told((value) => `${value.toFixed(1)} Mbit/s`),
  };
  const capacityAxis: uPlotType.Axis = {
    ...axisStyle(),
    scale: 'capacity',
    side: 1,
    grid: { show: false },
    values: (_plot, splits) => splits.map((mbps) => `${mbps} Mb/s`),
    size: 58,
  };
  return {
    columns: [
      secondsOf(repeat),
      ...(hasCapacity ? [capacityColumn(repeat)] : []),
      ...traces.map((trace) => trace.latencyMs),
    ],
    series: [
      { label: 'time', value: told((value) => `${value.toFixed(1)} s`) },
      ...(hasCapacity ? [capacity] : []),
      ...traces.map((trace): uPlotType.Series => ({
        ...lineSeries(data, trace.targetIndex),
        value: told(msWords),
      })),
    ],
    options: {
      scales: {
        x: { time: false },
        y: { distr: 3, range: [floor, high * 1.25] },
        capacity: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.15)] },
      },
      axes: [secondsAxis(), logAxis(), ...(hasCapacity ? [capacityAxis] : [])],
      hooks: { draw: [drawFreezes(repeat)] },
    },
  };
};

const drawCdf = ({ data, scenario: { cdf } }: Inputs): Drawing | undefined =>
  cdf === null
    ? undefined
    : {
        columns: [[...cdf.latencyMs], ...cdf.shares.map((share) => share.ratio.map((ratio) => ratio * 100))],
        series: [
          { label: 'latency', value: told(msWords) },
          ...cdf.shares.map((share): uPlotType.Series => ({
            ...lineSeries(data, share.targetIndex),
            value: told((value) => `${value.toFixed(1)} %`),
          })),
        ],
        options: {
          scales: { x: { time: false, distr: 3 }, y: { range: [0, 100] } },
          axes: [
            { ...logAxis(), size: 34 },
            { ...axisStyle(), values: (_plot, splits) => splits.map((value) => `${value} %`) },
          ],
        },
      };

const drawResolution = ({ data, scenario, repeatIndex }: Inputs): Drawing | undefined => {
  const repeat = scenario.repeats.find((each) => each.repeatIndex === repeatIndex) ?? scenario.repeats[0];
  if (repeat === undefined || !scenario.hasResolutionChange) {
    return undefined;
  }
  const heights = [...new Set(repeat.traces.flatMap((trace) => trace.heightPx.filter((height) => height !== null)))];
  return {
    columns: [secondsOf(repeat), ...repeat.traces.map((trace) => trace.heightPx)],
    series: [
      { label: 'time', value: told((value) => `${value.toFixed(1)} s`) },
      ...repeat.traces.map((trace): uPlotType.Series => ({
        ...lineSeries(data, trace.targetIndex),
        ...(UPlot.paths.stepped === undefined ? {} : { paths: UPlot.paths.stepped({ align: 1 }) }),
        value: told((value) => `${value} lines`),
      })),
    ],
    options: {
      scales: { x: { time: false }, y: { range: (_plot, min, max) => [Math.max(0, min * 0.85), max * 1.1] } },
      axes: [
        secondsAxis(),
        {
          ...axisStyle(),
          splits: () => heights,
          values: (_plot, splits) => splits.map((lines) => `${lines}p`),
          size: 58,
        },
      ],
    },
  };
};

const DRAW: Readonly<Record<Kind, (inputs: Inputs) => Drawing | undefined>> = {
  latency: drawLatency,
  cdf: drawCdf,
  resolution: drawResolution,
};

const drawInto = (host: HTMLElement, inputs: Inputs): Chart | undefined => {
  const kind = host.dataset['kind'] as Kind;
  const drawing = DRAW[kind](inputs);
  host.replaceChildren();
  if (drawing === undefined) {
    return undefined;
  }
  const plot = new UPlot(
    {
      width: Math.max(280, host.clientWidth),
      height: host.clientWidth < NARROW_PX ? Math.round(HEIGHTS_PX[kind] * 0.85) : HEIGHTS_PX[kind],
      series: drawing.series,
      legend: { live: true },
      cursor: { points: { size: 6 } },
      ...drawing.options,
    },
    drawing.columns as unknown as uPlotType.AlignedData,
    host,
  );
  return { plot, host };
};

const start = (): void => {
  const data = JSON.parse(document.querySelector('#lab-data')?.textContent ?? '{}') as ReportData;
  const charts = new Map<HTMLElement, Chart>();
  const chosenRepeats = new Map<number, number>();
  const hosts = [...document.querySelectorAll<HTMLElement>('[data-kind]')];
  const draw = (host: HTMLElement): void => {
    charts.get(host)?.plot.destroy();
    charts.delete(host);
    const scenarioIndex = Number(host.dataset['scenario']);
    const scenario = data.scenarios[scenarioIndex];
    if (scenario !== undefined) {
      const chart = drawInto(host, { data, scenario, repeatIndex: chosenRepeats.get(scenarioIndex) ?? -1 });
      if (chart !== undefined) {
        charts.set(host, chart);
      }
    }
  };
  hosts.forEach(draw);
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-repeat]')) {
    button.addEventListener('click', () => {
      const scenarioIndex = Number(button.dataset['scenario']);
      chosenRepeats.set(scenarioIndex, Number(button.dataset['repeat']));
      for (const other of button.parentElement?.querySelectorAll('button') ?? []) {
        other.setAttribute('aria-pressed', String(other === button));
      }
      hosts.filter((host) => host.dataset['scenario'] === button.dataset['scenario']).forEach(draw);
    });
  }
  const widths = new WeakMap<Element, number>();
  const observer = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      if (widths.get(target) !== undefined && widths.get(target) !== contentRect.width) {
        draw(target as HTMLElement);
      }
      widths.set(target, contentRect.width);
    }
  });
  hosts.forEach((host) => observer.observe(host));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => hosts.forEach(draw));
};

start();
