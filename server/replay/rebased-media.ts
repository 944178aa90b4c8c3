/**
 * Media files as the VOD serves them: the bytes on disk, but for the decoding times of what follows a reconnect, which are moved so that the gap
 * is gone from them as it is gone from the playlist. Same length, same place: byte ranges of the index stay true, and players that
 * take times as they are (ffmpeg, some televisions) play through.
 */
import { WorldError } from '../base/errors.ts';
import { msToTicks } from '../media/access-unit.ts';
import { readFragmentHead } from '../media/fmp4/fragment-reader.ts';
import { readFileSlice } from './file-stream.ts';
import type { OpenRecording, RecordedSegment } from './recording.ts';
import type { VodTimeline } from './vod-timeline.ts';
import { stretchOfMsn } from './vod-timeline.ts';

export type MediaFilePlace = { readonly trackId: number; readonly fileIndex: number };

/** Positions of the segments a file holds, and where the last of them ends. Undefined: the index knows no such file. */
export type MediaFile = MediaFilePlace & {
  readonly startPosition: number;
  readonly endPosition: number;
  readonly sizeBytes: number;
};

export const findMediaFile = ({ index }: OpenRecording, place: MediaFilePlace): MediaFile | undefined => {
  const { trackId, fileIndex } = place;
  const count = index.segmentCount(trackId);
  const fileAt = (position: number): number =>
    index.segmentAt(trackId, position)?.fileIndex ?? Number.POSITIVE_INFINITY;
  const startPosition = firstPosition(0, count, (position) => fileAt(position) >= fileIndex);
  const endPosition = firstPosition(startPosition, count, (position) => fileAt(position) > fileIndex);
  const last = index.segmentAt(trackId, endPosition - 1);
  return last === undefined || startPosition === endPosition
    ? undefined
    : { ...place, startPosition, endPosition, sizeBytes: last.byteOffset + last.byteLength };
};

/** `[startByte, endByte)` of a file, a segment at a time. Throws `WorldError` `REPLAY_MEDIA_GONE`, and `ProtocolError` `FMP4_DAMAGED`. */
export async function* streamRebased(
  recording: OpenRecording,
  options: {
    readonly file: MediaFile;
    readonly timeline: VodTimeline;
    readonly startByte: number;
    readonly endByte: number;
  },
): AsyncGenerator<Buffer> {
  const { file, timeline, startByte, endByte } = options;
  const { index } = recording;
  const path = recording.mediaFilePath(file);
  const segmentAt = (position: number): RecordedSegment | undefined => index.segmentAt(file.trackId, position);
  const endsAfter = (position: number): boolean => {
    const segment = segmentAt(position);
    return segment === undefined || segment.byteOffset + segment.byteLength > startByte;
  };
  let at = startByte;
  for (let position = firstPosition(file.startPosition, file.endPosition, endsAfter); at < endByte; position += 1) {
    const segment = position < file.endPosition ? segmentAt(position) : undefined;
    if (segment === undefined) {
      throw new WorldError('REPLAY_MEDIA_GONE', `the index ends before byte ${endByte} of a media file`);
    }
    if (segment.byteOffset > at) {
      // Left over from a write that failed: no playlist names it.
      yield readFileSlice({ path, startByte: at, endByte: Math.min(segment.byteOffset, endByte) });
      at = Math.min(segment.byteOffset, endByte);
    }
    if (at < endByte) {
      const from = at - segment.byteOffset;
      const to = Math.min(endByte - segment.byteOffset, segment.byteLength);
      yield (await readSegment(path, segment, shiftTicksOf(timeline, segment))).subarray(from, to);
      at = segment.byteOffset + to;
    }
  }
}

/** What takes the gaps before it out of a segment's times. The first stretch keeps its own, so that none falls below zero. */
export const shiftTicksOf = (timeline: VodTimeline, segment: RecordedSegment): number => {
  const stretch = stretchOfMsn(timeline, segment.msn);
  const firstMediaMs = timeline.stretches[0]?.mediaStartMs ?? 0;
  return stretch === undefined
    ? 0
    : msToTicks(stretch.startMs - (stretch.mediaStartMs - firstMediaMs), segment.timescaleHz);
};

const readSegment = async (path: string, segment: RecordedSegment, shiftTicks: number): Promise<Buffer> => {
  const startByte = segment.byteOffset;
  const bytes = await readFileSlice({ path, startByte, endByte: startByte + segment.byteLength });
  if (shiftTicks === 0) {
    return bytes;
  }
  for (let at = 0; at < bytes.byteLength;) {
    const head = readFragmentHead(bytes.subarray(at));
    if (head === undefined) {
      throw new WorldError('REPLAY_MEDIA_GONE', `segment ${segment.msn} ends inside a fragment`);
    }
    const startTicks = Math.max(0, head.startTicks + shiftTicks);
    bytes.writeBigUInt64BE(BigInt(startTicks), at + head.startTicksAtByte);
    at += head.fragmentBytes;
  }
  return bytes;
};

/** The first of `[from, to)` for which `holds`, which holds for all that follow as well; `to` when there is none. */
const firstPosition = (from: number, to: number, holds: (position: number) => boolean): number => {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
};
