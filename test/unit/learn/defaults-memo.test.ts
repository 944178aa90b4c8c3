/** Sessions of the defaults that are known are not played again, and nothing is ever given for another's. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DefaultsMemo } from '../../learn/defaults-memo.ts';
import type { EpisodeJob, Outcome } from '../../learn/episode.ts';

const jobOf = (seed: number, parameters: EpisodeJob['parameters'] = {}): EpisodeJob => ({
  episode: { traceIndex: 0, seed, durationMs: 1_000, isRandomised: true },
  parameters,
  smoothnessRatio: 0.5,
});

const rigOf = (maxCount: number): { memo: DefaultsMemo; played: EpisodeJob[] } => {
  const played: EpisodeJob[] = [];
  const memo = new DefaultsMemo(async (jobs) => {
    played.push(...jobs);
    return jobs.map(({ episode, parameters }) => ({ utility: episode.seed + (parameters.paceRatio ?? 0) }) as Outcome);
  }, maxCount);
  return { memo, played };
};

const utilitiesOf = (outcomes: readonly Outcome[]): number[] => outcomes.map(({ utility }) => utility);

test('the defaults are played once, vectors each time', async () => {
  const { memo, played } = rigOf(10);
  const jobs = [jobOf(1), jobOf(2), jobOf(1, { paceRatio: 0.5 })];
  assert.deepEqual(utilitiesOf(await memo.play(jobs)), [1, 2, 1.5]);
  assert.deepEqual(utilitiesOf(await memo.play([...jobs, jobOf(3)])), [1, 2, 1.5, 3]);
  assert.deepEqual(played, [...jobs, jobs[2], jobOf(3)]);
});

test('when it forgets, what it gives still belongs to the job', async () => {
  const { memo, played } = rigOf(2);
  for (let round = 0; round < 20; round += 1) {
    const seeds = Array.from({ length: 5 }, (_, index) => ((round * 7 + index * 3) % 6) + 1);
    const jobs = seeds.flatMap((seed) => [jobOf(seed), jobOf(seed, { paceRatio: 0.25 })]);
    assert.deepEqual(
      utilitiesOf(await memo.play(jobs)),
      seeds.flatMap((seed) => [seed, seed + 0.25]),
    );
  }
  assert.ok(played.length > 100);
});
