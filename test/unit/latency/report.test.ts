/** The report, from made-up results: every run has a place, nothing from outside becomes HTML, and nobody is called best without reason. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { renderReport } from '../../latency/report/report-html.ts';
import { toReportData } from '../../latency/report/report-data.ts';
import { numbersOf, summarise } from '../../latency/report/summary.ts';
import { describeLink, formatMs, formatPercent } from '../../latency/report/words.ts';
import { makeUpResults, type MadeUpTarget } from '../../support/made-up-lab.ts';

const FAST: MadeUpTarget = {
  name: 'Fast <script>alert(1)</script>',
  latencyMs: 100,
  freezeCount: 0,
  resolutions: [360, 180],
};
const SLOW: MadeUpTarget = { name: 'Slow', latencyMs: 3_000, freezeCount: 6 };
const FAILING: MadeUpTarget = {
  name: 'Failing',
  latencyMs: 50,
  freezeCount: 0,
  error: 'NO_PORT: <img src=x>\n</script>',
};
const BLACK: MadeUpTarget = { name: 'Black', latencyMs: 60, freezeCount: 0, isBlack: true };

const results = (targets: readonly MadeUpTarget[], repeats = 5) =>
  makeUpResults({ seed: 2, repeats, durationMs: 6_000, targets, scenarioNames: ['clean', 'step & loss'] });

/** Says what is missing without printing the page. */
const assertHas = (html: string, wanted: RegExp): void =>
  assert.ok(wanted.test(html), `the page lacks ${String(wanted)}`);

test('failed and black runs are counted, explained and never called best', () => {
  const all = results([FAST, SLOW, FAILING, BLACK]);
  const [clean] = summarise(all);
  const [fast, , failing, black] = clean!.cells;
  assert.deepEqual([failing!.failedCount, failing!.measuredCount], [1, 4]);
  assert.equal(black!.pictureLessCount, 4);
  assert.equal(black!.estimates.stallRatio!.mean, 0.8);
  assert.ok([fast, failing, black].every((cell) => !cell!.isBest.latencyP50Ms));
  const html = renderReport(all);
  assertHas(html, /1 run failed/);
  assertHas(html, /no picture in 4 runs/);
  assertHas(html, /NO_PORT: &#60;img src=x&#62;/);
  assertHas(html, /WHEP answered 404: &#60;no such stream&#62;/);
});

test('best is whose interval lies below all others', () => {
  const [clean] = summarise(results([FAST, SLOW]));
  assert.equal(clean!.cells[0]!.isBest.latencyP50Ms, true);
  assert.equal(clean!.cells[1]!.isBest.latencyP50Ms, false);
  assert.equal(clean!.cells[0]!.isBest.stallRatio, false, 'both stalled never');
  assertHas(renderReport(results([FAST, SLOW])), /class="best"/);
});

test('two repeats: no interval, nobody best, and the page says so', () => {
  const few = results([FAST, SLOW], 2);
  const html = renderReport(few);
  assertHas(html, /Only 2 repeats: no intervals/);
  assert.equal(html.includes('class="best"'), false);
});

test('names from outside stay text, and the page needs nothing from elsewhere', () => {
  const html = renderReport(results([FAST, SLOW, FAILING]));
  assert.equal(html.includes('<script>alert'), false);
  assert.equal(html.match(/<script/g)!.length, html.match(/<\/script>/g)!.length);
  assert.equal(html.match(/<script/g)!.length, 3);
  assert.equal(/(?:src|href)="?https?:/.test(html), false);
  assert.equal(/^import /m.test(html), false);
});

test('an unfinished lab draws what there is', () => {
  const all = results([FAST, SLOW]);
  const html = renderReport({ ...all, runs: all.runs.slice(0, 3) });
  assertHas(html, /Not complete: 3 of 20 runs/);
  assertHas(html, /not run/);
  assertHas(renderReport({ ...all, runs: [] }), /0 runs/);
});

test('numbers that JSON could not keep count as not measured', () => {
  const [run] = results([FAST]).runs;
  const broken = JSON.parse(JSON.stringify({ ...run!, viewer: { ...run!.viewer!, stallRatio: Number.NaN } }));
  assert.equal(numbersOf(broken).stallRatio, null);
  assert.equal(numbersOf({ ...run!, viewer: null }).latencyP50Ms, null);
});

test('drawn samples: a standing picture ages, freezes and the link are on the viewer’s clock', () => {
  const [run] = results([SLOW]).runs.filter((each) => each.scenarioName !== 'clean');
  const all = results([SLOW]);
  const viewer = {
    ...run!.viewer!,
    observedFromMs: 0,
    durationMs: 2_000,
    frames: { shownAtMs: [150, 190, 1_190], latencyMs: [100, 110, 120] },
    freezes: [{ startedAtMs: 190, durationMs: 1_000, kind: 'freeze' as const }],
  };
  const link = { ...run!.link!, startsAtMs: -100 };
  const { scenarios } = toReportData({ ...all, runs: [{ ...run!, viewer, link }] });
  const [repeat] = scenarios[1]!.repeats;
  const [trace] = repeat!.traces;
  assert.deepEqual(trace!.latencyMs.slice(0, 6), [null, null, 110, 110, 320, 420]);
  assert.equal(trace!.latencyMs[12], 120);
  assert.deepEqual(trace!.freezes, [{ fromMs: 190, toMs: 1_190 }]);
  assert.equal(repeat!.capacityBps![5], 4_000_000);
  assert.equal(scenarios[1]!.cdf!.shares[0]!.ratio.at(-1), 1);
});

test('words for people', () => {
  assert.equal(formatMs(149.6), '150 ms');
  assert.equal(formatMs(1_234), '1.23 s');
  assert.equal(formatPercent(0), '0 %');
  assert.equal(formatPercent(0.0004), '0.04 %');
  assert.equal(formatPercent(0.123), '12 %');
  assert.equal(
    describeLink({ rttMs: 40, lossRatio: 0.01, down: { rateBps: 3_000_000, lossBurstCount: undefined } }),
    '3 Mbit/s towards the viewer, 40 ms round trip, 1 % of packets lost.',
  );
  assert.match(describeLink(undefined), /No emulated link/);
});
