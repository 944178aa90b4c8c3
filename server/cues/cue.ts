/** What the parts of this folder pass among themselves. What leaves the server is in `api/contract/cues.ts`, what a host sees in `cues-host.ts`. */
import type { Cue, CueMark } from '../api/contract/cues.ts';
import type { CueAt, CueContent, CueState } from '../api/contract/cues-host.ts';

/** The media clock of a live broadcast at one instant. */
export type MediaNow = {
  readonly broadcastId: string;
  /** Media up to here has arrived, or would have if it came as promptly as its promptest pictures. */
  readonly reachedMs: number;
  /** Nothing comes just now, so time alone will not bring the next cue about. */
  readonly isStalled: boolean;
  /** Wall clock of a picture's arrival minus its media time: how an instant becomes a place. */
  readonly arrivalOffsetMs: number;
  /** Program date time as the playlists state it, minus media time. Undefined before their first segment. */
  readonly programOffsetMs: number | undefined;
  /** From capture to arrival, where the request does not say. */
  readonly encoderDelayMs: number;
};

/** `media` is undefined while nobody is live. */
export type CueNow = { readonly nowMs: number; readonly wallMs: number; readonly media: MediaNow | undefined };

/** Where a cue lies. */
export type CuePlace = {
  readonly mediaMs: number;
  readonly programWallMs: number;
  /** `clock` mode. */
  readonly showAtWallMs: number | null;
};

/** One cue of a broadcast's name. Never changed, only replaced. */
export type CueRecord = {
  readonly content: CueContent;
  readonly state: CueState;
  /** As asked for. */
  readonly at: CueAt | null;
  /** Undefined while it is prepared. */
  readonly place: CuePlace | undefined;
  readonly firedAtWallMs: number | undefined;
};

/** What happened to a cue. */
export type CueEvent =
  /** It has an instant, or another one. */
  | { readonly type: 'armed'; readonly mark: CueMark; readonly content: CueContent }
  /** It has none any more, and waits again. */
  | { readonly type: 'disarmed'; readonly id: string; readonly content: CueContent }
  | { readonly type: 'fired'; readonly cue: Cue; readonly lateMs: number }
  /** It was on when the server stopped, and goes on in a new broadcast: it lies before that one's beginning. */
  | { readonly type: 'carried'; readonly content: CueContent; readonly cue: Cue }
  /** Its content changed; `cue` is there when it has fired. */
  | { readonly type: 'edited'; readonly content: CueContent; readonly cue: Cue | undefined }
  | {
      readonly type: 'withdrawn';
      readonly content: CueContent;
      /** As it was until now, if it had fired: its duration ends where the broadcast's media stands. */
      readonly cue: Cue | undefined;
      /** It is not to be found in the recording either. */
      readonly isForgotten: boolean;
      /** Viewers knew of it. */
      readonly wasTold: boolean;
    }
  /** What had fired is over: its time has passed (`duration`), or the broadcast has ended. */
  | { readonly type: 'ended'; readonly content: CueContent; readonly reason: 'duration' | 'broadcast' };

/** A span for `EXT-X-DATERANGE`. What was told of an id stays true: what must change gets another id. */
export type CueRange = {
  readonly id: string;
  readonly mediaMs: number;
  /** Program date time, as it was when the range was first told of. Undefined while playlists have no dates yet. */
  readonly startAtWallMs: number | undefined;
  readonly durationMs: number | undefined;
  /** It goes on, nobody knows for how long. */
  readonly isOpen: boolean;
  /** Undefined until it has fired. */
  readonly cue: Cue | undefined;
};

/** The program date time of `mediaMs`; as it arrives, before playlists have dates. */
export const programWallMsAt = (media: MediaNow, mediaMs: number): number =>
  mediaMs + (media.programOffsetMs ?? media.arrivalOffsetMs);

export const markOf = (content: CueContent, place: CuePlace): CueMark => ({
  id: content.id,
  mode: content.mode,
  mediaMs: place.mediaMs,
  programWallMs: place.programWallMs,
  showAtWallMs: place.showAtWallMs,
});

export const cueOf = (content: CueContent, place: CuePlace): Cue => ({ ...content, ...markOf(content, place) });
