/**
 * Which transport-wide number a packet had that was lost and then repaired. The publisher's bandwidth estimate is first told that it was lost, as is
 * true, and once its repeat has come, that it arrived after all: what costs the picture nothing is no reason to send less. (Told as arrived
 * beforehand it would never come: Chromium forgets what it believes to have arrived. Not told at all, its estimate falls to a few hundred
 * kbit/s at 5 % of loss.) A lost packet's number is not known but follows from its neighbours', where as many numbers as packets are missing. Pure.
 */
import { Unwrapper } from '../../base/wrap.ts';
import type { TrackKind } from '../../media/track.ts';

/** Some seconds at 20 Mbit/s; a power of two. */
const RING_COUNT = 4_096;
/** A neighbour further away than this tells nothing. */
const REACH_MAX_COUNT = 64;

/** What came of one stream, by sequence number modulo the ring. */
class Arrivals {
  readonly #seqExt = new Float64Array(RING_COUNT).fill(Number.NaN);
  readonly #transportExt = new Float64Array(RING_COUNT);
  readonly #atMs = new Float64Array(RING_COUNT);

  note(seqExt: number, transportExt: number, atMs: number): void {
    const index = indexOf(seqExt);
    this.#seqExt[index] = seqExt;
    this.#transportExt[index] = transportExt;
    this.#atMs[index] = atMs;
  }

  /** The nearest one that came, from `seqExt` on in this direction. */
  nearest(seqExt: number, step: 1 | -1): Neighbour | undefined {
    for (let distance = 1; distance <= REACH_MAX_COUNT; distance += 1) {
      const other = seqExt + step * distance;
      const index = indexOf(other);
      if (this.#seqExt[index] === other) {
        return { seqExt: other, transportExt: this.#transportExt[index] ?? 0, atMs: this.#atMs[index] ?? 0 };
      }
    }
    return undefined;
  }
}

type Neighbour = { readonly seqExt: number; readonly transportExt: number; readonly atMs: number };

export class RepairedArrivals {
  readonly #unwrapper = new Unwrapper(16);
  readonly #seen = new Float64Array(RING_COUNT).fill(Number.NaN);
  readonly #streams: Readonly<Record<TrackKind, Arrivals>> = { video: new Arrivals(), audio: new Arrivals() };

  /** A packet came, of any stream; `seqExt`: of the stream it belongs to, undefined for repeats. */
  note(transportSeq16: number, packet: { kind: TrackKind; seqExt: number | undefined; atMs: number }): void {
    const transportExt = this.#unwrapper.unwrap(transportSeq16);
    this.#seen[indexOf(transportExt)] = transportExt;
    if (packet.seqExt !== undefined) {
      this.#streams[packet.kind].note(packet.seqExt, transportExt, packet.atMs);
    }
  }

  /** The number that the lost packet had, and when it would have come; undefined where that cannot be told. */
  find(kind: TrackKind, seqExt: number): { readonly transportSeq16: number; readonly atMs: number } | undefined {
    const before = this.#streams[kind].nearest(seqExt, -1);
    const after = this.#streams[kind].nearest(seqExt, 1);
    if (before === undefined || after === undefined) {
      return undefined;
    }
    const missing: number[] = [];
    const missingCount = after.seqExt - before.seqExt - 1;
    for (let other = before.transportExt + 1; other < after.transportExt; other += 1) {
      if (this.#seen[indexOf(other)] !== other) {
        missing.push(other);
      }
      if (missing.length > missingCount) {
        return undefined;
      }
    }
    const transportExt = missing[seqExt - before.seqExt - 1];
    return transportExt === undefined || missing.length !== missingCount
      ? undefined
      : { transportSeq16: transportExt & 0xffff, atMs: before.atMs };
  }
}

/** Numbers may lie below 0 where the first that came was not the first. */
const indexOf = (numberExt: number): number => ((numberExt % RING_COUNT) + RING_COUNT) % RING_COUNT;
