/**
 * Claims of each address within a second. Counted in whole seconds, and forgotten with each: who spreads his claims around the turn gets twice as many
 * in, for a table that needs no sweeping. Pure.
 */
import { hostOf } from '../base/ip-address.ts';

/** Far more addresses than a process answers in a second. */
const ADDRESS_MAX_COUNT = 100_000;
const WINDOW_MS = 1_000;

export class ClaimRate {
  readonly #perAddressMaxPerS: number;
  /** Reading an address costs more than finding it. */
  #hosts = new Map<string, string>();
  #counts = new Map<string, number>();
  #windowEndsAtMs = 0;

  constructor(perAddressMaxPerS: number) {
    this.#perAddressMaxPerS = perAddressMaxPerS;
  }

  /** What counts as one address. */
  hostOf(address: string): string {
    const known = this.#hosts.get(address);
    if (known !== undefined) {
      return known;
    }
    const host = hostOf(address);
    this.#hosts.set(address, host);
    return host;
  }

  /** Whether one more claim of this host is within its share. */
  take(host: string, nowMs: number): boolean {
    if (nowMs >= this.#windowEndsAtMs || this.#hosts.size > ADDRESS_MAX_COUNT) {
      this.#hosts = new Map();
      this.#counts = new Map();
      this.#windowEndsAtMs = nowMs + WINDOW_MS;
    }
    const count = (this.#counts.get(host) ?? 0) + 1;
    this.#counts.set(host, count);
    return count <= this.#perAddressMaxPerS;
  }
}
