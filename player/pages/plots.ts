/** The dashboard's drawings as SVG: points of latency against stutter, and lines over the last minutes. */

export type ScatterPoint = {
  readonly latencyMs: number;
  /** Of the time, standing still; 0 … 1. */
  readonly stallRatio: number;
  readonly label: string;
  readonly isLive: boolean;
  readonly onPick: () => void;
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
  readonly style: 'first' | 'second' | 'bars';
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
const EDGE = { left: 64, right: 12, top: 12, bottom: 30 };
const LATENCY_MS: readonly [number, number] = [50, 8_000];
const LATENCY_TICKS_MS = [50, 100, 200, 500, 1_000, 2_000, 5_000];
/** Where there is no room for all. */
const LATENCY_TICKS_FEW_MS = [50, 200, 1_000, 5_000];
const TICK_PX = 62;
const STALL_MAX_RATIO = 0.4;
const STALL_TICKS = [0, 0.01, 0.03, 0.1, 0.2, 0.4];

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
export const scatter = (
  { points, groups }: { readonly points: readonly ScatterPoint[]; readonly groups: readonly Ellipse[] },
  widthPx: number,
): SVGElement => {
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
  for (const { latencyMs, latencyHalfMs, stallRatio, stallHalfRatio, label, kind } of groups) {
    const [left, right] = [xOf(latencyMs - latencyHalfMs), xOf(latencyMs + latencyHalfMs)];
    const [below, above] = [yOf(stallRatio - stallHalfRatio), yOf(stallRatio + stallHalfRatio)];
    const round = shape('ellipse', {
      ...{ class: `group ${kind}`, cx: (left + right) / 2, cy: (below + above) / 2 },
      ...{ rx: Math.max(3, (right - left) / 2), ry: Math.max(3, (below - above) / 2) },
    });
    round.append(shape('title', {}, `${label}: ${latencyWords(latencyMs)}, stood still ${stallWords(stallRatio)}`));
    svg.append(round);
    svg.append(shape('text', { class: `tick ${kind}`, x: right + 6, y: (below + above) / 2 + 4 }, label));
  }
  for (const { latencyMs, stallRatio, label, isLive, onPick } of points) {
    const at = { cx: xOf(latencyMs), cy: yOf(stallRatio), r: 6 };
    const point = shape('circle', { class: isLive ? 'point live' : 'point', ...at });
    point.append(shape('title', {}, `${label}: ${latencyWords(latencyMs)}, stood still ${stallWords(stallRatio)}`));
    point.addEventListener('click', onPick);
    svg.append(point);
  }
  return svg;
};

/** One value a second, the newest at the right. */
export const linePlot = (
  { title, unitText, lines }: LinePlot,
  { seconds, widthPx }: { readonly seconds: number; readonly widthPx: number },
): SVGElement => {
  const width = clip(widthPx, ...WIDTH_PX);
  const known = lines.flatMap(({ values }) => values.filter((value) => value !== null));
  const most = niceMost(Math.max(0, ...known));
  const svg = frame({ width, height: LINES_HEIGHT }, title);
  const xOf = (index: number, count: number): number =>
    width - EDGE.right - ((width - EDGE.left - EDGE.right) * (count - 1 - index)) / Math.max(1, seconds);
  const yOf = (value: number): number =>
    LINES_HEIGHT - EDGE.bottom - ((LINES_HEIGHT - EDGE.top - EDGE.bottom) * value) / most;
  for (const value of [0, most]) {
    svg.append(shape('line', { class: 'grid', x1: EDGE.left, x2: width - EDGE.right, y1: yOf(value), y2: yOf(value) }));
    svg.append(
      shape('text', { class: 'tick', x: EDGE.left - 8, y: yOf(value) + 4, 'text-anchor': 'end' }, unitText(value)),
    );
  }
  svg.append(
    shape('text', { class: 'tick', x: width - EDGE.right, y: LINES_HEIGHT - 10, 'text-anchor': 'end' }, 'now'),
  );
  svg.append(shape('text', { class: 'tick', x: EDGE.left, y: LINES_HEIGHT - 10 }, `${seconds} s ago`));
  for (const { values, style } of lines) {
    const attributes = { class: `curve ${style}`, d: pathOf(values, style === 'bars', xOf, yOf) };
    svg.append(shape('path', attributes));
  }
  return svg;
};

const pathOf = (
  values: Line['values'],
  isBars: boolean,
  xOf: (index: number, count: number) => number,
  yOf: (value: number) => number,
): string => {
  let isDown = false;
  return values
    .map((value, index) => {
      const x = xOf(index, values.length).toFixed(1);
      if (value === null || (isBars && value === 0)) {
        isDown = false;
        return '';
      }
      if (isBars) {
        return `M${x} ${yOf(0)}V${yOf(value).toFixed(1)}`;
      }
      const step = `${isDown ? 'L' : 'M'}${x} ${yOf(value).toFixed(1)}`;
      isDown = true;
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
