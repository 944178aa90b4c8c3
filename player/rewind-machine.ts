/**
 * Live and back: which of the two the viewer watches, and how he gets from one to the other with a picture on screen at every instant. The live side is
 * `state-machine.ts`'s, told to rest while it is not watched. Pure.
 *
 *      live ──rewind──▶ leaving ──past has a picture──▶ rewound ──go-live──▶ returning ──live has a picture──▶ live
 *        ▲   ◀─go-live, past cannot be had─┘               ▲ ◀────rewind─────────┘
 *        └───────────────────────────── past cannot be had ┘ (goes live, or says that it has ended)
 *
 * A broadcast that ends, or is followed by another one, while somebody is rewound goes on as its replay.
 */
import type { WatchState } from '../server/api/contract/socket.ts';
import {
  LiveMachine,
  type FallbackReason,
  type LiveAction,
  type LiveEvent,
  type PlayerStatus,
  type Transport,
} from './state-machine.ts';

/** Whose picture it can be: the live transports', the rewound part's of a live broadcast, a replay's. */
export type Source = Transport | 'rewind' | 'replay';

export type PlayerView = {
  readonly status: PlayerStatus;
  /** Whose picture is on screen, moving or last. */
  readonly transport: Source | null;
  /** Why live is not WebRTC's, when it is not. */
  readonly fallbackReason: FallbackReason | null;
  /** On the way between live and the past: the picture is still that of before. */
  readonly isSwitching: boolean;
};

export type RewindEvent =
  /** The viewer wants this instant (Unix milliseconds at capture). */
  | { readonly type: 'rewind'; readonly atWallMs: number }
  | { readonly type: 'go-live' }
  | { readonly type: 'rewind-picture' }
  | { readonly type: 'rewind-stalled' }
  /** Played to the end of what there will ever be. */
  | { readonly type: 'rewind-ended' }
  /** It cannot be had, after all attempts. */
  | { readonly type: 'rewind-gone' };

export type MachineEvent = LiveEvent | RewindEvent;

export type MachineAction =
  | LiveAction
  /** `dvr`: the rewind playlist of what is live; `replay`: the recording of what has ended. */
  | { readonly type: 'open-rewind'; readonly atWallMs: number; readonly source: 'dvr' | 'replay' }
  | { readonly type: 'seek-rewind'; readonly atWallMs: number }
  /** Its broadcast is over: find its recording and go over to it, at the same instant, when it is there. */
  | { readonly type: 'continue-as-replay' }
  | { readonly type: 'show-rewind' }
  | { readonly type: 'close-rewind' };

type Mode = 'live' | 'leaving' | 'rewound' | 'returning';
type PastState = 'closed' | 'opening' | 'playing' | 'stalled' | 'ended';

const REWIND_EVENTS = ['rewind', 'go-live', 'rewind-picture', 'rewind-stalled', 'rewind-ended', 'rewind-gone'];
const isRewindEvent = (event: MachineEvent): event is RewindEvent => REWIND_EVENTS.includes(event.type);

export class PlayerMachine {
  readonly #live = new LiveMachine();
  #mode: Mode = 'live';
  #past: PastState = 'closed';
  /** Its picture is the one on screen, moving or last. */
  #pastShown = false;
  /** Of the broadcast that is rewound in; null while no socket has told. */
  #pastBroadcastId: string | null = null;
  #isReplay = false;
  #broadcastId: string | null = null;
  #server: WatchState | null = null;
  #isSocketLost = false;
  #actions: MachineAction[] = [];

  /** Takes one event; answers what to do now, in order. */
  handle(event: MachineEvent, nowMs: number): MachineAction[] {
    this.#actions = [];
    if (isRewindEvent(event)) {
      this.#take(event, nowMs);
    } else {
      this.#tellLive(event, nowMs);
      this.#noteServer(event, nowMs);
    }
    return this.#actions;
  }

  get view(): PlayerView {
    const isSwitching = this.#mode === 'leaving' || this.#mode === 'returning';
    const live = this.#live.view;
    return this.#pastShown
      ? { status: this.#pastStatus(), transport: 'rewind', fallbackReason: null, isSwitching }
      : { ...live, isSwitching };
  }

  /** Live, or on the way there: what the bar's end and its button stand for. */
  get wantsLive(): boolean {
    return this.#mode === 'live' || this.#mode === 'returning';
  }

  #take(event: RewindEvent, nowMs: number): void {
    switch (event.type) {
      case 'rewind':
        return this.#rewind(event.atWallMs, nowMs);
      case 'go-live':
        return this.#goLive(nowMs);
      case 'rewind-picture':
        return this.#pastPicture(nowMs);
      case 'rewind-stalled':
        this.#past = this.#past === 'playing' ? 'stalled' : this.#past;
        return undefined;
      case 'rewind-ended':
        this.#past = this.#past === 'closed' ? 'closed' : 'ended';
        return undefined;
      case 'rewind-gone':
        return this.#pastGone(nowMs);
    }
  }

  #rewind(atWallMs: number, nowMs: number): void {
    if (this.#past === 'closed') {
      this.#past = 'opening';
      this.#mode = 'leaving';
      this.#isReplay = this.#isOver;
      this.#pastBroadcastId = this.#broadcastId;
      this.#do({ type: 'open-rewind', atWallMs, source: this.#isReplay ? 'replay' : 'dvr' });
      return;
    }
    if (this.#mode === 'returning') {
      this.#mode = 'rewound';
      this.#tellLive({ type: 'suspend' }, nowMs);
    }
    this.#past = this.#past === 'ended' ? 'playing' : this.#past;
    this.#do({ type: 'seek-rewind', atWallMs });
  }

  #goLive(nowMs: number): void {
    if (this.#mode === 'leaving') {
      this.#mode = 'live';
      this.#closePast();
    } else if (this.#mode === 'rewound' && !this.#isOver) {
      this.#mode = 'returning';
      this.#tellLive({ type: 'resume' }, nowMs);
    } else if (this.#mode === 'live') {
      this.#do({ type: 'seek-live' });
    }
  }

  #pastPicture(nowMs: number): void {
    if (this.#past === 'closed') {
      return;
    }
    this.#past = 'playing';
    if (this.#mode === 'leaving') {
      this.#mode = 'rewound';
      this.#pastShown = true;
      this.#do({ type: 'show-rewind' });
      this.#tellLive({ type: 'suspend' }, nowMs);
    }
  }

  /** Still on the way: live was never left. Else there is only live to go to, or the end. */
  #pastGone(nowMs: number): void {
    const wasRewound = this.#mode === 'rewound';
    this.#closePast();
    this.#mode = 'live';
    if (wasRewound) {
      this.#tellLive({ type: 'resume' }, nowMs);
    }
  }

  #closePast(): void {
    if (this.#past !== 'closed') {
      this.#past = 'closed';
      this.#pastShown = false;
      this.#do({ type: 'close-rewind' });
    }
  }

  #tellLive(event: LiveEvent, nowMs: number): void {
    for (const action of this.#live.handle(event, nowMs)) {
      this.#do(action);
      if (action.type === 'show' && this.#mode === 'returning') {
        this.#mode = 'live';
        this.#closePast();
      }
    }
  }

  #noteServer(event: LiveEvent, nowMs: number): void {
    if (event.type === 'socket-lost') {
      this.#isSocketLost = true;
    } else if (event.type === 'server-state') {
      this.#isSocketLost = false;
      this.#server = event.state;
      this.#broadcastId = event.broadcastId ?? this.#broadcastId;
      this.#pastBroadcastId ??= this.#broadcastId;
      this.#noteEnd(nowMs);
    }
  }

  #noteEnd(nowMs: number): void {
    const isAnother = this.#broadcastId !== this.#pastBroadcastId;
    if (this.#past === 'closed' || this.#isReplay || !(this.#isOver || isAnother)) {
      return;
    }
    this.#isReplay = true;
    this.#do({ type: 'continue-as-replay' });
    if (this.#mode === 'returning' && this.#isOver) {
      this.#mode = 'rewound';
      this.#tellLive({ type: 'suspend' }, nowMs);
    }
  }

  /** Nobody is live, and nobody is expected back. */
  get #isOver(): boolean {
    return this.#server === 'ended' || this.#server === 'absent';
  }

  #pastStatus(): PlayerStatus {
    if (this.#past === 'ended') {
      return this.#mode === 'returning' ? 'connecting' : 'ended';
    }
    if (this.#past === 'playing') {
      return 'playing';
    }
    return this.#isSocketLost ? 'server-reconnecting' : 'buffering';
  }

  #do(action: MachineAction): void {
    this.#actions.push(action);
  }
}
