// `clock` cues come at the server's instant by the best reading of its clock, whenever that reading came.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { CueBoard } from '../../../../player/cues/cue-board.ts';
import { CueFollower } from '../../../../player/cues/cue-follower.ts';
import type { Stage } from '../../../../player/ui/stage.ts';
import { within } from '../../../support/wait.ts';

const SHOWN_AT_WALL_MS = 1_790_000_010_000;
const MARK = { id: 'a', mode: 'clock', mediaMs: 9_000, programWallMs: SHOWN_AT_WALL_MS - 500 } as const;
const CUE = { ...MARK, showAtWallMs: SHOWN_AT_WALL_MS, kind: 'product', durationMs: null };
/** Longer than any of these tests. */
const FAR_MS = 50_000;
const SHOWN_MAX_MS = 5_000;

/** The server's time when it was shown, as the player believed. */
let shownAtWallMs: number[];
let serverWallMs: () => number;
let follower: CueFollower;

/** The player believes that the instant is so far off. No frame comes: only a timer can show anything. */
const believe = (remainingMs: number): void => {
  const sinceMs = performance.now();
  serverWallMs = () => SHOWN_AT_WALL_MS - remainingMs + performance.now() - sinceMs;
  follower.refresh();
};

beforeEach(() => {
  shownAtWallMs = [];
  const board = new CueBoard();
  board.take({ type: 'cue', cue: CUE });
  follower = new CueFollower({
    stage: { followShown: () => undefined } as unknown as Stage,
    clock: { nowMs: () => performance.now(), wallMs: () => 0 },
    board,
    placeOf: () => null,
    momentNow: () => ({ serverWallMs: serverWallMs(), isPast: false, isOver: false }),
    onView: ({ events }) =>
      shownAtWallMs.push(...events.flatMap(({ type }) => (type === 'shown' ? serverWallMs() : []))),
  });
});

afterEach(() => follower.close());

const shown = async (): Promise<void> => {
  await within(SHOWN_MAX_MS, 'it is shown', () => shownAtWallMs.length > 0);
  assert.ok(shownAtWallMs.every((atWallMs) => atWallMs >= SHOWN_AT_WALL_MS));
};

test('it comes at its instant without any frame, and not before', async () => {
  believe(30);
  await shown();
});

test('a better reading of the server’s clock brings it earlier while its timer waits', async () => {
  believe(FAR_MS);
  believe(30);
  await shown();
});

test('or later', async () => {
  believe(20);
  believe(60);
  await shown();
});

test('what was too far off for a timer is looked at again', async () => {
  believe(10 * FAR_MS);
  believe(30);
  await shown();
});
