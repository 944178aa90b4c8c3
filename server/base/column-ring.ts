/** The last rows of a few numbers, each row with a word: of fixed size, the oldest is overwritten. */

export type Row<Column extends string> = Readonly<Record<Column, number>> & { readonly label: string };

const LABEL_MAX_COUNT = 255;

export class ColumnRing<Column extends string> {
  readonly #columns: readonly Column[];
  readonly #rowMaxCount: number;
  readonly #values: Float32Array;
  readonly #labelAt: Uint8Array;
  readonly #labels: string[] = [];
  #count = 0;

  constructor(columns: readonly Column[], rowMaxCount: number) {
    this.#columns = columns;
    this.#rowMaxCount = rowMaxCount;
    this.#values = new Float32Array(columns.length * rowMaxCount);
    this.#labelAt = new Uint8Array(rowMaxCount);
  }

  /** Numbers are kept to seven digits. Of labels there may be 255; any further one is told as the first. */
  add(row: Row<Column>): void {
    const at = this.#count % this.#rowMaxCount;
    this.#columns.forEach((name, column) => {
      this.#values[at * this.#columns.length + column] = row[name];
    });
    this.#labelAt[at] = this.#indexOf(row.label);
    this.#count += 1;
  }

  /** Oldest first. */
  rows(): Row<Column>[] {
    const keptCount = Math.min(this.#count, this.#rowMaxCount);
    return Array.from({ length: keptCount }, (_, index) => {
      const at = (this.#count - keptCount + index) % this.#rowMaxCount;
      const cells = this.#columns.map((name, column) => [name, this.#values[at * this.#columns.length + column]]);
      const label = this.#labels[this.#labelAt[at] ?? 0] ?? '';
      return { ...(Object.fromEntries(cells) as Record<Column, number>), label };
    });
  }

  #indexOf(label: string): number {
    const index = this.#labels.indexOf(label);
    if (index >= 0 || this.#labels.length > LABEL_MAX_COUNT) {
      return Math.max(0, index);
    }
    return this.#labels.push(label) - 1;
  }
}
