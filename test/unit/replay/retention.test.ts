// Retention: what goes first, and what never goes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { RETENTION_DEFAULTS, planRemovals } from '../../../server/replay/retention.ts';
import { RetentionTask } from '../../../server/replay/retention-task.ts';
import { LEASE_MS, ViewingLeases } from '../../../server/replay/viewing-leases.ts';
import { MemoryRecordings, recordingSummary } from '../../support/memory-recordings.ts';

const HOUR_MS = 3_600_000;
const NOW_WALL_MS = recordingSummary(11).startedAtWallMs;

const plan = (
  places: readonly number[],
  options: { ageMaxHours?: number; totalMaxBytes?: number; watched?: readonly number[]; live?: readonly number[] },
): string[] =>
  planRemovals(
    places.map((place) =>
      recordingSummary(place, options.live?.includes(place) === true ? { endedAtWallMs: undefined } : {}),
    ),
    {
      retention: {
        ...RETENTION_DEFAULTS,
        ageMaxHours: options.ageMaxHours ?? 0,
        totalMaxBytes: options.totalMaxBytes ?? 0,
      },
      nowWallMs: NOW_WALL_MS,
      isWatched: (id) => options.watched?.includes(Number.parseInt(id, 16)) === true,
    },
  ).map(({ summary, reason }) => `${Number.parseInt(summary.id, 16)} ${reason}`);

test('without limits nothing goes', () => {
  assert.deepEqual(plan([1, 2, 3], {}), []);
});

test('too many bytes: the oldest go until the rest fits, whatever order they are listed in', () => {
  assert.deepEqual(plan([3, 1, 4, 2], { totalMaxBytes: 2_000 }), ['1 size', '2 size']);
});

test('too old since its end: goes', () => {
  assert.deepEqual(plan([1, 5, 10], { ageMaxHours: 6 }), ['1 age']);
  assert.deepEqual(plan([1, 5, 10], { ageMaxHours: 5 }), ['1 age']);
});

test('what is watched or still recorded stays, and the next oldest goes in its place', () => {
  assert.deepEqual(plan([1, 2, 3, 4], { totalMaxBytes: 2_000, watched: [1], live: [2] }), ['3 size', '4 size']);
  assert.deepEqual(plan([1, 2], { ageMaxHours: 1, watched: [1, 2] }), []);
});

test('a lease lasts from the last request on, and as long as something is sent', () => {
  const leases = new ViewingLeases();
  leases.touch('a', 0);
  assert.ok(leases.isWatched('a', LEASE_MS - 1));
  assert.ok(!leases.isWatched('a', LEASE_MS));
  const drop = leases.hold('b');
  const dropSecond = leases.hold('b');
  assert.ok(leases.isWatched('b', 10 * HOUR_MS));
  drop(10 * HOUR_MS);
  drop(10 * HOUR_MS);
  assert.ok(leases.isWatched('b', 20 * HOUR_MS), 'the second is still being sent');
  dropSecond(20 * HOUR_MS);
  assert.ok(leases.isWatched('b', 20 * HOUR_MS + LEASE_MS - 1));
  assert.ok(!leases.isWatched('b', 20 * HOUR_MS + LEASE_MS));
});

test('the task removes, counts and says which; a failing removal does not stop the others', async () => {
  const recordings = new MemoryRecordings([1, 2, 3].map((place) => recordingSummary(place)));
  const remove = recordings.remove.bind(recordings);
  recordings.remove = async (id) => (id.endsWith('1') ? Promise.reject(new Error('busy')) : remove(id));
  const lines: string[] = [];
  const log = {
    ...silentLog,
    info: (event: string, fields?: object) => lines.push(`${event} ${JSON.stringify(fields)}`),
    error: (event: string) => lines.push(event),
  };
  const metrics = new Metrics({ collectDefaults: false });
  const clock = new ManualClock({ wallAtZeroMs: NOW_WALL_MS });
  const settings = { ...RETENTION_DEFAULTS, totalMaxBytes: 1 };
  const task = new RetentionTask({ settings, recordings, leases: new ViewingLeases(), clock, log, metrics });
  await task.look();
  task.close();
  assert.deepEqual(
    recordings.list().map(({ id }) => Number(id)),
    [1],
  );
  assert.equal(lines.filter((line) => line.startsWith('replay.retention.removed')).length, 2);
  assert.ok(lines.includes('replay.retention.failed'));
  assert.match(await metrics.render(), /replay_removed_total\{reason="size"\} 2/);
});
