/** The last points of a row of measurements, so many and no more, in columns of numbers. */

/** NaN where it was not known. */
export type Point<Column extends string> = Readonly<Record<Column, number>>;

export class PointRing<Column extends string> {
  readonly #columns: ReadonlyMap<Column, Float64Array>;
  readonly #maxCount: number;
  #count = 0;
  #next = 0;

  constructor(columns: readonly Column[], maxCount: number) {
    this.#columns = new Map(columns.map((name) => [name, new Float64Array(maxCount)]));
    this.#maxCount = maxCount;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes the place of the oldest when it is full. */
  push(point: Point<Column>): void {
    for (const [name, values] of this.#columns) {
      values[this.#next] = point[name];
    }
    this.#next = (this.#next + 1) % this.#maxCount;
    this.#count = Math.min(this.#count + 1, this.#maxCount);
  }

  /** One column, oldest first; of the newest `count` points. */
  column(name: Column, count: number = this.#count): number[] {
    const values = this.#columns.get(name) ?? new Float64Array(0);
    const taken = Math.min(count, this.#count);
    return Array.from({ length: taken }, (_, index) => {
      const place = (this.#next - taken + index + this.#maxCount) % this.#maxCount;
      return values[place] ?? Number.NaN;
    });
  }
}
