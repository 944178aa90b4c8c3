/** The only place in the player that reads the machine's clocks. Everything else is handed a `PlayerClock`, or told `nowMs`. */
export type PlayerClock = {
  /** Monotonic milliseconds on the scale of `performance.now()`, which frame callbacks use too. */
  nowMs(): number;
  /** Unix milliseconds of this machine, right or wrong; only for reading HTTP dates. */
  wallMs(): number;
};

export const playerClock: PlayerClock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
};
