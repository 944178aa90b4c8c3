// One drop: first come first served, one for each subject, and what is not on disk can be taken back.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Drop } from '../../../server/drops/drop.ts';

const HEADER = { runId: '0'.repeat(32), broadcast: 'shop', id: 'shoes', isDemo: false, createdAtWallMs: 0 };
const claimOf = (subject: string, host = '192.0.2.1') => ({ subject, host, claimedAtWallMs: 5_000 });

test('gives as many tickets as there are, numbered in order, then none', () => {
  const drop = new Drop(HEADER, { stock: 2, opensAtWallMs: null });
  drop.open();
  assert.deepEqual(drop.outlook('a', 5_000), { kind: 'available' });
  assert.equal(drop.reserve(claimOf('a')), 1);
  assert.equal(drop.stateAt(5_000), 'open');
  assert.equal(drop.reserve(claimOf('b')), 2);
  assert.deepEqual(drop.outlook('c', 5_000), { kind: 'sold-out' });
  assert.deepEqual(drop.outlook('a', 5_000), { kind: 'held', number: 1 });
  assert.equal(drop.stateAt(5_000), 'sold-out');
});

test('with an instant it opens by itself and stays open though the clock goes back; the wait is told', () => {
  const drop = new Drop(HEADER, { stock: 2, opensAtWallMs: 10_000 });
  assert.deepEqual(drop.outlook('a', 9_400), { kind: 'early', waitMs: 600 });
  assert.equal(drop.stateAt(9_400), 'armed');
  assert.deepEqual(drop.outlook('a', 10_000), { kind: 'available' });
  assert.deepEqual(drop.outlook('a', 9_000), { kind: 'available' });
  drop.edit({ stock: 2, opensAtWallMs: 99_000 });
  assert.deepEqual(drop.outlook('a', 10_001), { kind: 'available' });
});

test('without an instant nobody knows how long to wait, until it is opened', () => {
  const drop = new Drop(HEADER, { stock: 2, opensAtWallMs: null });
  assert.deepEqual(drop.outlook('a', 1e12), { kind: 'early', waitMs: null });
  drop.open();
  assert.deepEqual(drop.outlook('a', 0), { kind: 'available' });
});

test('after the end nobody gets one, who has one keeps it, and the first reason counts', () => {
  const drop = new Drop(HEADER, { stock: 2, opensAtWallMs: 0 });
  drop.reserve(claimOf('a'));
  drop.end('withdrawn', 7_000);
  drop.end('ended', 8_000);
  assert.deepEqual(drop.outlook('b', 7_001), { kind: 'over' });
  assert.deepEqual(drop.outlook('a', 7_001), { kind: 'held', number: 1 });
  assert.equal(drop.stateAt(7_001), 'withdrawn');
  assert.equal(drop.endedAtWallMs, 7_000);
});

test('rolling back takes what is not committed, for subjects and addresses alike', () => {
  const drop = new Drop(HEADER, { stock: 3, opensAtWallMs: 0 });
  drop.reserve(claimOf('a'));
  drop.commit(1);
  drop.reserve(claimOf('b'));
  drop.reserve(claimOf('c', '192.0.2.9'));
  drop.rollBack();
  assert.equal(drop.reservedCount, 1);
  assert.equal(drop.countOf('192.0.2.1'), 1);
  assert.equal(drop.countOf('192.0.2.9'), 0);
  assert.deepEqual(drop.outlook('b', 1), { kind: 'available' });
  assert.equal(drop.reserve(claimOf('c')), 2);
  assert.deepEqual(drop.list(0, 10), [{ ...claimOf('a'), number: 1 }]);
});

test('a smaller stock takes no ticket back, a larger one goes on', () => {
  const drop = new Drop(HEADER, { stock: 3, opensAtWallMs: 0 });
  drop.reserve(claimOf('a'));
  drop.reserve(claimOf('b'));
  drop.commit(2);
  drop.edit({ stock: 1, opensAtWallMs: 0 });
  assert.deepEqual(drop.outlook('c', 1), { kind: 'sold-out' });
  assert.equal(drop.committedCount, 2);
  drop.edit({ stock: 3, opensAtWallMs: 0 });
  assert.deepEqual(drop.outlook('c', 1), { kind: 'available' });
});

test('the list is paged and knows only what is on disk', () => {
  const drop = new Drop(HEADER, { stock: 9, opensAtWallMs: 0 });
  for (const subject of ['a', 'b', 'c', 'd']) {
    drop.reserve(claimOf(subject));
  }
  drop.commit(3);
  assert.deepEqual(
    drop.list(1, 1).map(({ number, subject }) => [number, subject]),
    [[2, 'b']],
  );
  assert.deepEqual(
    drop.list(1, 9).map(({ number }) => number),
    [2, 3],
  );
});
