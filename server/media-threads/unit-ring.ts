/**
 * Access units from one thread to many, through shared memory: written once, read by each reader at its own pace. The writer never waits; a
 * reader that was overtaken goes on with the newest and is told how many units it lost. Pure but for the memory.
 *
 *     0        8        16       20    64                                              64 + capacity
 *     ┌────────┬────────┬────────┬─────┬───────────────────────────────────────────────┐
 *     │reserved│written │ wake   │     │ records, each a multiple of 64 bytes           │
 *     └────────┴────────┴────────┴─────┴───────────────────────────────────────────────┘
 *
 * `reserved` and `written` count all bytes since the start. What a reader has copied is good if, afterwards, no more than `capacity` bytes from its
 * place on are reserved. A record's header of 64 bytes never wraps, its payload may:
 *
 *     0 payload bytes u32 · 4 rendition u32 · 8 track u32 · 12 sequence number (30 bits), keyframe, discontinuity · 16 DTS f64 · 24 PTS f64
 *     32 arrivedAtMs f64 · 40 arrivedAtWallMs f64 · 48 enteredAtMs f64 · 56 wallOffsetMs f64
 */
import type { AccessUnit } from '../media/access-unit.ts';

export type RingRecord = Omit<AccessUnit, 'track'> & {
  /** As its definitions were numbered in messages. */
  readonly renditionNumber: number;
  readonly trackNumber: number;
  /** When it was written: monotonic clock of the writer. */
  readonly enteredAtMs: number;
  /** Unix milliseconds at media time 0, as of now. */
  readonly wallOffsetMs: number;
};

/** Where a reader begins that is to miss nothing from here on. */
export type RingPosition = { readonly totalBytes: number; readonly sequence: number };

/** `lostCount`: records that this reader missed just before it. */
export type TakenRecord = RingRecord & { readonly lostCount: number };

const CONTROL_BYTES = 64;
const HEADER_BYTES = 64;
const [RESERVED, WRITTEN] = [0, 1];
const WAKE_AT_BYTES = 16;
/** So that readers of a large unit have time to take it. */
const UNIT_MAX_RATIO = 0.25;
const KEYFRAME_FLAG = 1;
const DISCONTINUITY_FLAG = 2;
const FLAG_BITS = 2;
const SEQUENCE_MODULUS = 2 ** 30;

/** Memory for a ring of at least so many bytes. */
export const createRingMemory = (minBytes: number): SharedArrayBuffer =>
  new SharedArrayBuffer(CONTROL_BYTES + HEADER_BYTES * Math.max(8, Math.ceil(minBytes / HEADER_BYTES)));

class Ring {
  readonly totals: BigInt64Array;
  readonly wake: Int32Array;
  readonly capacityBytes: number;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #numbers: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.capacityBytes = memory.byteLength - CONTROL_BYTES;
    this.totals = new BigInt64Array(memory, 0, 2);
    this.wake = new Int32Array(memory, WAKE_AT_BYTES, 1);
    this.#bytes = new Uint8Array(memory, CONTROL_BYTES);
    this.#words = new Uint32Array(memory, CONTROL_BYTES);
    this.#numbers = new Float64Array(memory, CONTROL_BYTES);
  }

  putHeader(atBytes: number, record: RingRecord, sequence: number): void {
    const word = (atBytes % this.capacityBytes) / 4;
    const flags = (record.isKeyframe ? KEYFRAME_FLAG : 0) | (record.isDiscontinuity ? DISCONTINUITY_FLAG : 0);
    this.#words[word] = record.payload.byteLength;
    this.#words[word + 1] = record.renditionNumber;
    this.#words[word + 2] = record.trackNumber;
    this.#words[word + 3] = ((sequence << FLAG_BITS) | flags) >>> 0;
    const { dtsTicks, ptsTicks, arrivedAtMs, arrivedAtWallMs, enteredAtMs, wallOffsetMs } = record;
    this.#numbers.set([dtsTicks, ptsTicks, arrivedAtMs, arrivedAtWallMs, enteredAtMs, wallOffsetMs], word / 2 + 2);
  }

  getHeader(atBytes: number): Omit<RingRecord, 'payload'> & { payloadBytes: number; sequence: number } {
    const word = (atBytes % this.capacityBytes) / 4;
    const wordAt = (index: number): number => this.#words[word + index] ?? 0;
    const numberAt = (index: number): number => this.#numbers[word / 2 + 2 + index] ?? 0;
    return {
      ...{ payloadBytes: wordAt(0), renditionNumber: wordAt(1), trackNumber: wordAt(2) },
      sequence: wordAt(3) >>> FLAG_BITS,
      isKeyframe: (wordAt(3) & KEYFRAME_FLAG) !== 0,
      isDiscontinuity: (wordAt(3) & DISCONTINUITY_FLAG) !== 0,
      ...{ dtsTicks: numberAt(0), ptsTicks: numberAt(1), arrivedAtMs: numberAt(2), arrivedAtWallMs: numberAt(3) },
      ...{ enteredAtMs: numberAt(4), wallOffsetMs: numberAt(5) },
    };
  }

  putPayload(atBytes: number, payload: Uint8Array): void {
    const from = (atBytes + HEADER_BYTES) % this.capacityBytes;
    const headBytes = Math.min(payload.byteLength, this.capacityBytes - from);
    this.#bytes.set(payload.subarray(0, headBytes), from);
    this.#bytes.set(payload.subarray(headBytes), 0);
  }

  getPayload(atBytes: number, payloadBytes: number): Uint8Array {
    const from = (atBytes + HEADER_BYTES) % this.capacityBytes;
    const headBytes = Math.min(payloadBytes, this.capacityBytes - from);
    const payload = Buffer.allocUnsafeSlow(payloadBytes);
    payload.set(this.#bytes.subarray(from, from + headBytes), 0);
    payload.set(this.#bytes.subarray(0, payloadBytes - headBytes), headBytes);
    return payload;
  }
}

const recordBytes = (payloadBytes: number): number =>
  HEADER_BYTES + HEADER_BYTES * Math.ceil(payloadBytes / HEADER_BYTES);

export class RingWriter {
  readonly #ring: Ring;
  #totalBytes = 0;
  #sequence = 0;

  /** The only writer of this memory, which nobody has written to before. */
  constructor(memory: SharedArrayBuffer) {
    this.#ring = new Ring(memory);
  }

  get position(): RingPosition {
    return { totalBytes: this.#totalBytes, sequence: this.#sequence };
  }

  /** Copies the unit and wakes the readers. False: it is larger than a quarter of the ring, and nothing was written. */
  write(record: RingRecord): boolean {
    const bytes = recordBytes(record.payload.byteLength);
    const ring = this.#ring;
    if (bytes > UNIT_MAX_RATIO * ring.capacityBytes) {
      return false;
    }
    const atBytes = this.#totalBytes;
    this.#totalBytes += bytes;
    Atomics.store(ring.totals, RESERVED, BigInt(this.#totalBytes));
    ring.putHeader(atBytes, record, this.#sequence);
    ring.putPayload(atBytes, record.payload);
    this.#sequence = (this.#sequence + 1) % SEQUENCE_MODULUS;
    Atomics.store(ring.totals, WRITTEN, BigInt(this.#totalBytes));
    Atomics.add(ring.wake, 0, 1);
    Atomics.notify(ring.wake, 0);
    return true;
  }
}

export class RingReader {
  readonly #ring: Ring;
  #totalBytes: number;
  #sequence: number;

  constructor(memory: SharedArrayBuffer, from: RingPosition) {
    this.#ring = new Ring(memory);
    this.#totalBytes = from.totalBytes;
    this.#sequence = from.sequence;
  }

  /** The next unit, its payload a copy; undefined: there is none yet. */
  take(): TakenRecord | undefined {
    const ring = this.#ring;
    if (Number(Atomics.load(ring.totals, WRITTEN)) === this.#totalBytes) {
      return undefined;
    }
    const { payloadBytes, sequence, ...header } = ring.getHeader(this.#totalBytes);
    if (this.#isOvertaken()) {
      return this.#skip();
    }
    const payload = ring.getPayload(this.#totalBytes, payloadBytes);
    if (this.#isOvertaken()) {
      return this.#skip();
    }
    const lostCount = (sequence - this.#sequence + SEQUENCE_MODULUS) % SEQUENCE_MODULUS;
    this.#totalBytes += recordBytes(payloadBytes);
    this.#sequence = (sequence + 1) % SEQUENCE_MODULUS;
    return { ...header, payload, lostCount };
  }

  /** Resolves when there is something to take. */
  async written(): Promise<void> {
    const { wake, totals } = this.#ring;
    for (;;) {
      const seen = Atomics.load(wake, 0);
      if (Number(Atomics.load(totals, WRITTEN)) !== this.#totalBytes) {
        return;
      }
      const waiting = Atomics.waitAsync(wake, 0, seen);
      if (waiting.async) {
        await waiting.value;
      }
    }
  }

  /** What was read may have been written over meanwhile. */
  #isOvertaken(): boolean {
    return Number(Atomics.load(this.#ring.totals, RESERVED)) - this.#totalBytes > this.#ring.capacityBytes;
  }

  /** To what will be written next: the sequence number there tells how much was lost. */
  #skip(): undefined {
    this.#totalBytes = Number(Atomics.load(this.#ring.totals, WRITTEN));
    return undefined;
  }
}
