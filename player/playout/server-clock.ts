/**
 * How far the server's wall clock is ahead of this machine's monotonic clock, from ping and pong over the socket. Of the last
 * exchanges the one with the smallest round trip is trusted: its error is at most half that round trip.
 */
export type PingExchange = {
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
  /** Unix milliseconds at the server when it answered. */
  readonly serverWallMs: number;
};

/** One minute at a ping every 2 s: long enough to catch a quiet moment, short enough to follow 50 ppm of drift within 3 ms. */
const EXCHANGE_COUNT_MAX = 30;

export class ServerClock {
  #exchanges: PingExchange[] = [];

  /** Takes one exchange. Times that cannot be (an answer before its question, not a number) are ignored. */
  note(exchange: PingExchange): void {
    const roundTripMs = exchange.receivedAtMs - exchange.sentAtMs;
    if (!(roundTripMs >= 0) || !Number.isFinite(exchange.serverWallMs)) {
      return;
    }
    this.#exchanges = [...this.#exchanges, exchange].slice(-EXCHANGE_COUNT_MAX);
  }

  /** Smallest round trip among the exchanges remembered; null before the first. */
  get roundTripMs(): number | null {
    const best = this.#best();
    return best === undefined ? null : best.receivedAtMs - best.sentAtMs;
  }

  /** The server's Unix time at an instant of this machine's monotonic clock; null before the first exchange. */
  wallMsAt(nowMs: number): number | null {
    const best = this.#best();
    return best === undefined ? null : nowMs + best.serverWallMs - (best.sentAtMs + best.receivedAtMs) / 2;
  }

  #best(): PingExchange | undefined {
    let best = this.#exchanges[0];
    for (const exchange of this.#exchanges) {
      if (best !== undefined && exchange.receivedAtMs - exchange.sentAtMs <= best.receivedAtMs - best.sentAtMs) {
        best = exchange;
      }
    }
    return best;
  }
}
