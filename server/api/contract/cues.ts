/**
 * Cues as they leave the server: over `/ws/NAME`, in `EXT-X-DATERANGE` (`X-SLUICE-CUE`, the JSON of a `Cue`), in `chapters.json` of a recording.
 * Until its instant nobody but the host is told more of a cue than a `CueMark`.
 */

/**
 * `media`: every viewer sees it with the frame of its instant, whatever their latency. `clock`: all see it in the same instant, for drops that must
 * be fair; it is then no longer with the frame.
 */
export type CueMode = 'media' | 'clock';

/** What is known of a cue ahead of time. */
export type CueMark = {
  /** `[A-Za-z0-9_.-]`, at most 64 characters; unique within a broadcast. */
  readonly id: string;
  readonly mode: CueMode;
  /** On the media timeline: where it belongs in the picture, and in the replay. */
  readonly mediaMs: number;
  /** The same instant as LL-HLS tells it (program date time); of a WHEP viewer `rtp-mapping` tells the same. */
  readonly programWallMs: number;
  /** `clock` mode: when to show it, by the server's clock. Null in `media` mode. */
  readonly showAtWallMs: number | null;
};

/** A cue that has fired. All texts are plain text, to be escaped by who shows them; all URLs are http(s). */
export type Cue = CueMark & {
  /** `product`, `message`, or a word of the shop's own (`[a-z][a-z0-9-]{0,31}`). */
  readonly kind: string;
  readonly title?: string;
  /** As shown: `¥199`, `from 12 €`. */
  readonly price?: string;
  readonly picture?: string;
  readonly link?: string;
  /** How long it stays, in media time (`clock` mode: in real time); null: until it is withdrawn or the broadcast ends. */
  readonly durationMs: number | null;
  /** At most 8 kB of JSON. */
  readonly payload?: unknown;
  /** Tickets to be had at `POST /api/broadcasts/NAME/drops/ID/claims`; absent: it is no drop. */
  readonly stock?: number;
};

/** What a socket is told of cues. */
export type CueMessage =
  /** At first, and after a reconnect: what is to come, and what has fired (oldest first, at most 200). It replaces all that was told before. */
  | { readonly type: 'cues'; readonly marks: readonly CueMark[]; readonly cues: readonly Cue[] }
  /** A countdown has begun, or its instant has moved. */
  | { readonly type: 'cue-mark'; readonly mark: CueMark }
  /** It has fired, or was edited since: replaces the mark or the cue of the same id. */
  | { readonly type: 'cue'; readonly cue: Cue }
  /** Mark or cue are void; what is on screen goes. */
  | { readonly type: 'cue-withdrawn'; readonly id: string };

/** `GET /replay/ID/chapters.json`: `{ chapters }`, by time. `chapters.vtt` has the same starts, ends and titles. */
export type Chapter = {
  readonly startMs: number;
  /** Exclusive; of the last one the recording's end. */
  readonly endMs: number;
  readonly title: string;
  readonly cue: Cue;
};
