/** A recording made without a server: units through the packager's own segmenters, bytes into files, rows into an index. */
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { AudioSegmenter } from '../../server/media/audio-segmenter.ts';
import type { AccessUnit, AudioUnit, VideoUnit } from '../../server/media/access-unit.ts';
import { isAudioUnit, isVideoUnit } from '../../server/media/access-unit.ts';
import { writeFragment } from '../../server/media/fmp4/fragment.ts';
import { writeInitSegment } from '../../server/media/fmp4/init-segment.ts';
import type { SegmentStart, SegmenterEvent } from '../../server/media/segmenter.ts';
import { VideoSegmenter, isSameTrack } from '../../server/media/segmenter.ts';
import type { Track } from '../../server/media/track.ts';
import type { OpenRecording, RecordedSegment } from '../../server/replay/recording.ts';
import { mediaFileName } from '../../server/replay/recording.ts';
import { SegmentIndex } from '../../server/replay/segment-index.ts';
import { interleave } from './synthetic-media.ts';

export const SAMPLE_ID = '0123456789abcdef0123456789abcdef';
const WALL_AT_ZERO_MS = 1_700_000_000_000;
const FILE_ROLL_SEGMENTS = 3;

export type SampleStretch = {
  /** On the broadcast's timeline: after a gap, later than the end of the stretch before. */
  readonly startMs: number;
  readonly video?: readonly VideoUnit[];
  readonly audio?: readonly AudioUnit[];
};

/** `endReason` absent: still being recorded. */
export const makeSampleRecording = (
  folder: string,
  stretches: readonly SampleStretch[],
  options: { readonly isEnded?: boolean; readonly title?: string } = {},
): OpenRecording & { readonly index: SegmentIndex } => {
  const header = { id: SAMPLE_ID, name: 'demo', title: options.title ?? '', startedAtWallMs: WALL_AT_ZERO_MS };
  const index = new SegmentIndex(header);
  const hasVideo = stretches.some(({ video }) => video !== undefined);
  const writers = {
    video: new TrackFiles({ folder, index, kind: 'video', trackId: 0 }),
    audio: new TrackFiles({ folder, index, kind: 'audio', trackId: hasVideo ? 1 : 0 }),
  };
  feed(stretches, writers);
  writers.video.finish();
  writers.audio.finish();
  if (options.isEnded !== false) {
    const { durationMs, mediaBytes } = index;
    const endedAtWallMs = WALL_AT_ZERO_MS + durationMs;
    index.apply({
      type: 'summary',
      summary: { ...header, endedAtWallMs, endReason: 'broadcast_ended', durationMs, mediaBytes },
    });
  }
  const mediaFilePath = ({ trackId, fileIndex }: Pick<RecordedSegment, 'trackId' | 'fileIndex'>): string =>
    join(folder, mediaFileName(trackId, fileIndex));
  return {
    index,
    folder,
    mediaFilePath,
    readSegment: async (segment) => {
      const bytes = await readFile(mediaFilePath(segment));
      return bytes.subarray(segment.byteOffset, segment.byteOffset + segment.byteLength);
    },
  };
};

const shifted = <U extends AccessUnit>(unit: U, startMs: number, isDiscontinuity: boolean): U => {
  const shiftTicks = Math.round((startMs * unit.track.timescaleHz) / 1000);
  return {
    ...unit,
    dtsTicks: unit.dtsTicks + shiftTicks,
    ptsTicks: unit.ptsTicks + shiftTicks,
    arrivedAtMs: unit.arrivedAtMs + startMs,
    isDiscontinuity,
  };
};

const feed = (stretches: readonly SampleStretch[], writers: { video: TrackFiles; audio: TrackFiles }): void => {
  const video = new VideoSegmenter({ partTargetMs: 333, frameRateFps: 30, timescaleHz: 90_000, firstMsn: 0 });
  const track = stretches.find(({ audio }) => audio !== undefined)?.audio?.[0]?.track;
  const followsVideo = stretches.some((one) => one.video !== undefined);
  const audio =
    track === undefined
      ? undefined
      : new AudioSegmenter({ partTargetMs: 333, track, firstMsn: 0, followsVideo, epochAt: () => 0 });
  stretches.forEach((stretch, place) => {
    const units = interleave<AccessUnit>(
      (stretch.video ?? []).map((unit, at) => shifted(unit, stretch.startMs, place > 0 && at === 0)),
      (stretch.audio ?? []).map((unit, at) => shifted(unit, stretch.startMs, place > 0 && at === 0)),
    );
    for (const unit of units) {
      if (isVideoUnit(unit)) {
        const events = video.push(unit);
        events.forEach((event) => writers.video.take(event));
        for (const { startPtsMs, msn, isDiscontinuity } of events.filter((event) => event.type === 'segment-start')) {
          audio?.onBoundary({ atMs: startPtsMs, msn, isDiscontinuity });
        }
        audio?.onVideoTime(unit.dtsTicks / 90).forEach((event) => writers.audio.take(event));
      } else if (isAudioUnit(unit)) {
        audio?.push(unit).forEach((event) => writers.audio.take(event));
      }
    }
  });
  video.end().forEach((event) => writers.video.take(event));
  audio?.end().forEach((event) => writers.audio.take(event));
};

/** One track's segments, as the recorder would write them; a new file every few. */
class TrackFiles {
  readonly #options: { folder: string; index: SegmentIndex; kind: 'video' | 'audio'; trackId: number };
  #start: SegmentStart | undefined;
  #startTicks = 0;
  #fragments: Uint8Array[] = [];
  #fileChunks: Uint8Array[] = [];
  #fileBytes = 0;
  #fileIndex = 0;
  #segmentCount = 0;
  #fragmentCount = 0;
  #track: Track | undefined;
  #initIndex = -1;

  constructor(options: { folder: string; index: SegmentIndex; kind: 'video' | 'audio'; trackId: number }) {
    this.#options = options;
  }

  take(event: SegmenterEvent): void {
    if (event.type === 'segment-start') {
      this.#start = event;
      this.#fragments = [];
      this.#useTrack(event.track);
      return;
    }
    if (event.type === 'part') {
      this.#startTicks = this.#fragments.length === 0 ? event.startTicks : this.#startTicks;
      this.#fragments.push(writeFragment(event, (this.#fragmentCount += 1)));
      return;
    }
    this.#store(event.durationTicks);
  }

  finish(): void {
    if (this.#fileChunks.length > 0) {
      const { folder, trackId } = this.#options;
      writeFileSync(join(folder, mediaFileName(trackId, this.#fileIndex)), Buffer.concat(this.#fileChunks));
      this.#fileChunks = [];
      this.#fileBytes = 0;
      this.#fileIndex += 1;
    }
  }

  #useTrack(track: Track): void {
    if (this.#track !== undefined && isSameTrack(this.#track, track)) {
      return;
    }
    this.#track = track;
    this.#initIndex += 1;
    const { index, kind, trackId } = this.#options;
    const init = {
      initIndex: this.#initIndex,
      codecString: track.codecString,
      timescaleHz: track.timescaleHz,
      widthPx: track.kind === 'video' ? track.widthPx : 0,
      heightPx: track.kind === 'video' ? track.heightPx : 0,
      channelCount: track.kind === 'audio' ? track.channelCount : 0,
      bytes: writeInitSegment(track),
    };
    index.apply({ type: 'track', track: { trackId, renditionId: kind, kind, init } });
  }

  #store(durationTicks: number): void {
    const start = this.#start;
    const bytes = Buffer.concat(this.#fragments);
    if (start === undefined || bytes.byteLength === 0) {
      return;
    }
    this.#options.index.apply({
      type: 'segment',
      segment: {
        trackId: this.#options.trackId,
        msn: start.msn,
        initIndex: this.#initIndex,
        startTicks: this.#startTicks,
        durationTicks,
        isDiscontinuity: start.isDiscontinuity,
        isIndependent: start.isIndependent,
        isAfterLoss: false,
        wallMs: WALL_AT_ZERO_MS + (this.#startTicks * 1000) / start.track.timescaleHz,
        fileIndex: this.#fileIndex,
        byteOffset: this.#fileBytes,
        byteLength: bytes.byteLength,
        crc32: crc32(bytes),
      },
    });
    this.#fileChunks.push(bytes);
    this.#fileBytes += bytes.byteLength;
    this.#segmentCount += 1;
    if (this.#segmentCount % FILE_ROLL_SEGMENTS === 0) {
      this.finish();
    }
  }
}
