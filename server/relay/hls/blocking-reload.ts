/**
 * Blocking playlist reload (RFC 8216bis 6.2.5.2): what a request's directives ask for, whether it can be answered now, and
 * the board on which the others wait. Identical requests wait as one: one look when something changed, one answer for all.
 */
import { ProtocolError } from '../../base/errors.ts';
import type { PeerSignal } from '../../base/http-exchange.ts';
import type { Skip } from './playlist.ts';

export type ReloadDirectives = {
  readonly msn: number | undefined;
  readonly part: number | undefined;
  readonly skip: Skip;
};

/** How far a playlist has come. */
export type PlaylistProgress = {
  readonly lastCompleteMsn: number;
  /** Parts of the open segment, whose number is `lastCompleteMsn + 1`. */
  readonly openPartCount: number;
  readonly partTargetS: number;
};

const NUMBER_FORM = /^\d{1,15}$/;

const SKIPS: Readonly<Record<string, Skip>> = { YES: 'segments', v2: 'segments-and-dates' };

/**
 * Throws `ProtocolError` `HLS_DIRECTIVE_INVALID`. An `_HLS_skip` that we do not offer is answered with a full playlist (6.2.5.1); `v2` is
 * offered where there are dates to skip.
 */
export const parseDirectives = (query: URLSearchParams, offers: { skipsDates: boolean }): ReloadDirectives => {
  const msn = readNumber(query, '_HLS_msn');
  const part = readNumber(query, '_HLS_part');
  if (part !== undefined && msn === undefined) {
    throw new ProtocolError('HLS_DIRECTIVE_INVALID', '_HLS_part needs _HLS_msn beside it');
  }
  const skip = SKIPS[query.get('_HLS_skip') ?? ''] ?? 'none';
  return { msn, part, skip: skip === 'segments-and-dates' && !offers.skipsDates ? 'none' : skip };
};

const readNumber = (query: URLSearchParams, name: string): number | undefined => {
  const values = query.getAll(name);
  const text = values[0];
  if (text === undefined) {
    return undefined;
  }
  if (values.length > 1 || !NUMBER_FORM.test(text)) {
    throw new ProtocolError('HLS_DIRECTIVE_INVALID', `${name} must be one decimal integer`);
  }
  return Number(text);
};

/** Throws `ProtocolError` `HLS_DIRECTIVE_TOO_FAR` for what no client that read the playlist would ask (6.2.5.2). */
export const checkReach = (directives: ReloadDirectives, progress: PlaylistProgress): void => {
  const { msn, part } = directives;
  const { lastCompleteMsn, openPartCount, partTargetS } = progress;
  if (msn === undefined) {
    return;
  }
  if (msn > lastCompleteMsn + 2) {
    throw new ProtocolError('HLS_DIRECTIVE_TOO_FAR', `_HLS_msn is ${msn}, expected at most ${lastCompleteMsn + 2}`);
  }
  const advanceCount = partTargetS < 1 ? Math.ceil(3 / partTargetS) : 3;
  const lastPart = msn === lastCompleteMsn + 1 ? openPartCount - 1 : 0;
  if (part !== undefined && msn > lastCompleteMsn && part > Math.max(0, lastPart) + advanceCount) {
    throw new ProtocolError(
      'HLS_DIRECTIVE_TOO_FAR',
      `_HLS_part is ${part}, expected at most ${lastPart + advanceCount}`,
    );
  }
};

/**
 * Whether the playlist holds what was asked for. A part beyond the end of a finished segment means the first of the next
 * (6.2.5.2); without `_HLS_part` the whole segment is meant. `partCountOf` is asked for finished segments only.
 */
export const isReached = (
  directives: ReloadDirectives,
  progress: PlaylistProgress,
  partCountOf: (msn: number) => number | undefined,
): boolean => {
  const { msn, part } = directives;
  const { lastCompleteMsn, openPartCount } = progress;
  if (msn === undefined || msn < lastCompleteMsn) {
    return true;
  }
  if (part === undefined) {
    return msn <= lastCompleteMsn;
  }
  if (msn === lastCompleteMsn) {
    const partCount = partCountOf(msn);
    return partCount === undefined || part < partCount || openPartCount > 0;
  }
  return msn === lastCompleteMsn + 1 && part < openPartCount;
};

export type WaitOptions<T> = {
  /** Requests with the same key get the same answer. */
  readonly key: string;
  /** Looked at once now and once per `wake`, for all that wait under the key. */
  readonly look: () => T | undefined;
  readonly timeoutMs: number;
  /** The answer when the time is over. */
  readonly atTimeout: () => T;
  /** The answer to a peer that went away. */
  readonly atLeft: () => T;
  readonly signal: PeerSignal;
};

type Entry<T> = {
  readonly look: () => T | undefined;
  readonly takers: Set<(answer: T) => void>;
  readonly timer: NodeJS.Timeout;
};

export class WaitBoard<T> {
  readonly #waitersMaxCount: number;
  readonly #entries = new Map<string, Entry<T>>();
  #waiterCount = 0;

  constructor(options: { waitersMaxCount: number }) {
    this.#waitersMaxCount = options.waitersMaxCount;
  }

  get waiterCount(): number {
    return this.#waiterCount;
  }

  /** Distinct questions: what one `wake` costs. */
  get entryCount(): number {
    return this.#entries.size;
  }

  get isFull(): boolean {
    return this.#waiterCount >= this.#waitersMaxCount;
  }

  /** Those who come later to a key share the time limit of the first. */
  wait(options: WaitOptions<T>): Promise<T> {
    const { signal, atLeft } = options;
    if (signal.aborted) {
      return Promise.resolve(atLeft());
    }
    const entry = this.#entries.get(options.key) ?? this.#open(options);
    return new Promise<T>((resolve) => {
      const take = (answer: T): void => {
        signal.removeEventListener('abort', leave);
        entry.takers.delete(take);
        this.#waiterCount -= 1;
        resolve(answer);
      };
      const leave = (): void => {
        take(atLeft());
        if (entry.takers.size === 0 && this.#entries.get(options.key) === entry) {
          this.#forget(options.key, entry);
        }
      };
      entry.takers.add(take);
      this.#waiterCount += 1;
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Something changed: each question is looked at once. */
  wake(): void {
    for (const [key, entry] of [...this.#entries]) {
      const answer = entry.look();
      if (answer !== undefined) {
        this.#settle(key, entry, answer);
      }
    }
  }

  #open(options: WaitOptions<T>): Entry<T> {
    const { key, look, timeoutMs, atTimeout } = options;
    const entry: Entry<T> = {
      look,
      takers: new Set(),
      timer: setTimeout(() => this.#settle(key, entry, atTimeout()), timeoutMs),
    };
    this.#entries.set(key, entry);
    return entry;
  }

  #settle(key: string, entry: Entry<T>, answer: T): void {
    this.#forget(key, entry);
    for (const take of [...entry.takers]) {
      take(answer);
    }
  }

  #forget(key: string, entry: Entry<T>): void {
    clearTimeout(entry.timer);
    this.#entries.delete(key);
  }
}
