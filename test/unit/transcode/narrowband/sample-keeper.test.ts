/** The last seconds of a source, of one scene, bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessUnit } from '../../../../server/media/access-unit.ts';
import { SampleKeeper } from '../../../../transcode/narrowband/sample-keeper.ts';
import { TEST_VIDEO_TRACK } from '../../../support/units.ts';

const OPTIONS = { sampleMs: 1_000, sampleMaxBytes: 100_000, sampleMaxCount: 60 };

const picture = (index: number, more: Partial<AccessUnit> = {}): AccessUnit => ({
  ...{ track: TEST_VIDEO_TRACK, dtsTicks: index * 3_000, ptsTicks: index * 3_000, isKeyframe: index % 45 === 0 },
  ...{ payload: new Uint8Array(1_000), arrivedAtMs: 0, arrivedAtWallMs: 0, isDiscontinuity: false, ...more },
});

const places = (keeper: SampleKeeper): string => {
  const times = keeper.sample.map(({ dtsTicks }) => dtsTicks / 3_000);
  return times.length === 0 ? '' : `${times[0]}-${times.at(-1)}`;
};

test('a sample begins with a keyframe, is as long as asked, and gives way to the next', () => {
  const keeper = new SampleKeeper(OPTIONS);
  for (let index = 7; index <= 74; index += 1) {
    keeper.add(picture(index));
  }
  assert.equal(places(keeper), '');
  keeper.add(picture(75));
  assert.equal(places(keeper), '45-75');
  for (let index = 76; index <= 121; index += 1) {
    keeper.add(picture(index));
  }
  assert.equal(places(keeper), '90-120');
});

test('GOPs shorter than a sample are joined', () => {
  const keeper = new SampleKeeper(OPTIONS);
  for (let index = 0; index <= 30; index += 1) {
    keeper.add(picture(index, { isKeyframe: index % 10 === 0 }));
  }
  assert.equal(places(keeper), '0-30');
});

test('new parameters and gaps begin a new sample; another scene forgets the old one', () => {
  for (const change of [{ track: { ...TEST_VIDEO_TRACK } }, { isDiscontinuity: true }]) {
    const keeper = new SampleKeeper(OPTIONS);
    for (let index = 0; index <= 75; index += 1) {
      keeper.add(picture(index, index >= 20 && 'track' in change ? change : index === 20 ? change : {}));
    }
    assert.equal(places(keeper), '45-75');
    keeper.clear();
    assert.equal(places(keeper), '');
  }
});

test('what is too large is given up, by bytes and by count', () => {
  const large = new SampleKeeper({ ...OPTIONS, sampleMaxBytes: 20_000 });
  const many = new SampleKeeper({ ...OPTIONS, sampleMaxCount: 20 });
  for (let index = 0; index < 200; index += 1) {
    large.add(picture(index));
    many.add(picture(index));
  }
  assert.equal(places(large), '');
  assert.equal(places(many), '');
});
