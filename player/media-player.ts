/** What the element asks of whatever plays: a live broadcast with its past, or a replay. */
import type { RenditionSummary } from '../server/api/contract/socket.ts';
import type { SeekTimeline } from './playout/seek-timeline.ts';
import type { Thumbnail } from './transport/storyboard.ts';

export type RenditionChoice = {
  /** Largest first; two at least. */
  readonly renditions: readonly RenditionSummary[];
  /** `auto`, or the id of what the viewer wants, which may not be there just now. */
  readonly wantedId: string;
};

/** A mark on the bar. */
export type ChapterMark = {
  /** On `timeline()`. */
  readonly startMs: number;
  readonly title: string;
};

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
  /** Of the frame on screen, on the broadcast's media timeline; null while unknown, and in a replay. */
  mediaMs(): number | null;
  /** What has been shown and has a title, by time; empty while there is nothing, or nothing is known. */
  chapters(): readonly ChapterMark[];
  /** Null while there is nothing to choose. */
  renditions(): RenditionChoice | null;
  /** `auto`, or an id of `renditions()`. The picture on screen goes on until the other is there. */
  chooseRendition(id: string): void;
};
