/** What a host says of cues and is told of them: the bodies of `/api/broadcasts/NAME/cues`. Viewers see `cues.ts` and no more. */
import type { Cue, CueMode } from './cues.ts';

/**
 * When: `now` is the picture that is captured while the request is made, `countdownMs` one so much later, `mediaMs` a place on the media timeline
 * (before the broadcast has begun: of the next one).
 */
export type CueAt = 'now' | { readonly countdownMs: number } | { readonly mediaMs: number };

/** How `now` and a countdown are mapped to a picture; not both. Neither: by the server's own estimate of the encoder's delay. */
export type CueTiming = {
  readonly at: CueAt;
  /** From the capture of a picture to its arrival at the server, 0 to 30 000. */
  readonly encoderDelayMs?: number;
  /** Media time of the picture that the host saw in the preview when pressing. */
  readonly sawMediaMs?: number;
};

/** What is shown. */
export type CueContent = Pick<
  Cue,
  'id' | 'mode' | 'kind' | 'title' | 'price' | 'picture' | 'link' | 'durationMs' | 'payload' | 'stock'
>;

/** `POST …/cues`. Without `at` it is prepared and waits to be fired; it then outlives broadcasts and restarts. */
export type CueDraft = Omit<CueContent, 'id' | 'mode' | 'durationMs'> & {
  /** Absent: the server makes one. */
  readonly id?: string;
  /** Absent: `media`. */
  readonly mode?: CueMode;
  /** Absent: null. */
  readonly durationMs?: number | null;
  readonly at?: CueAt | null;
} & Omit<CueTiming, 'at'>;

/** `prepared`: it has no instant. `armed`: it has one, and viewers know it. `ended`: its duration is over. Withdrawn ones are not listed. */
export type CueState = 'prepared' | 'armed' | 'fired' | 'ended';

/** A cue as its host sees it. */
export type HostedCue = CueContent & {
  readonly state: CueState;
  /** As asked for; null: it waits to be fired. */
  readonly at: CueAt | null;
  /** Null while prepared. */
  readonly mediaMs: number | null;
  readonly programWallMs: number | null;
  readonly showAtWallMs: number | null;
  /** Server's clock; null until it has fired. */
  readonly firedAtWallMs: number | null;
};

/** The broadcast's clock, for a page that counts down. */
export type CueClock = {
  readonly broadcastId: string;
  /** Media time that arrives at the server now. */
  readonly mediaMs: number;
  readonly serverWallMs: number;
  /** What `now` would be mapped with. */
  readonly encoderDelayMs: number;
  /** `config`: as configured. `x264`: from what x264 says of its settings. `guess`: an encoder that says nothing. */
  readonly encoderDelayFrom: 'config' | 'x264' | 'guess';
};

/** `GET …/cues`: by media time, prepared ones last; `clock` is null while nobody is live. */
export type CueList = { readonly cues: readonly HostedCue[]; readonly clock: CueClock | null };
