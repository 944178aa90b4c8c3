// Parts and segments of any stream: legal lengths, exact times, no sample lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import type { VideoUnit } from '../../../server/media/access-unit.ts';
import type { SegmentEnd, SegmentPart, SegmentStart, SegmenterEvent } from '../../../server/media/segmenter.ts';
import { VideoSegmenter } from '../../../server/media/segmenter.ts';
import { planParts } from '../../../server/media/segment-plan.ts';
import { syntheticVideo, testVideoTrack } from '../../support/synthetic-media.ts';

const run = (
  units: readonly VideoUnit[],
  options: { frameRateFps: number; partTargetMs?: number },
): { events: SegmenterEvent[]; segmenter: VideoSegmenter } => {
  const segmenter = new VideoSegmenter({ partTargetMs: 333, timescaleHz: 90_000, firstMsn: 0, ...options });
  const events = [...units.flatMap((unit) => segmenter.push(unit)), ...segmenter.end()];
  return { events, segmenter };
};

const partsOf = (events: readonly SegmenterEvent[]): SegmentPart[] => events.filter((event) => event.type === 'part');
const startsOf = (events: readonly SegmenterEvent[]): SegmentStart[] =>
  events.filter((event) => event.type === 'segment-start');
const endsOf = (events: readonly SegmenterEvent[]): SegmentEnd[] =>
  events.filter((event) => event.type === 'segment-end');

/** What must hold of any stream without holes. */
const checkParts = (events: readonly SegmenterEvent[], segmenter: VideoSegmenter): void => {
  const { partMaxTicks, partMinTicks } = segmenter.plan;
  const parts = partsOf(events);
  parts.forEach((part, index) => {
    const isLast = parts[index + 1]?.msn !== part.msn;
    assert.ok(part.durationTicks <= partMaxTicks, `part ${index} lasts ${part.durationTicks}, at most ${partMaxTicks}`);
    assert.ok(isLast || part.durationTicks >= partMinTicks, `part ${index} lasts only ${part.durationTicks}`);
    const sum = part.samples.reduce((ticks, sample) => ticks + sample.durationTicks, 0);
    assert.equal(sum, part.durationTicks);
    assert.ok(part.samples.every((sample) => sample.durationTicks > 0));
    const before = parts[index - 1];
    assert.equal(part.startTicks, before === undefined ? part.startTicks : before.startTicks + before.durationTicks);
  });
};

/** Every unit is in some part, in order, and is shown when the publisher said. */
const checkSamples = (events: readonly SegmenterEvent[], units: readonly VideoUnit[]): void => {
  const shown = partsOf(events).flatMap((part) => {
    let atTicks = part.startTicks;
    return part.samples.map((sample) => {
      const ptsTicks = atTicks + sample.compositionOffsetTicks;
      atTicks += sample.durationTicks;
      return { ptsTicks, payload: sample.payload };
    });
  });
  assert.equal(shown.length, units.length);
  units.forEach((unit, index) => {
    assert.equal(shown[index]?.payload, unit.payload);
    assert.equal(shown[index]?.ptsTicks, unit.ptsTicks);
  });
};

test('no picture reaches into the next part, though stamps are whole milliseconds: parts may be appended in any order', () => {
  for (const frameRateFps of [24, 30, 60]) {
    const units = syntheticVideo({ frameRateFps, durationS: 10, gopFrames: frameRateFps, isWholeMs: true });
    const parts = partsOf(run(units, { frameRateFps }).events);
    parts.slice(1).forEach((part, index) => {
      const before = parts[index]!;
      const last = before.samples.at(-1)!;
      const shownUntilTicks = before.startTicks + before.durationTicks + last.compositionOffsetTicks;
      const nextShownTicks = part.startTicks + part.samples[0]!.compositionOffsetTicks;
      assert.ok(
        shownUntilTicks <= nextShownTicks,
        `${frameRateFps} fps, part ${index}: ${shownUntilTicks - nextShownTicks}`,
      );
    });
  }
});

test('L4 L21 parts are legal, contiguous and complete for any frame rate, GOP, jitter and reordering', () => {
  const runCount = process.env['SLUICE_SIZE'] === 'soak' ? 2_000 : 150;
  for (let seed = 1; seed <= runCount; seed += 1) {
    const prng = new Prng(seed);
    const frameRateFps = [5, 10, 15, 23.976, 24, 25, 29.97, 30, 50, 59.94, 60, 90, 120][prng.nextIndex(13)] ?? 30;
    const gopFrames = (): number => Math.round(frameRateFps * (0.5 + prng.nextRatio() * 1.5));
    const partTargetMs = [200, 333, 500, 1000][prng.nextIndex(4)] ?? 333;
    const jitterRatio = frameRateFps < 12 ? prng.nextRatio() * 0.05 : prng.nextRatio() * 0.4;
    const script = { frameRateFps, durationS: 14, gopFrames, jitterRatio, seed, isWholeMs: prng.nextIndex(2) === 0 };
    const units = syntheticVideo({ ...script, bFrames: prng.nextIndex(4) });
    const statedFps = frameRateFps * (0.98 + prng.nextRatio() * 0.04);
    const { events, segmenter } = run(units, { frameRateFps: statedFps, partTargetMs });
    try {
      checkParts(events, segmenter);
      checkSamples(events, units);
      assert.ok(
        endsOf(events).every((end) => Math.round(end.durationTicks / 90_000) <= 2),
        'EXTINF rounds to more than 2',
      );
    } catch (error) {
      throw new Error(`seed ${seed}, ${frameRateFps} fps, parts of ${partTargetMs} ms`, { cause: error });
    }
  }
});

test('L4 a publisher with whole-millisecond stamps at 30 fps gets ten frames in every part', () => {
  const units = syntheticVideo({ frameRateFps: 30, durationS: 20, gopFrames: 60, isWholeMs: true });
  const { events, segmenter } = run(units, { frameRateFps: 30 });
  assert.equal(segmenter.plan.partTargetMs, 334);
  assert.deepEqual([...new Set(partsOf(events).map((part) => part.samples.length))], [10]);
});

test('segments of 2 s begin at keyframes and count up by one', () => {
  const { events } = run(syntheticVideo({ frameRateFps: 25, durationS: 20, gopFrames: 25 }), { frameRateFps: 25 });
  assert.deepEqual(
    startsOf(events).map((start) => start.msn),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  assert.ok(endsOf(events).every((end) => end.durationTicks === 180_000));
  assert.ok(startsOf(events).every((start) => start.isIndependent && !start.isDiscontinuity));
});

test('a part is published with its last frame, without waiting for the next', () => {
  const segmenter = new VideoSegmenter({ partTargetMs: 333, frameRateFps: 30, timescaleHz: 90_000, firstMsn: 0 });
  const units = syntheticVideo({ frameRateFps: 30, durationS: 0.4, gopFrames: 60 });
  const partCounts = units.map((unit) => partsOf(segmenter.push(unit)).length);
  assert.deepEqual(partCounts, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
});

test('a stray long GOP is cut where it stands, marked as not independent, and the next keyframe begins a segment', () => {
  const gops = [30, 150, 30, 30, 30];
  const script = { frameRateFps: 30, durationS: 9, gopFrames: () => gops.shift() ?? 30 };
  const units = syntheticVideo(script);
  const { events, segmenter } = run(units, { frameRateFps: 30 });
  checkParts(events, segmenter);
  checkSamples(events, units);
  assert.ok(segmenter.forcedCutCount >= 1);
  assert.ok(startsOf(events).some((start) => !start.isIndependent));
  assert.ok(startsOf(events).some((start) => start.startPtsMs === 6_000 && start.isIndependent));
  assert.ok(endsOf(events).every((end) => Math.round(end.durationTicks / 90_000) <= 2));
});

test('L27 new parameters begin a discontinuous segment; keyframes alone do not', () => {
  const first = syntheticVideo({ frameRateFps: 30, durationS: 5, gopFrames: 30 });
  const track = testVideoTrack({ codecString: 'avc1.64001f', decoderConfig: Uint8Array.from([1, 0x64, 0, 0x1f]) });
  const second = syntheticVideo({ frameRateFps: 30, durationS: 3, gopFrames: 30, startMs: 5_000, track });
  const { events } = run([...first, ...second], { frameRateFps: 30 });
  const marked = startsOf(events).filter((start) => start.isDiscontinuity);
  assert.equal(marked.length, 1);
  assert.equal(marked[0]?.track, track);
});

test('L27 an equal track object sent again is no discontinuity', () => {
  const first = syntheticVideo({ frameRateFps: 30, durationS: 4, gopFrames: 30 });
  const again = syntheticVideo({
    frameRateFps: 30,
    durationS: 4,
    gopFrames: 30,
    startMs: 4_000,
    track: testVideoTrack(),
  });
  const { events } = run([...first, ...again], { frameRateFps: 30 });
  assert.ok(startsOf(events).every((start) => !start.isDiscontinuity));
});

test('after a gap of the source, pictures before the next keyframe are left out and the segment is marked', () => {
  const first = syntheticVideo({ frameRateFps: 30, durationS: 3, gopFrames: 30 });
  const after = syntheticVideo({ frameRateFps: 30, durationS: 3, gopFrames: 30, startMs: 13_000 });
  const resumed = after.slice(7).map((unit, index) => ({ ...unit, isDiscontinuity: index === 0 }));
  const { events, segmenter } = run([...first, ...resumed], { frameRateFps: 30 });
  assert.equal(segmenter.droppedCount, 23);
  const marked = startsOf(events).filter((start) => start.isDiscontinuity);
  assert.deepEqual(
    marked.map((start) => start.startPtsMs),
    [14_000],
  );
  assert.equal(partsOf(events).find((part) => part.msn === marked[0]?.msn)?.startTicks, 14_000 * 90);
});

test('L4 frames that the encoder skipped are bridged without an illegal part', () => {
  for (const skipped of [1, 3, 8, 13]) {
    const all = syntheticVideo({ frameRateFps: 30, durationS: 8, gopFrames: 60 });
    const units = all.filter((_, index) => index % 60 === 0 || index % 37 > skipped);
    const { events, segmenter } = run(units, { frameRateFps: 30 });
    const parts = partsOf(events);
    assert.ok(parts.every((part) => part.durationTicks <= segmenter.plan.partMaxTicks));
    checkSamples(events, units);
  }
});

test('part plans take whole frames nearest the target', () => {
  const planOf = (fps: number, partTargetMs: number): number =>
    planParts({ partTargetMs, unitNominalTicks: 90_000 / fps, timescaleHz: 90_000 }).partTargetMs;
  assert.deepEqual([planOf(30, 333), planOf(25, 333), planOf(60, 200), planOf(24, 500)], [334, 320, 200, 500]);
  assert.throws(() => planOf(30, 100), TypeError);
});
