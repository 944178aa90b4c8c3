/**
 * Capacity from packets that left close together: a keyframe is such a train, and costs nothing extra. Where it arrives more slowly than it
 * was sent it has filled the link, and its rate of arrival is what the link carries; where it arrives as it was sent, the link carries at
 * least that (Pudica, SQP and BurstRTC build on the same).
 */

export type TrainSample = {
  readonly bps: number;
  /** True: the link carries this. False: at least this. */
  readonly isSaturated: boolean;
};

/** Packets further apart than this are no train: pacing at 1 Mbit/s leaves 10 ms between full packets. */
const GAP_MAX_MS = 12;
const PACKET_MIN_COUNT = 10;
const DURATION_MIN_MS = 15;
const SATURATED_RATIO = 1.15;
/** A train that was stretched by less than this has met jitter, not the link's end … */
const STRETCH_MIN_MS = 10;
/** … and where delays jitter, by less than so many times their usual change. */
const STRETCH_JITTER_FACTOR = 2.5;
const JITTER_SMOOTHING = 0.05;
/** A channel that lets packets go in bunches would be taken for a fast one. */
const BUNCHED_MAX_RATIO = 1.3;

export class TrainSampler {
  #count = 0;
  #bytes = 0;
  #firstBytes = 0;
  #firstSentMs = 0;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #firstArrivedMs = 0;
  #lastArrivedMs = 0;
  #nextSeqExt = -1;
  #sample: TrainSample | undefined;
  #jitterMs = 2;
  #headDelayMs = Number.NaN;

  /** How much delays change from one packet to one that left later. */
  get jitterMs(): number {
    return this.#jitterMs;
  }

  /** Whether so much more time to arrive than to be sent is the link's doing, not jitter's. */
  isStretched(stretchMs: number): boolean {
    return stretchMs > Math.max(STRETCH_MIN_MS, STRETCH_JITTER_FACTOR * this.#jitterMs);
  }

  /** What the last train that ended has shown; taken once. */
  take(): TrainSample | undefined {
    const sample = this.#sample;
    this.#sample = undefined;
    return sample;
  }

  /** In the order of sending. */
  onPacket(packet: { seqExt: number; sentAtMs: number; arrivedAtMs: number; bytes: number }): void {
    const isNext = packet.sentAtMs - this.#lastSentMs <= GAP_MAX_MS && packet.seqExt >= this.#nextSeqExt;
    if (!isNext) {
      this.#end();
      this.#count = 0;
      this.#bytes = 0;
      this.#firstBytes = packet.bytes;
      this.#firstSentMs = packet.sentAtMs;
      this.#firstArrivedMs = packet.arrivedAtMs;
      this.#observeJitter(packet.arrivedAtMs - packet.sentAtMs);
    }
    this.#count += 1;
    this.#bytes += packet.bytes;
    this.#lastSentMs = packet.sentAtMs;
    this.#lastArrivedMs = packet.arrivedAtMs;
    this.#nextSeqExt = packet.seqExt + 1;
  }

  /** Of the first packets of trains, which queue behind nothing of ours. */
  #observeJitter(delayMs: number): void {
    if (!Number.isNaN(this.#headDelayMs)) {
      this.#jitterMs += JITTER_SMOOTHING * (Math.abs(delayMs - this.#headDelayMs) - this.#jitterMs);
    }
    this.#headDelayMs = delayMs;
  }

  /** The train is over, whatever follows it how soon. */
  end(): void {
    this.#end();
    this.#count = 0;
    this.#lastSentMs = Number.NEGATIVE_INFINITY;
  }

  #end(): void {
    const sentMs = this.#lastSentMs - this.#firstSentMs;
    const arrivedMs = this.#lastArrivedMs - this.#firstArrivedMs;
    if (this.#count < PACKET_MIN_COUNT || arrivedMs < DURATION_MIN_MS) {
      return;
    }
    const bits = (this.#bytes - this.#firstBytes) * 8_000;
    if (sentMs > BUNCHED_MAX_RATIO * arrivedMs) {
      return;
    }
    const sentBps = bits / Math.max(sentMs, 1);
    const arrivedBps = bits / arrivedMs;
    const isSaturated = this.isStretched(arrivedMs - sentMs) && sentBps > SATURATED_RATIO * arrivedBps;
    this.#sample = { bps: isSaturated ? arrivedBps : Math.min(sentBps, arrivedBps), isSaturated };
  }
}
