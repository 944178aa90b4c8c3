/** Turns of joins: fast when there is room, refused when there is none, left by who went away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../../server/base/clock.ts';
import { JoinTurns, joinLimits } from '../../../../server/relay/webrtc/join-turns.ts';
import { within } from '../../../support/wait.ts';

const HERE = new AbortController().signal;

test('of more than may wait the rest is told when to come again, and every one that waits gets its turn', async () => {
  const turns = new JoinTurns({ joinsPerS: 200, queueMaxCount: 10 }, systemClock);
  const asked = Array.from({ length: 40 }, async (_, index) => turns.turn(`10.0.0.${index}`, HERE));
  const answers = await Promise.all(asked);
  const refused = answers.filter((turn) => !turn.ok);
  assert.ok(answers[0]?.ok === true);
  assert.ok(refused.length >= 20 && refused.length <= 30, `${refused.length} refused`);
  assert.ok(refused.every((turn) => !turn.ok && turn.retryAfterMs >= 1_000));
  assert.equal(turns.waitingCount, 0);
});

test('left to themselves the limits follow what handshakes cost; a number stands as it is', () => {
  const own = { joinsPerS: 'auto', joinQueueMaxCount: 'auto' } as const;
  const plain = joinLimits(own, { isNative: false });
  const native = joinLimits(own, { isNative: true });
  assert.deepEqual(plain, { joinsPerS: 20, queueMaxCount: 100 });
  assert.ok(native.joinsPerS > 10 * plain.joinsPerS);
  assert.equal(native.queueMaxCount / native.joinsPerS, plain.queueMaxCount / plain.joinsPerS);
  assert.equal(joinLimits({ ...own, joinsPerS: 7 }, { isNative: true }).queueMaxCount, 35);
  assert.equal(joinLimits({ ...own, joinQueueMaxCount: 3 }, { isNative: true }).queueMaxCount, 3);
});

test('who goes away while it waits makes room', async () => {
  const turns = new JoinTurns({ joinsPerS: 1, queueMaxCount: 10 }, systemClock);
  const leaving = new AbortController();
  const waiting = Array.from({ length: 14 }, async () => turns.turn('10.0.0.1', leaving.signal));
  await within(1_000, 'a queue', () => turns.waitingCount > 0);
  leaving.abort();
  await Promise.all(waiting);
  assert.equal(turns.waitingCount, 0);
});
