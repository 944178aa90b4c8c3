/**
 * The elements in which the past of a broadcast plays: one from its rewind playlist, and, when the broadcast ends meanwhile, a second one from its
 * recording that takes over at the same instant.
 */
import type { PlayerClock } from './clock.ts';
import type { ListedCues } from './cues/dated-cues.ts';
import type { RewindEvent } from './rewind-machine.ts';
import type { BroadcastAddresses } from './transport/addresses.ts';
import { findReplay, replayPlaylist } from './transport/find-replay.ts';
import type { PlaybackSample } from './transport/playback-sample.ts';
import { TimeshiftPlayback, type TimeshiftEvent } from './transport/timeshift.ts';
import type { Stage } from './ui/stage.ts';

export type RewindSeatsOptions = {
  readonly addresses: BroadcastAddresses;
  readonly stage: Stage;
  readonly clock: PlayerClock;
  /** First instant of the rewind playlist, as far as known. */
  startAtWallMs(): number | null;
  onCues(listed: ListedCues): void;
  onEvent(event: RewindEvent): void;
};

type Seat = { readonly session: TimeshiftPlayback; readonly video: HTMLVideoElement };

/** A recording is complete a moment after its broadcast has ended. */
const FIND_EVERY_MS = 1500;
const FIND_MAX_COUNT = 12;

export class RewindSeats {
  readonly #options: RewindSeatsOptions;
  #seat: Seat | undefined;
  /** Takes the place of `#seat` when it has a picture. */
  #successor: Seat | undefined;
  /** Looked for before the replay is found, and where its first seat opens. */
  #wantedWallMs: number | null = null;
  #rateRatio = 1;
  #findTimer: ReturnType<typeof setTimeout> | undefined;
  #findCount = 0;

  constructor(options: RewindSeatsOptions) {
    this.#options = options;
  }

  open(atWallMs: number, source: 'dvr' | 'replay'): void {
    this.close();
    this.#wantedWallMs = atWallMs;
    if (source === 'replay') {
      this.continueAsReplay();
    } else {
      this.#seat = this.#newSeat(this.#options.addresses.rewindPlaylist, atWallMs);
    }
  }

  seek(atWallMs: number): void {
    this.#wantedWallMs = atWallMs;
    this.#seat?.session.seek({ kind: 'wall', atMs: atWallMs });
    this.#successor?.session.seek({ kind: 'wall', atMs: atWallMs });
  }

  /** Looks for the recording until it is complete, and goes over to it. Without one, what is playing plays on as long as it can. */
  continueAsReplay(): void {
    clearTimeout(this.#findTimer);
    this.#findCount = 0;
    void this.#find();
  }

  show(): void {
    if (this.#seat !== undefined) {
      this.#options.stage.show(this.#seat.video);
    }
  }

  close(): void {
    clearTimeout(this.#findTimer);
    this.#findTimer = undefined;
    this.#wantedWallMs = null;
    this.#remove(this.#successor);
    this.#successor = undefined;
    const seat = this.#seat;
    this.#seat = undefined;
    this.#remove(seat);
  }

  setRate(ratio: number): void {
    this.#rateRatio = ratio;
    this.#seat?.session.setRate(ratio);
    this.#successor?.session.setRate(ratio);
  }

  step(frameCount: number): void {
    this.#seat?.session.step(frameCount);
  }

  /** Of the picture on screen, or of the one on its way. */
  get positionWallMs(): number | null {
    return this.#seat?.session.positionWallMs ?? this.#wantedWallMs;
  }

  /** Of a frame of the element that is shown; null when it is none of ours, and while unknown. */
  wallMsOf(video: HTMLVideoElement, timeS: number): number | null {
    return this.#seat?.video === video ? this.#seat.session.wallMsAt(timeS) : null;
  }

  sample(): PlaybackSample | null {
    this.#successor?.session.sample();
    return this.#seat?.session.sample() ?? null;
  }

  #newSeat(playlistUrl: string, atWallMs: number): Seat {
    const { stage, clock } = this.#options;
    const video = stage.newVideo({ isViewers: true });
    const session: TimeshiftPlayback = new TimeshiftPlayback({
      ...{ source: 'rewind', playlistUrl, video, clock },
      place: { kind: 'wall', atMs: atWallMs },
      startAtWallMs: this.#options.startAtWallMs(),
      onCues: (listed) => this.#options.onCues(listed),
      onEvent: (event) => this.#onEvent(session, event),
    });
    session.setRate(this.#rateRatio);
    void session.start();
    return { session, video };
  }

  #remove(seat: Seat | undefined): void {
    if (seat !== undefined) {
      this.#options.stage.remove(seat.video);
      seat.session.close();
    }
  }

  #onEvent(session: TimeshiftPlayback, event: TimeshiftEvent): void {
    if (session === this.#successor?.session) {
      this.#onSuccessor(event);
    } else if (session === this.#seat?.session) {
      if (event.type === 'rebuilding') {
        this.#options.stage.hold(session.video);
        this.#options.onEvent({ type: 'rewind-stalled' });
        return;
      }
      if (event.type === 'picture' && this.#options.stage.shown === session.video) {
        this.show();
      }
      // What a rewind playlist cannot give any more, the recording that is being looked for may.
      const isHopeful = event.type === 'gone' && (this.#findTimer !== undefined || this.#successor !== undefined);
      if (!isHopeful) {
        this.#options.onEvent({ type: `rewind-${event.type}` });
      }
    }
  }

  #onSuccessor(event: TimeshiftEvent): void {
    const [before, successor] = [this.#seat, this.#successor];
    if (event.type === 'picture' && successor !== undefined) {
      this.#seat = successor;
      this.#successor = undefined;
      if (before !== undefined && before.video === this.#options.stage.shown) {
        this.show();
      }
      this.#remove(before);
      this.#options.onEvent({ type: 'rewind-picture' });
    } else if (event.type === 'gone') {
      this.#remove(successor);
      this.#successor = undefined;
      if (before?.session.hasPicture !== true) {
        this.#options.onEvent({ type: 'rewind-gone' });
      }
    }
  }

  async #find(): Promise<void> {
    const { addresses } = this.#options;
    const atWallMs = this.positionWallMs;
    this.#findCount += 1;
    const isLast = this.#findCount >= FIND_MAX_COUNT;
    const again = setTimeout(() => void this.#find(), FIND_EVERY_MS);
    this.#findTimer = again;
    const replay = atWallMs === null ? null : await findReplay(addresses.replays, { name: addresses.name, atWallMs });
    if (this.#findTimer !== again) {
      return;
    }
    const isFound = replay !== null && (replay.state === 'ended' || isLast);
    if (isFound || isLast) {
      clearTimeout(again);
      this.#findTimer = undefined;
    }
    const nowWallMs = this.positionWallMs;
    if (isFound && nowWallMs !== null) {
      this.#remove(this.#successor);
      this.#successor = this.#newSeat(replayPlaylist(addresses.replays, replay.id), nowWallMs);
    } else if (isLast && this.#seat?.session.hasPicture !== true) {
      this.#options.onEvent({ type: 'rewind-gone' });
    }
  }
}
