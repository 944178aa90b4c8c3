/** When a rung must go, and when it may come back, in made-up time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LADDER_DEFAULTS } from '../../../transcode/ladder-plan.ts';
import { Overload, type OverloadChange } from '../../../transcode/overload.ts';

const TICK_MS = 250;

class Story {
  readonly overload: Overload;
  nowMs = 100_000;
  droppedCount = 0;

  constructor(options = LADDER_DEFAULTS) {
    this.overload = new Overload(options);
  }

  /** So long with this lag and so many pictures left out a second; answers what was decided, and after how long. */
  pass(
    durationMs: number,
    given: { lagMs?: number; droppedPerS?: number; state?: 'running' | 'starting' | 'restarting' } = {},
  ): string[] {
    const { lagMs = 40, droppedPerS = 0, state = 'running' } = given;
    const decided: string[] = [];
    for (let atMs = 0; atMs < durationMs; atMs += TICK_MS) {
      this.nowMs += TICK_MS;
      this.droppedCount += (droppedPerS * TICK_MS) / 1000;
      const change: OverloadChange = this.overload.look({
        ...{ nowMs: this.nowMs, lagMs, droppedCount: this.droppedCount, frameRateFps: 30 },
        ...{ isRunning: state === 'running', isStarting: state === 'starting' },
      });
      if (change !== 'none') {
        decided.push(`${change} after ${Math.round(atMs / 1000)} s`);
        this.droppedCount = 0;
      }
    }
    return decided;
  }
}

test('nothing happens to a machine that keeps up, nor for a few pictures left out', () => {
  const story = new Story();
  assert.deepEqual(story.pass(60_000), []);
  assert.deepEqual(story.pass(60_000, { lagMs: 180, droppedPerS: 2 }), []);
  assert.equal(story.overload.shedCount, 0);
});

test('a lag of over a second costs the top rung at once, the next one after it has settled', () => {
  const story = new Story();
  assert.deepEqual(story.pass(5_000, { lagMs: 1_200 }), ['shed after 0 s', 'shed after 4 s']);
  assert.equal(story.overload.shedCount, 2);
});

test('a quarter of all pictures left out for three seconds costs it too', () => {
  const story = new Story();
  assert.deepEqual(story.pass(4_000, { lagMs: 250, droppedPerS: 12 }), ['shed after 3 s']);
});

test('where every picture may be left out, a backlog given up at once costs nothing either', () => {
  const story = new Story({ ...LADDER_DEFAULTS, shedLeftOutRatio: 1 });
  assert.deepEqual(story.pass(8_000, { lagMs: 900, droppedPerS: 90 }), []);
});

test('it comes back after ten seconds of calm, and after twice as many when it had to go again soon', () => {
  const story = new Story();
  story.pass(250, { lagMs: 2_000 });
  assert.deepEqual(story.pass(20_000), ['restored after 14 s']);
  assert.deepEqual(story.pass(250, { lagMs: 2_000 }), ['shed after 0 s']);
  assert.deepEqual(story.pass(30_000), ['restored after 24 s']);
  // Long after that it is forgiven.
  story.pass(60_000);
  story.pass(250, { lagMs: 2_000 });
  assert.deepEqual(story.pass(20_000), ['restored after 14 s']);
});

test('an encoder that starts or restarts is late by itself: nothing counts', () => {
  const story = new Story();
  assert.deepEqual(story.pass(20_000, { lagMs: 5_000, droppedPerS: 20, state: 'restarting' }), []);
  assert.deepEqual(story.pass(2_900, { lagMs: 5_000, droppedPerS: 20, state: 'starting' }), []);
  assert.deepEqual(story.pass(60_000), []);
});

test('one that never comes to run, because all it makes is too old to be given out, costs a rung', () => {
  const story = new Story();
  assert.deepEqual(story.pass(8_000, { lagMs: 200, droppedPerS: 28, state: 'starting' }), ['shed after 6 s']);
  // The next one has the time to settle before it is judged.
  assert.deepEqual(story.pass(5_000, { lagMs: 1_200, state: 'starting' }), ['shed after 2 s']);
  assert.deepEqual(story.pass(20_000), ['restored after 11 s']);
});

test('one that waits for a publisher who sends nothing costs none', () => {
  const story = new Story();
  assert.deepEqual(story.pass(30_000, { lagMs: 0, state: 'starting' }), []);
});
