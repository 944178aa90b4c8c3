/**
 * A whole segment as LL-HLS packaged it, handed on to whoever keeps it (the recorder): packaged once, so that live, rewind and
 * replay are the same bytes under the same media sequence numbers.
 */
import type { Track } from './track.ts';

export type PackagedSegment = {
  /** `Broadcast.id`. */
  readonly broadcastId: string;
  readonly broadcastName: string;
  /** Which playlist of the broadcast it belongs to: `video`, `audio`. */
  readonly renditionId: string;
  /** Rises within a rendition, may jump; equal numbers of different renditions cover the same time. */
  readonly msn: number;
  readonly track: Track;
  readonly timescaleHz: number;
  readonly durationTicks: number;
  /** Its program date time, Unix milliseconds. */
  readonly startAtWallMs: number;
  /** It does not join the segment before. */
  readonly isDiscontinuity: boolean;
  /** Begins with a keyframe. */
  readonly isIndependent: boolean;
  /** The init segment it needs; the same object as long as the parameters are the same. */
  readonly init: Uint8Array;
  /** Whole fragments (`moof` + `mdat`), one after the other. Never written to, so it may be kept without a copy. */
  readonly body: Uint8Array;
};
