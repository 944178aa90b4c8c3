/** A run told in sentences, in a line of text as a picture, and as one HTML file that needs nothing else. */
import type { Scenario } from './scenarios.ts';
import type { Watched } from './scenario-run.ts';
import { SAMPLE_EVERY_MS, windowsOf } from './scenario-run.ts';

const SPARKS = '▁▂▃▄▅▆▇█';
const SPARK_COUNT = 72;

const mbit = (bps: number): string => `${(bps / 1e6).toFixed(bps < 1e7 ? 2 : 0)} Mbit/s`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** One character per stretch of time; the scale's top is told. */
export const sparkline = (values: readonly number[], top: number): string => {
  const size = Math.max(1, values.length / SPARK_COUNT);
  return Array.from({ length: Math.min(SPARK_COUNT, values.length) }, (_, index) => {
    const part = values.slice(Math.floor(index * size), Math.floor((index + 1) * size)).filter(Number.isFinite);
    if (part.length === 0) {
      return ' ';
    }
    const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
    return SPARKS[Math.max(0, Math.min(SPARKS.length - 1, Math.floor((mean / top) * SPARKS.length)))] ?? ' ';
  }).join('');
};

export const tellSteps = (scenario: Scenario, watched: Watched): string[] => {
  let fromMs = 0;
  return windowsOf(scenario, watched).map((window, index) => {
    const step = scenario.steps[index]!;
    const rung = watched.ladder.rungs[window.rungIndex];
    const delay = window.playoutDelayMs === undefined ? 'as the browser likes' : `${window.playoutDelayMs} ms`;
    const verdict =
      step.expect === undefined
        ? ''
        : step.expect.holds(window)
          ? ` As expected: ${step.expect.text}.`
          : ` NOT as expected: ${step.expect.text}.`;
    const line =
      `From ${seconds(fromMs)} the link carries ${mbit(step.rateBps)} for ${seconds(step.forMs)}. At the end the rendition of ` +
      `${mbit(rung?.bitrateBps ?? 0)} is sent, the estimate is ${mbit(window.estimateBps)}, pictures wait ${delay}; in the second half the ` +
      `bottleneck held at most ${window.queueMs.toFixed(0)} ms; stalled ${seconds(window.stallMs)}.${verdict}`;
    fromMs += step.forMs;
    return line;
  });
};

export const tellResult = ({ result, faults }: Watched): string[] => {
  const { score, bytes } = result;
  const extra = (bytes.rtx + bytes.probe) / Math.max(1, bytes.video + bytes.rtx + bytes.probe);
  return [
    `Join ${score.joinMs.toFixed(0)} ms; latency ${score.latencyP50Ms.toFixed(0)} ms (median), ${score.latencyP95Ms.toFixed(0)} ms (95 %); ` +
      `stalled ${(100 * score.stallRatio).toFixed(2)} % in ${result.stalls.length} stalls; quality ${score.qualityRatio.toFixed(3)}; ` +
      `${(100 * extra).toFixed(1)} % of bytes sent again or to probe; ${result.nackCount} NACKs.`,
    ...result.stalls
      .slice(0, 12)
      .map(({ fromMs, toMs }) => `  stall at ${seconds(fromMs)} for ${seconds(toMs - fromMs)}`),
    ...(faults.length === 0 ? ['All checkers hold.'] : faults.map((fault) => `CHECKER: ${fault}`)),
  ];
};

export const sparklines = ({ series, ladder }: Watched): string[] => {
  const top = Math.max(...series.capacityBps.filter(Number.isFinite), 1e6);
  const shown = Math.min(top, 8e6);
  const rates = series.rungIndex.map((index) => ladder.rungs[index]?.bitrateBps ?? 0);
  const delayTop = Math.max(100, ...series.playoutDelayMs.filter(Number.isFinite));
  const queueTop = Math.max(50, ...series.queueMs);
  return [
    `capacity  ${sparkline(series.capacityBps, shown)} to ${mbit(shown)}`,
    `estimate  ${sparkline(series.estimateBps, shown)}`,
    `rendition ${sparkline(rates, shown)}`,
    `playout D ${sparkline(series.playoutDelayMs, delayTop)} to ${delayTop.toFixed(0)} ms`,
    `queue     ${sparkline(series.queueMs, queueTop)} to ${queueTop.toFixed(0)} ms`,
  ];
};

const WIDTH_PX = 1_000;
const HEIGHT_PX = 220;

type Line = {
  readonly name: string;
  readonly colour: string;
  readonly values: readonly number[];
  readonly isStep?: boolean;
};

const chart = (title: string, unit: string, top: number, lines: readonly Line[], watched: Watched): string => {
  const count = watched.series.rungIndex.length;
  const x = (index: number): string => ((index / count) * WIDTH_PX).toFixed(1);
  const y = (value: number): string => (HEIGHT_PX - Math.min(1, value / top) * HEIGHT_PX).toFixed(1);
  const stalls = watched.result.stalls.map(({ fromMs, toMs }) => {
    const from = fromMs / SAMPLE_EVERY_MS;
    const to = toMs / SAMPLE_EVERY_MS;
    return `<rect x="${x(from)}" y="0" width="${Math.max(1, ((to - from) / count) * WIDTH_PX).toFixed(1)}" height="${HEIGHT_PX}" fill="#d33" opacity="0.2"/>`;
  });
  const paths = lines.map(({ colour, values }) => {
    const points = values.flatMap((value, index) => (Number.isFinite(value) ? [`${x(index)},${y(value)}`] : []));
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.join(' ')}"/>`;
  });
  const legend = lines.map(({ name, colour }) => `<span style="color:${colour}">■ ${name}</span>`).join(' ');
  return (
    `<h2>${title}</h2><p>${legend}; the top is ${top.toPrecision(3)} ${unit}; red: stalled</p>` +
    `<svg viewBox="0 0 ${WIDTH_PX} ${HEIGHT_PX}" width="100%" style="background:#f6f6f6">${stalls.join('')}${paths.join('')}</svg>`
  );
};

export const toHtml = (title: string, sentences: readonly string[], watched: Watched): string => {
  const { series, ladder } = watched;
  const rates = series.rungIndex.map((index) => (ladder.rungs[index]?.bitrateBps ?? 0) / 1e6);
  const mega = (values: readonly number[]): number[] => values.map((value) => value / 1e6);
  const top = Math.min(10, Math.max(1, ...mega(series.capacityBps).filter(Number.isFinite)) * 1.1);
  const rateLines = [
    { name: 'capacity', colour: '#999', values: mega(series.capacityBps) },
    { name: 'estimate', colour: '#06c', values: mega(series.estimateBps) },
    { name: 'rendition', colour: '#080', values: rates },
  ];
  const delayTop = Math.max(
    100,
    ...series.playoutDelayMs.filter(Number.isFinite),
    ...series.queueMs.filter(Number.isFinite),
  );
  const delayLines = [
    { name: 'playout delay', colour: '#a0a', values: series.playoutDelayMs },
    { name: 'queue in the bottleneck', colour: '#c60', values: series.queueMs },
  ];
  const text = sentences.map((sentence) => `<p>${sentence.replaceAll('<', '&lt;')}</p>`).join('');
  return (
    `<!doctype html><meta charset="utf-8"><title>${title}</title><body style="font:14px sans-serif;max-width:1040px;margin:2em auto">` +
    `<h1>${title}</h1>${text}${chart('Rates', 'Mbit/s', top, rateLines, watched)}${chart('Delays', 'ms', delayTop, delayLines, watched)}</body>`
  );
};
