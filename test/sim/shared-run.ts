/** Several on one link in virtual time: viewers with a sender and a way back each, a download by CUBIC, a ping. They share the queue, nothing else. */
import { LinkModel, type LinkModelOptions } from '../latency/link/link-model.ts';
import { CubicFlow } from './cubic-flow.ts';
import { SimViewer, type RunResult, type Transmit, type ViewerOptions } from './sim-viewer.ts';

export type SharedOptions = {
  readonly seed: number;
  readonly durationMs: number;
  readonly down: LinkModelOptions;
  /** Of each viewer, and of the download's acknowledgements: alike, but everybody has their own. */
  readonly up: LinkModelOptions;
  readonly viewers: readonly Omit<ViewerOptions, 'seed' | 'up'>[];
  /** When a download begins; undefined: none does. */
  readonly cubicStartMs?: number;
  /** Bytes and waits are those from here on. */
  readonly countFromMs: number;
};

export type SharedResult = {
  readonly viewers: readonly (RunResult & { readonly deliveredBytes: number })[];
  /** As IP packets, heads included. */
  readonly cubicBytes: number;
  /** What each ping waited above the link's own delay, rising. */
  readonly pingAddedMs: readonly number[];
};

type LinkUser = {
  readonly nextAtMs: number;
  onPacket(handle: number, nowMs: number): void;
  step(nowMs: number): void;
};

/** A user's handle has 16 bits, its place the bits above. */
const HANDLE_BITS = 16;
const HANDLE_MASK = (1 << HANDLE_BITS) - 1;
const PING_BYTES = 92;
const PING_EVERY_MS = 100;
const PING_RING = 1 << 10;

class Ping implements LinkUser {
  readonly waitedMs: number[] = [];
  readonly #transmit: Transmit;
  readonly #sentAtMs = new Float64Array(PING_RING);
  #count = 0;
  nextAtMs = 0;

  constructor(transmit: Transmit) {
    this.#transmit = transmit;
  }

  onPacket(handle: number, nowMs: number): void {
    this.waitedMs.push(nowMs - (this.#sentAtMs[handle] ?? nowMs));
  }

  step(nowMs: number): void {
    if (nowMs >= this.nextAtMs) {
      const handle = this.#count % PING_RING;
      this.#count += 1;
      this.#sentAtMs[handle] = nowMs;
      this.#transmit(handle, PING_BYTES, nowMs);
      this.nextAtMs += PING_EVERY_MS;
    }
  }
}

export const runShared = (options: SharedOptions): SharedResult => {
  const { seed, durationMs, countFromMs, cubicStartMs, up } = options;
  const down = new LinkModel(options.down, { seed, name: 'down' });
  const sizes: Uint16Array[] = [];
  const transmitOf = (place: number): Transmit => {
    const bytesOf = new Uint16Array(1 << HANDLE_BITS);
    sizes[place] = bytesOf;
    return (handle, bytes, nowMs) => {
      bytesOf[handle] = bytes;
      down.send((place << HANDLE_BITS) | handle, bytes, nowMs);
    };
  };
  const ping = new Ping(transmitOf(0));
  const viewers = options.viewers.map(
    (viewer, index) => new SimViewer({ ...viewer, up, seed: seed + index }, transmitOf(1 + index)),
  );
  const users: LinkUser[] = [ping, ...viewers];
  const cubicPlace = users.length;
  if (cubicStartMs !== undefined) {
    users.push(new CubicFlow({ seed, startMs: cubicStartMs, up }, transmitOf(cubicPlace)));
  }
  const deliveredBytes = users.map(() => 0);
  for (;;) {
    const nowMs = users.reduce((least, user) => Math.min(least, user.nextAtMs), down.nextAtMs);
    if (nowMs > durationMs) {
      break;
    }
    for (let handle = down.take(nowMs); handle >= 0; handle = down.take(nowMs)) {
      const place = handle >> HANDLE_BITS;
      if (nowMs >= countFromMs) {
        deliveredBytes[place]! += sizes[place]![handle & HANDLE_MASK]!;
      } else if (place === 0) {
        ping.waitedMs.length = 0;
      }
      users[place]!.onPacket(handle & HANDLE_MASK, nowMs);
      // It may have something to say to it at once.
      users[place]!.step(nowMs);
    }
    for (const user of users) {
      if (user.nextAtMs <= nowMs) {
        user.step(nowMs);
      }
    }
  }
  const addedMs = ping.waitedMs.map((waitedMs) => waitedMs - options.down.delayMs).sort((a, b) => a - b);
  return {
    viewers: viewers.map((viewer, index) => ({
      ...viewer.finish(durationMs),
      deliveredBytes: deliveredBytes[1 + index]!,
    })),
    cubicBytes: deliveredBytes[cubicPlace] ?? 0,
    pingAddedMs: addedMs,
  };
};

/** Jain's index: 1 when all get the same, 1/n when one gets everything. */
export const jainOf = (shares: readonly number[]): number => {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return (sum * sum) / (shares.length * squares);
};
