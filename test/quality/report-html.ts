/** The comparison of ladders as one file for a person who was told nothing. What came from outside (a file's name) is escaped. */
import { dataJson, moduleText, pageScript } from '../latency/report/page-parts.ts';
import { REPORT_STYLE } from '../latency/report/report-style.ts';
import { escapeHtml, formatRate } from '../latency/report/words.ts';
import type { RungComparison } from './compare.ts';
import { bdWords, rungWords, toPageData, type LadderResults } from './report-data.ts';

export const renderLadderReport = (results: LadderResults): string => {
  const title = `Ladder of ${results.file}`;
  const body = [
    headHtml(results, title),
    ...results.rungs.map((comparison, index) => rungSection(results, comparison, index)),
    costSection(results),
    methodSection(results),
  ].join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(title)}</title><style>${moduleText('uplot/dist/uPlot.min.css')}${REPORT_STYLE}</style></head>
<body><main>${body}</main>
<script type="application/json" id="ladder-data">${dataJson(toPageData(results))}</script>
<script>${moduleText('uplot/dist/uPlot.iife.min.js')}</script>
<script type="module">${pageScript(new URL('report-page.ts', import.meta.url))}</script>
</body></html>
`;
};

const headHtml = (
  { source, scoredS, startedAtWallMs, machine, hasVmaf, leftOut }: LadderResults,
  title: string,
): string => {
  const day = new Date(startedAtWallMs).toISOString().slice(0, 16).replace('T', ' ');
  const missing = hasVmaf ? '' : '<div class="warning small">VMAF is missing: no ffmpeg with libvmaf was found.</div>';
  const skipped = leftOut.length === 0 ? '' : `<p class="quiet">Left out: ${leftOut.map(escapeHtml).join('; ')}.</p>`;
  return `<h1>${escapeHtml(title)}</h1>
<p class="quiet">${source.widthPx}×${source.heightPx} at ${Number(source.frameRateFps.toFixed(2))} pictures a second, ${scoredS.toFixed(1)} s scored; ${day} UTC; ${escapeHtml(machine.cpuModel)}, ${machine.cpuCount} cores</p>
<p>The ladder as this server makes it live, beside the ladder that people usually run. A curve further left needs fewer bits for the same picture.</p>${missing}${skipped}`;
};

const rungSection = ({ hasVmaf }: LadderResults, comparison: RungComparison, index: number): string => {
  const { curves } = comparison;
  const verdicts = curves.slice(1).map(({ name }, place) => {
    const [vmaf, ssim] = (['vmaf', 'ssim'] as const).map((measure) => bdWords(comparison, place + 1, { measure }));
    return `<p><b>${escapeHtml(name)}</b> against ${escapeHtml(curves[0]!.name)}: bits for the same quality <b>${vmaf}</b> by VMAF, <b>${ssim}</b> by SSIM.</p>`;
  });
  const rows = curves.flatMap(({ name, points }) =>
    points.map(
      ({ label, settled: { bitrateBps, vmaf, ssim } }) =>
        `<tr><td>${escapeHtml(name)}</td><td>${escapeHtml(label)}</td><td>${formatRate(bitrateBps)}</td><td>${vmaf?.toFixed(2) ?? '–'}</td><td>${ssim.toFixed(4)}</td></tr>`,
    ),
  );
  const chart = (measure: string, title: string): string =>
    `<div><h3>${title}</h3><div data-measure="${measure}" data-rung="${index}"></div></div>`;
  return `<section><h2>${escapeHtml(rungWords(comparison.rung))}</h2>${verdicts.join('')}
<div class="charts">${hasVmaf ? chart('vmaf', 'VMAF by bitrate') : ''}${chart('ssim', 'SSIM by bitrate')}</div>
<table><thead><tr><th>encoder</th><th>point</th><th>bitrate</th><th>VMAF</th><th>SSIM</th></tr></thead><tbody>${rows.join('')}</tbody></table></section>`;
};

const costSection = ({ costs, lagFrames }: LadderResults): string => {
  const rows = costs.map(
    ({ name, cpuMsPerFrame, realTimeFactor }) =>
      `<tr><td>${escapeHtml(name)}</td><td>${cpuMsPerFrame.toFixed(1)} ms</td><td>${realTimeFactor.toFixed(2)}</td></tr>`,
  );
  return `<h2>Cost</h2><p>All rungs at once from the file itself. Encoder’s lag: ${lagFrames} pictures.</p>
<table><thead><tr><th>ladder</th><th>CPU a source picture</th><th>times real time</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
};

const methodSection = ({ scoredS }: LadderResults): string => `<h2>How this was measured</h2>
<p>The file was scaled once to each rung’s size (Lanczos, without loss); both encoders get those pictures and are measured against them, so the scaler is not part of the comparison.
Ours: the arguments that the server’s planner gives ffmpeg live, at several CRFs, its cap on bitrate included. Usual: x264 veryfast, tune zerolatency, constant bitrate with a buffer of one second,
one slice, a keyframe each second. The first second is encoded but not counted (${scoredS.toFixed(1)} s are), for neither bits nor scores: rate control starts there, which live happens once in hours
and would flatter us.</p>
<p>VMAF is model v0.6.1, the mean over pictures. SSIM is ffmpeg’s, over all planes. “Bits for the same quality” is Bjøntegaard’s rate difference over the qualities that both reach, by a monotone
piecewise cubic in the logarithm of rate; SSIM there in decibels. VMAF alone can be fooled (without psychovisual options it rises while pictures look no better): believe a difference that both show.</p>`;
