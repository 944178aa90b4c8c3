/** One encoder follows another in one stream: nothing lost, nothing twice, never back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessUnit } from '../../../server/media/access-unit.ts';
import { StreamJoin } from '../../../server/media/stream-join.ts';
import { TEST_VIDEO_TRACK } from '../../support/units.ts';

const FRAME_TICKS = 3_000;

/** Picture `index`; a keyframe each 30. `maker` tells encoders apart. */
const picture = (index: number, maker: number, isKeyframe = index % 30 === 0): AccessUnit => ({
  ...{ track: TEST_VIDEO_TRACK, dtsTicks: index * FRAME_TICKS, ptsTicks: index * FRAME_TICKS, isKeyframe },
  ...{ payload: Uint8Array.of(maker), arrivedAtMs: 0, arrivedAtWallMs: 0, isDiscontinuity: false },
});

const newJoin = (): StreamJoin<AccessUnit> =>
  new StreamJoin({ timeOf: ({ ptsTicks }) => ptsTicks, isKeyframe: ({ isKeyframe }) => isKeyframe });

const told = (units: readonly AccessUnit[]): string =>
  units.map(({ dtsTicks, payload }) => `${dtsTicks / FRAME_TICKS}:${payload[0]}`).join(' ');

test('the next takes over at the keyframe that both make, whichever of them is ahead', () => {
  for (const aheadCount of [-5, -1, 0, 1, 5]) {
    const join = newJoin();
    const given: AccessUnit[] = [];
    for (let step = 0; step < 80; step += 1) {
      given.push(...join.push(1, picture(step, 1)));
      const index = step + aheadCount;
      // It begins with a keyframe of its own in the middle of a GOP.
      if (index >= 40) {
        given.push(...join.push(2, picture(index, 2, index === 40 || index % 30 === 0)));
      }
    }
    // One that is ahead begins with a keyframe that the other has not reached yet: that will do as well.
    const expected = Array.from({ length: 80 }, (_, index) =>
      picture(index, index < (aheadCount > 0 ? 40 : 60) ? 1 : 2),
    );
    assert.equal(told(given.slice(0, 74)), told(expected.slice(0, 74)), `${aheadCount} ahead`);
    assert.ok(join.isCurrent(2));
  }
});

test('after one is gone, the next begins with its first keyframe behind what was given out', () => {
  const join = newJoin();
  join.push(1, picture(0, 1));
  join.push(1, picture(1, 1));
  assert.deepEqual(join.leave(1), []);
  const given = [picture(0, 2), picture(1, 2), picture(30, 2)].flatMap((unit) => join.push(2, unit));
  assert.equal(told(given), '30:2');
});

test('one that was waiting takes over at once when the one before dies', () => {
  const join = newJoin();
  join.push(1, picture(29, 1));
  assert.deepEqual(join.push(2, picture(30, 2)), []);
  assert.equal(told(join.leave(1)), '30:2');
  assert.equal(told(join.push(2, picture(31, 2))), '31:2');
  assert.deepEqual(join.push(1, picture(32, 1)), [], 'a late one of the dead');
});

test('an encoder that hangs does not hold the next up for ever', () => {
  const join = newJoin();
  join.push(1, picture(1, 1));
  const given = Array.from({ length: 150 }, (_, index) => join.push(2, picture(30 + index, 2))).flat();
  assert.ok(given.length > 20);
  assert.equal(given[0]?.isKeyframe, true);
});
