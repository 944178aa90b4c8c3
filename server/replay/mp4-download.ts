/**
 * A recording, or a range of it, as one progressive MP4: the sample tables are made from the fragments' own heads, the media is
 * then copied as it lies on disk. Nothing is written; the size is known before the first byte goes out, so that downloads resume.
 */
import { WorldError } from '../base/errors.ts';
import { msToTicks, ticksToMs } from '../media/access-unit.ts';
import { readInitSegment } from '../media/fmp4/init-reader.ts';
import { writeProgressiveHead } from '../media/fmp4/progressive.ts';
import { CopyList } from './copy-list.ts';
import { Mp4Track, inBandNumber } from './mp4-track.ts';
import type { OpenRecording, RecordedSegment, RecordedTrack, RecordingIndex } from './recording.ts';
import type { HeadAt } from './segment-files.ts';
import { SegmentFiles } from './segment-files.ts';
import type { Stretch, VodTimeline } from './vod-timeline.ts';
import { segmentsOf } from './vod-timeline.ts';

/** On the replay's timeline. */
export type Mp4Range = { readonly fromMs: number; readonly toMs: number };

/** What is to be sent: `head`, then the copies. */
export type Mp4Download = {
  readonly head: Uint8Array;
  readonly copies: CopyList;
  /** By the copies' file numbers. */
  readonly filePaths: readonly string[];
  /** By the copies' file numbers that are no file's. */
  readonly inBandSets: ReadonlyMap<number, Uint8Array>;
  readonly sizeBytes: number;
};

/** Segments whose heads are being read at once. */
const AHEAD_MAX_COUNT = 8;

/** Rejects with `WorldError` `REPLAY_MEDIA_GONE` or `REPLAY_RANGE_EMPTY`, and with `ProtocolError` `FMP4_DAMAGED`. */
export const planMp4 = async (
  recording: OpenRecording,
  timeline: VodTimeline,
  range: Mp4Range,
): Promise<Mp4Download> => {
  const files = new SegmentFiles(recording);
  try {
    const tracks = tracksFor(recording.index, timeline);
    const outputs = tracks.map((track) => ({ track, mp4: newTrack(track, range) }));
    const copies = new CopyList();
    for (const stretch of timeline.stretches.filter(
      ({ startMs, endMs }) => endMs > range.fromMs && startMs < range.toMs,
    )) {
      await addStretch({ files, index: recording.index, timeline, stretch, range, outputs, copies });
    }
    const finished = outputs.flatMap(({ mp4 }) => mp4.finish() ?? []);
    if (finished.length === 0) {
      throw new WorldError('REPLAY_RANGE_EMPTY', 'nothing was recorded in this range');
    }
    const head = writeProgressiveHead(finished, copies.totalBytes);
    const inBandSets = new Map(
      timeline.leading.inits.map(({ initIndex, bytes }) => [
        inBandNumber(initIndex),
        readInitSegment(bytes).inBandSets,
      ]),
    );
    return { head, copies, filePaths: files.paths, inBandSets, sizeBytes: head.byteLength + copies.totalBytes };
  } finally {
    await files.close();
  }
};

/** The pictures that lead the timeline, and the first track of sound. */
const tracksFor = (index: RecordingIndex, { leading }: VodTimeline): RecordedTrack[] => {
  const sound = index.tracks.find(({ kind, trackId }) => kind === 'audio' && index.segmentCount(trackId) > 0);
  return leading.kind === 'audio' || sound === undefined ? [leading] : [leading, sound];
};

const newTrack = (track: RecordedTrack, range: Mp4Range): Mp4Track =>
  new Mp4Track({
    kind: track.kind,
    ...range,
    inits: track.inits.map((init) => readInitSegment(init.bytes)),
  });

type Output = { readonly track: RecordedTrack; readonly mp4: Mp4Track };

type StretchWork = {
  readonly files: SegmentFiles;
  readonly index: RecordingIndex;
  readonly timeline: VodTimeline;
  readonly stretch: Stretch;
  readonly range: Mp4Range;
  readonly outputs: readonly Output[];
  readonly copies: CopyList;
};

const addStretch = async (work: StretchWork): Promise<void> => {
  const { files, index, timeline, stretch, range, outputs, copies } = work;
  const [leading] = outputs;
  const first = leading === undefined ? undefined : index.segmentAt(leading.track.trackId, stretch.startPosition);
  if (leading === undefined || first === undefined) {
    return;
  }
  // The replay's timeline begins with the first picture shown, not with the first decoded.
  const offsetMs = leading.track.kind === 'video' ? await reorderMs(files, first) : 0;
  const shiftMs = stretch.startMs - stretch.mediaStartMs - offsetMs;
  const jobs = outputs.flatMap(({ track, mp4 }) => {
    const segments = segmentsOf(index, { timeline, trackId: track.trackId, stretch });
    return wantedSegments(segments, { track, range, shiftMs, offsetMs }).map((segment) => ({ segment, mp4, track }));
  });
  // Pictures before sound of the same two seconds: a player finds both near each other.
  jobs.sort((a, b) => a.segment.msn - b.segment.msn);
  for await (const { job, heads } of readAhead(jobs, files)) {
    const { segment, mp4, track } = job;
    if (track.kind === 'video' && mp4.sampleCount === 0) {
      mp4.skipUntil(keyframeBefore(heads, msToTicks(range.fromMs - shiftMs, segment.timescaleHz)));
    }
    const { initIndex } = segment;
    const fileNumber = files.numberOf(segment);
    for (const { head, byteOffset } of heads) {
      mp4.add({ head, byteOffset, initIndex, fileNumber, shiftMs, limitMs: stretch.endMs }, copies);
    }
  }
};

/** How long the first picture waits for its turn after it was decoded. */
const reorderMs = async (files: SegmentFiles, first: RecordedSegment): Promise<number> => {
  const heads = await files.readHeads(first);
  return ticksToMs(heads[0]?.head.compositionOffsetsTicks[0] ?? 0, first.timescaleHz);
};

/** A frame of sound before the range is decoded with it; none is longer. */
const SOUND_BEFORE_MS = 200;

/** Those that the range needs: of pictures from the last start of decoding before it on. */
const wantedSegments = (
  segments: readonly RecordedSegment[],
  options: {
    readonly track: RecordedTrack;
    readonly range: Mp4Range;
    readonly shiftMs: number;
    readonly offsetMs: number;
  },
): RecordedSegment[] => {
  const { track, range, shiftMs, offsetMs } = options;
  const startMsOf = ({ startTicks, timescaleHz }: RecordedSegment): number =>
    ticksToMs(startTicks, timescaleHz) + shiftMs;
  const endMsOf = (segment: RecordedSegment): number =>
    startMsOf(segment) + ticksToMs(segment.durationTicks, segment.timescaleHz);
  if (track.kind === 'audio') {
    return segments.filter((one) => endMsOf(one) > range.fromMs - SOUND_BEFORE_MS && startMsOf(one) < range.toMs);
  }
  const startPlace = segments.findLastIndex((one) => one.isIndependent && startMsOf(one) + offsetMs <= range.fromMs);
  return segments.filter((one, place) => place >= startPlace && startMsOf(one) < range.toMs);
};

/** Decoding time of the last keyframe shown at or before `ptsTicks`, of the first one when all are later. */
const keyframeBefore = (heads: readonly HeadAt[], ptsTicks: number): number => {
  let found: number | undefined;
  for (const { head } of heads) {
    let dtsTicks = head.startTicks;
    for (let index = 0; index < head.keyframes.length; index += 1) {
      const isBefore = dtsTicks + (head.compositionOffsetsTicks[index] ?? 0) <= ptsTicks;
      if (head.keyframes[index] === 1 && (isBefore || found === undefined)) {
        found = dtsTicks;
      }
      dtsTicks += head.durationsTicks[index] ?? 0;
    }
  }
  return found ?? Number.NEGATIVE_INFINITY;
};

type Job = { readonly segment: RecordedSegment; readonly mp4: Mp4Track; readonly track: RecordedTrack };

/** The heads of the jobs' segments, in order, a few read ahead. */
async function* readAhead(
  jobs: readonly Job[],
  files: SegmentFiles,
): AsyncGenerator<{ readonly job: Job; readonly heads: readonly HeadAt[] }> {
  const waiting: { job: Job; heads: Promise<readonly HeadAt[]> }[] = [];
  let next = 0;
  try {
    while (next < jobs.length || waiting.length > 0) {
      for (let job = jobs[next]; job !== undefined && waiting.length < AHEAD_MAX_COUNT; job = jobs[next]) {
        waiting.push({ job, heads: files.readHeads(job.segment) });
        next += 1;
      }
      const oldest = waiting.shift();
      if (oldest !== undefined) {
        yield { job: oldest.job, heads: await oldest.heads };
      }
    }
  } finally {
    await Promise.allSettled(waiting.map(({ heads }) => heads));
  }
}
