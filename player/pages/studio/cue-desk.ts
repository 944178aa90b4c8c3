/**
 * The host's cues and the broadcast's clock: what is next, how long until an armed one, what is on. Pure, told the time of this page.
 *
 * The host speaks before the camera: an instant is reached for him when its picture is captured, which arrives at the server by the encoder's
 * delay later. So a countdown here ends with the picture it will be shown with.
 */
import type { CueClock, CueList, HostedCue } from '../../../server/api/contract/cues-host.ts';

export type CueSight = {
  /** What is on, what counts down by its instant, what is prepared as it came. */
  readonly current: readonly HostedCue[];
  /** The newest first. */
  readonly past: readonly HostedCue[];
  /** Oldest first. */
  readonly on: readonly HostedCue[];
  /** The one that counts down; of several the nearest. */
  readonly armed: HostedCue | null;
  /** What the large button shows next. */
  readonly next: HostedCue | null;
};

export class CueDesk {
  #list: CueList = { cues: [], clock: null };
  #takenAtMs = 0;
  #chosenId: string | null = null;
  #delayMs: number | null = null;

  /** `atMs`: when the answer came, by the clock of this page. */
  take(list: CueList, atMs: number): void {
    this.#list = list;
    this.#takenAtMs = atMs;
  }

  /** The encoder's delay as the host knows it; null: as the server estimates it. */
  correct(delayMs: number | null): void {
    this.#delayMs = delayMs;
  }

  get clock(): CueClock | null {
    return this.#list.clock;
  }

  find(id: string): HostedCue | null {
    return this.#list.cues.find((cue) => cue.id === id) ?? null;
  }

  /** The one to be shown next, until it has been. */
  choose(id: string): void {
    this.#chosenId = id;
  }

  sight(nowMs: number): CueSight {
    const { cues } = this.#list;
    const armed = cues.filter(({ state }) => state === 'armed').toSorted(byInstant);
    const prepared = cues.filter(({ state }) => state === 'prepared');
    const on = cues.filter((cue) => this.isOn(cue, nowMs)).toSorted(byInstant);
    const past = cues.filter((cue) => (cue.state === 'fired' || cue.state === 'ended') && !on.includes(cue));
    return {
      current: [...on, ...armed, ...prepared],
      past: past.toSorted((one, other) => (other.firedAtWallMs ?? 0) - (one.firedAtWallMs ?? 0)),
      on,
      armed: armed[0] ?? null,
      next: prepared.find(({ id }) => id === this.#chosenId) ?? prepared[0] ?? null,
    };
  }

  /**
   * Until the host has reached the instant of an armed cue; null where that cannot be said. Negative: it is about to be told. `sawMediaMs`: who goes by the
   * preview has reached what it shows.
   */
  remainingMs(cue: HostedCue, nowMs: number, sawMediaMs: number | null): number | null {
    const { clock } = this.#list;
    if (cue.state !== 'armed' || cue.mediaMs === null || clock === null) {
      return null;
    }
    if (sawMediaMs !== null) {
      return cue.mediaMs - sawMediaMs;
    }
    const capturedMs = clock.mediaMs + (this.#delayMs ?? clock.encoderDelayMs) + (nowMs - this.#takenAtMs);
    return cue.mediaMs - capturedMs;
  }

  isOn({ state, durationMs, firedAtWallMs }: HostedCue, nowMs: number): boolean {
    const { clock } = this.#list;
    if (state !== 'fired') {
      return false;
    }
    if (durationMs === null || firedAtWallMs === null || clock === null) {
      return true;
    }
    return clock.serverWallMs + (nowMs - this.#takenAtMs) < firedAtWallMs + durationMs;
  }
}

const byInstant = (one: HostedCue, other: HostedCue): number => (one.mediaMs ?? 0) - (other.mediaMs ?? 0);

/** `3`, `2`, `1` as they are spoken: the number that has begun. */
export const countText = (remainingMs: number): string => String(Math.max(0, Math.ceil(remainingMs / 1_000)));

/** `1:05` before the last ten seconds, `7.3` within them. */
export const remainingText = (remainingMs: number): string => {
  const seconds = Math.max(0, remainingMs) / 1_000;
  if (seconds < 10) {
    return seconds.toFixed(1);
  }
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
};
