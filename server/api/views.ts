/** What the API asks of the rest of the server, as narrow as it can be. `main.ts` supplies it. */
import type { CueContent, CueList, CueTiming, HostedCue } from './contract/cues-host.ts';
import type { SessionDetail, SessionSummary } from './contract/sessions.ts';
import type { LearningStatus } from './contract/learning.ts';
import type { BroadcastHealth, StudioFacts } from './contract/studio.ts';
import type { ReplayList, ReplaySummary } from './contract/replays.ts';
import type {
  BroadcastSummary,
  DoctorFinding,
  PlaybackHints,
  QualityReport,
  RenditionSummary,
  ServerMessage,
  WatchState,
} from './contract/socket.ts';

export type BroadcastsView = {
  list(): readonly BroadcastSummary[];
  find(name: string): BroadcastSummary | undefined;
  /** Ends a broadcast now; false when there is none. */
  end(name: string, reason: string): boolean;
  /** What all its viewers are told of it. */
  newsOf(name: string): BroadcastNews;
  /** Tells of every change of state, viewer count or renditions under `name`, once a second at most but for the state; the returned function ends it. */
  watch(name: string, onNews: (news: BroadcastNews) => void): () => void;
};

export type BroadcastNews = {
  readonly state: WatchState;
  readonly viewerCount: number;
  /** Undefined while absent. */
  readonly broadcastId: string | undefined;
  /** What its viewers may choose among now, largest first; empty without a picture. */
  readonly renditions: readonly RenditionSummary[];
};

export type KeysView = {
  readonly names: readonly string[];
  renewPublishKey(name: string): string;
  removePublishKey(name: string): boolean;
  isPublishKey(name: string, key: string): boolean;
};

export type TokensView = {
  /** `expiresAtWallMs` is Unix time; the longest time the configuration allows is not exceeded. */
  make(wish: { audience: string; durationS: number | undefined; subject: string }): {
    readonly token: string;
    readonly audience: string;
    readonly expiresAtWallMs: number;
  };
  readonly keyIds: readonly string[];
  /** Undefined: there are too many keys already. */
  rotateKey(): { readonly id: string; readonly secret: string } | undefined;
  removeKey(id: string): boolean;
};

/** A viewer's WebRTC session, found by the secret its WHEP answer carried. */
export type ViewerSessionView = {
  /** Messages meant for this viewer alone (the current one first); the returned function ends it. */
  listen(onMessage: (message: ServerMessage) => void): () => void;
  report(report: QualityReport): void;
  /** From now on this rendition (`main`, or a rung's id); undefined: what the server thinks best. */
  watch(renditionId: string | undefined): void;
};

export type SessionsView = { findBySecret(secret: string): ViewerSessionView | undefined };

/** Viewers who have no session with the server, as far as their sockets tell. */
export type ReportersView = { open(broadcast: string): Reporter };

export type Reporter = { report(report: QualityReport): void; close(): void };

/** Viewers, newest first; those who have left for a while still. */
export type ViewersView = { list(): SessionSummary[]; find(number: number): Promise<SessionDetail | undefined> };

/** λ of broadcasts: 0 reacts, 1 is smooth. */
export type SmoothnessView = {
  /** Undefined: nobody publishes under this name. */
  smoothnessOf(name: string): number | undefined;
  setSmoothness(name: string, smoothnessRatio: number): void;
  /** Whether this key may set it: the admin key, or the one this name is published with. */
  maySet(bearer: string | undefined, name: string): boolean;
};

/** `code`: `CUE_UNKNOWN`, or what stands in the way. */
export type CueAnswer =
  | { readonly ok: true; readonly cue: HostedCue; readonly isNew: boolean }
  | { readonly ok: false; readonly refusal: { readonly code: string; readonly detail: string } };

/** Cues of broadcasts' names, for hosts and for viewers. */
export type CuesView = {
  list(name: string): CueList;
  create(name: string, content: CueContent, timing: CueTiming | undefined): Promise<CueAnswer>;
  fire(name: string, id: string, timing: CueTiming): Promise<CueAnswer>;
  /** `timing`: undefined leaves the instant as it is, null takes it away. */
  edit(name: string, content: CueContent, timing: CueTiming | null | undefined): Promise<CueAnswer>;
  withdraw(name: string, id: string, options: { isForgotten: boolean }): Promise<CueAnswer>;
  /** What a socket is told at first: a `cues` message, written once a change. */
  snapshotText(name: string): string;
  /** Who sends a text to all sockets of a name. */
  setViewers(tellViewers: (name: string, text: string) => void): void;
};

/** What was learned of viewers' networks. */
export type LearningView = {
  readonly armNames: readonly string[];
  status(): LearningStatus;
  /** False: `arm` is none. */
  setMode(mode: LearningStatus['mode'], arm: string | undefined): boolean;
};

/** What the host's page asks for. */
export type StudioView = {
  /** Whose key this is, if anybody's who may see the studio of `name`. */
  holderOf(bearer: string | undefined, name: string): 'host' | 'admin' | undefined;
  factsOf(name: string, isAdmin: boolean): StudioFacts;
  /** Of the history what is newer than `afterWallMs`. */
  healthOf(name: string, afterWallMs: number): BroadcastHealth;
};

export type HealthView = {
  /** False while the server drains or a part of it is not up; `problems` says which. */
  readiness(): { readonly isReady: boolean; readonly problems: readonly string[] };
};

export type AccessView = {
  isAdmin(bearer: string | undefined): boolean;
  isLoopback(address: string): boolean;
  /** Whether the bearer of this playback token may watch the broadcast of this name. */
  mayWatch(name: string, token: string | undefined): boolean;
};

export type ReplaysView = {
  list(query: { search: string; name: string; offset: number; limit: number }): ReplayList;
  find(id: string): ReplaySummary | undefined;
  /** Undefined for an unknown id. */
  rename(id: string, title: string): Promise<ReplaySummary | undefined>;
  remove(id: string): Promise<'removed' | 'absent' | 'recording'>;
  /** Whether this key may rename and remove what was recorded under `name`. */
  mayChange(bearer: string | undefined, name: string): boolean;
};

export type HintsView = { hintsFor(name: string): PlaybackHints };

export type { BroadcastSummary, DoctorFinding };
