/** Which bytes of which files make up the media of a download, in order; found again from any byte on. Three numbers a piece. */

/** `fileNumber` counts whatever the maker of the list says; below 0 it means something that is no file. */
export type Piece = { readonly fileNumber: number; readonly byteOffset: number; readonly byteLength: number };

const FIELDS_COUNT = 3;
const FIRST_CAPACITY = 256;

export class CopyList {
  /** File number, offset in the file, offset in the list. */
  #numbers = new Float64Array(FIRST_CAPACITY * FIELDS_COUNT);
  #count = 0;
  #totalBytes = 0;

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** What it takes in memory. */
  get heldBytes(): number {
    return this.#numbers.byteLength;
  }

  /** What follows the last piece in its file makes that one longer. */
  push(piece: Piece): void {
    const last = (this.#count - 1) * FIELDS_COUNT;
    const isNext =
      this.#count > 0 &&
      this.#numbers[last] === piece.fileNumber &&
      (this.#numbers[last + 1] ?? 0) + this.#totalBytes - (this.#numbers[last + 2] ?? 0) === piece.byteOffset;
    if (isNext) {
      this.#totalBytes += piece.byteLength;
      return;
    }
    const at = this.#count * FIELDS_COUNT;
    if (at === this.#numbers.length) {
      const larger = new Float64Array(at * 2);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    this.#numbers.set([piece.fileNumber, piece.byteOffset, this.#totalBytes], at);
    this.#count += 1;
    this.#totalBytes += piece.byteLength;
  }

  /** The pieces of `[startByte, endByte)` of the media, the first and the last cut to fit. */
  *slice(startByte: number, endByte: number): Generator<Piece> {
    for (let place = this.#placeOf(startByte); place < this.#count; place += 1) {
      const at = place * FIELDS_COUNT;
      const pieceStart = this.#numbers[at + 2] ?? 0;
      const pieceEnd = place + 1 < this.#count ? (this.#numbers[at + 5] ?? 0) : this.#totalBytes;
      if (pieceStart >= endByte) {
        return;
      }
      const from = Math.max(startByte, pieceStart);
      const byteLength = Math.min(endByte, pieceEnd) - from;
      if (byteLength > 0) {
        const byteOffset = (this.#numbers[at + 1] ?? 0) + from - pieceStart;
        yield { fileNumber: this.#numbers[at] ?? 0, byteOffset, byteLength };
      }
    }
  }

  /** The last piece that begins at or before `byte`. */
  #placeOf(byte: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#numbers[middle * FIELDS_COUNT + 2] ?? 0) <= byte) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return Math.max(0, low - 1);
  }
}
