/** What a recording is, as its readers (VOD, rewind, MP4, library) see it: types only. */
import type { Cue } from '../api/contract/cues.ts';

/** Fixed when the recording begins, but for the title. */
export type RecordingHeader = {
  /** 128 random bits in hex; also the name of its folder. */
  readonly id: string;
  /** The broadcast's name. */
  readonly name: string;
  /** What people call it; the publisher may change it later. Empty until then. */
  readonly title: string;
  readonly startedAtWallMs: number;
};

/** Parameters of a track; a new one follows when the encoder changes them. Segments name theirs by `initIndex`. */
export type TrackInit = {
  /** 0 for the first of its track. */
  readonly initIndex: number;
  /** RFC 6381. */
  readonly codecString: string;
  /** 90 000 for pictures, the sample rate for sound. */
  readonly timescaleHz: number;
  /** Pixels; 0 for sound. */
  readonly widthPx: number;
  readonly heightPx: number;
  /** 0 for pictures. */
  readonly channelCount: number;
  /** The init segment: `ftyp` and `moov`, one track with id 1. */
  readonly bytes: Uint8Array;
};

/** One rendition of the recording. */
export type RecordedTrack = {
  /** Its place in `tracks`, 0 to 15. */
  readonly trackId: number;
  /** The playlist of LL-HLS it was: `video`, `audio`. */
  readonly renditionId: string;
  readonly kind: 'video' | 'audio';
  /** Of its first parameters. Sound whose sample rate changes has another later: where it matters, ask the segment. */
  readonly timescaleHz: number;
  /** At least one. */
  readonly inits: readonly TrackInit[];
};

/** One segment: where it lies in time, and where its bytes lie. A fresh object for each look; keep positions, not these. */
export type RecordedSegment = {
  readonly trackId: number;
  /** Rises within the track; a jump is a segment that was never made, or one left out (`isAfterLoss`). Equal numbers of two tracks cover the same time. */
  readonly msn: number;
  readonly initIndex: number;
  /** Of its init segment. */
  readonly timescaleHz: number;
  /** Decoding time of the first sample (`tfdt`) on the broadcast's timeline, in `timescaleHz`. Runs on over gaps. */
  readonly startTicks: number;
  readonly durationTicks: number;
  /** Does not join the segment before it: the source broke off, or the recorder left something out. */
  readonly isDiscontinuity: boolean;
  /** Begins with a keyframe. */
  readonly isIndependent: boolean;
  /** The recorder itself left segments out before this one (slow or full disk). Then `isDiscontinuity` is true as well. */
  readonly isAfterLoss: boolean;
  /** Program date time: Unix milliseconds at which its start was captured. */
  readonly wallMs: number;
  /** In the recording's folder: see `mediaFileName`. */
  readonly fileIndex: number;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Of its bytes (the polynomial of zlib). */
  readonly crc32: number;
};

/** Something that happened to the recording itself. */
export type RecordingMark = {
  readonly kind: 'loss' | 'end';
  readonly atWallMs: number;
  /** `disk_full`, `queue_full`, `broadcast_ended`, `recovered`… */
  readonly reason: string;
};

/** A cue that fired in the broadcast, as it was last: edited ones as they are now, withdrawn ones with the duration they had. */
export type RecordedCue = {
  readonly cue: Cue;
  /** It is to be in no list. */
  readonly isForgotten: boolean;
};

/** What an index yields. One that is still being recorded grows under its readers: positions stay what they are. */
export type RecordingIndex = {
  readonly header: RecordingHeader;
  readonly tracks: readonly RecordedTrack[];
  readonly marks: readonly RecordingMark[];
  /** By media time, on the broadcast's timeline. */
  readonly cues: readonly Cue[];
  /** Set once, when nothing follows. */
  readonly endReason: string | undefined;
  /** All media. */
  readonly mediaBytes: number;
  /** The longest track, gaps left out. */
  readonly durationMs: number;
  /** Rises with every change. */
  readonly version: number;
  segmentCount(trackId: number): number;
  /** `position` 0 … `segmentCount − 1`, in the order of time. */
  segmentAt(trackId: number, position: number): RecordedSegment | undefined;
  /** Position of this segment, or of the first after it; `segmentCount` when there is none. */
  positionOfMsn(trackId: number, msn: number): number;
  /** Played time before this position: the sum of durations, gaps left out. In constant time. */
  elapsedMsAt(trackId: number, position: number): number;
  /** Position of the segment that plays `elapsedMs` after the beginning, gaps left out; the last one beyond the end. */
  positionAtElapsedMs(trackId: number, elapsedMs: number): number;
};

/** One line of the library; read from the head and the tail of the index alone. */
export type RecordingSummary = RecordingHeader & {
  /** Undefined while it is being recorded. */
  readonly endedAtWallMs: number | undefined;
  readonly endReason: string | undefined;
  readonly durationMs: number;
  readonly mediaBytes: number;
};

/** An opened recording and its bytes. */
export type OpenRecording = {
  readonly index: RecordingIndex;
  readonly folder: string;
  /** The segment's bytes, checked against their checksum. Rejects with `WorldError` `REPLAY_MEDIA_GONE` or `REPLAY_MEDIA_DAMAGED`. */
  readSegment(segment: RecordedSegment): Promise<Buffer>;
  /** Where to read a segment's bytes without a check (byte ranges, streams): an absolute path. */
  mediaFilePath(segment: Pick<RecordedSegment, 'trackId' | 'fileIndex'>): string;
};

/** All recordings below one folder. */
export type Recordings = {
  /** Newest first; those being recorded are among them. */
  list(): readonly RecordingSummary[];
  summaryOf(id: string): RecordingSummary | undefined;
  /** Undefined for an unknown id (of any form: it never becomes a path). Opened ones are shared and kept for a while. */
  open(id: string): Promise<OpenRecording | undefined>;
  /** False for an unknown id. Throws `TypeError` for a title over 200 characters. */
  rename(id: string, title: string): Promise<boolean>;
  /** Removes the folder. False for an unknown id; throws `WorldError` `REPLAY_RECORDING_LIVE` for one that is being recorded. */
  remove(id: string): Promise<boolean>;
};

export const INDEX_FILE_NAME = 'index';

export const mediaFileName = (trackId: number, fileIndex: number): string => `${trackId}-${fileIndex}.m4s`;
