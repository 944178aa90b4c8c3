/** The comparison's words and its page, from made-up curves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Curve, RungComparison } from '../../quality/compare.ts';
import { bdRateOf } from '../../quality/compare.ts';
import { bdWords, toPageData, toText, type LadderResults } from '../../quality/report-data.ts';
import { renderLadderReport } from '../../quality/report-html.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT, planLadder } from '../../../transcode/ladder-plan.ts';

const [rung] = planLadder({
  source: { widthPx: 1920, heightPx: 1080, frameRateFps: 30 },
  options: LADDER_DEFAULTS,
  speeds: SPEEDS_DEFAULT,
  coreCount: 4,
  shedCount: 0,
}).rungs;

/** Four points; `share` of the bits for the same scores. */
const curve = (name: string, share: number, hasVmaf = true): Curve => ({
  name,
  points: [1, 2, 4, 8].map((step, index) => {
    const scored = (settle: number) => ({
      bitrateBps: 300_000 * step * share * settle,
      vmaf: hasVmaf ? 70 + 8 * index : undefined,
      ssim: 0.9 + 0.02 * index,
    });
    return { label: `point ${index}`, settled: scored(1), whole: scored(1.1), cpuMsPerFrame: 5 };
  }),
});

const results = (curves: readonly Curve[], hasVmaf = true): LadderResults => {
  const comparison: RungComparison = { clip: 'clip.mp4', rung: rung!, frameCount: 180, curves };
  return {
    file: '<b>clip</b>.mp4',
    scoredS: 5,
    source: { widthPx: 1920, heightPx: 1080, frameRateFps: 29.97 },
    rungs: [comparison],
    leftOut: ['h480: no room & no time'],
    lagFrames: 0,
    costs: [{ name: 'the whole ladder', cpuMsPerFrame: 31.4, realTimeFactor: 1.6 }],
    hasVmaf,
    startedAtWallMs: 0,
    machine: { cpuModel: 'made up', cpuCount: 2 },
  };
};

test('a quarter fewer bits at every score is said so, by both measures', () => {
  const { rungs } = results([curve('usual', 1), curve('ours', 0.75)]);
  assert.equal(bdWords(rungs[0]!, 1, { measure: 'vmaf' }), '-25.0 %');
  assert.equal(bdWords(rungs[0]!, 1, { measure: 'ssim' }), '-25.0 %');
  const text = toText(results([curve('usual', 1), curve('ours', 0.75)]));
  assert.match(text, /ours: bits for the same quality -25\.0 % by VMAF, -25\.0 % by SSIM/);
  assert.match(text, /Encoder's lag: 0 pictures/);
  assert.match(text, /31\.4 ms of one core a picture of the source, 1\.60 times real time/);
});

test('without VMAF there is a dash and a sentence, not a number', () => {
  const bare = results([curve('usual', 1, false), curve('ours', 0.75, false)], false);
  assert.equal(bdRateOf(bare.rungs[0]!, 1, { measure: 'vmaf' }), undefined);
  assert.equal(bdWords(bare.rungs[0]!, 1, { measure: 'vmaf' }), '–');
  assert.match(toText(bare), /no ffmpeg with libvmaf was found/);
  assert.doesNotMatch(renderLadderReport(bare), /data-measure="vmaf"/);
});

test('the page holds its curves, sorted by rate, and nothing from outside becomes HTML', () => {
  const all = results([curve('usual', 1), curve('ours', 0.75)]);
  const [first] = toPageData(all).rungs[0]!.curves;
  assert.deepEqual(
    first!.points.map(({ kbps }) => kbps),
    [300, 600, 1_200, 2_400],
  );
  const html = renderLadderReport(all);
  assert.equal(html.includes('<b>clip</b>'), false);
  assert.match(html, /data-measure="vmaf" data-rung="0"/);
  assert.match(html, /h480: no room &#38; no time/);
  const json = /<script type="application\/json" id="ladder-data">(.*?)<\/script>/s.exec(html)?.[1] ?? '';
  assert.deepEqual(JSON.parse(json), toPageData(all));
});
