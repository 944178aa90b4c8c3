/** What requests for the same recording share: rendered playlists and planned downloads. Least recently used goes first. */

/** Bounded by what its values weigh together; one that weighs more than all may is not kept. */
export class WeighedCache<T> {
  readonly #weightMax: number;
  readonly #entries = new Map<string, { readonly value: T; readonly weight: number }>();
  #weight = 0;

  constructor(weightMax: number) {
    this.#weightMax = weightMax;
  }

  get weight(): number {
    return this.#weight;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
    return entry?.value;
  }

  set(key: string, value: T, weight: number): void {
    this.#remove(key);
    if (weight > this.#weightMax) {
      return;
    }
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#weightMax) {
        return;
      }
      this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    this.#weight -= this.#entries.get(key)?.weight ?? 0;
    this.#entries.delete(key);
  }
}

/** Work under the same key is done once for all who ask meanwhile; different work, one after the other. */
export class OneAtATime<T> {
  readonly #running = new Map<string, Promise<T>>();
  #last: Promise<unknown> = Promise.resolve();

  async run(key: string, work: () => Promise<T>): Promise<T> {
    const known = this.#running.get(key);
    if (known !== undefined) {
      return known;
    }
    const result = this.#last.then(work).finally(() => this.#running.delete(key));
    this.#running.set(key, result);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
