/**
 * One direction of one link, pure and told the time: capacity, droptail queue, delay, jitter, loss, reordering. Same options, seed and
 * arrivals give the same drops and the same times. The emulator runs it in real time, the controller's simulator in virtual time.
 *
 * A packet's whole way is known when it is sent, because the queue is first in, first out and capacity does not depend on traffic: so
 * `send` does the arithmetic, and `take` only hands over what has become due. Packets are known by their owner's integer handles.
 */
import { Capacity, type CapacityOptions } from './capacity.ts';
import { DelayHistogram, type DelaySummary } from '../../support/delay-histogram.ts';
import { RandomStream } from './random-streams.ts';

export type LinkModelOptions = {
  /** Undefined: no limit, and so no queue. */
  readonly capacity: CapacityOptions | undefined;
  /** Packets that have not wholly passed, the one in transmission included; one that would go over it is dropped. */
  readonly queueMaxBytes: number;
  readonly delayMs: number;
  /** Mean of a log-normal delay on top. */
  readonly jitterMs: number;
  readonly lossRatio: number;
  /** Mean length of a run of losses; undefined: losses are independent. */
  readonly lossBurstCount: number | undefined;
  readonly reorderRatio: number;
  /** A reordered packet lets 1 … this many later ones go first. */
  readonly reorderMaxCount: number;
};

export type Fate = 'passed' | 'lost' | 'queue-full';

/** Packets and bytes as IP packets. `in` = delivered + droppedByQueue + droppedByLoss + what is on its way. */
export type DirectionCounts = {
  readonly inCount: number;
  readonly inBytes: number;
  readonly deliveredCount: number;
  readonly deliveredBytes: number;
  readonly droppedByQueueCount: number;
  readonly droppedByLossCount: number;
  readonly reorderedCount: number;
  /** From arrival until the last bit has passed, of packets that were not dropped by the queue. */
  readonly queueDelayMs: DelaySummary;
};

/** Spread of the logarithm of jitter: p95 is 2.5 times the mean. */
const JITTER_SIGMA = 0.7;
/** How fast jitter forgets: packets of one burst share it, frames 33 ms apart hardly do. */
const JITTER_TAU_MS = 20;
/** A packet held back goes on after this time even when no later one comes. */
const HOLD_MAX_MS = 50;
const HELD_MAX_COUNT = 64;
const RING_START_COUNT = 1024;
/** More packets on their way than this are dropped as if by the queue: only an unlimited link with a long delay gets there. */
const RING_MAX_COUNT = 1 << 20;
const NO_HANDLE = -1;

export class LinkModel {
  readonly #options: LinkModelOptions;
  readonly #capacity: Capacity | undefined;
  readonly #lossDraws: RandomStream;
  readonly #jitterDraws: RandomStream;
  readonly #reorderDraws: RandomStream;
  readonly #reorderCountDraws: RandomStream;
  readonly #goodToBadRatio: number;
  readonly #badToGoodRatio: number;
  readonly #queueDelays = new DelayHistogram();

  #originMs = 0;
  #nowMs = 0;
  #busyUntilMs = 0;
  #lastReleaseAtMs = 0;
  #passedCount = 0;
  #isBad = false;
  #jitterState = 0;
  #jitterAtMs = 0;

  // One ring for both the queue and the packets under way; `#leaveIndex` follows the first, `#releaseIndex` the second.
  #finishAtMs = new Float64Array(RING_START_COUNT);
  #releaseAtMs = new Float64Array(RING_START_COUNT);
  #sizeBytes = new Float64Array(RING_START_COUNT);
  #handles = new Int32Array(RING_START_COUNT);
  #holdCounts = new Uint8Array(RING_START_COUNT);
  #mask = RING_START_COUNT - 1;
  #leaveIndex = 0;
  #releaseIndex = 0;
  #tailIndex = 0;
  #queueBytes = 0;

  readonly #heldHandles: number[] = [];
  readonly #heldSizes: number[] = [];
  readonly #heldLeft: number[] = [];
  readonly #heldUntilMs: number[] = [];
  #takenAtMs = 0;

  #inCount = 0;
  #inBytes = 0;
  #deliveredCount = 0;
  #deliveredBytes = 0;
  #droppedByQueueCount = 0;
  #droppedByLossCount = 0;
  #reorderedCount = 0;

  /** `name` sets the direction's random streams apart from the other's. */
  constructor(options: LinkModelOptions, { seed, name }: { seed: number; name: string }) {
    this.#options = options;
    this.#capacity = options.capacity === undefined ? undefined : new Capacity(options.capacity);
    this.#lossDraws = new RandomStream(seed, `${name}/loss`);
    this.#jitterDraws = new RandomStream(seed, `${name}/jitter`);
    this.#reorderDraws = new RandomStream(seed, `${name}/reorder`);
    this.#reorderCountDraws = new RandomStream(seed, `${name}/reorder-count`);
    const { lossRatio, lossBurstCount } = options;
    this.#badToGoodRatio = lossBurstCount === undefined ? 1 - lossRatio : 1 / lossBurstCount;
    this.#goodToBadRatio = lossRatio >= 1 ? 1 : (lossRatio * this.#badToGoodRatio) / (1 - lossRatio);
    if (lossRatio >= 1) {
      this.#badToGoodRatio = 0;
    }
  }

  /** Link time 0 is now: capacity, random draws and counts begin anew; what is under way arrives within the delay and counts as in. */
  restart(nowMs: number): void {
    const latestMs = nowMs + this.#options.delayMs;
    let underWayBytes = 0;
    let underWayCount = 0;
    for (let index = Math.min(this.#leaveIndex, this.#releaseIndex); index < this.#tailIndex; index += 1) {
      const at = index & this.#mask;
      this.#finishAtMs[at] = Math.min(this.#finishAtMs[at]!, nowMs);
      this.#releaseAtMs[at] = Math.min(this.#releaseAtMs[at]!, latestMs);
      if (index >= this.#releaseIndex && this.#handles[at] !== NO_HANDLE) {
        underWayBytes += this.#sizeBytes[at]!;
        underWayCount += 1;
      }
    }
    this.#originMs = nowMs;
    this.#nowMs = nowMs;
    this.#busyUntilMs = Math.min(this.#busyUntilMs, nowMs);
    this.#lastReleaseAtMs = Math.min(this.#lastReleaseAtMs, latestMs);
    this.#passedCount = 0;
    this.#leaveQueue(nowMs);
    this.#queueDelays.clear();
    this.#inCount = underWayCount + this.#heldHandles.length;
    this.#inBytes = this.#heldSizes.reduce((sum, bytes) => sum + bytes, underWayBytes);
    this.#deliveredCount = 0;
    this.#deliveredBytes = 0;
    this.#droppedByQueueCount = 0;
    this.#droppedByLossCount = 0;
    this.#reorderedCount = 0;
  }

  /** A packet of `sizeBytes` (IP header included) enters. Time does not go back: an earlier instant counts as the last one. */
  send(handle: number, sizeBytes: number, atMs: number): Fate {
    const nowMs = Math.max(atMs, this.#nowMs);
    this.#nowMs = nowMs;
    this.#inCount += 1;
    this.#inBytes += sizeBytes;
    this.#leaveQueue(nowMs);
    if (!this.#hasRoom(sizeBytes)) {
      this.#droppedByQueueCount += 1;
      return 'queue-full';
    }
    const finishMs = this.#transmit(sizeBytes, nowMs);
    const counter = this.#passedCount;
    this.#passedCount += 1;
    this.#queueDelays.add(finishMs - nowMs);
    const isLost = this.#drawLoss(counter);
    const jitterMs = this.#options.jitterMs > 0 ? this.#drawJitterMs(counter, finishMs) : 0;
    if (isLost) {
      this.#droppedByLossCount += 1;
    } else {
      this.#lastReleaseAtMs = Math.max(this.#lastReleaseAtMs, finishMs + this.#options.delayMs + jitterMs);
    }
    const at = this.#tailIndex & this.#mask;
    this.#finishAtMs[at] = finishMs;
    this.#releaseAtMs[at] = this.#lastReleaseAtMs;
    this.#sizeBytes[at] = sizeBytes;
    this.#handles[at] = isLost ? NO_HANDLE : handle;
    this.#holdCounts[at] = isLost ? 0 : this.#drawHold(counter);
    this.#tailIndex += 1;
    return isLost ? 'lost' : 'passed';
  }

  /** The next packet due by `nowMs`, or −1. Call until −1. */
  take(nowMs: number): number {
    this.#skipLost();
    for (;;) {
      const at = this.#releaseIndex & this.#mask;
      const nextAtMs = this.#releaseIndex < this.#tailIndex ? this.#releaseAtMs[at]! : Infinity;
      const held = this.#dueHeld(nowMs, nextAtMs);
      if (held !== NO_HANDLE || nextAtMs > nowMs) {
        return held;
      }
      this.#releaseIndex += 1;
      this.#takenAtMs = nextAtMs;
      const handle = this.#handles[at]!;
      const sizeBytes = this.#sizeBytes[at]!;
      const holdCount = this.#holdCounts[at]!;
      this.#skipLost();
      if (holdCount === 0 || this.#heldHandles.length >= HELD_MAX_COUNT) {
        this.#deliver(sizeBytes);
        this.#letPass();
        return handle;
      }
      this.#reorderedCount += 1;
      this.#heldHandles.push(handle);
      this.#heldSizes.push(sizeBytes);
      this.#heldLeft.push(holdCount);
      this.#heldUntilMs.push(nextAtMs + HOLD_MAX_MS);
    }
  }

  /** When the next packet is due; Infinity when none is under way. */
  get nextAtMs(): number {
    this.#skipLost();
    let nextMs = this.#releaseIndex < this.#tailIndex ? this.#releaseAtMs[this.#releaseIndex & this.#mask]! : Infinity;
    for (let index = 0; index < this.#heldLeft.length; index += 1) {
      nextMs = Math.min(nextMs, this.#heldLeft[index]! <= 0 ? this.#takenAtMs : this.#heldUntilMs[index]!);
    }
    return nextMs;
  }

  /** The instant at which the packet taken last was due. */
  get takenAtMs(): number {
    return this.#takenAtMs;
  }

  queueBytes(nowMs: number): number {
    this.#leaveQueue(nowMs);
    return this.#queueBytes;
  }

  /** Mean capacity between two instants; undefined where there is no limit. */
  capacityBps(fromMs: number, toMs: number): number | undefined {
    const fromLinkMs = Math.max(0, fromMs - this.#originMs);
    const toLinkMs = Math.max(fromLinkMs, toMs - this.#originMs);
    if (this.#capacity === undefined || toLinkMs === fromLinkMs) {
      return undefined;
    }
    return (this.#capacity.bitsBetween(fromLinkMs, toLinkMs) * 1000) / (toLinkMs - fromLinkMs);
  }

  get deliveredBytes(): number {
    return this.#deliveredBytes;
  }

  counts(): DirectionCounts {
    return {
      inCount: this.#inCount,
      inBytes: this.#inBytes,
      deliveredCount: this.#deliveredCount,
      deliveredBytes: this.#deliveredBytes,
      droppedByQueueCount: this.#droppedByQueueCount,
      droppedByLossCount: this.#droppedByLossCount,
      reorderedCount: this.#reorderedCount,
      queueDelayMs: this.#queueDelays.summary(),
    };
  }

  #leaveQueue(nowMs: number): void {
    while (this.#leaveIndex < this.#tailIndex && this.#finishAtMs[this.#leaveIndex & this.#mask]! <= nowMs) {
      this.#queueBytes -= this.#sizeBytes[this.#leaveIndex & this.#mask]!;
      this.#leaveIndex += 1;
    }
    if (this.#leaveIndex === this.#tailIndex) {
      this.#queueBytes = 0;
    }
  }

  #hasRoom(sizeBytes: number): boolean {
    if (this.#capacity !== undefined && this.#queueBytes + sizeBytes > this.#options.queueMaxBytes) {
      return false;
    }
    const usedCount = this.#tailIndex - Math.min(this.#leaveIndex, this.#releaseIndex);
    if (usedCount > this.#mask) {
      if (usedCount >= RING_MAX_COUNT) {
        return false;
      }
      this.#grow();
    }
    return true;
  }

  #transmit(sizeBytes: number, nowMs: number): number {
    this.#queueBytes += sizeBytes;
    if (this.#capacity === undefined) {
      return nowMs;
    }
    const startMs = Math.max(nowMs, this.#busyUntilMs);
    this.#busyUntilMs =
      startMs === Infinity
        ? Infinity
        : this.#originMs + this.#capacity.finishMs(Math.max(0, startMs - this.#originMs), sizeBytes * 8);
    return this.#busyUntilMs;
  }

  /** Gilbert–Elliott with loss 1 in the bad state and 0 in the good one; begins in its stationary distribution. */
  #drawLoss(counter: number): boolean {
    const { lossRatio } = this.#options;
    if (lossRatio === 0) {
      return false;
    }
    const draw = this.#lossDraws.ratio(counter);
    if (counter === 0) {
      this.#isBad = draw < lossRatio;
    } else {
      this.#isBad = this.#isBad ? draw >= this.#badToGoodRatio : draw < this.#goodToBadRatio;
    }
    return this.#isBad;
  }

  /** First-order autoregressive in time (an Ornstein–Uhlenbeck process seen at the packets), then log-normal with the wanted mean. */
  #drawJitterMs(counter: number, atMs: number): number {
    if (atMs === Infinity) {
      return 0;
    }
    const kept = counter === 0 ? 0 : Math.exp(-Math.max(0, atMs - this.#jitterAtMs) / JITTER_TAU_MS);
    this.#jitterState = kept * this.#jitterState + Math.sqrt(1 - kept * kept) * this.#jitterDraws.normal(counter);
    this.#jitterAtMs = atMs;
    return this.#options.jitterMs * Math.exp(JITTER_SIGMA * this.#jitterState - (JITTER_SIGMA * JITTER_SIGMA) / 2);
  }

  #drawHold(counter: number): number {
    const { reorderRatio, reorderMaxCount } = this.#options;
    if (reorderRatio === 0 || this.#reorderDraws.ratio(counter) >= reorderRatio) {
      return 0;
    }
    return 1 + Math.floor(this.#reorderCountDraws.ratio(counter) * reorderMaxCount);
  }

  #skipLost(): void {
    while (this.#releaseIndex < this.#tailIndex && this.#handles[this.#releaseIndex & this.#mask] === NO_HANDLE) {
      this.#releaseIndex += 1;
    }
  }

  /** A later packet has gone first. */
  #letPass(): void {
    for (let index = 0; index < this.#heldLeft.length; index += 1) {
      this.#heldLeft[index]! -= 1;
    }
  }

  /** A held packet that enough others have passed, or whose time is over before the next one's. */
  #dueHeld(nowMs: number, nextAtMs: number): number {
    for (let index = 0; index < this.#heldLeft.length; index += 1) {
      const untilMs = this.#heldUntilMs[index]!;
      const isPassed = this.#heldLeft[index]! <= 0;
      if (isPassed || (untilMs <= nowMs && untilMs <= nextAtMs)) {
        this.#takenAtMs = isPassed ? this.#takenAtMs : untilMs;
        this.#deliver(this.#heldSizes[index]!);
        this.#heldLeft.splice(index, 1);
        this.#heldUntilMs.splice(index, 1);
        this.#heldSizes.splice(index, 1);
        return this.#heldHandles.splice(index, 1)[0]!;
      }
    }
    return NO_HANDLE;
  }

  #deliver(sizeBytes: number): void {
    this.#deliveredCount += 1;
    this.#deliveredBytes += sizeBytes;
  }

  #grow(): void {
    const firstIndex = Math.min(this.#leaveIndex, this.#releaseIndex);
    const count = 2 * (this.#mask + 1);
    const finishAtMs = new Float64Array(count);
    const releaseAtMs = new Float64Array(count);
    const sizeBytes = new Float64Array(count);
    const handles = new Int32Array(count);
    const holdCounts = new Uint8Array(count);
    for (let index = firstIndex; index < this.#tailIndex; index += 1) {
      const from = index & this.#mask;
      const to = index & (count - 1);
      finishAtMs[to] = this.#finishAtMs[from]!;
      releaseAtMs[to] = this.#releaseAtMs[from]!;
      sizeBytes[to] = this.#sizeBytes[from]!;
      handles[to] = this.#handles[from]!;
      holdCounts[to] = this.#holdCounts[from]!;
    }
    this.#finishAtMs = finishAtMs;
    this.#releaseAtMs = releaseAtMs;
    this.#sizeBytes = sizeBytes;
    this.#handles = handles;
    this.#holdCounts = holdCounts;
    this.#mask = count - 1;
  }
}
