/**
 * What a seek bar spans, and where in it the picture is. A live broadcast is counted in Unix milliseconds at capture, from its start to now; a replay in
 * milliseconds from its beginning. Pure.
 */
export type SeekTimeline = {
  readonly startMs: number;
  readonly endMs: number;
  /** Of the picture on screen, or of the one that was asked for and is on its way. */
  readonly positionMs: number;
  /** It grows, and its end is now. */
  readonly isLive: boolean;
  /** The viewer watches live, as live as the path allows. */
  readonly isAtEdge: boolean;
};

export type SeekWish = { readonly type: 'go-live' } | { readonly type: 'seek'; readonly positionMs: number };

/** Nearer to now than this is live: with whole segments of 2 s there is no playing nearer without stalls. */
export const EDGE_MS = 3000;
/** Below this there is nothing worth a bar. */
const SPAN_MIN_MS = 1000;

/** What a wish for a place comes to: inside the bar, and live where it is that near to now. */
export const seekTo = (timeline: SeekTimeline, positionMs: number): SeekWish => {
  const { startMs, endMs, isLive } = timeline;
  const within = Math.min(Math.max(positionMs, startMs), Math.max(startMs, endMs));
  return isLive && endMs - within < EDGE_MS ? { type: 'go-live' } : { type: 'seek', positionMs: within };
};

export const seekBy = (timeline: SeekTimeline, byMs: number): SeekWish => seekTo(timeline, timeline.positionMs + byMs);

/** `ratio` of the bar, 0 to 1. */
export const seekToRatio = (timeline: SeekTimeline, ratio: number): SeekWish =>
  seekTo(timeline, positionAt(timeline, ratio));

export const positionAt = ({ startMs, endMs }: SeekTimeline, ratio: number): number =>
  startMs + Math.min(1, Math.max(0, ratio)) * Math.max(0, endMs - startMs);

/** Where on the bar a position is, 0 to 1. At the live edge it is the end, whatever the latency. */
export const ratioOf = (timeline: SeekTimeline, positionMs: number): number => {
  const spanMs = timeline.endMs - timeline.startMs;
  return spanMs <= 0 ? 1 : Math.min(1, Math.max(0, (positionMs - timeline.startMs) / spanMs));
};

export const playedRatio = (timeline: SeekTimeline): number =>
  timeline.isAtEdge ? 1 : ratioOf(timeline, timeline.positionMs);

export const behindMs = ({ endMs, positionMs }: SeekTimeline): number => Math.max(0, endMs - positionMs);

export const isSeekable = (timeline: SeekTimeline | null): timeline is SeekTimeline =>
  timeline !== null && timeline.endMs - timeline.startMs >= (timeline.isLive ? EDGE_MS : 0) + SPAN_MIN_MS;
