/** The parts of the report: sources left out, statistics, targets that can be missed, test parts that are not opened unseen. */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { percentileOf } from '../../sim/score.ts';
import { latencyPercentilesMs, toLatencyBins } from '../../learn/report/latency-bins.ts';
import { leaveSourcesOut, sourceNameOf, tellLeaveOut } from '../../learn/report/leave-out.ts';
import { playSession } from '../../learn/report/sessions.ts';
import type { Estimate } from '../../learn/report/statistics.ts';
import { holm, likelihoodOf, quantileOf, resample, shiftOf } from '../../learn/report/statistics.ts';
import { judge } from '../../learn/report/targets.ts';
import { noteOpening, testPartsOf } from '../../learn/report/test-parts.ts';
import { syntheticTraces } from '../../learn/synthetic.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** Few, since everybody is played over each of them. */
const TRACES = [...syntheticTraces('search', 1, 1).slice(0, 3), ...syntheticTraces('validation', 1, 1).slice(0, 3)];

const quiet = (): void => undefined;

describe('a source left out', () => {
  test('is judged by a search that has not seen it, and by none other', async () => {
    const traces = TRACES.map((trace, index) => ({
      ...trace,
      ...{ id: `${index % 2 === 0 ? 'even' : 'odd'}-${index}`, isInfeasible: false },
    }));
    const searched = new Map<string, readonly string[]>();
    const found = await leaveSourcesOut(
      traces,
      { seeds: [1], durationMs: 6_000, ladderName: 'busy', resampleCount: 100 },
      {
        search: async (some, name) => {
          searched.set(name, [...new Set(some.map(sourceNameOf))]);
          return name === 'odd' ? { playoutMinMs: 150 } : undefined;
        },
        play: async (jobs) => jobs.map((job) => playSession(job, traces)),
        tell: quiet,
      },
    );
    assert.deepEqual(
      [...searched],
      [
        ['even', ['odd']],
        ['odd', ['even']],
      ],
    );
    const [even, odd] = found.sources;
    // Without a vector the defaults are left; with one that waits longer, only its own source waits longer.
    assert.equal(even!.unseen.sessionMedianMs, even!.defaults.sessionMedianMs);
    assert.ok(odd!.unseen.sessionMedianMs > odd!.defaults.sessionMedianMs);
    assert.equal(found.all.traceCount, TRACES.length);
    const told = tellLeaveOut(found).join('\n');
    assert.match(told, /even: .* nothing better than the defaults/);
    assert.match(told, /what is searched (?:gains|loses|is not known)/);
  });
});

describe('statistics', () => {
  test('resampling is paired, and its interval holds the value', () => {
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    const [mean, double] = resample({ groupCount: 10, resampleCount: 10_000 }, (groups) => {
      const sum = groups.reduce((total, group) => total + values[group]!, 0);
      return [sum / 10, sum / 5];
    });
    assert.equal(mean!.value, 5.5);
    // Standard error 2.87 / √10 = 0.91.
    assert.ok(mean!.low > 3.4 && mean!.low < 4 && mean!.high > 7 && mean!.high < 7.6);
    assert.ok(mean!.draws.every((value, index) => Math.abs(double!.draws[index]! - 2 * value) < 1e-9));
    assert.ok(likelihoodOf(mean!, 0) < 0.001);
    assert.ok(likelihoodOf(mean!, 5.5) > 0.9);
  });

  test('Holm: the smallest times all, the next times one less, never falling, what was not tested left out', () => {
    assert.deepEqual(holm([0.01, Number.NaN, 0.04, 0.03, 0.5]), [0.04, Number.NaN, 0.09, 0.09, 0.5]);
    assert.deepEqual(holm([0.9, 0.8]), [1, 1]);
  });

  test('Hodges and Lehmann: one far out hardly moves it', () => {
    assert.equal(shiftOf([1, 1, 1, 1, 100]), 1);
    assert.equal(quantileOf([4, 1, 3, 2], 0.5), 2.5);
  });

  test('latency in few bins has the percentiles of many', () => {
    const buckets = new Float64Array(15_000);
    for (let bucket = 10; bucket < 3_000; bucket += 1) {
      buckets[bucket] = 1 + (bucket % 7);
    }
    const found = latencyPercentilesMs(toLatencyBins(buckets), [0.02, 0.5, 0.95, 0.99]);
    [0.02, 0.5, 0.95, 0.99].forEach((ratio, index) => {
      const exact = percentileOf(buckets, ratio);
      assert.ok(Math.abs(found[index]! / exact - 1) < 0.01, `${ratio}: ${found[index]} for ${exact}`);
    });
  });
});

describe('targets', () => {
  const estimateOf = (from: number, to: number): Estimate => {
    const draws = Float64Array.from({ length: 1_001 }, (_, index) => from + ((to - from) * index) / 1_000);
    return { value: (from + to) / 2, low: draws[25]!, high: draws[975]!, draws };
  };
  const verdictOf = (from: number, to: number, { isLess = true, must = -0.55, beyond = 0, groupCount = 20 } = {}) =>
    judge([
      {
        ...{ name: 'stall', unit: 'change', must, isLess, beyond, groupCount },
        estimate: estimateOf(from, to),
      },
    ])[0]!;

  test('are reached, in doubt, missed or not claimed', () => {
    assert.equal(verdictOf(-0.8, -0.4).verdict, 'reached');
    assert.equal(verdictOf(-1.4, 0.2).verdict, 'mean');
    assert.equal(verdictOf(-0.6, -0.4).verdict, 'missed');
    assert.equal(verdictOf(-0.8, -0.4, { groupCount: 7 }).verdict, 'none');
    assert.equal(verdictOf(-0.01, 0.03, { isLess: false, must: -0.02, beyond: -0.02 }).verdict, 'reached');
    assert.equal(verdictOf(-0.04, 0.03, { isLess: false, must: -0.02, beyond: -0.02 }).verdict, 'mean');
  });

  test('many questions at once ask more of each', () => {
    // One that alone would pass at about 4 %.
    const alone = verdictOf(-1.2, 0.025);
    assert.equal(alone.verdict, 'reached');
    const asked = Array.from({ length: 10 }, () => ({
      ...{ name: 'stall', unit: 'change' as const, must: -0.55, isLess: true, beyond: 0, groupCount: 20 },
      estimate: estimateOf(-1.2, 0.025),
    }));
    assert.ok(judge(asked).every(({ verdict }) => verdict === 'mean'));
  });
});

describe('test parts', () => {
  test('are told from the others', () => {
    assert.deepEqual(testPartsOf(['search', 'test-b', 'validation', 'test-a']), ['test-b', 'test-a']);
    assert.deepEqual(testPartsOf(['search', 'validation']), []);
  });

  test('every opening is a line, and how many there were is told', async () => {
    const folder = tempFolder('opened');
    try {
      const file = path.join(folder, 'opened.tsv');
      await writeFile(file, 'date\tpart\tcommit\twhy\n');
      const opening = { split: 'test-b', date: '2026-11-26', commit: 'abc', why: 'the\nrelease' } as const;
      assert.deepEqual(await noteOpening(file, [opening]), [0]);
      assert.deepEqual(await noteOpening(file, [opening, { ...opening, split: 'test-a' }]), [1, 0]);
      assert.equal((await readFile(file, 'utf8')).split('\n')[1], '2026-11-26\ttest-b\tabc\tthe release');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
