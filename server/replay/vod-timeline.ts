/**
 * The timeline a viewer of the replay sees: stretches of the broadcast, one behind the other, the gaps between them left out. Pure; read off
 * the index alone. All tracks break at the same segment numbers, so that players that count discontinuities count alike.
 */
import { ticksToMs } from '../media/access-unit.ts';
import type { RecordedSegment, RecordedTrack, RecordingIndex } from './recording.ts';

/** What joins without a gap: from one encoder's start to its end, or to something the recorder left out. */
export type Stretch = {
  readonly firstMsn: number;
  /** Of the stretch that follows; infinite for the last. */
  readonly endMsn: number;
  /** Positions in the leading track. */
  readonly startPosition: number;
  readonly endPosition: number;
  /** On the replay's timeline. */
  readonly startMs: number;
  readonly endMs: number;
  /** Decoding time of its first segment on the broadcast's timeline. */
  readonly mediaStartMs: number;
  /** Unix milliseconds at which that was captured. */
  readonly wallStartMs: number;
};

export type VodTimeline = {
  /** The track whose durations are the timeline: pictures where there are any. */
  readonly leading: RecordedTrack;
  readonly stretches: readonly Stretch[];
  readonly durationMs: number;
};

/** Undefined while nothing was recorded yet. */
export const readVodTimeline = (index: RecordingIndex): VodTimeline | undefined => {
  const leading = leadingTrack(index);
  if (leading === undefined) {
    return undefined;
  }
  const { trackId } = leading;
  const count = index.segmentCount(trackId);
  const starts = new Set([0]);
  for (const msn of breakMsns(index)) {
    starts.add(index.positionOfMsn(trackId, msn));
  }
  const positions = [...starts].filter((position) => position < count).toSorted((a, b) => a - b);
  const stretches = positions.flatMap((startPosition, place) => {
    const first = index.segmentAt(trackId, startPosition);
    const endPosition = positions[place + 1] ?? count;
    const next = index.segmentAt(trackId, endPosition);
    if (first === undefined) {
      return [];
    }
    return {
      firstMsn: first.msn,
      endMsn: endPosition === count ? Number.POSITIVE_INFINITY : (next?.msn ?? Number.POSITIVE_INFINITY),
      startPosition,
      endPosition,
      startMs: index.elapsedMsAt(trackId, startPosition),
      endMs: index.elapsedMsAt(trackId, endPosition),
      mediaStartMs: ticksToMs(first.startTicks, first.timescaleHz),
      wallStartMs: first.wallMs,
    };
  });
  return { leading, stretches, durationMs: index.elapsedMsAt(trackId, count) };
};

/** The stretch a segment lies in. */
export const stretchOfMsn = ({ stretches }: VodTimeline, msn: number): Stretch | undefined =>
  stretches.findLast((stretch) => stretch.firstMsn <= msn);

/**
 * Where an instant of the broadcast's timeline lies in the replay, and which date the replay's playlists have there. What lies in a gap, or before the
 * recording's beginning, is where the replay goes on; undefined for what lies behind all that was recorded.
 */
export const placeOfMedia = (
  { stretches }: VodTimeline,
  mediaMs: number,
): { readonly positionMs: number; readonly wallMs: number } | undefined => {
  const stretch = stretches.find(({ mediaStartMs, startMs, endMs }) => mediaMs < mediaStartMs + (endMs - startMs));
  if (stretch === undefined) {
    return undefined;
  }
  const intoMs = Math.max(0, mediaMs - stretch.mediaStartMs);
  return { positionMs: stretch.startMs + intoMs, wallMs: stretch.wallStartMs + intoMs };
};

/** Largest picture first; sound where there is none. */
const leadingTrack = (index: RecordingIndex): RecordedTrack | undefined =>
  index.tracks.filter((track) => index.segmentCount(track.trackId) > 0).toSorted((a, b) => areaOf(b) - areaOf(a))[0];

const areaOf = (track: RecordedTrack): number =>
  Math.max(...track.inits.map((init) => init.widthPx * init.heightPx)) + (track.kind === 'video' ? 1 : 0);

/** Where any track breaks, all do. */
const breakMsns = (index: RecordingIndex): Set<number> => {
  const msns = new Set<number>();
  for (const { trackId } of index.tracks) {
    const count = index.segmentCount(trackId);
    for (let position = 1; position < count; position += 1) {
      const segment = index.segmentAt(trackId, position);
      if (segment?.isDiscontinuity === true) {
        msns.add(segment.msn);
      }
    }
  }
  return msns;
};

/** One track's segments in one stretch. Of a track that follows, only those that the leading track has too: the rest has no place in time. */
export const segmentsOf = (
  index: RecordingIndex,
  options: { readonly timeline: VodTimeline; readonly trackId: number; readonly stretch: Stretch },
): RecordedSegment[] => {
  const { timeline, trackId, stretch } = options;
  const leadingId = timeline.leading.trackId;
  const isLed = ({ msn }: RecordedSegment): boolean =>
    trackId === leadingId || index.segmentAt(leadingId, index.positionOfMsn(leadingId, msn))?.msn === msn;
  const segments: RecordedSegment[] = [];
  const count = index.segmentCount(trackId);
  for (let position = index.positionOfMsn(trackId, stretch.firstMsn); position < count; position += 1) {
    const segment = index.segmentAt(trackId, position);
    if (segment === undefined || segment.msn >= stretch.endMsn) {
      break;
    }
    if (isLed(segment)) {
      segments.push(segment);
    }
  }
  return segments;
};
