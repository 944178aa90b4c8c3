/** The player's view of the server's clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RtpClock } from '../../../../player/playout/rtp-clock.ts';
import { ServerClock } from '../../../../player/playout/server-clock.ts';

const SERVER_AHEAD_MS = 1_700_000_000_000;

test('trusts the exchange with the smallest round trip', () => {
  const clock = new ServerClock();
  assert.equal(clock.wallMsAt(0), null);
  // Lopsided: 90 ms there, 10 ms back, so its midpoint is 40 ms off.
  clock.note({ sentAtMs: 1000, receivedAtMs: 1100, serverWallMs: SERVER_AHEAD_MS + 1090 });
  assert.equal(clock.wallMsAt(2000), SERVER_AHEAD_MS + 2040);
  clock.note({ sentAtMs: 3000, receivedAtMs: 3004, serverWallMs: SERVER_AHEAD_MS + 3002 });
  clock.note({ sentAtMs: 5000, receivedAtMs: 5400, serverWallMs: SERVER_AHEAD_MS + 5399 });
  assert.equal(clock.wallMsAt(6000), SERVER_AHEAD_MS + 6000);
  assert.equal(clock.roundTripMs, 4);
});

test('forgets the best exchange after a minute of newer ones, so that drift is followed', () => {
  const clock = new ServerClock();
  clock.note({ sentAtMs: 0, receivedAtMs: 1, serverWallMs: SERVER_AHEAD_MS });
  for (let sentAtMs = 2000; sentAtMs <= 60_000; sentAtMs += 2000) {
    clock.note({ sentAtMs, receivedAtMs: sentAtMs + 20, serverWallMs: SERVER_AHEAD_MS + 7 + sentAtMs + 10 });
  }
  assert.equal(clock.wallMsAt(70_000), SERVER_AHEAD_MS + 7 + 70_000);
});

test('ignores answers from before their question and times that are no numbers', () => {
  const clock = new ServerClock();
  clock.note({ sentAtMs: 10, receivedAtMs: 5, serverWallMs: 1 });
  clock.note({ sentAtMs: 10, receivedAtMs: 15, serverWallMs: Number.NaN });
  assert.equal(clock.wallMsAt(0), null);
});

test('reads capture time off the mapping in force, across the wrap of RTP timestamps', () => {
  const clock = new RtpClock();
  assert.equal(clock.captureWallMs(5), null);
  clock.note({ rtpTimestamp: 0xffff_ff00, mediaMs: 0, wallMs: 1000 });
  clock.note({ rtpTimestamp: 90_000, mediaMs: 1000, wallMs: 2500 });
  assert.ok(Math.abs((clock.captureWallMs(0x200) ?? 0) - (1000 + 0x300 / 90)) < 1e-6, 'the first, wrapped');
  assert.equal(clock.captureWallMs(90_000 + 900), 2510);
  assert.equal(clock.mediaMs(90_000 + 900), 1010);
  assert.ok(Math.abs((clock.captureWallMs(0xffff_ff00 - 90) ?? 0) - 999) < 1e-6, 'before all: the oldest, backwards');
});
