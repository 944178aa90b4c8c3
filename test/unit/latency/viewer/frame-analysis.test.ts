/** What a row of frames means: latency over viewer-seconds, age of the screen, pictures unseen, stalls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STAMP_MODULUS_MS } from '../../../latency/source/stamp.ts';
import { analyseFrames, shownInstants, weightedPercentile } from '../../../latency/viewer/frame-analysis.ts';
import type { ReadFrame } from '../../../latency/viewer/stamp-reader.ts';

const BASE_MS = 1_795_000_000_000;
const FRAME_MS = 1000 / 30;

/** `atMs` and `stampedAtMs` from one zero; null is unreadable. */
const frame = (atMs: number, stampedAtMs: number | null, more: Partial<ReadFrame> = {}): ReadFrame => ({
  shownAtWallMs: BASE_MS + atMs,
  submittedAtWallMs: BASE_MS + atMs,
  readAtWallMs: BASE_MS + atMs,
  stamp: stampedAtMs === null ? null : Math.floor(BASE_MS + stampedAtMs) % STAMP_MODULUS_MS,
  mediaTimeS: 0,
  presentedCount: Math.round(atMs / FRAME_MS),
  widthPx: 640,
  heightPx: 360,
  flashLuma: 0,
  elementIndex: 0,
  scriptAway: null,
  ...more,
});

const near = (actual: number, expected: number, within = 1): void =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected}`);

test('latency is weighted by time on the screen, not by frame', () => {
  // Ten frames a tenth of a second apart at 100 ms, then one at 500 ms that stays for three seconds.
  const frames = [...Array.from({ length: 10 }, (_, k) => frame(k * 100, k * 100 - 100)), frame(1_000, 500)];
  const report = analyseFrames(frames, { endAtWallMs: BASE_MS + 4_000 });
  near(report.latencyMs.p50, 500);
  near(report.latencyMs.min, 100);
  near(report.latencyMs.mean, (1 * 100 + 3 * 500) / 4);
  assert.equal(report.durationMs, 4_000);
});

test('a frozen picture ages', () => {
  const frames = [frame(0, -100), frame(100, 0)];
  const report = analyseFrames(frames, { endAtWallMs: BASE_MS + 10_100 });
  near(report.latencyMs.p99, 100);
  near(report.ageMs.p50, 100 + 5_000, 60);
  near(report.ageMs.p95, 100 + 9_500, 60);
});

test('a picture that stood on the screen when the observation began has its age from when it was shown', () => {
  const frames = [frame(0, -50), frame(2_000, 1_950)];
  const report = analyseFrames(frames, { fromWallMs: BASE_MS + 1_000, endAtWallMs: BASE_MS + 2_000 });
  near(report.ageMs.p50, 50 + 1_500, 30);
  assert.equal(report.durationMs, 1_000);
});

test('frames before the observation tell the pace, but are not counted', () => {
  const frames = Array.from({ length: 90 }, (_, k) => frame(k * FRAME_MS, k * FRAME_MS - 80));
  const report = analyseFrames(frames, { fromWallMs: BASE_MS + 1_000, endAtWallMs: BASE_MS + 3_000 });
  assert.equal(report.frameCount, 60);
  near(report.pictureFps, 30, 0.1);
});

test('a freeze that began before the observation counts with the part inside', () => {
  const frames = [
    ...Array.from({ length: 30 }, (_, k) => frame(k * 33, k * 33 - 80)),
    frame(3_000, 2_900, { presentedCount: 30 }),
  ];
  const report = analyseFrames(frames, { fromWallMs: BASE_MS + 2_000, endAtWallMs: BASE_MS + 4_000 });
  assert.deepEqual(
    report.freezes.map(({ kind }) => kind),
    ['freeze', 'open'],
  );
  near(report.stallRatio, 1, 0.001);
});

test('unreadable frames are counted and have no latency; stamps that go back are counted', () => {
  const report = analyseFrames([frame(0, -10), frame(33, null), frame(66, 50), frame(100, 20), frame(133, 120)]);
  assert.equal(report.unreadableCount, 1);
  assert.equal(report.backwardCount, 1);
});

test('without frames there is nothing to analyse', () => {
  assert.throws(() => analyseFrames([]), TypeError);
});

/** From one zero, as `frame`. */
const away = (fromMs: number, toMs: number): Pick<ReadFrame, 'scriptAway'> => ({
  scriptAway: { fromWallMs: BASE_MS + fromMs, toWallMs: BASE_MS + toMs },
});

test('a script that was away makes no freeze of pictures it did not see', () => {
  const before = Array.from({ length: 30 }, (_, k) => frame(k * 33, k * 33 - 80, { presentedCount: k }));
  const lastMs = 29 * 33;
  const late = frame(lastMs + 300, lastMs + 220, { presentedCount: 29 + 9 });
  assert.equal(analyseFrames([...before, { ...late, ...away(lastMs, lastMs + 300) }]).freezes.length, 0);
  assert.equal(analyseFrames([...before, late]).freezes.length, 1, 'it looked all the time: they came at the end');
});

test('unseen pictures are spread over the time the script was away, else over the last refresh', () => {
  const instants = (more: Partial<ReadFrame>): number[] =>
    shownInstants([frame(0, 0, { presentedCount: 1 }), frame(300, 0, { presentedCount: 4, ...more })]).map((atMs) =>
      Math.round(atMs - BASE_MS),
    );
  assert.deepEqual(instants(away(0, 300)), [0, 100, 200, 300]);
  assert.deepEqual(instants(away(240, 300)), [0, 260, 280, 300]);
  assert.deepEqual(instants(away(-200, 150)), [0, 50, 100, 300]);
  assert.deepEqual(instants({}), [0, 289, 294, 300]);
});

test('another element counts from its own zero', () => {
  const instants = shownInstants([
    frame(0, 0, { presentedCount: 5 }),
    frame(300, 0, { presentedCount: 90, elementIndex: 1 }),
  ]);
  assert.equal(instants.length, 2);
});

test('a weighted percentile takes the value under which that much weight lies', () => {
  const values = [
    { value: 1, weight: 1 },
    { value: 2, weight: 8 },
    { value: 3, weight: 1 },
  ];
  assert.equal(weightedPercentile(values, 0.05), 1);
  assert.equal(weightedPercentile(values, 0.5), 2);
  assert.equal(weightedPercentile(values, 0.95), 3);
  assert.ok(Number.isNaN(weightedPercentile([], 0.5)));
});

const countPictures = (frames: readonly ReadFrame[]): number => {
  const { pictureFps, durationMs } = analyseFrames(frames);
  return Math.round((pictureFps * durationMs) / 1000);
};

test('counts a picture the script came too late to read, but none that was repeated or never came', () => {
  const at = (place: number, stampPlace: number): ReadFrame =>
    frame(place * 33, stampPlace * 33, { presentedCount: place });
  const smooth = [0, 1, 2, 3, 4].map((k) => at(k, k));
  assert.equal(countPictures([...smooth, at(6, 6)]), 7, 'shown between two readings');
  assert.equal(countPictures([...smooth, at(6, 5)]), 6, 'the one between was a repetition');
  assert.equal(countPictures([...smooth, at(5, 6)]), 6, 'a picture was lost');
});
