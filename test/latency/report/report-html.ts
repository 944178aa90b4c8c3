/**
 * The report: one file with everything in it, for a person who was told nothing. Text that came from outside (names, errors) is
 * escaped; the data stands in the page as JSON, and the script that draws it is `report-page.ts` without its types.
 */
import { sourceOf, type LabScenario } from '../run/lab-config.ts';
import type { LabResults, RunResult } from '../run/results.ts';
import type { Estimate } from './bootstrap.ts';
import { keyHtml, overviewHtml, scatterSvg } from './figures.ts';
import { toReportData } from './report-data.ts';
import { dataJson, moduleText, pageScript } from './page-parts.ts';
import { REPORT_STYLE } from './report-style.ts';
import { summarise, type Cell, type MeasureKey, type ScenarioSummary } from './summary.ts';
import { describeLink, describeSource, escapeHtml, formatBytes, formatMs, formatPercent, formatSpan } from './words.ts';

type Column = { readonly key: MeasureKey; readonly title: string; readonly format: (value: number) => string };

const COLUMNS: readonly Column[] = [
  { key: 'latencyP50Ms', title: 'latency, median', format: formatMs },
  { key: 'latencyP95Ms', title: 'latency, 95 %', format: formatMs },
  { key: 'latencyP99Ms', title: 'latency, 99 %', format: formatMs },
  { key: 'ageP95Ms', title: 'age of screen, 95 %', format: formatMs },
  { key: 'stallRatio', title: 'time stalled', format: formatPercent },
  { key: 'freezesPerMin', title: 'freezes a minute', format: (value) => value.toFixed(value < 10 ? 1 : 0) },
  { key: 'joinMs', title: 'join', format: formatMs },
  { key: 'lipErrorMs', title: 'sound and picture apart', format: formatMs },
  { key: 'cpuRatio', title: 'server CPU', format: formatPercent },
  { key: 'rssPeakBytes', title: 'server memory', format: formatBytes },
];
/** Fewer say little about spread. */
const REPEATS_GOOD_COUNT = 5;
const BUSY_RATIO = 0.9;

export const renderReport = (results: LabResults): string => {
  const summaries = summarise(results);
  const { title } = results.config;
  const body = [
    headHtml(results),
    warningsHtml(results),
    overviewSection(summaries),
    ...summaries.map((summary, index) => scenarioSection(results, summary, index)),
    methodSection(results),
    machineSection(results),
  ].join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(title)}</title><style>${moduleText('uplot/dist/uPlot.min.css')}${REPORT_STYLE}</style></head>
<body><main>${body}</main>
<script type="application/json" id="lab-data">${dataJson(toReportData(results))}</script>
<script>${moduleText('uplot/dist/uPlot.iife.min.js')}</script>
<script type="module">${pageScript(new URL('report-page.ts', import.meta.url))}</script>
</body></html>
`;
};

const headHtml = ({ config, runs, startedAtWallMs, machine }: LabResults): string => {
  const day = new Date(startedAtWallMs).toISOString().slice(0, 16).replace('T', ' ');
  return `<h1>${escapeHtml(config.title)}</h1>
<p class="quiet">${plural(config.targets.length, 'target')} on ${plural(config.scenarios.length, 'link')}, ${plural(config.repeats, 'repeat')}, ${plural(runs.length, 'run')}; ${day} UTC; ${escapeHtml(machine.cpuModel)}, ${machine.cpuCount} cores</p>
<p>A test picture with a clock in it was published to each server and watched in a real browser. The clock was read back from every picture that
reached the screen, so these numbers are what a viewer sees, from camera to glass; nothing is a server’s own claim. Lower is better everywhere.</p>
<div class="terms"><div><b>Latency</b>: how long after the event the viewer sees it, each picture counted for as long as it stayed on screen.</div>
<div><b>Age of screen</b>: the same, but a picture that stands still grows older while it stands.</div>
<div><b>Stalled</b>: share of the time during which the picture stood still (Chrome’s rule for freezes, with pauses and a freeze at the end).</div>
<div><b>Join</b>: from “play” to the first picture. <b>95 %</b>: 95 % of viewing time was below this.</div></div>`;
};

const warningsHtml = (results: LabResults): string => {
  const { runs, config, plannedCount } = results;
  const busy = runs.filter((run) => (run.machineBusyRatio ?? 0) > BUSY_RATIO).length;
  const late = runs.filter((run) => run.isSourceLate).length;
  const starved = runs.filter((run) => run.isViewerStarved).length;
  const words = [
    ...(runs.length < plannedCount
      ? [`Not complete: ${runs.length} of ${plannedCount} runs were made before the lab was ended.`]
      : []),
    ...(config.repeats < REPEATS_GOOD_COUNT
      ? [
          config.repeats < 3
            ? `Only ${plural(config.repeats, 'repeat')}: no intervals can be given, and small differences mean nothing.`
            : `Only ${config.repeats} repeats: intervals are rough, and small differences mean nothing.`,
        ]
      : []),
    ...(late === 0
      ? []
      : [
          `In ${plural(late, 'run')} the test source itself was more than ${config.sourceLateMaxMs} ms late, because this machine could not keep up; those runs are marked.`,
        ]),
    ...(starved === 0
      ? []
      : [
          `In ${plural(starved, 'run')} the viewer’s page was short of CPU, and pictures may have gone unread; those runs are marked.`,
        ]),
    ...(busy === 0 ? [] : [`In ${plural(busy, 'run')} the machine was over 90 % busy; stalls there may be its own.`]),
  ];
  return words.length === 0 ? '' : `<div class="warning small">${words.map(escapeHtml).join('<br>')}</div>`;
};

const overviewSection = (summaries: readonly ScenarioSummary[]): string =>
  `<h2>At a glance</h2><p class="caption">Mark: median latency. Bar: up to the latency that 95 % of viewing time stayed below. The axis is logarithmic: each step to the right is about twice as long.</p>
<div class="heads"><span></span><span>latency</span><span>stalled</span></div>${overviewHtml(summaries)}`;

const scenarioSection = (results: LabResults, summary: ScenarioSummary, index: number): string => {
  const scenario = results.config.scenarios[index];
  const cells = summary.cells;
  const repeats = [...new Set(cells.flatMap((cell) => cell.runs.map((run) => run.repeatIndex)))].sort((a, b) => a - b);
  const buttons = repeats
    .map(
      (repeat, k) =>
        `<button data-scenario="${index}" data-repeat="${repeat}" aria-pressed="${k === 0}">run ${repeat + 1}</button>`,
    )
    .join('');
  const legend = cells.map((cell, k) => `<span>${keyHtml(k)}${escapeHtml(cell.targetName)}</span>`).join('');
  return `<section><h2>${escapeHtml(summary.scenarioName)}</h2>
<p class="quiet">${scenario === undefined ? '' : escapeHtml(scenarioWords(results, scenario))}</p>
${numbersTable(cells)}
<div class="charts"><div class="wide"><h3>Latency over time</h3>
<p class="caption">Where a line climbs, the picture on the screen stands still and grows older; coloured bars at the foot mark freezes. The numbers above leave out the first ${formatSpan(scenario?.settleMs ?? results.config.settleMs)} after the first picture.${scenario?.link === undefined ? '' : ' Grey behind: what the link could carry.'}</p>
${repeats.length > 1 ? `<div class="repeats">${buttons}</div>` : ''}<div data-kind="latency" data-scenario="${index}"></div></div>
<div><h3>How often latency was below a value</h3><p class="caption">All repeats together. A line further left is faster; a steep line is steadier.</p><div data-kind="cdf" data-scenario="${index}"></div></div>
<div><h3>Latency against stalled time</h3><p class="caption">Lower left is best. Small marks: single runs. Ellipse: where the mean lies with 95 % (from three repeats on).</p>${scatterSvg(summary)}<div class="legend">${legend}</div></div>
${resolutionHtml(summary, index)}</div>
${faultsHtml(cells)}</section>`;
};

const scenarioWords = (results: LabResults, scenario: LabScenario): string => {
  const seconds = (scenario.durationMs ?? results.config.durationMs) / 1_000;
  return `${describeLink(scenario.link)} Watched for ${seconds} s each time. Source: ${describeSource(sourceOf(results.config, scenario))}.`;
};

const numbersTable = (cells: readonly Cell[]): string => {
  const shown = COLUMNS.filter(({ key }) => cells.some((cell) => cell.estimates[key] !== null));
  const heads = shown.map(({ title }) => `<th>${title}</th>`).join('');
  const rows = cells.map((cell, index) => {
    const columns = shown.map((column) => numberCell(cell, column)).join('');
    const runs = `<td data-label="runs">${cell.measuredCount}${cell.failedCount > 0 ? ` of ${cell.runs.length}` : ''}</td>`;
    return `<tr><td>${keyHtml(index)}${escapeHtml(cell.targetName)}${notesHtml(cell)}</td>${columns}${runs}</tr>`;
  });
  const hasIntervals = cells.some((cell) =>
    Object.values(cell.estimates).some((estimate) => (estimate?.interval ?? null) !== null),
  );
  const note = hasIntervals
    ? 'Means over runs; below each the 95 % interval of the mean, where runs differed. “best” only where an interval lies below all others’.'
    : 'Means over runs. With fewer than three, nothing can be said about their spread, and none is called best.';
  return `<table class="numbers"><thead><tr><th>target</th>${heads}<th>runs</th></tr></thead><tbody>${rows.join('')}</tbody></table><p class="caption">${note}</p>`;
};

const numberCell = (cell: Cell, { key, title, format }: Column): string => {
  const estimate = cell.estimates[key];
  if (estimate === null) {
    return `<td data-label="${title}">–</td>`;
  }
  const best = cell.isBest[key] ? ' class="best"' : '';
  return `<td data-label="${title}"${best}><b>${format(estimate.mean)}</b>${intervalHtml(estimate, format)}</td>`;
};

const intervalHtml = ({ interval }: Estimate, format: (value: number) => string): string => {
  if (interval === null) {
    return '';
  }
  const [low, high] = [format(interval.low), format(interval.high)];
  if (low === high) {
    return '';
  }
  const unit = / \D+$/.exec(high)?.[0] ?? '';
  const short = unit !== '' && low.endsWith(unit) ? low.slice(0, -unit.length) : low;
  return `<span class="interval">${short}–${high}</span>`;
};

const notesHtml = (cell: Cell): string => {
  const notes = [
    ...(cell.runs.length === 0 ? ['not run'] : []),
    ...(cell.failedCount === 0 ? [] : [`${plural(cell.failedCount, 'run')} failed`]),
    ...(cell.pictureLessCount === 0 ? [] : [`no picture in ${plural(cell.pictureLessCount, 'run')}`]),
    ...(cell.sourceLateCount === 0 ? [] : [`source late in ${plural(cell.sourceLateCount, 'run')}`]),
    ...(cell.viewerStarvedCount === 0 ? [] : [`viewer short of CPU in ${plural(cell.viewerStarvedCount, 'run')}`]),
  ];
  return notes.map((note) => `<span class="note">${note}</span>`).join('');
};

const resolutionHtml = (summary: ScenarioSummary, index: number): string => {
  const viewers = summary.cells.flatMap((cell) => cell.runs.flatMap((run) => run.viewer ?? []));
  if (viewers.some((viewer) => viewer.resolution.length > 1)) {
    return `<div class="wide"><h3>Size of the picture over time</h3><div data-kind="resolution" data-scenario="${index}"></div></div>`;
  }
  const sizes = new Set(
    viewers.flatMap((viewer) => viewer.resolution.map(({ widthPx, heightPx }) => `${widthPx}×${heightPx}`)),
  );
  return sizes.size === 0
    ? ''
    : `<p class="caption wide">Size of the picture: ${[...sizes].join(' or ')}, never changed while watching.</p>`;
};

const faultsHtml = (cells: readonly Cell[]): string => {
  const faults = cells.flatMap((cell) => cell.runs.flatMap((run) => faultOf(run)));
  return faults.length === 0
    ? ''
    : `<details class="faults"${faults.length <= 3 ? ' open' : ''}><summary>${plural(faults.length, 'run')} without a full measurement</summary>${faults.join('')}</details>`;
};

const faultOf = (run: RunResult): string[] => {
  const words = run.error ?? (run.viewer?.joinMs === null ? (run.viewer.failure ?? 'no picture came') : undefined);
  return words === undefined
    ? []
    : [`<div>${escapeHtml(run.targetName)}, run ${run.repeatIndex + 1}:<pre>${escapeHtml(words)}</pre></div>`];
};

const methodSection = ({ config, runs }: LabResults): string => {
  const unreadable = runs.reduce((sum, run) => sum + (run.viewer?.unreadableCount ?? 0), 0);
  const frames = runs.reduce((sum, run) => sum + (run.viewer?.frames.shownAtMs.length ?? 0), 0);
  const lateness = runs.flatMap((run) => run.sourceLateMaxMs ?? []);
  const late =
    lateness.length === 0
      ? ''
      : ` Over all runs the source was at most ${formatMs(Math.max(...lateness))} behind its own clock.`;
  return `<h2>How this was measured</h2>
<p>Each picture carries the time at which it was handed to the encoder as black and white blocks with a checksum. Chromium plays the stream; a script reads
the blocks of every picture when the browser presents it. Source, server, link and viewer run on one machine with one clock, so nothing has to be synchronised. The encoder’s own delay is part of
the latency and the same for all targets of a scenario.</p>
<p>The link is emulated in user space between server and viewer: capacity, queue, delay and loss come from one seed, and all targets of a repeat get the same seed.
Every target runs once per repeat, in shuffled order, so that a machine that warms up or has other work to do treats all alike. The server is started freshly for each run.
The first ${formatSpan(config.settleMs)} after the first picture are left out, except for join.</p>
<p>Intervals are 95 % bootstrap intervals of the mean over repeats, widened for few repeats as Student’s t asks. A freeze is a gap between pictures of at least three times
the mean of the last 30 gaps, and at least 150 ms longer than it. CPU is user and system time of the server and its children in shares of one core while the viewer watched; memory is the resident peak.</p>
<p>The instrument’s own error is below one picture (measured against itself: 2 to 28 ms, by where between two pictures the screen refreshes): a picture counts as shown when the browser says that it will be on the screen.
Of ${frames.toLocaleString('en')} pictures here ${unreadable.toLocaleString('en')} could not be read and were left out; a checksum keeps wrong readings out.${late}</p>`;
};

const machineSection = ({ machine, config, startedAtWallMs, endedAtWallMs }: LabResults): string => {
  const facts: readonly (readonly [string, string])[] = [
    ['processor', `${machine.cpuModel}, ${machine.cpuCount} cores`],
    ['memory', `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GB`],
    ['system', machine.system],
    ...Object.entries(machine.versions),
    ['from, to', `${new Date(startedAtWallMs).toISOString()}, ${new Date(endedAtWallMs).toISOString()}`],
    ['seed', String(config.seed)],
  ];
  const list = facts.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`).join('');
  return `<h2>Machine</h2><dl class="facts">${list}</dl><p class="small quiet">All numbers behind this page, frame by frame, with the whole configuration: results.json beside it. Draw it again with <code>npm run latency -- --report results.json</code>.</p>`;
};

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
