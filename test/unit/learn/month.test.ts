/** A month of some sessions: the same from the same seed, over networks of both kinds, and told in words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureArms, playMonth, regretOf } from '../../learn/month.ts';
import { monthPage, tellMonth } from '../../learn/month-story.ts';

const OPTIONS = {
  seed: 1,
  sessionCount: 24,
  durationMs: 30_000,
  holdoutRatio: 0.4,
  newRatio: 0.5,
  kind: 'handovers',
  measuredCount: 2,
} as const;

test('a small month', () => {
  const measured = measureArms(OPTIONS);
  const month = playMonth(OPTIONS, measured);
  assert.deepEqual(playMonth(OPTIONS, measured).sessions, month.sessions, 'the same from the same seed');
  const { sessions, learner } = month;
  assert.deepEqual([...new Set(sessions.map(({ kind }) => kind))].toSorted(), ['handovers', 'known']);
  assert.deepEqual([...new Set(sessions.map(({ group }) => group))].toSorted(), ['defaults', 'gcc', 'learning']);
  for (const session of sessions) {
    assert.ok(session.group === 'learning' || session.armName === undefined || session.armName === 'defaults');
    assert.ok(regretOf(session, measured) >= 0);
  }
  const learned = learner.report().reduce((sum, { sessionCount }) => sum + sessionCount, 0);
  assert.ok(learned > 0, 'something was learned');
  const lines = tellMonth(OPTIONS, measured, month);
  assert.match(lines.join('\n'), /Regret of the month/);
  assert.match(lines.join('\n'), /not yet significant/);
  assert.match(monthPage(lines, measured, month), /<polyline/);
});
