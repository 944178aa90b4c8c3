/**
 * What the player does when, at the live edge: which transport is opened, shown, left, and what the viewer is told meanwhile. Pure: events come in
 * with the time, actions go out; sockets, elements and timers are `playback.ts`'s.
 *
 *     WHEP ──picture──▶ shown ──path lost, or 10 s without picture though live──▶ LL-HLS ──▶ shown ──after 60 s, 120 s…──▶ WHEP tried
 *       └── no picture in 3 s, or refused ──▶ LL-HLS                                              beside it, shown if it has a picture
 *
 * A picture once shown stays until another takes its place: no path here leads through a black screen. What lies before the live edge is
 * `rewind-machine.ts`'s.
 */
import type { WatchState } from '../server/api/contract/socket.ts';

export type Transport = 'whep' | 'll-hls';

export type LiveEvent =
  /** `whep`: this browser has WebRTC and the page wants it. */
  | { readonly type: 'start'; readonly whep: boolean }
  | { readonly type: 'whep-refused'; readonly status: number; readonly retryAfterMs: number | null }
  /** The request got no answer at all. */
  | { readonly type: 'whep-unreachable' }
  /** ICE or DTLS says the way is gone, or the server ended the session. `final`: it will not come back. */
  | { readonly type: 'whep-path-lost'; readonly final: boolean }
  /** The server has lost the session, and takes a new one at once. */
  | { readonly type: 'whep-session-lost' }
  /** Frames move, for the first time or again. */
  | { readonly type: 'picture'; readonly transport: Transport }
  | { readonly type: 'stalled'; readonly transport: Transport }
  | { readonly type: 'server-state'; readonly state: WatchState; readonly broadcastId: string | null }
  | { readonly type: 'socket-lost' }
  | { readonly type: 'visibility'; readonly visible: boolean }
  /** The viewer watches something else (the past): every session is closed, and none opened until `resume`. */
  | { readonly type: 'suspend' }
  | { readonly type: 'resume' }
  | { readonly type: 'tick' };

/** `open-…` replaces an unfinished session of that transport; `close-…` of the shown one keeps its last picture on screen. */
export type LiveAction =
  | { readonly type: 'open-whep' }
  | { readonly type: 'close-whep'; readonly reason: string }
  | { readonly type: 'open-hls' }
  | { readonly type: 'close-hls'; readonly reason: string }
  | { readonly type: 'show'; readonly transport: Transport }
  | { readonly type: 'seek-live' };

export type PlayerStatus =
  | 'idle'
  | 'connecting'
  | 'playing'
  | 'buffering'
  | 'waiting-for-host'
  | 'host-reconnecting'
  | 'server-reconnecting'
  | 'ended'
  | 'forbidden'
  /** A replay that is not there, or no more. */
  | 'gone';

export type LiveView = {
  readonly status: PlayerStatus;
  /** Whose picture is on screen, moving or last. */
  readonly transport: Transport | null;
  /** Why it is not WebRTC's, when it is not. */
  readonly fallbackReason: FallbackReason | null;
};

export type FallbackReason = 'no-webrtc' | 'no-picture' | 'refused' | 'path-lost';

type SessionState = 'closed' | 'opening' | 'playing' | 'stalled' | 'dead';

/** WHEP has this long for its first picture (issue 2, point 7). */
const FIRST_PICTURE_MS = 3000;
/** Live, path alive, and still no frames: longer than any keyframe interval we send, so it will not heal. */
const STALL_PATIENCE_MS = 9000;
const WHEP_RETRY_MIN_MS = 60_000;
const RETRY_AFTER_MIN_MS = 3000;
const WHEP_RETRY_MAX_MS = 600_000;
/** Without a socket to tell us, an absent host is asked for this often. */
const REOPEN_MS = 3000;
const REOPEN_FORBIDDEN_MS = 30_000;
const REOPEN_MAX_MS = 10_000;
/** The socket said live, the door said not yet: ask again before giving WHEP up. */
const NOT_READY_RETRY_MS = 500;
const NOT_READY_COUNT_MAX = 3;

export class LiveMachine {
  #started = false;
  #whepWanted = true;
  #visible = true;
  #suspended = false;
  #whep: SessionState = 'closed';
  #hls: SessionState = 'closed';
  #shown: Transport | null = null;
  #fallbackReason: FallbackReason | null = null;
  #server: WatchState | null = null;
  #broadcastId: string | null = null;
  #sessionBroadcastId: string | null = null;
  /** The broadcast changed under a session whose frames seemed to move still. */
  #outdated = false;
  #socketLost = false;
  #unreachable = false;
  /** The door says nobody is live, and no socket knows better. */
  #absent = false;
  #forbidden = false;
  #notReadyCount = 0;
  #reopenMs = REOPEN_MS;
  #reopenAtMs: number | null = null;
  #pictureDueAtMs: number | null = null;
  #whepRetryMs = WHEP_RETRY_MIN_MS;
  #whepRetryAtMs: number | null = null;
  #retryAfterHeeded = false;
  #actions: LiveAction[] = [];

  /** Takes one event; answers what to do now, in order. */
  handle(event: LiveEvent, nowMs: number): LiveAction[] {
    this.#actions = [];
    this.#take(event, nowMs);
    return this.#actions;
  }

  get view(): LiveView {
    const fallbackReason = this.#shown === 'll-hls' ? this.#fallbackReason : null;
    return { status: this.#status(), transport: this.#shown, fallbackReason };
  }

  #take(event: LiveEvent, nowMs: number): void {
    switch (event.type) {
      case 'start':
        return this.#start(event.whep, nowMs);
      case 'whep-refused':
        return this.#whepRefused(event.status, event.retryAfterMs, nowMs);
      case 'whep-unreachable':
        return this.#whepUnreachable(nowMs);
      case 'whep-path-lost':
        return this.#whepPathLost(event.final, nowMs);
      case 'whep-session-lost':
        return this.#whepSessionLost(nowMs);
      case 'picture':
        return event.transport === 'whep' ? this.#whepPicture() : this.#hlsPicture(nowMs);
      case 'stalled':
        return event.transport === 'whep' ? this.#whepStalled(nowMs) : this.#hlsStalled();
      case 'server-state':
        return this.#serverState(event.state, event.broadcastId, nowMs);
      case 'socket-lost':
        this.#socketLost = true;
        return undefined;
      case 'visibility':
        return this.#visibility(event.visible, nowMs);
      case 'suspend':
        return this.#suspend();
      case 'resume':
        return this.#resume(nowMs);
      case 'tick':
        return this.#tick(nowMs);
    }
  }

  // ---- WHEP

  #start(whep: boolean, nowMs: number): void {
    this.#started = true;
    this.#whepWanted = whep;
    this.#openFirst(nowMs);
  }

  /** Begins afresh with the best transport there is. */
  #openFirst(nowMs: number): void {
    this.#reopenAtMs = null;
    this.#outdated = false;
    this.#sessionBroadcastId = this.#socketLost ? null : this.#broadcastId;
    if (this.#whepWanted) {
      this.#whep = 'opening';
      this.#pictureDueAtMs = nowMs + FIRST_PICTURE_MS;
      this.#do({ type: 'open-whep' });
    } else {
      this.#openHls('no-webrtc');
    }
  }

  #restart(nowMs: number, reason: string): void {
    this.#closeWhep(reason);
    this.#closeHls(reason);
    this.#fallbackReason = null;
    this.#whepRetryMs = WHEP_RETRY_MIN_MS;
    this.#retryAfterHeeded = false;
    this.#notReadyCount = 0;
    this.#openFirst(nowMs);
  }

  #whepPicture(): void {
    if (this.#whep === 'closed' || this.#whep === 'dead') {
      return;
    }
    const isNews = this.#shown !== 'whep' || this.#whep === 'opening';
    this.#whep = 'playing';
    this.#pictureDueAtMs = null;
    this.#whepRetryAtMs = null;
    this.#whepRetryMs = WHEP_RETRY_MIN_MS;
    this.#fallbackReason = null;
    this.#allWell();
    if (isNews) {
      this.#shown = 'whep';
      this.#do({ type: 'show', transport: 'whep' });
    }
    this.#closeHls('whep-has-picture');
  }

  #whepStalled(nowMs: number): void {
    if (this.#whep !== 'playing') {
      return;
    }
    this.#whep = 'stalled';
    if (this.#outdated && this.#isLive()) {
      this.#restart(nowMs, 'broadcast-changed');
    } else if (this.#isLive()) {
      this.#pictureDueAtMs = nowMs + STALL_PATIENCE_MS;
    }
  }

  /** The way is gone: with the server reachable that is WebRTC's failing, without it a new session waits for the server. */
  #whepPathLost(final: boolean, nowMs: number): void {
    if (this.#whep === 'closed' || this.#whep === 'dead' || (!final && this.#whep !== 'stalled')) {
      return;
    }
    this.#whep = 'dead';
    this.#pictureDueAtMs = null;
    if (this.#isLive()) {
      this.#fallBack('path-lost', nowMs);
    }
  }

  /** Nothing is wrong with the way: another session is as good as this one was. */
  #whepSessionLost(nowMs: number): void {
    if (this.#hls === 'closed' && this.#whep !== 'closed' && this.#isLive()) {
      this.#restart(nowMs, 'session-lost');
    } else {
      this.#whepPathLost(true, nowMs);
    }
  }

  #whepRefused(status: number, retryAfterMs: number | null, nowMs: number): void {
    if (this.#whep === 'closed') {
      return;
    }
    this.#unreachable = false;
    if (this.#hls !== 'closed') {
      this.#fallBack('refused', nowMs, retryAfterMs);
    } else if (status === 401 || status === 403) {
      this.#forbidden = true;
      this.#giveUpUntil(nowMs + Math.max(retryAfterMs ?? 0, REOPEN_FORBIDDEN_MS), 'forbidden');
    } else if (this.#server !== null && !this.#socketLost && this.#server !== 'live') {
      this.#giveUpUntil(nowMs + (retryAfterMs ?? REOPEN_MAX_MS), 'not-live');
    } else if (status === 404 || status === 409 || status === 425) {
      this.#notReady(retryAfterMs, nowMs);
    } else {
      this.#fallBack('refused', nowMs, retryAfterMs);
    }
  }

  #notReady(retryAfterMs: number | null, nowMs: number): void {
    if (this.#server !== 'live' || this.#socketLost) {
      this.#absent = true;
      this.#giveUpUntil(nowMs + (retryAfterMs ?? REOPEN_MS), 'absent');
    } else if (this.#notReadyCount < NOT_READY_COUNT_MAX) {
      this.#notReadyCount += 1;
      this.#giveUpUntil(nowMs + (retryAfterMs ?? NOT_READY_RETRY_MS), 'not-ready');
    } else {
      this.#fallBack('refused', nowMs, retryAfterMs);
    }
  }

  #whepUnreachable(nowMs: number): void {
    if (this.#whep === 'closed') {
      return;
    }
    if (this.#hls !== 'closed' || (this.#isLive() && this.#server !== null)) {
      this.#fallBack('refused', nowMs);
      return;
    }
    this.#unreachable = true;
    this.#giveUpUntil(nowMs + this.#reopenMs, 'unreachable');
    this.#reopenMs = Math.min(REOPEN_MAX_MS, this.#reopenMs * 1.5);
  }

  #giveUpUntil(atMs: number, reason: string): void {
    this.#closeWhep(reason);
    this.#closeHls(reason);
    this.#reopenAtMs = atMs;
  }

  // ---- LL-HLS

  /** To LL-HLS, or back to it if WHEP was only being tried again beside it. */
  #fallBack(reason: FallbackReason, nowMs: number, retryAfterMs: number | null = null): void {
    this.#pictureDueAtMs = null;
    this.#fallbackReason = reason;
    if (this.#shown !== 'whep' || this.#whep === 'dead') {
      this.#closeWhep(reason);
    }
    this.#whepRetryAtMs = nowMs + this.#whepPauseMs(retryAfterMs);
    if (this.#hls === 'closed') {
      this.#openHls(reason);
    }
  }

  /** A server that names a time is taken at its word once (its repaired rendition is on the way, say); after that we are patient. */
  #whepPauseMs(retryAfterMs: number | null): number {
    if (retryAfterMs !== null && !this.#retryAfterHeeded) {
      this.#retryAfterHeeded = true;
      return Math.max(RETRY_AFTER_MIN_MS, retryAfterMs);
    }
    const pauseMs = Math.max(this.#whepRetryMs, retryAfterMs ?? 0);
    this.#whepRetryMs = Math.min(WHEP_RETRY_MAX_MS, this.#whepRetryMs * 2);
    return pauseMs;
  }

  #openHls(reason: FallbackReason): void {
    this.#fallbackReason = reason;
    this.#hls = 'opening';
    this.#do({ type: 'open-hls' });
  }

  #hlsPicture(nowMs: number): void {
    if (this.#hls === 'closed') {
      return;
    }
    const isNews = this.#shown !== 'll-hls' || this.#hls === 'opening';
    this.#hls = 'playing';
    this.#allWell();
    if (isNews) {
      this.#shown = 'll-hls';
      this.#do({ type: 'show', transport: 'll-hls' });
    }
    if (this.#whep === 'stalled' || this.#whep === 'dead') {
      this.#closeWhep('hls-has-picture');
    }
    if (this.#whepWanted) {
      this.#whepRetryAtMs ??= nowMs + this.#whepRetryMs;
    }
  }

  #hlsStalled(): void {
    if (this.#hls === 'playing') {
      this.#hls = 'stalled';
    }
  }

  // ---- server, page, time

  #serverState(state: WatchState, broadcastId: string | null, nowMs: number): void {
    this.#server = state;
    this.#absent = false;
    this.#socketLost = false;
    this.#unreachable = false;
    if (broadcastId !== null) {
      this.#broadcastId = broadcastId;
    }
    if (!this.#started || this.#suspended || this.#forbidden) {
      return;
    }
    if (state === 'live') {
      this.#serverLive(nowMs);
    } else if (state === 'ended') {
      this.#pictureDueAtMs = null;
      this.#closeWhep('ended');
      this.#closeHls('ended');
    } else {
      this.#serverNotLive(state);
    }
  }

  #serverLive(nowMs: number): void {
    const changed =
      this.#broadcastId !== null && this.#sessionBroadcastId !== null && this.#broadcastId !== this.#sessionBroadcastId;
    this.#sessionBroadcastId ??= this.#broadcastId;
    if (changed && (this.#whep === 'playing' || this.#hls === 'playing')) {
      this.#outdated = true;
      this.#sessionBroadcastId = this.#broadcastId;
      if (this.#hls === 'playing') {
        this.#restart(nowMs, 'broadcast-changed');
      }
    } else if (changed || (this.#whep === 'dead' && this.#hls === 'closed')) {
      this.#restart(nowMs, 'server-back');
    } else if (this.#whep === 'closed' && this.#hls === 'closed') {
      // A refusal a moment ago has set its own time to ask again; only news of a start goes ahead of it.
      if (this.#reopenAtMs === null || this.#notReadyCount === 0) {
        this.#openFirst(nowMs);
      }
    } else if (this.#whep === 'stalled') {
      this.#pictureDueAtMs = nowMs + (this.#outdated ? 0 : STALL_PATIENCE_MS);
    } else if (this.#whep === 'opening') {
      this.#pictureDueAtMs ??= nowMs + FIRST_PICTURE_MS;
    }
  }

  #serverNotLive(state: WatchState): void {
    this.#notReadyCount = 0;
    if (this.#whep === 'stalled') {
      this.#pictureDueAtMs = null;
    }
    if (state === 'reconnecting') {
      return;
    }
    if (this.#whep === 'stalled' || this.#whep === 'dead') {
      this.#closeWhep(state);
    }
    if (this.#hls === 'opening' || this.#hls === 'stalled') {
      this.#closeHls(state);
    }
  }

  #visibility(visible: boolean, nowMs: number): void {
    const returned = visible && !this.#visible;
    this.#visible = visible;
    if (!returned) {
      return;
    }
    if (this.#pictureDueAtMs !== null) {
      this.#pictureDueAtMs = nowMs + FIRST_PICTURE_MS;
    }
    if (this.#shown === 'll-hls') {
      this.#do({ type: 'seek-live' });
    }
  }

  #tick(nowMs: number): void {
    if (!this.#visible || this.#suspended) {
      return;
    }
    if (isDue(this.#pictureDueAtMs, nowMs)) {
      this.#pictureOverdue(nowMs);
    }
    if (isDue(this.#reopenAtMs, nowMs)) {
      this.#forbidden = false;
      this.#openFirst(nowMs);
    }
    if (isDue(this.#whepRetryAtMs, nowMs) && this.#hls === 'playing' && this.#whep === 'closed') {
      this.#whepRetryAtMs = null;
      this.#whep = 'opening';
      this.#pictureDueAtMs = nowMs + FIRST_PICTURE_MS;
      this.#do({ type: 'open-whep' });
    }
  }

  #pictureOverdue(nowMs: number): void {
    if (this.#outdated) {
      this.#restart(nowMs, 'broadcast-changed');
    } else if (this.#isLive()) {
      this.#fallBack('no-picture', nowMs);
    } else {
      this.#pictureDueAtMs = null;
    }
  }

  #suspend(): void {
    this.#closeWhep('rewound');
    this.#closeHls('rewound');
    this.#suspended = true;
    this.#shown = null;
    this.#reopenAtMs = null;
  }

  #resume(nowMs: number): void {
    if (!this.#suspended) {
      return;
    }
    this.#suspended = false;
    if (this.#server !== 'ended') {
      this.#restart(nowMs, 'back-to-live');
    }
  }

  // ---- small parts

  /** Live as far as we know: told so by a socket that is up, or not yet told anything. */
  #isLive(): boolean {
    return !this.#socketLost && (this.#server === 'live' || this.#server === null);
  }

  #allWell(): void {
    this.#absent = false;
    this.#unreachable = false;
    this.#forbidden = false;
    this.#notReadyCount = 0;
    this.#reopenMs = REOPEN_MS;
    this.#reopenAtMs = null;
  }

  #closeWhep(reason: string): void {
    if (this.#whep !== 'closed') {
      this.#whep = 'closed';
      this.#pictureDueAtMs = null;
      this.#do({ type: 'close-whep', reason });
    }
  }

  #closeHls(reason: string): void {
    if (this.#hls !== 'closed') {
      this.#hls = 'closed';
      this.#whepRetryAtMs = null;
      this.#do({ type: 'close-hls', reason });
    }
  }

  #do(action: LiveAction): void {
    this.#actions.push(action);
  }

  #status(): PlayerStatus {
    const shownState = this.#shown === 'whep' ? this.#whep : this.#hls;
    if (!this.#started) {
      return 'idle';
    }
    if (this.#forbidden) {
      return 'forbidden';
    }
    if (this.#server === 'ended') {
      return this.#socketLost ? 'server-reconnecting' : 'ended';
    }
    if (this.#shown !== null && shownState === 'playing') {
      return 'playing';
    }
    return this.#stillStatus();
  }

  #stillStatus(): PlayerStatus {
    if (this.#socketLost || this.#unreachable) {
      return 'server-reconnecting';
    }
    if (this.#server === 'reconnecting') {
      return 'host-reconnecting';
    }
    if (this.#absent || this.#server === 'absent' || this.#server === 'waiting') {
      return 'waiting-for-host';
    }
    return this.#shown === null ? 'connecting' : 'buffering';
  }
}

const isDue = (atMs: number | null, nowMs: number): boolean => atMs !== null && nowMs >= atMs;
