/** What the host is told of what came in and of what viewers see, from units and reports made up here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PointRing } from '../../../server/health/point-ring.ts';
import { SourceMeter } from '../../../server/health/source-meter.ts';
import { ViewerMeter } from '../../../server/health/viewer-meter.ts';
import type { AccessUnit } from '../../../server/media/access-unit.ts';
import { testVideoTrack } from '../../support/synthetic-media.ts';

const TRACK = testVideoTrack({ widthPx: 640, heightPx: 360 });
const GAP_MS = 40;

type Picture = { dtsMs: number; arrivedAtMs?: number; isKeyframe?: boolean; isDiscontinuity?: boolean };

const picture = ({ dtsMs, arrivedAtMs = dtsMs, isKeyframe = false, isDiscontinuity = false }: Picture): AccessUnit => {
  const ticks = Math.round((dtsMs * TRACK.timescaleHz) / 1_000);
  const times = { dtsTicks: ticks, ptsTicks: ticks, arrivedAtMs, arrivedAtWallMs: arrivedAtMs };
  return { track: TRACK, ...times, isKeyframe, isDiscontinuity, payload: new Uint8Array(500) };
};

const steady = (fromMs: number, toMs: number, gopMs: number): Picture[] =>
  Array.from({ length: (toMs - fromMs) / GAP_MS }, (_, index) => fromMs + index * GAP_MS).map((dtsMs) => ({
    dtsMs,
    isKeyframe: dtsMs % gopMs === 0,
  }));

const meterOf = (pictures: readonly Picture[]): SourceMeter => {
  const meter = new SourceMeter({ startedAtMs: 0 });
  pictures.forEach((one) => meter.onUnit(picture(one)));
  return meter;
};

test('a steady source has its rates, its rhythm, and nothing missing or late', () => {
  assert.deepEqual(meterOf(steady(0, 2_000, 1_000)).take(2_000), {
    ...{ bitrateBps: 100_000, frameRateFps: 25, keyframeIntervalMs: 1_000, missingCount: 0, lateCount: 0 },
  });
});

test('pictures the encoder left out are counted, each once', () => {
  const all = steady(0, 4_000, 1_000);
  const meter = meterOf(all.filter(({ dtsMs }) => ![1_440, 2_000, 2_040, 2_080].includes(dtsMs)));
  assert.equal(meter.take(4_000).missingCount, 4);
  assert.equal(meter.take(6_000).missingCount, 0);
});

test('pictures held up on the way are late, those after them are not', () => {
  // The way stands still from 2,000 to 2,500 ms, then hands over all it had.
  const pictures = steady(0, 4_000, 1_000).map((one) => ({
    ...one,
    arrivedAtMs: one.dtsMs >= 2_000 && one.dtsMs < 2_500 ? 2_500 : one.dtsMs,
  }));
  const meter = meterOf(pictures.filter(({ dtsMs }) => dtsMs < 2_000));
  assert.equal(meter.take(2_000).lateCount, 0);
  pictures.filter(({ dtsMs }) => dtsMs >= 2_000).forEach((one) => meter.onUnit(picture(one)));
  const expected = pictures.filter(({ dtsMs, arrivedAtMs }) => arrivedAtMs - dtsMs > 150).length;
  assert.ok(expected >= 8);
  assert.equal(meter.take(4_000).lateCount, expected);
});

test('a keyframe that does not come shows while it does not come', () => {
  const meter = meterOf(steady(0, 2_000, 1_000));
  meter.take(2_000);
  steady(2_000, 6_000, 100_000).forEach((one) => meter.onUnit(picture(one)));
  assert.equal(meter.take(6_000).keyframeIntervalMs, 6_000 - GAP_MS - 1_000);
});

test('an encoder that was away is neither late nor missing', () => {
  const meter = meterOf(steady(0, 2_000, 1_000));
  const after = steady(10_000, 12_000, 1_000).map((one, index) => ({
    ...{ ...one, arrivedAtMs: one.dtsMs + 900, isDiscontinuity: index === 0 },
  }));
  after.forEach((one) => meter.onUnit(picture(one)));
  const { missingCount, lateCount } = meter.take(12_900);
  assert.deepEqual({ missingCount, lateCount }, { missingCount: 0, lateCount: 0 });
});

test('nothing came: no rate is made up', () => {
  const reading = meterOf([]).take(2_000);
  assert.deepEqual([reading.bitrateBps, reading.frameRateFps, reading.keyframeIntervalMs], [0, undefined, undefined]);
});

test('of viewers the middle, the far end, and the share of time that stood still', () => {
  const meter = new ViewerMeter({ startedAtMs: 0 });
  const viewers = Array.from({ length: 20 }, (_, index) => ({ latencyMs: 100 + index * 10, stallMs: 0 }));
  const told = (change: (index: number) => object): Map<number, (typeof viewers)[number]> =>
    new Map(viewers.map((viewer, index) => [index, { ...viewer, ...change(index) }]));
  assert.deepEqual(
    meter.take(
      told(() => ({})),
      2_000,
    ),
    { latencyMedianMs: 190, latencyP95Ms: 280, stallRatio: 0 },
  );
  const second = meter.take(
    told((index) => (index < 2 ? { stallMs: 500 } : {})),
    4_000,
  );
  assert.equal(second.stallRatio, 1_000 / (2_000 * 20));
  const third = meter.take(
    told((index) => (index < 2 ? { stallMs: 500 } : {})),
    6_000,
  );
  assert.equal(third.stallRatio, 0, 'what was told before is not told again');
  const nobody = meter.take(new Map(), 8_000);
  assert.deepEqual(nobody, { latencyMedianMs: undefined, latencyP95Ms: undefined, stallRatio: undefined });
});

test('one report never makes more than the time that passed', () => {
  const meter = new ViewerMeter({ startedAtMs: 0 });
  const { stallRatio, latencyMedianMs } = meter.take(new Map([[7, { latencyMs: null, stallMs: 60_000 }]]), 2_000);
  assert.equal(stallRatio, 1);
  assert.equal(latencyMedianMs, undefined);
});

test('a ring keeps the newest, oldest first', () => {
  const ring = new PointRing(['a', 'b'], 3);
  [1, 2, 3, 4, 5].forEach((a) => ring.push({ a, b: -a }));
  assert.equal(ring.count, 3);
  assert.deepEqual(ring.column('a'), [3, 4, 5]);
  assert.deepEqual(ring.column('b', 2), [-4, -5]);
});
