/** The report as one HTML file: the target table in colours, latency against stutter drawn, and everything else as it was told. Pure. */
import { REPORT_STYLE } from '../../latency/report/report-style.ts';
import { logAxisOf, markOf } from '../../latency/report/figures.ts';
import { escapeHtml } from '../../latency/report/words.ts';
import type { Report } from './report.ts';
import { format, percent, shortBy } from './tell.ts';
import type { TargetRow } from './targets.ts';

export const reportPage = (report: Report, lines: readonly string[]): string =>
  '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">' +
  `<title>What learning is worth</title><style>${REPORT_STYLE} pre { overflow-x:auto; font-size:12px; }</style></head><body><main>` +
  `<h1>What the learned controller is worth</h1>${lines
    .slice(0, lines.indexOf(''))
    .map((line) => `<p>${escapeHtml(line)}</p>`)
    .join('')}` +
  `<h2>Targets</h2>${targetsHtml(report.targets)}` +
  `<h2>Latency against stutter</h2>${frontierHtml(report)}` +
  `<h2>Everything</h2><pre>${escapeHtml(lines.join('\n'))}</pre></main></body></html>\n`;

const targetsHtml = (rows: readonly TargetRow[]): string => {
  const body = rows.map((row) => {
    const { unit, estimate, must, isLess, verdict, name } = row;
    const words = {
      reached: 'reached',
      mean: 'reached, in doubt',
      missed: `not reached, ${shortBy(row)}`,
      none: 'no claim',
    };
    const tone = verdict === 'reached' ? 'good' : verdict === 'missed' ? 'bad' : 'quiet';
    return (
      `<tr><td>${escapeHtml(name)}</td><td><b>${format(unit, estimate.value)}</b><span class="interval">${format(unit, estimate.low)} … ${format(unit, estimate.high)}</span></td>` +
      `<td>${isLess ? 'at most' : 'at least'} ${format(unit, must)}</td><td class="${tone}">${escapeHtml(words[verdict])}</td></tr>`
    );
  });
  return `<table><thead><tr><th>target</th><th>measured, 95 %</th><th>must be</th><th></th></tr></thead><tbody>${body.join('')}</tbody></table>`;
};

type Point = { readonly name: string; readonly latencyMs: number; readonly stallRatio: number };

const WIDTH = 720;
const HEIGHT = 420;
const PLOT = { left: 60, right: 20, top: 14, bottom: 44 };
const STALL_TICKS = [0, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

/** Every policy a mark, λ moved a line; below and left is better, quality is in the table. */
const frontierHtml = ({ policies, frontier }: Report): string => {
  const points = policies.map(({ name, measures }): Point => ({
    ...{ name, latencyMs: measures.latencyP50Ms, stallRatio: measures.stallRatio },
  }));
  const moved = frontier.map(({ name, measures }): Point => ({
    ...{ name, latencyMs: measures.latencyP50Ms, stallRatio: measures.stallRatio },
  }));
  const axis = logAxisOf([...points, ...moved].map(({ latencyMs }) => latencyMs));
  const most = Math.max(0.005, ...[...points, ...moved].map(({ stallRatio }) => stallRatio)) * 1.1;
  const x = (ms: number): number =>
    PLOT.left + (Math.log(ms / axis.low) / Math.log(axis.high / axis.low)) * (WIDTH - PLOT.left - PLOT.right);
  // Roots spread what lies near nothing, where the good ones are.
  const y = (ratio: number): number => PLOT.top + (1 - Math.sqrt(ratio / most)) * (HEIGHT - PLOT.top - PLOT.bottom);
  const grid = [
    ...axis.ticks.map(
      (tick) =>
        `<line x1="${fixed(x(tick))}" x2="${fixed(x(tick))}" y1="${PLOT.top}" y2="${HEIGHT - PLOT.bottom}"/><text x="${fixed(x(tick))}" y="${HEIGHT - PLOT.bottom + 16}" text-anchor="middle">${tick} ms</text>`,
    ),
    ...STALL_TICKS.filter((tick) => tick <= most).map(
      (tick) =>
        `<line x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${fixed(y(tick))}" y2="${fixed(y(tick))}"/><text x="${PLOT.left - 6}" y="${fixed(y(tick) + 4)}" text-anchor="end">${percent(tick, tick < 0.01 ? 2 : 0)}</text>`,
    ),
  ];
  const lines = [...new Set(moved.map(({ name }) => name))].map((name) => {
    const path = moved
      .filter((point) => point.name === name)
      .map(({ latencyMs, stallRatio }) => `${fixed(x(latencyMs))},${fixed(y(stallRatio))}`);
    return `<polyline fill="none" stroke="var(--quiet)" stroke-width="1.5" points="${path.join(' ')}"><title>${escapeHtml(name)}, λ from 0 to 1</title></polyline>`;
  });
  const marks = points.map(
    ({ name, latencyMs, stallRatio }, index) =>
      `<g><title>${escapeHtml(name)}</title>${markOf(index, { x: x(latencyMs), y: y(stallRatio), radius: 6 }, 'stroke="var(--paper)"')}</g>`,
  );
  const legend = points.map(
    ({ name, latencyMs, stallRatio }, index) =>
      `<span><svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">${markOf(index, { x: 0, y: 0, radius: 5.5 })}</svg>${escapeHtml(name)}: ${latencyMs.toFixed(0)} ms, ${percent(stallRatio, 2)}</span>`,
  );
  return (
    `<svg class="scatter" style="max-width:${WIDTH}px" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Median latency against stalled time"><g class="grid">${grid.join('')}</g>` +
    `<text class="label" x="${WIDTH / 2}" y="${HEIGHT - 6}" text-anchor="middle">median latency → slower</text>${lines.join('')}${marks.join('')}</svg><p class="legend">${legend.join('')}</p>`
  );
};

const fixed = (value: number): string => value.toFixed(1);
