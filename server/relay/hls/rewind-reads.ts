/** Reads of the past, one for all who ask for the same segment at the same time, and no more than a cap at once. */
import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../observability/log.ts';
import type { RewindKey, RewindSource } from './rewind-source.ts';

/** `busy`: too many run already. `failed`: the source broke its word; it may keep it the next time. */
export type RewindRead = Uint8Array | undefined | 'busy' | 'failed';

export class RewindReads {
  readonly #source: RewindSource;
  readonly #readMaxCount: number;
  readonly #log: Log;
  readonly #running = new Map<string, Promise<RewindRead>>();

  constructor(options: { source: RewindSource; readMaxCount: number; log: Log }) {
    this.#source = options.source;
    this.#readMaxCount = options.readMaxCount;
    this.#log = options.log;
  }

  async read(key: RewindKey): Promise<RewindRead> {
    const name = `${key.broadcastId} ${key.renditionId} ${key.msn}`;
    const running = this.#running.get(name);
    if (running !== undefined) {
      return running;
    }
    if (this.#running.size >= this.#readMaxCount) {
      return 'busy';
    }
    const started = this.#start(key).finally(() => this.#running.delete(name));
    this.#running.set(name, started);
    return started;
  }

  async #start(key: RewindKey): Promise<RewindRead> {
    try {
      return await this.#source.read(key);
    } catch (error) {
      this.#log.warn('hls.rewind.failed', { rendition: key.renditionId, msn: key.msn, error: messageOf(error) });
      return 'failed';
    }
  }
}
