/** Every packet under way, as columns: a handle is a row, used again after 65,536 packets. */
import type { PacketKind } from '../../server/congestion/controller.ts';

const ROW_COUNT = 1 << 16;
const MASK = ROW_COUNT - 1;

/** A picture on its way to one viewer; what a receiver would read from its packets' heads. */
export type SimPicture = {
  /** 0, 1, 2 … in the order of sending; −1 while it waits. */
  sentIndex: number;
  readonly sourceFrame: number;
  readonly rungIndex: number;
  readonly isKeyframe: boolean;
  readonly captureMs: number;
  readonly arrivedAtMs: number;
  readonly bytes: number;
  readonly packetCount: number;
  firstSeq: number;
  stampMs: number;
  /** In force when its first packet left; −1: none. */
  playoutDelayMs: number;
  // The receiver's own notes.
  receivedCount: number;
  completeAtMs: number;
  isRepeated: boolean;
  isHanded: boolean;
};

export class PacketTable {
  readonly kinds: PacketKind[] = Array.from({ length: ROW_COUNT }, () => 'audio');
  readonly seqs = new Int32Array(ROW_COUNT);
  readonly transportSeqs = new Int32Array(ROW_COUNT);
  readonly sentAtMs = new Float64Array(ROW_COUNT);
  readonly pictures: (SimPicture | undefined)[] = Array.from({ length: ROW_COUNT }, () => undefined);
  #next = 0;

  /** A handle for a packet that leaves. */
  add(
    packet: { kind: PacketKind; seq: number; transportSeq: number; picture: SimPicture | undefined },
    nowMs: number,
  ): number {
    const handle = this.#next & MASK;
    this.#next += 1;
    this.kinds[handle] = packet.kind;
    this.seqs[handle] = packet.seq;
    this.transportSeqs[handle] = packet.transportSeq;
    this.sentAtMs[handle] = nowMs;
    this.pictures[handle] = packet.picture;
    return handle;
  }
}
