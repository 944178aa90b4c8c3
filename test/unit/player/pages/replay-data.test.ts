// What a card of the library says of a recording: while its host is away it is not live.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lengthBadge } from '../../../../player/pages/replay-data.ts';

const RUNNING = { state: 'recording', durationMs: 65_000 } as const;

test('a recording that goes on is live only while its host is', () => {
  assert.deepEqual(lengthBadge(RUNNING, 'live'), { text: 'Live now', isLive: true });
  assert.deepEqual(lengthBadge(RUNNING, 'reconnecting'), { text: 'Host is reconnecting', isLive: false });
  assert.deepEqual(lengthBadge(RUNNING, 'absent'), { text: 'Ended', isLive: false });
});

test('one that has ended tells its length, also while its host is live again', () => {
  assert.deepEqual(lengthBadge({ ...RUNNING, state: 'ended' }, 'live'), { text: '1:05', isLive: false });
});
