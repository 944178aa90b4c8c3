/**
 * One direction of a modelled TCP connection, sender and receiver in one, pure and told the time. The kernel ends TCP on both sides of
 * the emulator, so what a real link does to a connection (loss, head-of-line waiting, a window that grows and shrinks) happens here: the
 * bytes become segments that travel the link, acknowledgements travel back, and the far socket gets bytes in order only.
 *
 * Sender: CUBIC, initial window of 10 segments, selective acknowledgements, loss found when three later transmissions have arrived
 * (more where reordering was seen), proportional rate reduction (RFC 6937), tail loss probe, time-out of at least 200 ms.
 * Receiver: an acknowledgement for every second segment, at once when something is missing or the sender can send no more.
 */
import { Cubic } from './cubic.ts';
import { Fifo } from './fifo.ts';

export const MSS_BYTES = 1_460;
/** IPv4 and TCP headers, without options. */
export const TCP_HEADER_BYTES = 40;
const INITIAL_SEGMENT_COUNT = 10;
const WINDOW_MAX_BYTES = 6_291_456;
const TIMEOUT_MIN_MS = 200;
const TIMEOUT_MAX_MS = 10_000;
const TIMEOUT_INITIAL_MS = 1_000;
const PROBE_MIN_MS = 10;
const REORDER_START_COUNT = 3;
const REORDER_MAX_COUNT = 64;

export type Segment = {
  readonly bytes: number;
  /** Of its last transmission. */
  order: number;
  sentAtMs: number;
  transmissionCount: number;
  isInFlight: boolean;
  isReceived: boolean;
  isAcked: boolean;
};

export type Transmission = {
  readonly segment: Segment;
  readonly order: number;
  /** The sender has nothing more to send: the receiver must not wait for a second segment. */
  readonly wantsAck: boolean;
};

export type Acknowledgement = {
  /** How much of the receiver's log the acknowledgement tells: all that has arrived until then. */
  readonly receivedCount: number;
  /** Bytes that the receiver can take beyond those delivered in order. */
  readonly windowBytes: number;
  readonly deliveredBytes: number;
};

export class VirtualTcp {
  readonly #cubic = new Cubic(MSS_BYTES, INITIAL_SEGMENT_COUNT);

  // Sender. `#flight` begins with the oldest segment that is not acknowledged.
  #unsentBytes = 0;
  readonly #flight = new Fifo<Segment>();
  readonly #sentLog = new Fifo<{ segment: Segment; order: number }>();
  readonly #lost = new Fifo<Segment>();
  #pipeBytes = 0;
  #sentBytes = 0;
  #nextOrder = 0;
  #highestAckedOrder = -1;
  #reorderCount = REORDER_START_COUNT;
  #windowEdgeBytes = WINDOW_MAX_BYTES;
  #lastSentAtMs = -Infinity;
  #isWindowLimited = false;
  #smoothedRttMs: number | undefined;
  #rttVarianceMs = 0;
  #backoffCount = 0;
  #timerFromMs = 0;
  #isProbeSent = false;
  #recovery: { untilOrder: number; flightBytes: number; deliveredBytes: number; outBytes: number } | undefined;
  #knownCount = 0;

  // Receiver. `#expected` holds the segments from the first that is missing on.
  readonly #expected = new Fifo<Segment>();
  /** Arrivals that the sender has not been told of yet. */
  readonly #receivedLog = new Fifo<{ segment: Segment; order: number }>();
  #receivedCount = 0;
  #unackedCount = 0;
  #deliveredBytes = 0;
  #aheadBytes = 0;
  #advertisedEdgeBytes = WINDOW_MAX_BYTES;

  #retransmissionCount = 0;
  #timeoutCount = 0;

  get retransmissionCount(): number {
    return this.#retransmissionCount;
  }

  get timeoutCount(): number {
    return this.#timeoutCount;
  }

  get windowBytes(): number {
    return this.#cubic.windowBytes;
  }

  /** Bytes not sent for the first time yet: what back-pressure looks at. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** Everything written has been acknowledged. */
  get isIdle(): boolean {
    return this.#unsentBytes === 0 && this.#flight.length === 0;
  }

  /** The application hands over bytes. */
  write(bytes: number, nowMs: number): void {
    if (this.isIdle && this.#smoothedRttMs !== undefined) {
      this.#cubic.onIdle(nowMs - this.#lastSentAtMs, this.#timeoutMs);
    }
    this.#unsentBytes += bytes;
  }

  /** The next segment that may leave now, or undefined. Call until undefined after every other call. */
  transmit(nowMs: number): Transmission | undefined {
    const segment = this.#chooseSegment();
    if (segment === undefined) {
      return undefined;
    }
    return this.#launch(segment, nowMs);
  }

  /** When `onTimer` wants to be called; Infinity with nothing to send. */
  get nextAtMs(): number {
    if (this.#flight.length === 0) {
      // The window is shut: whoever would open it may have been lost.
      return this.#unsentBytes > 0 ? this.#lastSentAtMs + this.#timeoutMs : Infinity;
    }
    return this.#timerFromMs + (this.#mayProbe ? this.#probeMs : this.#timeoutMs);
  }

  /** A time-out, or the probe before it. The transmission it wants, if any, comes first; then `transmit`. */
  onTimer(nowMs: number): Transmission | undefined {
    if (nowMs < this.nextAtMs) {
      return undefined;
    }
    if (this.#flight.length === 0) {
      return this.#launch(this.#nextNew(Math.min(MSS_BYTES, this.#unsentBytes)), nowMs);
    }
    if (this.#mayProbe) {
      this.#isProbeSent = true;
      const last = [...this.#flight].findLast((segment) => !segment.isAcked);
      return last === undefined ? undefined : this.#launch(last, nowMs);
    }
    this.#onTimeout(nowMs);
    return undefined;
  }

  /**
   * A segment arrives at the receiver, whose socket still holds `heldBytes` for a slow reader. Returns the bytes that are now in order,
   * and the acknowledgement to send back, if one is due.
   */
  onSegment(arrived: Transmission, heldBytes: number): { inOrderBytes: number; ack: Acknowledgement | undefined } {
    const { segment } = arrived;
    this.#receivedLog.push({ segment, order: arrived.order });
    this.#receivedCount += 1;
    const isNew = !segment.isReceived;
    segment.isReceived = true;
    if (isNew) {
      this.#aheadBytes += segment.bytes;
    }
    let inOrderBytes = 0;
    while (this.#expected.first?.isReceived === true) {
      inOrderBytes += this.#expected.shift()!.bytes;
    }
    this.#deliveredBytes += inOrderBytes;
    this.#aheadBytes -= inOrderBytes;
    this.#unackedCount += 1;
    const hasGap = this.#aheadBytes > 0 || inOrderBytes > segment.bytes || !isNew;
    const isDue = hasGap || arrived.wantsAck || this.#unackedCount >= 2;
    return { inOrderBytes, ack: isDue ? this.#acknowledge(heldBytes + inOrderBytes) : undefined };
  }

  /** The receiver's socket was read: an acknowledgement if that opens a window that was nearly shut. */
  onRead(heldBytes: number): Acknowledgement | undefined {
    const edgeBytes = this.#deliveredBytes + WINDOW_MAX_BYTES - heldBytes;
    return edgeBytes - this.#advertisedEdgeBytes > WINDOW_MAX_BYTES / 4 ? this.#acknowledge(heldBytes) : undefined;
  }

  /** An acknowledgement arrives at the sender. */
  onAck(ack: Acknowledgement, nowMs: number): void {
    this.#windowEdgeBytes = Math.max(this.#windowEdgeBytes, ack.deliveredBytes + ack.windowBytes);
    let newBytes = 0;
    let rttMs = Infinity;
    while (this.#knownCount < ack.receivedCount) {
      const { segment, order } = this.#receivedLog.shift()!;
      this.#knownCount += 1;
      newBytes += this.#learn(segment, order);
      if (segment.transmissionCount === 1) {
        rttMs = nowMs - segment.sentAtMs;
      }
    }
    if (newBytes === 0) {
      return;
    }
    if (rttMs !== Infinity) {
      this.#sampleRtt(rttMs);
    }
    while (this.#flight.first?.isAcked === true) {
      this.#flight.shift();
    }
    this.#backoffCount = 0;
    this.#isProbeSent = false;
    this.#timerFromMs = nowMs;
    this.#findLost();
    this.#grow(newBytes, rttMs, nowMs);
  }

  get #timeoutMs(): number {
    const smoothedMs = this.#smoothedRttMs;
    const baseMs =
      smoothedMs === undefined ? TIMEOUT_INITIAL_MS : smoothedMs + Math.max(TIMEOUT_MIN_MS, 4 * this.#rttVarianceMs);
    return Math.min(TIMEOUT_MAX_MS, baseMs * 2 ** this.#backoffCount);
  }

  /** RFC 8985 7.2: one probe a flight, not while losses are being repaired. */
  get #mayProbe(): boolean {
    return (
      !this.#isProbeSent &&
      this.#backoffCount === 0 &&
      this.#recovery === undefined &&
      this.#smoothedRttMs !== undefined
    );
  }

  get #probeMs(): number {
    const worstAckMs = this.#flight.length === 1 ? TIMEOUT_MIN_MS / 2 : 0;
    return Math.min(this.#timeoutMs, Math.max(PROBE_MIN_MS, 2 * (this.#smoothedRttMs ?? 0)) + worstAckMs);
  }

  #chooseSegment(): Segment | undefined {
    while (this.#lost.first?.isAcked === true || this.#lost.first?.isInFlight === true) {
      this.#lost.shift();
    }
    const retransmission = this.#lost.first;
    const bytes = retransmission?.bytes ?? Math.min(MSS_BYTES, this.#unsentBytes);
    const isClosed = retransmission === undefined && this.#sentBytes + bytes > this.#windowEdgeBytes;
    if (bytes === 0 || isClosed) {
      this.#isWindowLimited = false;
      return undefined;
    }
    if (!this.#mayPut(bytes)) {
      this.#isWindowLimited = true;
      return undefined;
    }
    if (retransmission !== undefined) {
      return this.#lost.shift();
    }
    return this.#nextNew(bytes);
  }

  #nextNew(bytes: number): Segment {
    this.#unsentBytes -= bytes;
    this.#sentBytes += bytes;
    const segment: Segment = {
      bytes,
      order: -1,
      sentAtMs: 0,
      transmissionCount: 0,
      isInFlight: false,
      isReceived: false,
      isAcked: false,
    };
    this.#flight.push(segment);
    this.#expected.push(segment);
    return segment;
  }

  /** The window, and while losses are repaired proportional rate reduction (RFC 6937, slow-start bound). */
  #mayPut(bytes: number): boolean {
    const recovery = this.#recovery;
    if (recovery === undefined) {
      return this.#pipeBytes + bytes <= this.#cubic.windowBytes || this.#pipeBytes === 0;
    }
    const { thresholdBytes } = this.#cubic;
    const allowedBytes =
      this.#pipeBytes > thresholdBytes
        ? (recovery.deliveredBytes * thresholdBytes) / recovery.flightBytes
        : Math.min(thresholdBytes - this.#pipeBytes, recovery.deliveredBytes - recovery.outBytes + MSS_BYTES) +
          recovery.outBytes;
    return recovery.outBytes + bytes <= allowedBytes || this.#pipeBytes === 0;
  }

  #launch(segment: Segment, nowMs: number): Transmission {
    if (!segment.isInFlight) {
      this.#pipeBytes += segment.bytes;
      segment.isInFlight = true;
    }
    if (segment.transmissionCount > 0) {
      this.#retransmissionCount += 1;
    }
    if (this.#recovery !== undefined) {
      this.#recovery.outBytes += segment.bytes;
    }
    segment.order = this.#nextOrder;
    segment.sentAtMs = nowMs;
    segment.transmissionCount += 1;
    this.#sentLog.push({ segment, order: segment.order });
    this.#nextOrder += 1;
    if (this.#flight.first === segment || this.#flight.length === 1) {
      this.#timerFromMs = nowMs;
    }
    this.#lastSentAtMs = nowMs;
    const isLast = this.#unsentBytes === 0 || !this.#mayPut(Math.min(MSS_BYTES, this.#unsentBytes));
    return { segment, order: segment.order, wantsAck: isLast };
  }

  #acknowledge(heldBytes: number): Acknowledgement {
    this.#unackedCount = 0;
    const windowBytes = Math.max(0, WINDOW_MAX_BYTES - heldBytes);
    this.#advertisedEdgeBytes = this.#deliveredBytes + windowBytes;
    return {
      receivedCount: this.#receivedCount,
      windowBytes,
      deliveredBytes: this.#deliveredBytes,
    };
  }

  /** What the sender learns of one arrival; the bytes that are acknowledged by it. */
  #learn(segment: Segment, order: number): number {
    if (order > this.#highestAckedOrder) {
      this.#highestAckedOrder = order;
    } else if (order === segment.order && segment.transmissionCount === 1) {
      const lateCount = this.#highestAckedOrder - order + 1;
      this.#reorderCount = Math.min(REORDER_MAX_COUNT, Math.max(this.#reorderCount, lateCount));
    }
    if (segment.isAcked) {
      return 0;
    }
    segment.isAcked = true;
    if (segment.isInFlight) {
      segment.isInFlight = false;
      this.#pipeBytes -= segment.bytes;
    }
    return segment.bytes;
  }

  #sampleRtt(rttMs: number): void {
    if (this.#smoothedRttMs === undefined) {
      this.#smoothedRttMs = rttMs;
      this.#rttVarianceMs = rttMs / 2;
      return;
    }
    this.#rttVarianceMs += (Math.abs(rttMs - this.#smoothedRttMs) - this.#rttVarianceMs) / 4;
    this.#smoothedRttMs += (rttMs - this.#smoothedRttMs) / 8;
  }

  #findLost(): void {
    const lostUntilOrder = this.#highestAckedOrder - this.#reorderCount;
    let isNewLoss = false;
    while (this.#sentLog.first !== undefined && this.#sentLog.first.order <= lostUntilOrder) {
      const { segment, order } = this.#sentLog.shift()!;
      if (segment.isInFlight && segment.order === order) {
        segment.isInFlight = false;
        const flightBytes = this.#pipeBytes;
        this.#pipeBytes -= segment.bytes;
        this.#lost.push(segment);
        isNewLoss = this.#enterRecovery(order, flightBytes) || isNewLoss;
      }
    }
    const recovery = this.#recovery;
    if (
      recovery !== undefined &&
      !isNewLoss &&
      this.#highestAckedOrder >= recovery.untilOrder &&
      this.#lost.length === 0
    ) {
      this.#recovery = undefined;
    }
  }

  /** One reduction for all losses among what was under way when the first of them was found. */
  #enterRecovery(order: number, flightBytes: number): boolean {
    if (this.#recovery !== undefined && order < this.#recovery.untilOrder) {
      return false;
    }
    this.#cubic.onLoss();
    this.#recovery = {
      untilOrder: this.#nextOrder,
      flightBytes: Math.max(flightBytes, MSS_BYTES),
      deliveredBytes: 0,
      outBytes: 0,
    };
    return true;
  }

  #grow(newBytes: number, rttMs: number, nowMs: number): void {
    if (this.#recovery !== undefined) {
      this.#recovery.deliveredBytes += newBytes;
      return;
    }
    if (this.#isWindowLimited) {
      this.#cubic.onAcked({
        bytes: newBytes,
        rttMs,
        smoothedRttMs: this.#smoothedRttMs ?? 0,
        order: this.#highestAckedOrder,
        nextOrder: this.#nextOrder,
        nowMs,
      });
    }
  }

  /** Everything not acknowledged counts as lost; one segment goes. */
  #onTimeout(nowMs: number): void {
    this.#timeoutCount += 1;
    if (this.#backoffCount === 0) {
      this.#cubic.onTimeout();
    }
    this.#backoffCount += 1;
    this.#timerFromMs = nowMs;
    this.#isProbeSent = true;
    this.#recovery = undefined;
    this.#sentLog.clear();
    this.#lost.clear();
    for (const segment of this.#flight) {
      segment.isInFlight = false;
      if (!segment.isAcked) {
        this.#lost.push(segment);
      }
    }
    this.#pipeBytes = 0;
  }
}
