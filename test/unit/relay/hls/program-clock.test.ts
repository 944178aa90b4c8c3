// Program date times: one offset a segment, for all renditions, moving by very little.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ProgramClock } from '../../../../server/relay/hls/program-clock.ts';

test('two renditions date the same segment alike, whenever they ask', () => {
  let offsetMs = 1e12;
  const clock = new ProgramClock((mediaMs) => mediaMs + offsetMs);
  const videoMs = clock.wallMsAt(4, 8_000);
  offsetMs -= 40;
  assert.equal(clock.wallMsAt(4, 8_000), videoMs);
  assert.equal(clock.wallMsAt(4, 8_021), videoMs + 21);
});

test('a step of the timeline is followed by a little each segment, until it is reached', () => {
  let offsetMs = 1e12;
  const clock = new ProgramClock((mediaMs) => mediaMs + offsetMs);
  clock.wallMsAt(0, 0);
  offsetMs -= 30;
  const offsets = Array.from({ length: 20 }, (_, index) => clock.wallMsAt(index + 1, 0) - 1e12);
  assert.equal(offsets[0], -2);
  assert.equal(offsets[14], -30);
  assert.equal(offsets[19], -30);
});

test('segments passed over count for the following', () => {
  let offsetMs = 1e12;
  const clock = new ProgramClock((mediaMs) => mediaMs + offsetMs);
  clock.wallMsAt(0, 0);
  offsetMs += 30;
  assert.equal(clock.wallMsAt(10, 0), 1e12 + 20);
});

test('a question about a segment long gone is answered with the oldest offset kept', () => {
  const clock = new ProgramClock((mediaMs) => mediaMs + 1e12 + mediaMs / 1000);
  for (let msn = 0; msn < 100; msn += 1) {
    clock.wallMsAt(msn, msn * 2_000);
  }
  assert.equal(clock.wallMsAt(0, 0), clock.wallMsAt(68, 0));
});
