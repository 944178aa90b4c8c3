/** One timer for all who wait. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../../server/base/clock.ts';
import { WakeUps } from '../../../../server/relay/webrtc/wake-ups.ts';

test('each is woken once when it wants to be, and again only when it says so', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const clock = new ManualClock();
  const woken: [string, number][] = [];
  const wake = (sleeper: string, nowMs: number): void => {
    woken.push([sleeper, nowMs]);
    // One that always has something to do must not keep the others from their turn.
    wakeUps.set(sleeper, sleeper === 'busy' && nowMs < 105 ? nowMs : Number.POSITIVE_INFINITY);
  };
  const wakeUps = new WakeUps<string>({ clock, wake, onAllWoken: () => undefined });
  const passMs = (durationMs: number): void => {
    for (let count = 0; count < durationMs; count += 1) {
      clock.advanceMs(1);
      context.mock.timers.tick(1);
    }
  };
  wakeUps.set('late', 50);
  wakeUps.set('early', 20);
  wakeUps.set('never', 30);
  wakeUps.set('never', Number.POSITIVE_INFINITY);
  passMs(10);
  assert.equal(woken.length, 0);
  passMs(90);
  assert.deepEqual(
    woken.map(([sleeper, atMs]) => [sleeper, Math.ceil(atMs / 10)]),
    [
      ['early', 2],
      ['late', 5],
    ],
  );
  wakeUps.set('busy', 0);
  wakeUps.set('other', 105);
  passMs(10);
  assert.equal(woken.filter(([sleeper]) => sleeper === 'other').length, 1);
  assert.ok(woken.filter(([sleeper]) => sleeper === 'busy').length >= 4);
  wakeUps.close();
});
