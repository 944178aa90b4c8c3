/**
 * What one viewer was sent lately, by transport-wide number: feedback is checked against it and matched with it, and nothing else is
 * believed. Six bytes a packet.
 */
import { assert } from '../base/assert.ts';
import type { PacketKind } from './controller.ts';

const KINDS: readonly PacketKind[] = ['audio', 'video', 'rtx', 'probe'];
/** Three words a packet: when it was sent, which video packet it is, and its size with kind and arrival in the low byte. */
const WORD_COUNT = 3;
const ARRIVED_FLAG = 0x80;
const KIND_MASK = 0x03;
/** So many packets a later one may overtake. */
const OVERTAKEN_MAX_COUNT = 32;
/** Sizes are kept in units of 8 bytes, times in quarters of a millisecond (the unit of feedback), which wrap after 16 s. */
const SIZE_UNIT_BYTES = 8;
const TIME_UNITS_PER_MS = 4;
const TIME_WRAP_UNITS = 2 ** 16;
const NO_VIDEO = 0xffff;

export class SentHistory {
  readonly #packetMaxCount: number;
  #mask: number;
  // One array for all: each costs more than a hundred bytes beside what it holds.
  #words: Uint16Array;
  #firstSeqExt: number | undefined;
  #nextSeqExt = 0;
  /** What was forgotten before it grew stays forgotten. */
  #keptFromSeqExt = 0;
  #lastVideoSeqExt = 0;
  #lastUnits = 0;

  /**
   * Powers of two, both. It begins with the lesser and doubles while packets are under way that it would forget: 128 hold what an untroubled viewer
   * has under way and a second of sound and the lowest renditions, 512 a second at 4.5 Mbit/s.
   */
  constructor(packetMaxCount: number, packetStartCount = packetMaxCount) {
    assert((packetMaxCount & (packetMaxCount - 1)) === 0, 'a power of two');
    assert((packetStartCount & (packetStartCount - 1)) === 0, 'a power of two');
    this.#packetMaxCount = packetMaxCount;
    this.#mask = packetStartCount - 1;
    this.#words = new Uint16Array(WORD_COUNT * packetStartCount);
  }

  /** One more than the last number sent. */
  get nextSeqExt(): number {
    return this.#nextSeqExt;
  }

  /** `answeredSeqExt`: up to there all is known that will be, but for packets that others overtook. */
  add(
    seqExt: number,
    packet: { bytes: number; kind: PacketKind; videoSeqExt: number },
    nowMs: number,
    answeredSeqExt = -1,
  ): void {
    if (this.#firstSeqExt === undefined) {
      this.#firstSeqExt = seqExt;
    }
    const forgottenSeqExt = seqExt - this.#mask - 1;
    const isNeeded = forgottenSeqExt >= this.#firstSeqExt && forgottenSeqExt > answeredSeqExt - OVERTAKEN_MAX_COUNT;
    if (isNeeded && this.#mask + 1 < this.#packetMaxCount) {
      this.#grow();
    }
    const at = this.#placeOf(seqExt);
    this.#lastUnits = Math.round(nowMs * TIME_UNITS_PER_MS);
    const size8 = Math.min(0xff, Math.round(packet.bytes / SIZE_UNIT_BYTES));
    this.#words[at] = this.#lastUnits % TIME_WRAP_UNITS;
    this.#words[at + 1] = packet.videoSeqExt < 0 ? NO_VIDEO : packet.videoSeqExt % NO_VIDEO;
    this.#words[at + 2] = (size8 << 8) | KINDS.indexOf(packet.kind);
    if (packet.videoSeqExt >= 0) {
      this.#lastVideoSeqExt = Math.max(this.#lastVideoSeqExt, packet.videoSeqExt);
    }
    this.#nextSeqExt = seqExt + 1;
  }

  /** Whether every number of this range was sent; those too old to be remembered count as sent. */
  isPlausible(baseSeqExt: number, count: number): boolean {
    return (
      this.#firstSeqExt !== undefined &&
      count > 0 &&
      baseSeqExt >= this.#firstSeqExt &&
      baseSeqExt + count <= this.#nextSeqExt
    );
  }

  /** Whether it is still remembered. */
  has(seqExt: number): boolean {
    return (
      this.#firstSeqExt !== undefined &&
      seqExt < this.#nextSeqExt &&
      seqExt >= Math.max(this.#firstSeqExt, this.#keptFromSeqExt, this.#nextSeqExt - this.#mask - 1)
    );
  }

  sentAtMs(seqExt: number): number {
    const units = this.#words[this.#placeOf(seqExt)] ?? 0;
    const agoUnits = (this.#lastUnits - units) % TIME_WRAP_UNITS;
    return (this.#lastUnits - (agoUnits < 0 ? agoUnits + TIME_WRAP_UNITS : agoUnits)) / TIME_UNITS_PER_MS;
  }

  bytes(seqExt: number): number {
    return ((this.#words[this.#placeOf(seqExt) + 2] ?? 0) >> 8) * SIZE_UNIT_BYTES;
  }

  kind(seqExt: number): PacketKind {
    return KINDS[(this.#words[this.#placeOf(seqExt) + 2] ?? 0) & KIND_MASK] ?? 'audio';
  }

  /** −1: no video. */
  videoSeqExt(seqExt: number): number {
    const seq = this.#words[this.#placeOf(seqExt) + 1] ?? NO_VIDEO;
    if (seq === NO_VIDEO) {
      return -1;
    }
    const distance = (((this.#lastVideoSeqExt - seq) % NO_VIDEO) + NO_VIDEO) % NO_VIDEO;
    return this.#lastVideoSeqExt - distance;
  }

  /** True when this arrival was not known before. */
  markArrived(seqExt: number): boolean {
    const at = this.#placeOf(seqExt) + 2;
    const word = this.#words[at] ?? 0;
    this.#words[at] = word | ARRIVED_FLAG;
    return (word & ARRIVED_FLAG) === 0;
  }

  #grow(): void {
    const before = this.#words;
    const beforeMask = this.#mask;
    this.#mask = 2 * beforeMask + 1;
    this.#keptFromSeqExt = this.#nextSeqExt - beforeMask - 1;
    this.#words = new Uint16Array(2 * before.length);
    for (let seqExt = this.#nextSeqExt - beforeMask - 1; seqExt < this.#nextSeqExt; seqExt += 1) {
      const from = WORD_COUNT * (seqExt & beforeMask);
      this.#words.set(before.subarray(from, from + WORD_COUNT), this.#placeOf(seqExt));
    }
  }

  #placeOf(seqExt: number): number {
    return WORD_COUNT * (seqExt & this.#mask);
  }
}
