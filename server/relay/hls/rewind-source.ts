/**
 * What LL-HLS needs of whoever keeps the past (the recorder), so that `?dvr=1` reaches back to the start of a broadcast. LL-HLS makes the
 * segments and hands each over when it is complete; later it asks for the bytes of one that its own memory has forgotten. Nothing else is
 * shared: numbers, dates, durations, discontinuities and URLs of the rewind playlist are LL-HLS's own, so that a segment has the same
 * number and the same URL for a viewer at the live edge and for one who rewound (RFC 8216bis 6.2.1: a URL that was listed never changes).
 */
import type { Track } from '../../media/track.ts';

/** `video` and `audio`: the renditions that the multivariant playlist names. */
export type HlsRenditionId = string;

/** Names one segment. `msn` is unique per broadcast and rendition and rises by one; audio may jump over numbers after a stall. */
export type RewindKey = {
  /** `Broadcast.id`, 32 hex digits. */
  readonly broadcastId: string;
  readonly renditionId: HlsRenditionId;
  readonly msn: number;
  /** Presentation time of its first unit on the media timeline, for who keeps segments by time. */
  readonly startPtsMs: number;
  readonly durationMs: number;
};

/** A whole segment: an fMP4 fragment for each of its parts, one after the other; `init` before them makes a playable file. */
export type CompletedSegment = RewindKey & {
  readonly broadcastName: string;
  readonly track: Track;
  readonly timescaleHz: number;
  readonly durationTicks: number;
  /** `EXT-X-PROGRAM-DATE-TIME` of its start, Unix milliseconds. */
  readonly startAtWallMs: number;
  /** It does not join the segment before: other parameters, another encoder, a gap. */
  readonly isDiscontinuity: boolean;
  /** False for a segment cut inside a GOP: it cannot be decoded without the one before. */
  readonly isIndependent: boolean;
  /** Rises when `init` differs from the one before; the same object as long as it is the same. */
  readonly initIndex: number;
  readonly init: Uint8Array;
  /** Shared with the live path and never written to again: keep it as long as you like, but count it. */
  readonly body: Uint8Array;
};

export type RewindSource = {
  /**
   * Called once for each segment, in order, synchronously on the packet path: it must neither block nor throw. What cannot be kept (disk
   * full, queue full) is simply not kept; `has` tells.
   */
  onSegment(segment: CompletedSegment): void;
  /**
   * Asked once per segment, when it leaves the live window (about 20 s after `onSegment`): will `read` give it from now on until the
   * broadcast has ended and a minute more? A segment still on its way to the disk counts. False puts `EXT-X-GAP` into the playlist, and
   * players jump over it. Must be cheap (a look into a map).
   */
  has(key: RewindKey): boolean;
  /**
   * The bytes as they were handed over, or undefined when they are gone after all (404, `HLS_MEDIA_GONE`). A rejection is answered with
   * 503 and `retry-after`. LL-HLS caps how many of these run at a time (`rewindReadMaxCount`) and asks once for identical requests.
   */
  read(key: RewindKey): Promise<Uint8Array | undefined>;
};
