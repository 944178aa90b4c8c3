/** The dashboard's drawings as SVG: points of latency against stutter, and lines over the last minutes. */

export type ScatterPoint = {
  readonly latencyMs: number;
  /** Of the time, standing still; 0 … 1. */
  readonly stallRatio: number;
  readonly label: string;
  readonly isLive: boolean;
  readonly shape: 'round' | 'square';
  readonly onPick: () => void;
};

/** From the old to the new: what the simulator shows of both. */
export type Step = {
  readonly from: { readonly latencyMs: number; readonly stallRatio: number };
  readonly to: { readonly latencyMs: number; readonly stallRatio: number };
  readonly label: string;
};

/** Lower and further left than its corner. */
export type Goal = { readonly latencyMs: number; readonly stallRatio: number; readonly label: string };

export type Scatter = {
  readonly points: readonly ScatterPoint[];
  readonly groups: readonly Ellipse[];
  /** In the order in which a line joins where they lead. */
  readonly steps: readonly Step[];
  readonly goal: Goal | undefined;
};

/** A group of viewers: its means, as wide and high as their 95 % intervals. */
export type Ellipse = {
  readonly latencyMs: number;
  readonly latencyHalfMs: number;
  readonly stallRatio: number;
  readonly stallHalfRatio: number;
  readonly label: string;
  readonly kind: 'first' | 'second';
};

export type Line = {
  readonly name: string;
  readonly values: readonly (number | null)[];
  readonly style: 'first' | 'second' | 'third' | 'bars';
};

export type LinePlot = {
  readonly title: string;
  readonly unitText: (value: number) => string;
  readonly lines: readonly Line[];
};

const SVG = 'http://www.w3.org/2000/svg';
/** Text is as large on a phone as on a desk. */
const WIDTH_PX: readonly [number, number] = [300, 1_100];
const SCATTER_HEIGHT = 320;
const LINES_HEIGHT = 120;
const EDGE = { left: 74, right: 12, top: 12, bottom: 30 };
const LATENCY_MS: readonly [number, number] = [50, 8_000];
const LATENCY_TICKS_MS = [50, 100, 200, 500, 1_000, 2_000, 5_000];
/** Where there is no room for all. */
const LATENCY_TICKS_FEW_MS = [50, 200, 1_000, 5_000];
const TICK_PX = 62;
/** Labels of groups that lie close keep off each other. */
const LABEL_PX = 14;
/** Longer without a value, and the line is broken. */
const GAP_MS = 4_500;
const STALL_MAX_RATIO = 0.4;
const STALL_TICKS = [0, 0.01, 0.03, 0.1, 0.2, 0.4];

/** From above downwards, as they are drawn. */
const bySmoothness = (a: Ellipse, b: Ellipse): number => b.stallRatio - a.stallRatio;

const shape = (tag: string, attributes: Readonly<Record<string, string | number>>, text = ''): SVGElement => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, String(value));
  }
  element.textContent = text;
  return element;
};

const frame = (size: { width: number; height: number }, label: string): SVGElement =>
  shape('svg', { viewBox: `0 0 ${size.width} ${size.height}`, role: 'img', 'aria-label': label });

export const latencyWords = (ms: number): string =>
  ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;

export const stallWords = (ratio: number): string =>
  ratio === 0 ? '0 %' : `${(100 * ratio).toFixed(ratio < 0.1 ? 1 : 0)} %`;

/** Latency by its logarithm, stutter by its root: nothing at all has a place, and a little is seen. */
export const scatter = ({ points, groups, steps, goal }: Scatter, widthPx: number): SVGElement => {
  const width = clip(widthPx, ...WIDTH_PX);
  const svg = frame({ width, height: SCATTER_HEIGHT }, `Latency against stutter of ${points.length} viewers`);
  const [low, high] = LATENCY_MS;
  const xOf = (ms: number): number =>
    EDGE.left + (width - EDGE.left - EDGE.right) * (Math.log(clip(ms, low, high) / low) / Math.log(high / low));
  const yOf = (ratio: number): number => {
    const share = Math.sqrt(clip(ratio, 0, STALL_MAX_RATIO) / STALL_MAX_RATIO);
    return SCATTER_HEIGHT - EDGE.bottom - (SCATTER_HEIGHT - EDGE.top - EDGE.bottom) * share;
  };
  const hasRoom = width - EDGE.left - EDGE.right > TICK_PX * LATENCY_TICKS_MS.length;
  for (const ms of hasRoom ? LATENCY_TICKS_MS : LATENCY_TICKS_FEW_MS) {
    svg.append(
      shape('line', { class: 'grid', x1: xOf(ms), x2: xOf(ms), y1: EDGE.top, y2: SCATTER_HEIGHT - EDGE.bottom }),
    );
    svg.append(
      shape('text', { class: 'tick', x: xOf(ms), y: SCATTER_HEIGHT - 10, 'text-anchor': 'middle' }, latencyWords(ms)),
    );
  }
  for (const ratio of STALL_TICKS) {
    svg.append(shape('line', { class: 'grid', x1: EDGE.left, x2: width - EDGE.right, y1: yOf(ratio), y2: yOf(ratio) }));
    svg.append(
      shape('text', { class: 'tick', x: EDGE.left - 8, y: yOf(ratio) + 4, 'text-anchor': 'end' }, stallWords(ratio)),
    );
  }
  if (goal !== undefined) {
    const [right, top] = [xOf(goal.latencyMs), yOf(goal.stallRatio)];
    const area = shape('rect', {
      ...{ class: 'goal', x: EDGE.left, y: top },
      ...{ width: Math.max(0, right - EDGE.left), height: Math.max(0, SCATTER_HEIGHT - EDGE.bottom - top) },
    });
    area.append(shape('title', {}, goal.label));
    svg.append(area);
  }
  const placeOf = ({ latencyMs, stallRatio }: Step['to']): string =>
    `${xOf(latencyMs).toFixed(1)} ${yOf(stallRatio).toFixed(1)}`;
  if (steps.length > 1) {
    svg.append(shape('path', { class: 'step line', d: `M${steps.map(({ to }) => placeOf(to)).join('L')}` }));
  }
  for (const { from, to, label } of steps) {
    const step = shape('g', { class: 'step' });
    step.append(shape('title', {}, label));
    step.append(shape('path', { d: `M${placeOf(from)}L${placeOf(to)}` }));
    step.append(shape('circle', { class: 'from', cx: xOf(from.latencyMs), cy: yOf(from.stallRatio), r: 4 }));
    step.append(shape('circle', { class: 'to', cx: xOf(to.latencyMs), cy: yOf(to.stallRatio), r: 4 }));
    svg.append(step);
  }
  let labelledY = Number.NEGATIVE_INFINITY;
  for (const { latencyMs, latencyHalfMs, stallRatio, stallHalfRatio, label, kind } of groups.toSorted(bySmoothness)) {
    const [left, right] = [xOf(latencyMs - latencyHalfMs), xOf(latencyMs + latencyHalfMs)];
    const [below, above] = [yOf(stallRatio - stallHalfRatio), yOf(stallRatio + stallHalfRatio)];
    const round = shape('ellipse', {
      ...{ class: `group ${kind}`, cx: (left + right) / 2, cy: (below + above) / 2 },
      ...{ rx: Math.max(3, (right - left) / 2), ry: Math.max(3, (below - above) / 2) },
    });
    round.append(shape('title', {}, `${label}: ${latencyWords(latencyMs)}, stood still ${stallWords(stallRatio)}`));
    svg.append(round);
    labelledY = Math.max(labelledY + LABEL_PX, (below + above) / 2 + 4);
    svg.append(shape('text', { class: `tick ${kind}`, x: right + 6, y: labelledY }, label));
  }
  for (const { latencyMs, stallRatio, label, isLive, shape: form, onPick } of points) {
    const [x, y] = [xOf(latencyMs), yOf(stallRatio)];
    const look = { class: isLive ? 'point live' : 'point' };
    const point =
      form === 'round'
        ? shape('circle', { ...look, cx: x, cy: y, r: 6 })
        : shape('rect', { ...look, x: x - 5, y: y - 5, width: 10, height: 10 });
    point.append(shape('title', {}, `${label}: ${latencyWords(latencyMs)}, stood still ${stallWords(stallRatio)}`));
    point.addEventListener('click', onPick);
    svg.append(point);
  }
  return svg;
};

/** Where in time the values of all lines stand, and which stretch of it is drawn: what is now, or was the end, at the right. */
export type TimeAxis = {
  readonly atMs: readonly number[];
  readonly endMs: number;
  readonly seconds: number;
  readonly startWords: string;
  readonly endWords: string;
  readonly widthPx: number;
};

export const linePlot = (
  { title, unitText, lines }: LinePlot,
  { atMs, endMs, seconds, startWords, endWords, widthPx }: TimeAxis,
): SVGElement => {
  const width = clip(widthPx, ...WIDTH_PX);
  const known = lines.flatMap(({ values }) => values.filter((value) => value !== null));
  const most = niceMost(Math.max(0, ...known));
  const svg = frame({ width, height: LINES_HEIGHT }, title);
  const xOf = (ms: number): number =>
    width - EDGE.right - ((width - EDGE.left - EDGE.right) * (endMs - ms)) / (1_000 * seconds);
  const yOf = (value: number): number =>
    LINES_HEIGHT - EDGE.bottom - ((LINES_HEIGHT - EDGE.top - EDGE.bottom) * Math.max(0, value)) / most;
  for (const value of [0, most]) {
    svg.append(shape('line', { class: 'grid', x1: EDGE.left, x2: width - EDGE.right, y1: yOf(value), y2: yOf(value) }));
    svg.append(
      shape('text', { class: 'tick', x: EDGE.left - 8, y: yOf(value) + 4, 'text-anchor': 'end' }, unitText(value)),
    );
  }
  svg.append(
    shape('text', { class: 'tick', x: width - EDGE.right, y: LINES_HEIGHT - 10, 'text-anchor': 'end' }, endWords),
  );
  svg.append(shape('text', { class: 'tick', x: EDGE.left, y: LINES_HEIGHT - 10 }, startWords));
  for (const { values, style } of lines) {
    const places = values.map((value, index) => ({ value, ms: atMs[index] ?? 0 }));
    svg.append(shape('path', { class: `curve ${style}`, d: pathOf(places, style === 'bars', xOf, yOf) }));
  }
  return svg;
};

const pathOf = (
  places: readonly { readonly value: number | null; readonly ms: number }[],
  isBars: boolean,
  xOf: (ms: number) => number,
  yOf: (value: number) => number,
): string => {
  let lastMs = Number.NEGATIVE_INFINITY;
  return places
    .map(({ value, ms }) => {
      const x = xOf(ms).toFixed(1);
      if (value === null || (isBars && value === 0)) {
        return '';
      }
      if (isBars) {
        return `M${x} ${yOf(0)}V${yOf(value).toFixed(1)}`;
      }
      const step = `${ms - lastMs > GAP_MS ? 'M' : 'L'}${x} ${yOf(value).toFixed(1)}`;
      lastMs = ms;
      return step;
    })
    .join('');
};

/** 1, 2 or 5 with noughts, no less than this. */
const niceMost = (value: number): number => {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((times) => times * unit).find((most) => most >= value) ?? value;
};

const clip = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value));
