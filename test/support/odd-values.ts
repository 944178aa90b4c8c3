/** What JavaScript may hand a native function instead of what it expects. */
import assert from 'node:assert/strict';
import type { Prng } from '../../server/base/prng.ts';

const detached = (): Uint8Array => {
  const bytes = new Uint8Array(16);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
};

/** Of every kind that an argument may not be, and some that it may. */
const ODD_VALUES: readonly unknown[] = [
  ...[
    undefined,
    null,
    true,
    -1,
    0,
    1,
    2,
    1.5,
    Number.NaN,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    10n,
    '',
    '127.0.0.1',
    'x'.repeat(80),
    '127.0.0.1\0',
  ],
  ...[
    Symbol('odd'),
    {},
    [],
    [new Uint8Array(3)],
    [detached()],
    [1],
    new Uint8Array(0),
    new Uint8Array(12),
    new Uint8Array(16),
  ],
  ...[
    new Uint8Array(2_000),
    detached(),
    new Uint32Array(8),
    new Uint32Array(9 * 8).fill(7),
    new DataView(new ArrayBuffer(16)),
  ],
  ...[
    new Proxy([], { get: () => assert.fail('looked at') }),
    new Float64Array(2),
    new SharedArrayBuffer(16),
    Buffer.alloc(12),
    () => 1,
  ],
];

/** Calls native functions with such values: each answers or throws, and the process lives. */
export class OddCaller {
  readonly counts = { fine: 0, thrown: 0 };
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** What is thrown is an error. */
  attempt(call: () => unknown): void {
    try {
      call();
      this.counts.fine += 1;
    } catch (error) {
      assert.ok(error instanceof Error);
      this.counts.thrown += 1;
    }
  }

  /** With up to four arguments; now and then of something else. */
  attemptOneOf<T extends object>(receiver: T, names: readonly (keyof T)[]): void {
    const call = receiver[names[this.#prng.nextIndex(names.length)]!] as (...given: unknown[]) => unknown;
    const given = this.draw(this.#prng.nextIndex(5));
    this.attempt(() => Reflect.apply(call, this.#prng.nextIndex(50) === 0 ? this.draw(1)[0] : receiver, given));
  }

  draw(count: number): unknown[] {
    return Array.from({ length: count }, () => ODD_VALUES[this.#prng.nextIndex(ODD_VALUES.length)]);
  }
}
