/**
 * Encoders that die anywhere and return anyhow, through the timeline and LL-HLS into a recording's index: on the replay's own timeline no track
 * steps back, and none has a hole but where the encoder left it one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../server/base/prng.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { ticksToMs } from '../../server/media/access-unit.ts';
import { readFragmentHead } from '../../server/media/fmp4/fragment-reader.ts';
import type { CompletedSegment } from '../../server/relay/hls/rewind-source.ts';
import { shiftTicksOf } from '../../server/replay/rebased-media.ts';
import { SegmentIndex } from '../../server/replay/segment-index.ts';
import { readVodTimeline, segmentsOf } from '../../server/replay/vod-timeline.ts';
import { HlsRig } from '../support/hls-rig.ts';
import { syntheticAudio, syntheticVideo } from '../support/synthetic-media.ts';

const RUN_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 3_000 : 150;

type Life = { readonly startMs: number; readonly units: readonly AccessUnit[] };

/** One encoder from its start to its death, in the order and at the times its units arrive. */
const livePublisher = (prng: Prng, startMs: number): Life => {
  const durationS = 0.3 + 6 * prng.nextRatio();
  const between = (leastMs: number, mostMs: number): number => leastMs + (mostMs - leastMs) * prng.nextRatio();
  const isUneven = prng.nextIndex(3) === 0;
  const video = syntheticVideo({
    ...{ frameRateFps: 30, durationS, isWholeMs: true, seed: 1 + prng.nextIndex(1_000) },
    ...{ gopFrames: [30, 30, 60, 15][prng.nextIndex(4)]!, startMs: isUneven ? between(0, 900) : 0 },
  });
  const audio = syntheticAudio({ durationS, isWholeMs: true, startMs: isUneven ? between(0, 900) : between(0, 40) });
  // A muxer interleaves by stamp; an encoder that hangs, or a muxer that does not, lets one fall behind the other.
  const lagMs = prng.nextIndex(3) === 0 && startMs > 0 ? between(-900, 900) : 0;
  const lastMs = 1000 * durationS - (prng.nextIndex(2) === 0 ? between(0, 800) : 0);
  const arrivals = [
    ...video.map((unit) => ({ unit, atMs: unit.dtsTicks / 90 + Math.max(0, lagMs) })),
    ...audio.map((unit) => ({ unit, atMs: unit.dtsTicks / 48 + Math.max(0, -lagMs) })),
  ].filter(({ atMs }) => atMs <= lastMs);
  arrivals.sort((a, b) => a.atMs - b.atMs);
  let arrivedMs = startMs;
  const units = arrivals.map(({ unit, atMs }): AccessUnit => {
    // The machine stands still now and then; what was due meanwhile arrives at once.
    const stallMs = prng.nextIndex(60) === 0 ? between(0, 1_500) : 0;
    arrivedMs = Math.max(arrivedMs + stallMs, startMs + atMs);
    return { ...unit, arrivedAtMs: arrivedMs, arrivedAtWallMs: 1_700_000_000_000 + arrivedMs };
  });
  return { startMs, units };
};

const record = (prng: Prng): SegmentIndex => {
  const index = new SegmentIndex({ id: 'f'.repeat(32), name: 'demo', title: '', startedAtWallMs: 1_700_000_000_000 });
  const bytesWritten = new Map<string, number>();
  const onSegment = (segment: CompletedSegment): void => {
    const { renditionId, track, timescaleHz, initIndex } = segment;
    const known = index.trackOf(renditionId);
    const trackId = known?.trackId ?? index.tracks.length;
    if (known?.inits.some((init) => init.initIndex === initIndex) !== true) {
      const shape = { widthPx: track.kind === 'video' ? track.widthPx : 0, heightPx: 0, channelCount: 0 };
      const init = { ...shape, initIndex, codecString: track.codecString, timescaleHz, bytes: segment.init };
      assert.ok(index.apply({ type: 'track', track: { trackId, renditionId, kind: track.kind, init } }));
    }
    const byteOffset = bytesWritten.get(renditionId) ?? 0;
    bytesWritten.set(renditionId, byteOffset + segment.body.byteLength);
    const startTicks = readFragmentHead(segment.body)!.startTicks;
    const { msn, durationTicks, isDiscontinuity, isIndependent, startAtWallMs } = segment;
    const row = { trackId, msn, initIndex, timescaleHz, startTicks, durationTicks, isDiscontinuity, isIndependent };
    const place = { isAfterLoss: false, wallMs: startAtWallMs, fileIndex: 0, byteOffset, crc32: 0 };
    const isTaken = index.apply({
      type: 'segment',
      segment: { ...row, ...place, byteLength: segment.body.byteLength },
    });
    assert.ok(isTaken, `segment ${msn} of ${renditionId} is refused by the index`);
  };
  const rig = new HlsRig({ rewind: { onSegment, has: () => true, read: async () => Promise.resolve(undefined) } });
  let startMs = 0;
  for (let life = 0; life < 3; life += 1) {
    const { units } = livePublisher(prng, startMs);
    rig.push(units);
    rig.feed.close('gone');
    startMs = rig.clock.nowMs() + 50 + 3_000 * prng.nextRatio();
    rig.publish();
  }
  rig.broadcast.end('test');
  rig.close();
  return index;
};

/** Where each listed segment lies on the replay's timeline. */
type Place = { readonly msn: number; readonly startMs: number; readonly endMs: number; readonly isJoin: boolean };

const placesOf = (index: SegmentIndex, trackId: number): Place[] => {
  const timeline = readVodTimeline(index);
  return (timeline?.stretches ?? []).flatMap((stretch) =>
    segmentsOf(index, { timeline: timeline!, trackId, stretch }).map((segment, place) => {
      const { msn, startTicks, durationTicks, timescaleHz } = segment;
      const startMs = ticksToMs(startTicks + shiftTicksOf(timeline!, segment), timescaleHz);
      return { msn, startMs, endMs: startMs + ticksToMs(durationTicks, timescaleHz), isJoin: place === 0 };
    }),
  );
};

const FRAME_MS = 34;
/** Between the first picture of an encoder and its first sound; see `livePublisher`. */
const UNEVEN_MAX_MS = 900;
/** The first picture behind a short gap is decoded early, so that its segment begins where the one before ended. */
const BRIDGE_MAX_MS = 334;

test('an encoder that dies anywhere and returns anyhow leaves no step in the replay', () => {
  const firstSeed = Number(process.env['SLUICE_SEED'] ?? 1);
  for (let seed = firstSeed; seed < firstSeed + RUN_COUNT; seed += 1) {
    const index = record(new Prng(seed));
    const [video, audio] = ['video', 'audio'].map((id) => {
      const track = index.trackOf(id);
      return track === undefined ? [] : placesOf(index, track.trackId);
    });
    video?.forEach((place, at) => {
      const stepMs = place.startMs - (video[at - 1]?.endMs ?? place.startMs);
      assert.ok(Math.abs(stepMs) < FRAME_MS, `seed ${seed}: pictures step by ${stepMs} ms at segment ${place.msn}`);
    });
    const pictures = new Map(video?.map((place) => [place.msn, place]));
    for (const { msn, startMs, isJoin } of audio ?? []) {
      const lateMs = startMs - (pictures.get(msn)?.startMs ?? Number.NaN);
      const lateMaxMs = FRAME_MS + (isJoin ? UNEVEN_MAX_MS + BRIDGE_MAX_MS : 0);
      assert.ok(lateMs > -FRAME_MS && lateMs < lateMaxMs, `seed ${seed}: sound ${lateMs} ms late at segment ${msn}`);
    }
  }
});
