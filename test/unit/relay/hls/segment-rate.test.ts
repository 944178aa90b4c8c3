// The peak of segments in a row (RFC 8216bis 4.4.6.2).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentRate } from '../../../../server/relay/hls/segment-rate.ts';

const peakOf = (...segments: readonly (readonly [bytes: number, durationS: number])[]): number => {
  const rate = new SegmentRate();
  segments.forEach(([bytes, durationS]) => rate.add({ bytes, durationS }));
  return rate.rates([]).peakBps;
};

test('the dearest set that lasts one to three seconds is the peak', () => {
  assert.equal(peakOf([1_000, 2], [3_000, 2], [1_000, 2]), 12_000);
  assert.equal(peakOf([1_000, 2], [900, 0.4]), Math.ceil((8 * 1_900) / 2.4), 'a short one counts with its neighbour');
  assert.equal(peakOf([100, 0.4], [100, 0.4]), 1, 'what is too short together is no set');
  assert.equal(peakOf([100, 0.4], [500, 0.4], [600, 0.4]), 8_000);
});

test('a gap ends a row, and what was seen stays', () => {
  assert.equal(peakOf([3_000, 2], [0, 0], [500, 0.5], [500, 2]), 12_000);
  assert.equal(peakOf([9_000, 0.5], [0, 0], [500, 2]), 2_000);
});

test('without a peak yet it is somewhat above the mean', () => {
  assert.deepEqual(new SegmentRate().rates([{ bytes: 1_000, durationS: 2 }]), { averageBps: 4_000, peakBps: 5_000 });
  assert.deepEqual(new SegmentRate().rates([]), { averageBps: 1, peakBps: 1 });
});
