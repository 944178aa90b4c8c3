/**
 * What one viewer was sent lately, by transport-wide number: feedback is checked against it and matched with it, and nothing else is
 * believed. Six bytes a packet.
 */
import { assert } from '../base/assert.ts';
import type { PacketKind } from './controller.ts';

const KINDS: readonly PacketKind[] = ['audio', 'video', 'rtx', 'probe'];
const ARRIVED_FLAG = 0x80;
const KIND_MASK = 0x03;
/** Sizes are kept in units of 8 bytes, times in quarters of a millisecond (the unit of feedback), which wrap after 16 s. */
const SIZE_UNIT_BYTES = 8;
const TIME_UNITS_PER_MS = 4;
const TIME_WRAP_UNITS = 2 ** 16;
const NO_VIDEO = 0xffff;

export class SentHistory {
  readonly #mask: number;
  readonly #sentAt: Uint16Array;
  readonly #size8: Uint8Array;
  readonly #flags: Uint8Array;
  readonly #videoSeq16: Uint16Array;
  #firstSeqExt: number | undefined;
  #nextSeqExt = 0;
  #lastVideoSeqExt = 0;
  #lastUnits = 0;

  /** `packetMaxCount`, a power of two: 512 hold a second at 4.5 Mbit/s. */
  constructor(packetMaxCount: number) {
    assert((packetMaxCount & (packetMaxCount - 1)) === 0, 'a power of two');
    this.#mask = packetMaxCount - 1;
    // One buffer for all columns: a buffer of its own costs each more than it holds.
    const buffer = new ArrayBuffer(6 * packetMaxCount);
    this.#sentAt = new Uint16Array(buffer, 0, packetMaxCount);
    this.#videoSeq16 = new Uint16Array(buffer, 2 * packetMaxCount, packetMaxCount);
    this.#size8 = new Uint8Array(buffer, 4 * packetMaxCount, packetMaxCount);
    this.#flags = new Uint8Array(buffer, 5 * packetMaxCount, packetMaxCount);
  }

  /** One more than the last number sent. */
  get nextSeqExt(): number {
    return this.#nextSeqExt;
  }

  add(seqExt: number, packet: { bytes: number; kind: PacketKind; videoSeqExt: number }, nowMs: number): void {
    if (this.#firstSeqExt === undefined) {
      this.#firstSeqExt = seqExt;
    }
    const at = seqExt & this.#mask;
    this.#lastUnits = Math.round(nowMs * TIME_UNITS_PER_MS);
    this.#sentAt[at] = this.#lastUnits % TIME_WRAP_UNITS;
    this.#size8[at] = Math.min(0xff, Math.round(packet.bytes / SIZE_UNIT_BYTES));
    this.#flags[at] = KINDS.indexOf(packet.kind);
    this.#videoSeq16[at] = packet.videoSeqExt < 0 ? NO_VIDEO : packet.videoSeqExt % NO_VIDEO;
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
      seqExt >= Math.max(this.#firstSeqExt, this.#nextSeqExt - this.#mask - 1)
    );
  }

  sentAtMs(seqExt: number): number {
    const units = this.#sentAt[seqExt & this.#mask] ?? 0;
    const agoUnits = (this.#lastUnits - units) % TIME_WRAP_UNITS;
    return (this.#lastUnits - (agoUnits < 0 ? agoUnits + TIME_WRAP_UNITS : agoUnits)) / TIME_UNITS_PER_MS;
  }

  bytes(seqExt: number): number {
    return (this.#size8[seqExt & this.#mask] ?? 0) * SIZE_UNIT_BYTES;
  }

  kind(seqExt: number): PacketKind {
    return KINDS[(this.#flags[seqExt & this.#mask] ?? 0) & KIND_MASK] ?? 'audio';
  }

  /** −1: no video. */
  videoSeqExt(seqExt: number): number {
    const seq = this.#videoSeq16[seqExt & this.#mask] ?? NO_VIDEO;
    if (seq === NO_VIDEO) {
      return -1;
    }
    const distance = (((this.#lastVideoSeqExt - seq) % NO_VIDEO) + NO_VIDEO) % NO_VIDEO;
    return this.#lastVideoSeqExt - distance;
  }

  /** True when this arrival was not known before. */
  markArrived(seqExt: number): boolean {
    const at = seqExt & this.#mask;
    const flags = this.#flags[at] ?? 0;
    this.#flags[at] = flags | ARRIVED_FLAG;
    return (flags & ARRIVED_FLAG) === 0;
  }
}
