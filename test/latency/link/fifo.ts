/** A first-in, first-out list whose `shift` costs the same however long it is; an array's moves everything. */

const COMPACT_COUNT = 256;

export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #headIndex = 0;

  get length(): number {
    return this.#items.length - this.#headIndex;
  }

  get first(): T | undefined {
    return this.#items[this.#headIndex];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Puts `item` in the place of the first. */
  replaceFirst(item: T): void {
    this.#items[this.#headIndex] = item;
  }

  shift(): T | undefined {
    const item = this.#items[this.#headIndex];
    if (this.#headIndex < this.#items.length) {
      this.#items[this.#headIndex] = undefined;
      this.#headIndex += 1;
    }
    if (this.#headIndex >= COMPACT_COUNT && this.#headIndex * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#headIndex);
      this.#headIndex = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#headIndex = 0;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = this.#headIndex; index < this.#items.length; index += 1) {
      yield this.#items[index] as T;
    }
  }
}
