/** A rung's segments follow the main video's: the same numbers at the same pictures, whatever the rung misses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VideoUnit } from '../../../server/media/access-unit.ts';
import { LedSegmenter } from '../../../server/media/led-segmenter.ts';
import type { SegmenterEvent } from '../../../server/media/segmenter.ts';
import { VideoSegmenter } from '../../../server/media/segmenter.ts';
import { syntheticVideo, testVideoTrack } from '../../support/synthetic-media.ts';

const RATE = { partTargetMs: 333, frameRateFps: 30, timescaleHz: 90_000 };

type Told = { readonly main: SegmenterEvent[]; readonly rung: SegmenterEvent[] };

/** The main video arrives; each unit of the rung `lagCount` pictures later. */
const play = (main: readonly VideoUnit[], rung: readonly VideoUnit[], lagCount: number): Told => {
  const leader = new VideoSegmenter({ ...RATE, firstMsn: 0 });
  const led = new LedSegmenter({ ...RATE, epochAt: () => 0 });
  const told: Told = { main: [], rung: [] };
  const waiting = [...rung];
  for (const [index, unit] of main.entries()) {
    const dueTicks = (main[index - lagCount] ?? main.at(-1)!).dtsTicks;
    const pushRung = (): void => {
      const dueCount = index < lagCount ? 0 : waiting.findLastIndex((one) => one.dtsTicks <= dueTicks) + 1;
      told.rung.push(...waiting.splice(0, dueCount).flatMap((one) => led.push(one)));
    };
    if (lagCount < 0) {
      pushRung();
    }
    const events = leader.push(unit);
    told.main.push(...events);
    for (const event of events) {
      if (event.type === 'segment-start') {
        led.onBoundary({ atMs: event.startPtsMs, msn: event.msn, isDiscontinuity: event.isDiscontinuity });
      }
    }
    told.rung.push(...led.onMainTime(unit.dtsTicks / 90));
    pushRung();
  }
  told.rung.push(...waiting.flatMap((unit) => led.push(unit)), ...led.end());
  return told;
};

const startsOf = (events: readonly SegmenterEvent[]): string[] =>
  events.flatMap((event) =>
    event.type === 'segment-start'
      ? `${event.msn} at ${Math.round(event.startPtsMs)}${event.isDiscontinuity ? ' D' : ''}`
      : [],
  );

const partStartsOf = (events: readonly SegmenterEvent[]): number[] =>
  events.flatMap((event) => (event.type === 'part' ? event.startTicks : []));

const source = (over: Partial<Parameters<typeof syntheticVideo>[0]> = {}): VideoUnit[] =>
  syntheticVideo({ frameRateFps: 30, durationS: 11, gopFrames: 30, isWholeMs: true, ...over });

const smaller = (units: readonly VideoUnit[]): VideoUnit[] => {
  const track = testVideoTrack({ widthPx: 320, heightPx: 180 });
  return units.map((unit) => ({ ...unit, track, ptsTicks: unit.ptsTicks, dtsTicks: unit.ptsTicks }));
};

test('numbers, times and parts are those of the main video, however far the rung is behind, or before it', () => {
  for (const lagCount of [0, 2, 20, -3]) {
    const main = source();
    const { main: led, rung } = play(main, smaller(main), lagCount);
    assert.deepEqual(startsOf(rung), startsOf(led), `${lagCount} behind`);
    assert.deepEqual(partStartsOf(rung).slice(0, 20), partStartsOf(led).slice(0, 20));
  }
});

test('what a dead encoder did not make is a hole: the next keyframe goes on under the number that is due', () => {
  const main = source();
  const rung = smaller(main).filter((_, index) => index < 75 || index >= 210);
  assert.deepEqual(startsOf(play(main, rung, 2).rung), ['0 at 0', '1 at 2000', '3 at 7000', '4 at 8000', '5 at 10000']);
});

test('a rung that begins late begins with the segment that is under way, at its next keyframe', () => {
  const main = source();
  const rung = smaller(main).slice(100);
  assert.deepEqual(startsOf(play(main, rung, 2).rung), ['2 at 4000', '3 at 6000', '4 at 8000', '5 at 10000']);
});

test('a discontinuity of the main video is the rung’s, under the same number', () => {
  const main = source().map((unit, index) => ({ ...unit, isDiscontinuity: index === 150 }));
  const { main: led, rung } = play(main, smaller(main), 2);
  assert.deepEqual(startsOf(rung), startsOf(led));
  assert.ok(startsOf(rung).some((start) => start.endsWith('D')));
});

test('EXTINF stays legal when keyframes stay away', () => {
  const main = source();
  const rung = smaller(main).map((unit, index) => ({ ...unit, isKeyframe: unit.isKeyframe && index < 40 }));
  const ends = play(main, rung, 2).rung.flatMap((event) => (event.type === 'segment-end' ? event.durationTicks : []));
  assert.ok(ends.length > 0 && ends.every((ticks) => Math.round(ticks / 90_000) <= 2));
});
