// The media timeline: never back, over a gap by the time that passed, through jumps of a publisher's stamps.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { dtsMsOf } from '../../../server/media/access-unit.ts';
import { Timeline } from '../../../server/media/timeline.ts';
import { WALL_AT_ZERO_MS, audioUnit, videoUnit } from '../../support/units.ts';

const newTimeline = (): Timeline => {
  const timeline = new Timeline();
  timeline.beginEpoch();
  return timeline;
};

test('the first unit is at zero, whatever its stamp', () => {
  const placed = newTimeline().place(videoUnit({ dtsMs: 3_600_000, arrivedAtMs: 50 }));
  assert.equal(placed.dtsTicks, 0);
  assert.equal(placed.isDiscontinuity, false);
});

test('composition offsets survive, negative ones too', () => {
  const timeline = newTimeline();
  timeline.place(videoUnit({ dtsMs: 1_000, arrivedAtMs: 0 }));
  const placed = timeline.place(videoUnit({ dtsMs: 1_040, ptsMs: 1_000, arrivedAtMs: 40 }));
  assert.equal(placed.ptsTicks - placed.dtsTicks, -40 * 90);
});

test('a publisher that returns continues where the wall clock stands', () => {
  const timeline = newTimeline();
  timeline.place(videoUnit({ dtsMs: 0, arrivedAtMs: 100 }));
  timeline.place(audioUnit({ dtsMs: 0, arrivedAtMs: 100 }));
  timeline.place(videoUnit({ dtsMs: 1_000, arrivedAtMs: 1_100 }));
  timeline.beginEpoch();
  const video = timeline.place(videoUnit({ dtsMs: 0, arrivedAtMs: 8_100 }));
  const audio = timeline.place(audioUnit({ dtsMs: 10, arrivedAtMs: 8_110 }));
  assert.equal(dtsMsOf(video), 8_000);
  assert.equal(dtsMsOf(audio), 8_010);
  assert.ok(video.isDiscontinuity && audio.isDiscontinuity);
  assert.equal(timeline.place(videoUnit({ dtsMs: 33, arrivedAtMs: 8_133 })).isDiscontinuity, false);
});

for (const [name, jumpedMs] of [
  ['back to zero', 0],
  ['an hour ahead', 3_610_000],
] as const) {
  test(`stamps that jump ${name} are rebased by what the clock says passed`, () => {
    const timeline = newTimeline();
    for (let ms = 0; ms <= 10_000; ms += 40) {
      timeline.place(videoUnit({ dtsMs: ms, arrivedAtMs: ms }));
    }
    const placed = timeline.place(videoUnit({ dtsMs: jumpedMs, arrivedAtMs: 10_040 }));
    assert.equal(dtsMsOf(placed), 10_040);
    assert.ok(placed.isDiscontinuity);
  });
}

test('a straggler of the other kind with stamps from before the jump keeps its place', () => {
  const timeline = newTimeline();
  timeline.place(audioUnit({ dtsMs: 9_990, arrivedAtMs: 9_990 }));
  timeline.place(videoUnit({ dtsMs: 10_000, arrivedAtMs: 10_000 }));
  timeline.place(videoUnit({ dtsMs: 0, arrivedAtMs: 10_040 }));
  const straggler = timeline.place(audioUnit({ dtsMs: 10_011, arrivedAtMs: 10_045 }));
  assert.ok(Math.abs(dtsMsOf(straggler) - 21) < 1, `placed at ${dtsMsOf(straggler)}`);
  const next = timeline.place(audioUnit({ dtsMs: 10, arrivedAtMs: 10_050 }));
  assert.ok(Math.abs(dtsMsOf(next) - 60) < 1, `placed at ${dtsMsOf(next)}`);
});

test('a pause of the encoder with honest stamps is no jump', () => {
  const timeline = newTimeline();
  timeline.place(videoUnit({ dtsMs: 0, arrivedAtMs: 0 }));
  const placed = timeline.place(videoUnit({ dtsMs: 20_000, arrivedAtMs: 20_010 }));
  assert.equal(dtsMsOf(placed), 20_000);
  assert.equal(placed.isDiscontinuity, false);
});

test('decoding times strictly rise through any stamps (seeded)', () => {
  const prng = new Prng(11);
  const timeline = newTimeline();
  let arrivedAtMs = 0;
  const lastByKind = { video: -1, audio: -1 };
  for (let index = 0; index < 5_000; index += 1) {
    arrivedAtMs += prng.nextIndex(50);
    if (prng.nextIndex(300) === 0) {
      timeline.beginEpoch();
    }
    const dtsMs = prng.nextIndex(20) === 0 ? prng.nextIndex(2 ** 31) : arrivedAtMs + prng.nextIndex(200) - 100;
    const unit = prng.nextIndex(2) === 0 ? videoUnit({ dtsMs, arrivedAtMs }) : audioUnit({ dtsMs, arrivedAtMs });
    const placed = timeline.place(unit);
    assert.ok(placed.dtsTicks > lastByKind[placed.track.kind], `seed 11, unit ${index}`);
    assert.ok(Number.isInteger(placed.dtsTicks) && Number.isInteger(placed.ptsTicks));
    lastByKind[placed.track.kind] = placed.dtsTicks;
  }
});

test('the wall clock of a media time is the arrival of the promptest unit', () => {
  const timeline = newTimeline();
  timeline.place(videoUnit({ dtsMs: 0, arrivedAtMs: 500 }));
  timeline.place(videoUnit({ dtsMs: 1_000, arrivedAtMs: 1_450 }));
  timeline.place(videoUnit({ dtsMs: 2_000, arrivedAtMs: 2_700 }));
  assert.equal(timeline.wallMsAt(2_000), WALL_AT_ZERO_MS + 2_450);
});

test('a returning encoder whose first picture waited for the connection is dated by what follows it, however often it returns', () => {
  const timeline = newTimeline();
  const WAITED_MS = 130;
  for (let round = 0; round < 8; round += 1) {
    const startedAtMs = round * 10_000;
    timeline.beginEpoch();
    let lastMs = 0;
    for (let sourceMs = 0; sourceMs < 4_000; sourceMs += 40) {
      // What was encoded before the connection stood came in one go.
      const arrivedAtMs = startedAtMs + Math.max(WAITED_MS, sourceMs);
      lastMs = dtsMsOf(timeline.place(videoUnit({ dtsMs: sourceMs, arrivedAtMs })));
    }
    const offMs = timeline.wallMsAt(lastMs) - (WALL_AT_ZERO_MS + startedAtMs + 3_960);
    assert.ok(Math.abs(offMs) < 1, `round ${round}: off by ${offMs} ms`);
  }
});
