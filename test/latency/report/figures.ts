/**
 * The report's figures that need no script, as SVG and HTML: the overview of latencies, and latency against stutter. Colours are
 * CSS variables, so that light and dark are the style sheet's business. Pure.
 */
import { stallAxis, type Cell, type ScenarioSummary } from './summary.ts';
import { escapeHtml, formatMs, formatPercent } from './words.ts';

/** As many colours and shapes as the style sheet has; more targets share them. */
export const COLOUR_COUNT = 8;
const DECADE_STEPS = [1, 2, 5];
/** Corners of the marks by target, so that they can be told apart without colours; 0: a circle. */
const MARK_CORNER_COUNTS = [0, 4, 3, -4, 5, -3, 6, 8];

export const colourOf = (targetIndex: number): string => `var(--c${targetIndex % COLOUR_COUNT})`;

/** A target's mark with its centre at x, y. */
export const markOf = (
  targetIndex: number,
  place: { x: number; y: number; radius: number },
  attributes = '',
): string => {
  const { x, y, radius } = place;
  const fill = `fill="${colourOf(targetIndex)}" ${attributes}`;
  const corners = MARK_CORNER_COUNTS[targetIndex % COLOUR_COUNT] ?? 0;
  if (corners === 0) {
    return `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="${fixed(radius)}" ${fill}/>`;
  }
  const count = Math.abs(corners);
  const turn = corners < 0 ? Math.PI / count : 0;
  const points = Array.from({ length: count }, (_, k) => {
    const angle = turn - Math.PI / 2 + (2 * Math.PI * k) / count;
    return `${fixed(x + 1.2 * radius * Math.cos(angle))},${fixed(y + 1.2 * radius * Math.sin(angle))}`;
  });
  return `<polygon points="${points.join(' ')}" ${fill}/>`;
};

const axisWords = (ms: number): string =>
  ms < 1_000 ? `${Number(ms.toFixed(1))} ms` : `${Number((ms / 1_000).toFixed(2))} s`;

/** A logarithmic axis whose ends are round numbers. */
export type LogAxis = { readonly low: number; readonly high: number; readonly ticks: readonly number[] };

export const logAxisOf = (values: readonly number[]): LogAxis => {
  const positive = values.filter((value) => value > 0);
  const least = positive.length === 0 ? 100 : Math.min(...positive);
  const most = positive.length === 0 ? 1_000 : Math.max(...positive);
  const low = roundDown(least / 1.15);
  const high = roundUp(Math.max(most * 1.15, low * 4));
  const ticks: number[] = [];
  for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10) {
    ticks.push(
      ...DECADE_STEPS.map((step) => step * decade).filter((tick) => tick >= low * 0.999 && tick <= high * 1.001),
    );
  }
  return { low, high, ticks };
};

const roundDown = (value: number): number => {
  const decade = 10 ** Math.floor(Math.log10(value));
  return decade * (DECADE_STEPS.toReversed().find((step) => step * decade <= value) ?? 1);
};

const roundUp = (value: number): number => {
  const decade = 10 ** Math.floor(Math.log10(value));
  return decade * ([...DECADE_STEPS, 10].find((step) => step * decade >= value) ?? 10);
};

const placeOn = (axis: LogAxis, value: number): number =>
  Math.log(Math.min(Math.max(value, axis.low), axis.high) / axis.low) / Math.log(axis.high / axis.low);

/** All scenarios on one axis: a mark at the median, a bar to the 95th percentile, the stalled share beside it. */
export const overviewHtml = (summaries: readonly ScenarioSummary[]): string => {
  const cells = summaries.flatMap(({ cells: row }) => row);
  const values = cells.flatMap(({ estimates }) =>
    [estimates.latencyP50Ms, estimates.latencyP95Ms].flatMap((estimate) => (estimate === null ? [] : [estimate.mean])),
  );
  const axis = logAxisOf(values);
  const groups = summaries.map(
    ({ scenarioName, cells: row }) =>
      `<h3>${escapeHtml(scenarioName)}</h3>${row.map((cell, index) => overviewRow(cell, index, axis)).join('')}`,
  );
  const labels = axis.ticks
    .map((tick) => `<span style="left:${percentOn(axis, tick)}">${axisWords(tick)}</span>`)
    .join('');
  return `<div class="overview">${groups.join('')}<div class="row axis"><span></span><span class="track">${labels}</span><span></span></div></div>`;
};

const overviewRow = (cell: Cell, index: number, axis: LogAxis): string => {
  const { latencyP50Ms, latencyP95Ms, stallRatio } = cell.estimates;
  const name = `<span class="name">${keyHtml(index)}${escapeHtml(cell.targetName)}</span>`;
  const lines = axis.ticks.map((tick) => `<i class="tick" style="left:${percentOn(axis, tick)}"></i>`).join('');
  const share = stallRatio === null ? '' : stalledHtml(stallRatio.mean);
  if (latencyP50Ms === null || latencyP95Ms === null) {
    const words = cell.runs.length === 0 ? 'not run' : cell.measuredCount === 0 ? 'failed' : 'no picture';
    return `<div class="row">${name}<span class="track">${lines}<em>${words}</em></span><span class="stalled">${share}</span></div>`;
  }
  const from = placeOn(axis, latencyP50Ms.mean);
  const to = placeOn(axis, latencyP95Ms.mean);
  const bar = `<i class="bar" style="left:${percent(from)};width:${percent(Math.max(0, to - from))};background:${colourOf(index)}"></i>`;
  const dot = `<svg class="dot" style="left:${percent(from)}" viewBox="-8 -8 16 16">${markOf(index, { x: 0, y: 0, radius: 5.5 })}</svg>`;
  const partly =
    latencyP50Ms.count < cell.runs.length ? ` <small>in ${latencyP50Ms.count} of ${cell.runs.length} runs</small>` : '';
  const side =
    from > 0.72 ? `right:calc(${percent(1 - from)} + 12px)` : `left:calc(${percent(Math.max(from, to))} + 12px)`;
  return (
    `<div class="row">${name}<span class="track">${lines}${bar}${dot}<b style="${side}">${formatMs(latencyP50Ms.mean)}${partly}</b></span>` +
    `<span class="stalled">${share}</span></div>`
  );
};

const stalledHtml = (ratio: number): string =>
  `<span class="${ratio >= 0.005 ? 'bad' : 'good'}">${formatPercent(ratio)}<span class="narrow"> stalled</span></span>`;

/** The target's mark, for names. */
export const keyHtml = (targetIndex: number): string =>
  `<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">${markOf(targetIndex, { x: 0, y: 0, radius: 5.5 })}</svg>`;

const WIDTH = 460;
const HEIGHT = 300;
const PLOT = { left: 66, right: 22, top: 12, bottom: 42 };
const STALL_TICKS = [0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

type Scales = { readonly x: (log10Ms: number) => number; readonly y: (stall: number) => number };

/** Each run a faint mark, the mean of a target a strong one with its 95 % ellipse. Lower and further left is better. */
export const scatterSvg = (summary: ScenarioSummary): string => {
  const points = summary.cells.flatMap((cell) => cell.points);
  if (points.length === 0) {
    return '<p class="quiet">No run showed a picture.</p>';
  }
  const axis = logAxisOf(points.map((point) => 10 ** point.x));
  const stallMost = Math.min(1, Math.max(0.02, (Math.max(...points.map((point) => point.y)) ** 2 / 100) * 1.3));
  const inner = { width: WIDTH - PLOT.left - PLOT.right, height: HEIGHT - PLOT.top - PLOT.bottom };
  const scales: Scales = {
    x: (log10Ms) => PLOT.left + ((log10Ms - Math.log10(axis.low)) / Math.log10(axis.high / axis.low)) * inner.width,
    y: (stall) => PLOT.top + (1 - stall / stallAxis(stallMost)) * inner.height,
  };
  const xTicks = axis.ticks.map((tick) => {
    const x = fixed(scales.x(Math.log10(tick)));
    return `<line x1="${x}" x2="${x}" y1="${PLOT.top}" y2="${HEIGHT - PLOT.bottom}"/><text x="${x}" y="${HEIGHT - PLOT.bottom + 15}" text-anchor="middle">${axisWords(tick)}</text>`;
  });
  const yTicks = STALL_TICKS.filter((tick) => tick <= stallMost)
    .map((tick) => ({ tick, y: scales.y(stallAxis(tick)) }))
    .filter(({ y }, k, all) => k === 0 || (all[k - 1]?.y ?? Infinity) - y > 13)
    .map(
      ({ tick, y }) =>
        `<line x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${fixed(y)}" y2="${fixed(y)}"/><text x="${PLOT.left - 5}" y="${fixed(y + 4)}" text-anchor="end">${formatPercent(tick).replace('.0 ', ' ')}</text>`,
    );
  const marks = summary.cells.map((cell, index) => cellMarks(cell, index, scales)).join('');
  return `<svg class="scatter" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Latency against stalled time"><defs><clipPath id="inside"><rect x="${PLOT.left}" y="0" width="${inner.width + PLOT.right}" height="${PLOT.top + inner.height + 8}"/></clipPath></defs><g class="grid">${xTicks.join('')}${yTicks.join('')}</g><text class="label" x="${PLOT.left + inner.width / 2}" y="${HEIGHT - 6}" text-anchor="middle">median latency → slower</text><text class="label" x="12" y="${PLOT.top + inner.height / 2}" text-anchor="middle" transform="rotate(-90 12 ${PLOT.top + inner.height / 2})">stalled time → worse</text><g clip-path="url(#inside)">${marks}</g></svg>`;
};

const cellMarks = (cell: Cell, index: number, scales: Scales): string => {
  const single = cell.points.map((point) =>
    markOf(index, { x: scales.x(point.x), y: scales.y(point.y), radius: 3 }, 'opacity="0.45"'),
  );
  if (cell.points.length === 0) {
    return '';
  }
  const centre = {
    x: cell.points.reduce((sum, point) => sum + point.x, 0) / cell.points.length,
    y: cell.points.reduce((sum, point) => sum + point.y, 0) / cell.points.length,
  };
  const mean = markOf(index, { x: scales.x(centre.x), y: scales.y(centre.y), radius: 6 }, 'stroke="var(--paper)"');
  const title = `<title>${escapeHtml(cell.targetName)}</title>`;
  return `<g>${title}${ellipsePath(cell, index, scales)}${single.join('')}${mean}</g>`;
};

/** As a polygon, since a turned ellipse does not stay one under scales of different units. */
const ellipsePath = (cell: Cell, index: number, scales: Scales): string => {
  const { ellipse } = cell;
  if (ellipse === null) {
    return '';
  }
  const [a, b] = ellipse.halfAxes;
  const points = Array.from({ length: 72 }, (_, k) => {
    const angle = (k * Math.PI) / 36;
    const along = a * Math.cos(angle);
    const across = b * Math.sin(angle);
    const x = ellipse.centre.x + along * Math.cos(ellipse.turnRad) - across * Math.sin(ellipse.turnRad);
    const y = ellipse.centre.y + along * Math.sin(ellipse.turnRad) + across * Math.cos(ellipse.turnRad);
    return `${fixed(scales.x(x))},${fixed(scales.y(y))}`;
  });
  const colour = colourOf(index);
  return `<polygon points="${points.join(' ')}" fill="${colour}" fill-opacity="0.15" stroke="${colour}"/>`;
};

const fixed = (value: number): string => String(Math.round(value * 10) / 10);
const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)}%`;
const percentOn = (axis: LogAxis, value: number): string => percent(placeOn(axis, value));
