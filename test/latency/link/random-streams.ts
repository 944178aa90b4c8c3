/**
 * Counter-based random numbers: the n-th draw of a named stream depends on seed, name and n alone, so that one model's draws never
 * shift another's, and two runs that differ in one model still share all the others' luck.
 */

const GOLDEN = 0x9e3779b9;

const mix = (value: number): number => {
  let mixed = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
};

export class RandomStream {
  readonly #firstKey: number;
  readonly #secondKey: number;

  constructor(seed: number, name: string) {
    let key = mix((seed >>> 0) ^ GOLDEN);
    for (let index = 0; index < name.length; index += 1) {
      key = mix((key + name.charCodeAt(index) + GOLDEN) >>> 0);
    }
    this.#firstKey = key;
    this.#secondKey = mix((key + GOLDEN) >>> 0);
  }

  /** In [0, 1). */
  ratio(counter: number): number {
    const once = mix((Math.imul(counter, GOLDEN) + this.#firstKey) >>> 0);
    return mix((once + this.#secondKey + Math.floor(counter / 2 ** 32)) >>> 0) / 2 ** 32;
  }

  /** Standard normal (Box–Muller); takes the places 2n and 2n + 1 of the stream. */
  normal(counter: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.ratio(2 * counter)));
    return radius * Math.cos(2 * Math.PI * this.ratio(2 * counter + 1));
  }
}
