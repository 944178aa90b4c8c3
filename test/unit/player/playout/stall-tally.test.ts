/** Counting what viewers notice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StallTally } from '../../../../player/playout/stall-tally.ts';
import { FrameRate } from '../../../../player/transport/frame-rate.ts';
import { readWhepStats } from '../../../../player/transport/whep-stats.ts';
import { latencyText } from '../../../../player/ui/texts.ts';

test('waits under 100 ms are no stalls, longer ones count whole, open ones already', () => {
  const tally = new StallTally();
  tally.waiting(0);
  assert.equal(tally.moving(99), 0);
  tally.waiting(1000);
  tally.waiting(1100);
  assert.deepEqual(tally.totals(1200), { stallCount: 1, stallMs: 200 });
  assert.equal(tally.moving(1400), 400);
  tally.waiting(5000);
  tally.forgive();
  assert.deepEqual(tally.totals(9000), { stallCount: 1, stallMs: 400 });
});

test("a report's freezes and pauses both count as stalls", () => {
  const stats = readWhepStats([
    ['a', { type: 'inbound-rtp', kind: 'audio', totalSamplesReceived: 480 }],
    [
      'b',
      {
        type: 'inbound-rtp',
        kind: 'video',
        freezeCount: 2,
        totalFreezesDuration: 0.5,
        pauseCount: 1,
        totalPausesDuration: 6,
      },
    ],
  ]);
  assert.equal(stats.freezeCount, 3);
  assert.equal(stats.freezeMs + stats.pauseMs, 6500);
  assert.equal(stats.audioSamplesReceived, 480);
  assert.equal(stats.frameRateFps, null);
});

test('the frame rate is that of the last two seconds, and begins again with the count', () => {
  const rate = new FrameRate();
  assert.equal(rate.note(0, 0), null);
  for (let nowMs = 250; nowMs <= 10_000; nowMs += 250) {
    rate.note((nowMs / 1000) * 24, nowMs);
  }
  assert.equal(rate.note(246, 10_250), 24);
  assert.equal(rate.note(3, 10_500), null);
});

test('latency is said in milliseconds below a second, in seconds above, and not at all when unknown', () => {
  assert.deepEqual([null, -5, 83, 994, 1240].map(latencyText), ['', '', '80 ms', '990 ms', '1.2 s']);
});
