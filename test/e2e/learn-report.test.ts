/** A whole report and a whole month of the learner in small: the same to the byte however often and on however many threads they are made. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { readPolicy } from '../../server/congestion/learned/policy.ts';
import { measureArms, playMonth, regretOf } from '../learn/month.ts';
import { monthPage, tellMonth } from '../learn/month-story.ts';
import { reportPage } from '../learn/report/page.ts';
import { LEARNED, MECHANISMS, PER_CLASS, SEARCHED } from '../learn/report/policies.ts';
import type { Play, ReportOptions } from '../learn/report/report.ts';
import { makeReport } from '../learn/report/report.ts';
import { sessionPool } from '../learn/report/session-pool.ts';
import { playSession } from '../learn/report/sessions.ts';
import { tellReport } from '../learn/report/tell.ts';
import { syntheticTraces } from '../learn/synthetic.ts';

/** Few, since everybody is played over each of them. */
const TRACES = [...syntheticTraces('search', 1, 1).slice(0, 3), ...syntheticTraces('validation', 1, 1).slice(0, 3)];

const policyWith = (networkClass: string, parameters: object) => {
  const { policy } = readPolicy(
    JSON.stringify({
      ...{ schema: 'sluice-policy', version: 1, dataSha256: '0'.repeat(64), priors: [] },
      vectors: [{ networkClass, smoothnessRatio: 0.5, parameters }],
    }),
  );
  return policy!;
};

const OPTIONS: ReportOptions = {
  splits: ['validation'],
  seeds: [1],
  durationMs: 14_000,
  ladderName: 'busy',
  policies: [policyWith('all', { paceRatio: 1.5 }), policyWith('stable|jittery', { playoutMaxMs: 300 })],
  warm: { sessionCount: 3, durationMs: 26_000 },
  hasAblations: false,
  hasVectorOracle: true,
  hasFrontier: true,
  resampleCount: 100,
};

const quiet = (): void => undefined;
const here: Play = async (jobs) => jobs.map((job) => playSession(job, TRACES));

test('the report is the same to the byte in this thread and over two others', async () => {
  const pool = sessionPool(TRACES, { workerCount: 2, niceness: 0, tell: quiet });
  after(async () => pool.close());
  const inOne = await makeReport(TRACES, OPTIONS, { play: here, seed: 1, tell: quiet });
  const inTwo = await makeReport(TRACES, OPTIONS, { play: async (jobs) => pool.run(jobs), seed: 1, tell: quiet });
  const pages = [inOne, inTwo].map((report) => reportPage(report, tellReport(report)));
  assert.equal(pages[0], pages[1]);
  assert.equal(JSON.stringify(inOne), JSON.stringify(inTwo));
  assert.equal(inOne.judged, LEARNED);
  assert.deepEqual(
    inOne.learning.map(({ mine, theirs }) => [mine, theirs]),
    [
      [SEARCHED, MECHANISMS],
      [PER_CLASS, MECHANISMS],
      ['search, class found', MECHANISMS],
      [LEARNED, MECHANISMS],
      [PER_CLASS, SEARCHED],
    ],
  );
  // Of so few recordings nothing is claimed.
  assert.ok(inOne.groupCount < 8 && inOne.targets.every(({ verdict }) => verdict === 'none'));
  // Who has the best of each recording is no worse than whoever has one for all.
  const mechanisms = inOne.policies.find(({ name }) => name === MECHANISMS)!;
  assert.ok(inOne.vectorOracle!.utility >= mechanisms.measures.utility);
  assert.ok(inOne.oracleUtility >= inOne.vectorOracle!.utility);
  assert.equal(inOne.frontier.length, 10);
});

const MONTH = {
  seed: 1,
  sessionCount: 24,
  durationMs: 30_000,
  holdoutRatio: 0.4,
  newRatio: 0.5,
  kind: 'handovers',
  measuredCount: 2,
} as const;

test('a small month: the same from the same seed, over networks of both kinds, and told in words', () => {
  const measured = measureArms(MONTH);
  const month = playMonth(MONTH, measured);
  assert.deepEqual(playMonth(MONTH, measured).sessions, month.sessions, 'the same from the same seed');
  const { sessions, learner } = month;
  assert.deepEqual([...new Set(sessions.map(({ kind }) => kind))].toSorted(), ['handovers', 'known']);
  assert.deepEqual([...new Set(sessions.map(({ group }) => group))].toSorted(), ['defaults', 'gcc', 'learning']);
  for (const session of sessions) {
    assert.ok(session.group === 'learning' || session.armName === undefined || session.armName === 'defaults');
    assert.ok(regretOf(session, measured) >= 0);
  }
  const learned = learner.report().reduce((sum, { sessionCount }) => sum + sessionCount, 0);
  assert.ok(learned > 0, 'something was learned');
  const lines = tellMonth(MONTH, measured, month);
  assert.match(lines.join('\n'), /Regret of the month/);
  assert.match(lines.join('\n'), /not yet significant/);
  assert.match(monthPage(lines, measured, month), /<polyline/);
});
