/** How much of something each host may have at the same time: blocked requests, downloads, connections. Pure: who takes gives back. */
import { hostOf } from './ip-address.ts';

export type AddressCapsOptions = {
  /** In use at once by one address. */
  readonly perAddressMaxCount: number;
  /** In use at once by all; it bounds the table too, since only addresses that hold something are in it. */
  readonly totalMaxCount: number;
};

export type CapRefusal = 'address' | 'total';

export class AddressCaps {
  readonly #options: AddressCapsOptions;
  readonly #counts = new Map<string, number>();
  #totalCount = 0;

  constructor(options: AddressCapsOptions) {
    this.#options = options;
  }

  /** In use now, by all. */
  get totalCount(): number {
    return this.#totalCount;
  }

  /** Addresses that hold something now. */
  get addressCount(): number {
    return this.#counts.size;
  }

  /** Takes one for `address`, to be given back by `release`; or says which cap forbids it. */
  take(address: string): CapRefusal | undefined {
    const host = hostOf(address);
    const count = this.#counts.get(host) ?? 0;
    if (count >= this.#options.perAddressMaxCount) {
      return 'address';
    }
    if (this.#totalCount >= this.#options.totalMaxCount) {
      return 'total';
    }
    this.#counts.set(host, count + 1);
    this.#totalCount += 1;
    return undefined;
  }

  /** Gives one back; once for each `take` that was granted. */
  release(address: string): void {
    const host = hostOf(address);
    const count = this.#counts.get(host);
    if (count === undefined) {
      throw new TypeError('release: this address holds nothing, expected one release for each granted take');
    }
    this.#totalCount -= 1;
    if (count === 1) {
      this.#counts.delete(host);
    } else {
      this.#counts.set(host, count - 1);
    }
  }
}
