/** What the element asks of whatever plays: a live broadcast with its past, or a replay. */
import type { SeekTimeline } from './playout/seek-timeline.ts';
import type { Thumbnail } from './transport/storyboard.ts';

export type MediaPlayer = {
  start(): void;
  close(): void;
  /** To a position of `timeline()`. */
  seek(positionMs: number): void;
  /** Live; where nothing is, the end. */
  goLive(): void;
  /** The viewer lets go of pause. */
  resume(): void;
  /** 1 at the live edge, whatever was said before. */
  setRate(ratio: number): void;
  step(frameCount: number): void;
  /** Null while unknown. */
  timeline(): SeekTimeline | null;
  /** The viewer looks at the bar: what it needs may be fetched. */
  showInterest(): void;
  /** Null where there is none (yet). */
  thumbnailAt(positionMs: number): Thumbnail | null;
};
