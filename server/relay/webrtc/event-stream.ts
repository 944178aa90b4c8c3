/**
 * One stream of server-sent events (WHATWG HTML 9.2) to one WHEP viewer. Of each kind only the newest waits, so that who does not read holds a
 * handful of lines at most.
 */
import { randomBytes } from 'node:crypto';

/** As `webrtc-http-egress-events` names them. */
export const EVENT_KINDS = ['active', 'inactive', 'layers', 'reconnect', 'viewercount'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

const OPPOSITES: Partial<Record<EventKind, EventKind>> = { active: 'inactive', inactive: 'active' };

/** Well below every idle time-out on the way. */
const KEEP_ALIVE_MS = 15_000;
/** How long a browser waits before it asks again after an end. */
const HELLO = 'retry: 2000\n\n';

export class EventStream {
  readonly id = randomBytes(16).toString('hex');
  readonly #kinds: ReadonlySet<EventKind>;
  readonly #waiting = new Map<EventKind, string>();
  #reader: Reader | undefined;
  #isEnded = false;

  constructor(kinds: Iterable<EventKind>) {
    this.#kinds = new Set(kinds);
  }

  wants(kind: EventKind): boolean {
    return this.#kinds.has(kind);
  }

  /** Replaces what waits of this kind; `active` and `inactive` replace each other. */
  push(kind: EventKind, data: object): void {
    if (this.#isEnded || !this.wants(kind)) {
      return;
    }
    const opposite = OPPOSITES[kind];
    if (opposite !== undefined) {
      this.#waiting.delete(opposite);
    }
    this.#waiting.delete(kind);
    this.#waiting.set(kind, `event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
    this.#reader?.wake();
  }

  /** What waits is still sent. May be called twice. */
  end(): void {
    this.#isEnded = true;
    this.#reader?.wake();
  }

  /** What waits and what comes; whoever read before is done then. */
  read(): AsyncIterable<Uint8Array> {
    this.#reader?.leave();
    const reader = new Reader({ take: () => this.#take(), isEnded: () => this.#isEnded });
    this.#reader = reader;
    return reader;
  }

  #take(): string {
    const text = [...this.#waiting.values()].join('');
    this.#waiting.clear();
    return text;
  }
}

/** By hand rather than a generator, whose `return` would wait for the next event. */
class Reader implements AsyncIterableIterator<Uint8Array> {
  readonly #source: { take(): string; isEnded(): boolean };
  #hasBegun = false;
  #hasLeft = false;
  #timer: NodeJS.Timeout | undefined;
  #onWake: (() => void) | undefined;

  constructor(source: { take(): string; isEnded(): boolean }) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    let text = this.#hasBegun ? '' : HELLO;
    this.#hasBegun = true;
    text += this.#hasLeft ? '' : this.#source.take();
    if (text === '' && !this.#hasLeft && !this.#source.isEnded()) {
      await this.#somethingHappens();
      text = this.#isGone() ? '' : this.#source.take() || (this.#source.isEnded() ? '' : ':\n\n');
    }
    return text === '' ? { value: undefined, done: true } : { value: Buffer.from(text), done: false };
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.leave();
    return { value: undefined, done: true };
  }

  wake(): void {
    this.#onWake?.();
  }

  leave(): void {
    this.#hasLeft = true;
    this.wake();
  }

  #isGone(): boolean {
    return this.#hasLeft;
  }

  async #somethingHappens(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onWake = resolve;
      this.#timer = setTimeout(resolve, KEEP_ALIVE_MS).unref();
    });
    clearTimeout(this.#timer);
    this.#onWake = undefined;
  }
}
