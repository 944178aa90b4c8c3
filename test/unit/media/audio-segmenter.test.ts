// Audio segments follow the video's, and go on alone when it stalls.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AudioUnit } from '../../../server/media/access-unit.ts';
import { AudioSegmenter, type AudioSegmenterOptions } from '../../../server/media/audio-segmenter.ts';
import type { SegmentEnd, SegmentPart, SegmentStart, SegmenterEvent } from '../../../server/media/segmenter.ts';
import { syntheticAudio, testAudioTrack } from '../../support/synthetic-media.ts';

type Overrides = Pick<AudioSegmenterOptions, 'followsVideo'> & Partial<AudioSegmenterOptions>;

const create = (options: Overrides): AudioSegmenter =>
  new AudioSegmenter({ partTargetMs: 333, track: testAudioTrack(), firstMsn: 0, epochAt: () => 0, ...options });
const partsOf = (events: readonly SegmenterEvent[]): SegmentPart[] => events.filter((event) => event.type === 'part');
const startsOf = (events: readonly SegmenterEvent[]): SegmentStart[] =>
  events.filter((event) => event.type === 'segment-start');
const endsOf = (events: readonly SegmenterEvent[]): SegmentEnd[] =>
  events.filter((event) => event.type === 'segment-end');
const samplesIn = (events: readonly SegmenterEvent[]): number =>
  partsOf(events).reduce((sum, part) => sum + part.samples.length, 0);

/** Video at 30 fps with a segment each 2 s, told as it arrives beside the audio. */
const alongVideo = (
  segmenter: AudioSegmenter,
  audio: readonly AudioUnit[],
  options: { untilMs: number; lagMs?: number; boundaryEveryMs?: number },
): SegmenterEvent[] => {
  const events: SegmenterEvent[] = [];
  const everyMs = options.boundaryEveryMs ?? 2_000;
  let frameIndex = 0;
  let videoMs = 0;
  let nextBoundaryMs = 0;
  let msn = 0;
  for (const unit of audio) {
    const arrivedMs = (unit.ptsTicks * 1000) / unit.track.timescaleHz;
    while (videoMs + (options.lagMs ?? 0) <= arrivedMs && videoMs < options.untilMs) {
      if (videoMs >= nextBoundaryMs) {
        segmenter.onBoundary({ atMs: videoMs, msn, isDiscontinuity: false });
        nextBoundaryMs += everyMs;
        msn += 1;
      }
      events.push(...segmenter.onVideoTime(videoMs));
      frameIndex += 1;
      videoMs = (frameIndex * 1000) / 30;
    }
    events.push(...segmenter.push(unit));
  }
  return events;
};

test('L4 L28 audio segments carry the numbers and the times of the video, in legal parts of whole frames', () => {
  for (const isWholeMs of [false, true]) {
    const segmenter = create({ followsVideo: true });
    const audio = syntheticAudio({ durationS: 13, isWholeMs });
    const events = [...alongVideo(segmenter, audio, { untilMs: 20_000 }), ...segmenter.end()];
    const { partMaxTicks, partMinTicks } = segmenter.plan;
    startsOf(events).forEach((start, index) => {
      assert.equal(start.msn, index);
      assert.ok(Math.abs(start.startPtsMs - index * 2_000) <= 11.5, `segment ${index} starts at ${start.startPtsMs}`);
    });
    const parts = partsOf(events);
    parts.forEach((part, index) => {
      const isLast = parts[index + 1]?.msn !== part.msn;
      assert.ok(part.durationTicks <= partMaxTicks);
      assert.ok(isLast || part.durationTicks >= partMinTicks);
      assert.ok(part.samples.every((sample) => sample.durationTicks === 1024 && sample.compositionOffsetTicks === 0));
      const before = parts[index - 1];
      assert.equal(part.startTicks, before === undefined ? 0 : before.startTicks + before.durationTicks);
    });
    assert.equal(samplesIn(events), audio.length);
    assert.ok(endsOf(events).every((end) => Math.round(end.durationTicks / 48_000) <= 2));
  }
});

test('L28 numbers stay aligned when the video comes 600 ms late', () => {
  const segmenter = create({ followsVideo: true });
  const events = alongVideo(segmenter, syntheticAudio({ durationS: 10 }), { untilMs: 20_000, lagMs: 600 });
  startsOf(events).forEach((start, index) => {
    assert.ok(Math.abs(start.startPtsMs - index * 2_000) <= 11.5);
  });
});

test('a stalled video stops the audio for a second at most', () => {
  const segmenter = create({ followsVideo: true });
  const audio = syntheticAudio({ durationS: 12 });
  const events = [...alongVideo(segmenter, audio, { untilMs: 3_000 }), ...segmenter.end()];
  assert.equal(samplesIn(events), audio.length);
  assert.ok(segmenter.heldCount === 0);
  assert.ok(endsOf(events).every((end) => Math.round(end.durationTicks / 48_000) <= 2));
});

test('audio alone cuts segments nearest 2 s', () => {
  const segmenter = create({ followsVideo: false });
  const audio = syntheticAudio({ durationS: 20, isWholeMs: true });
  const events = [...audio.flatMap((unit) => segmenter.push(unit)), ...segmenter.end()];
  assert.equal(samplesIn(events), audio.length);
  const whole = endsOf(events).slice(0, -1);
  assert.ok(whole.length >= 9);
  assert.ok(whole.every((end) => Math.abs(end.durationTicks / 48_000 - 2) < 0.012));
});

test('a hole in the sound stays where it is: nothing is heard early', () => {
  const segmenter = create({ followsVideo: false });
  const audio = syntheticAudio({ durationS: 4 }).filter((_, index) => index < 50 || index > 70);
  const events = [...audio.flatMap((unit) => segmenter.push(unit)), ...segmenter.end()];
  const starts = partsOf(events).flatMap((part) => {
    let atTicks = part.startTicks;
    return part.samples.map((sample) => {
      const startTicks = atTicks;
      atTicks += sample.durationTicks;
      return startTicks;
    });
  });
  assert.deepEqual(
    starts,
    audio.map((unit) => unit.dtsTicks),
  );
});

test('after a reconnect audio waits for the segment of the video that marks the discontinuity', () => {
  const segmenter = create({ followsVideo: true });
  const events = alongVideo(segmenter, syntheticAudio({ durationS: 3 }), { untilMs: 3_000 });
  const after = syntheticAudio({ durationS: 2, startMs: 13_000 }).map((unit, index) => ({
    ...unit,
    isDiscontinuity: index === 0,
  }));
  for (const unit of after.slice(0, 10)) {
    events.push(...segmenter.push(unit));
  }
  segmenter.onBoundary({ atMs: 13_080, msn: 2, isDiscontinuity: true });
  events.push(...segmenter.onVideoTime(13_080));
  for (const unit of after.slice(10)) {
    events.push(...segmenter.push(unit), ...segmenter.onVideoTime((unit.ptsTicks * 1000) / 48_000));
  }
  const marked = startsOf(events).filter((start) => start.isDiscontinuity);
  assert.equal(marked.length, 1);
  assert.equal(marked[0]?.msn, 2);
  assert.ok(Math.abs((marked[0]?.startPtsMs ?? 0) - 13_080) <= 11.5);
});

test('sound that returns before its pictures waits for them, and does not go into the last segment of the publisher before', () => {
  const segmenter = create({ followsVideo: true, epochAt: (mediaMs) => (mediaMs > 10_000 ? 1 : 0) });
  const events = alongVideo(segmenter, syntheticAudio({ durationS: 3.9 }), { untilMs: 3_900 });
  // The pictures were a little ahead when their encoder died.
  segmenter.onBoundary({ atMs: 4_000, msn: 2, isDiscontinuity: false });
  segmenter.onVideoTime(4_033);
  const after = syntheticAudio({ durationS: 2, startMs: 13_000 }).map((unit, index) => ({
    ...unit,
    isDiscontinuity: index === 0,
  }));
  segmenter.onVideoTime(13_000);
  events.push(...after.slice(0, 4).flatMap((unit) => segmenter.push(unit)));
  segmenter.onBoundary({ atMs: 13_080, msn: 3, isDiscontinuity: true });
  segmenter.onVideoTime(16_000);
  events.push(...after.slice(4).flatMap((unit) => segmenter.push(unit)), ...segmenter.end());
  const numbers = startsOf(events).map(({ msn, startPtsMs, isDiscontinuity }) => [
    msn,
    startPtsMs > 10_000,
    isDiscontinuity,
  ]);
  assert.deepEqual(numbers, [
    [0, false, false],
    [1, false, false],
    [3, true, true],
  ]);
});
