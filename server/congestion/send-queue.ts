/**
 * What leaves next to one viewer, and when: sound at once, then repairs, pictures, probes, each as the token bucket allows. Generic over
 * what the sender keeps, so that production and simulator share it. Pure; nothing is copied but references.
 */
import { Pacer } from './pacer.ts';

/** One picture, cut into packets. */
export type QueuedPicture = {
  readonly packetCount: number;
  readonly isKeyframe: boolean;
};

/** Bytes of a packet as an IP packet. */
export type SizeOf<Item> = (item: Item, packetIndex: number) => number;

export const REPAIR_MAX_COUNT = 512;
export const PICTURE_MAX_COUNT = 600;

/** One of a picture's packets is changed in place by `next`: there are hundreds a second for each viewer. */
export type Departure<Picture, Repair> =
  | { readonly kind: 'video'; readonly picture: Picture; readonly packetIndex: number }
  | { readonly kind: 'rtx'; readonly repair: Repair }
  | { readonly kind: 'probe' };

type PacketDeparture<Picture> = { readonly kind: 'video'; picture: Picture; packetIndex: number };

export class SendQueue<Picture extends QueuedPicture, Repair> {
  readonly pacer = new Pacer();
  readonly #pictureBytes: SizeOf<Picture>;
  readonly #repairBytes: SizeOf<Repair>;
  readonly #totalBytes: ((picture: Picture) => number) | undefined;
  #pictures: Picture[] = [];
  #headIndex = 0;
  #packetIndex = 0;
  #departure: PacketDeparture<Picture> | undefined;
  #backlogBytes = 0;
  #repairs: Repair[] = [];
  #repairHeadIndex = 0;
  #probeBytes = 0;
  #droppedCount = 0;

  constructor(options: {
    pictureBytes: SizeOf<Picture>;
    repairBytes: SizeOf<Repair>;
    /** Of all its packets, where that is known already; else they are summed up. */
    totalBytes?: (picture: Picture) => number;
  }) {
    this.#pictureBytes = options.pictureBytes;
    this.#totalBytes = options.totalBytes;
    this.#repairBytes = options.repairBytes;
  }

  /** Video that waits, in bytes of IP packets. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  /** Pictures dropped by cuts and by the cap. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  get repairCount(): number {
    return this.#repairs.length - this.#repairHeadIndex;
  }

  get pictureCount(): number {
    return this.#pictures.length - this.#headIndex;
  }

  /** False: the queue is full; the sender drops to the next keyframe, which empties it. */
  pushPicture(picture: Picture): boolean {
    if (this.pictureCount >= PICTURE_MAX_COUNT) {
      this.#droppedCount += 1;
      return false;
    }
    this.#pictures.push(picture);
    this.#backlogBytes += this.#bytesOf(picture);
    return true;
  }

  /** Drops every picture of which no packet has left; returns how many. */
  cut(): number {
    const keptIndex = this.#packetIndex > 0 ? this.#headIndex + 1 : this.#headIndex;
    const dropped = this.#pictures.length - keptIndex;
    for (let at = keptIndex; at < this.#pictures.length; at += 1) {
      const picture = this.#pictures[at];
      this.#backlogBytes -= picture === undefined ? 0 : this.#bytesOf(picture);
    }
    this.#pictures.length = Math.max(keptIndex, 0);
    this.#droppedCount += dropped;
    return dropped;
  }

  /** False: too many wait. */
  pushRepair(repair: Repair): boolean {
    if (this.#repairs.length - this.#repairHeadIndex >= REPAIR_MAX_COUNT) {
      return false;
    }
    this.#repairs.push(repair);
    return true;
  }

  /** Bytes to be sent only to learn; they go when nothing else waits. */
  setProbe(bytes: number): void {
    this.#probeBytes = bytes;
  }

  /** A packet of the probe was sent, of a size that its sender alone knew. To be called after each `probe` that `next` gave, or the probe ended. */
  chargeProbe(bytes: number, nowMs: number): void {
    this.#probeBytes -= bytes;
    this.pacer.charge(bytes, nowMs);
  }

  /** What leaves now; undefined: nothing may. Call until undefined. */
  next(nowMs: number): Departure<Picture, Repair> | undefined {
    const repair = this.#repairs[this.#repairHeadIndex];
    if (repair !== undefined) {
      return this.#nextRepair(repair, nowMs);
    }
    const picture = this.#pictures[this.#headIndex];
    if (picture !== undefined) {
      return this.#nextPacket(picture, nowMs);
    }
    return this.#probeBytes > 0 && this.pacer.takes(0, nowMs, false) ? { kind: 'probe' } : undefined;
  }

  /** When `next` is worth a call; Infinity: nothing waits. */
  nextAtMs(nowMs: number): number {
    const isIdle = this.#repairHeadIndex >= this.#repairs.length && this.pictureCount === 0 && this.#probeBytes <= 0;
    if (isIdle) {
      return Infinity;
    }
    const isKeyframe = this.#pictures[this.#headIndex]?.isKeyframe === true;
    return this.pacer.readyAtMs(nowMs, isKeyframe || this.#repairHeadIndex < this.#repairs.length);
  }

  #bytesOf(picture: Picture): number {
    if (this.#totalBytes !== undefined) {
      return this.#totalBytes(picture);
    }
    let bytes = 0;
    for (let index = 0; index < picture.packetCount; index += 1) {
      bytes += this.#pictureBytes(picture, index);
    }
    return bytes;
  }

  #nextRepair(repair: Repair, nowMs: number): Departure<Picture, Repair> | undefined {
    if (!this.pacer.takes(this.#repairBytes(repair, 0), nowMs, true)) {
      return undefined;
    }
    this.#repairHeadIndex += 1;
    if (this.#repairHeadIndex === this.#repairs.length) {
      this.#repairs.length = 0;
      this.#repairHeadIndex = 0;
    }
    return { kind: 'rtx', repair };
  }

  #nextPacket(picture: Picture, nowMs: number): Departure<Picture, Repair> | undefined {
    const bytes = this.#pictureBytes(picture, this.#packetIndex);
    if (!this.pacer.takes(bytes, nowMs, picture.isKeyframe)) {
      return undefined;
    }
    this.#backlogBytes -= bytes;
    const departure = (this.#departure ??= { kind: 'video', picture, packetIndex: 0 });
    departure.picture = picture;
    departure.packetIndex = this.#packetIndex;
    this.#packetIndex += 1;
    if (this.#packetIndex >= picture.packetCount) {
      this.#packetIndex = 0;
      this.#headIndex += 1;
      this.#compact();
    }
    return departure;
  }

  #compact(): void {
    if (this.#headIndex === this.#pictures.length) {
      this.#pictures.length = 0;
      this.#headIndex = 0;
    } else if (this.#headIndex >= 64) {
      this.#pictures = this.#pictures.slice(this.#headIndex);
      this.#headIndex = 0;
    }
  }
}
