// Which recording holds an instant of a broadcast.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replayHolding } from '../../../../player/transport/find-replay.ts';
import type { ReplaySummary } from '../../../../server/api/contract/replays.ts';

const recording = (id: string, startedAtWallMs: number, endedAtWallMs: number | null): ReplaySummary => ({
  ...{ id, name: 'demo', title: '', startedAtWallMs, endedAtWallMs, durationMs: 1, sizeBytes: 1 },
  ...{ state: endedAtWallMs === null ? 'recording' : 'ended', playlistUrl: '', downloadUrl: '' },
  ...{ posterUrl: '', storyboardUrl: '' },
});

test('the recording whose time it is, of several the newest', () => {
  const replays = [recording('c', 200_000, null), recording('b', 100_000, 150_000), recording('a', 10_000, 60_000)];
  assert.equal(replayHolding(replays, 120_000)?.id, 'b');
  assert.equal(replayHolding(replays, 900_000)?.id, 'c');
  assert.equal(replayHolding(replays, 8_000)?.id, 'a', 'recordings begin with a whole segment');
  assert.equal(replayHolding(replays, 80_000), null);
  assert.equal(replayHolding([], 80_000), null);
});
