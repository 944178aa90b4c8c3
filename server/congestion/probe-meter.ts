/** What one probe has shown: the packets between its first and its last number, however they were meant, sent at one rate and received at another. */
import type { ProbeRequest } from './controller.ts';

export type ProbeResult = {
  /** What came through, in bits a second; NaN: too little did to tell. */
  readonly bps: number;
  /** By how much longer it took to arrive than to be sent. */
  readonly stretchMs: number;
};

const FAILED: ProbeResult = { bps: Number.NaN, stretchMs: 0 };
const COUNTED_MIN_RATIO = 0.8;
const SEND_RECEIVE_MAX_RATIO = 2;
const SATURATED_RATIO = 0.9;
const SATURATED_FACTOR = 0.95;
const PACKET_MIN_COUNT = 4;
/** Feedback that has not come by then will not come. */
const ANSWER_MAX_MS = 1_500;

export class ProbeMeter {
  #request: ProbeRequest | undefined;
  #firstSeqExt = -1;
  #lastSeqExt = -1;
  #sentBytes = 0;
  #isSending = false;
  #sentCount = 0;
  // Of what has arrived.
  #arrivedCount = 0;
  #bytes = 0;
  #firstBytes = 0;
  #lastBytes = 0;
  #firstSentMs = 0;
  #lastSentMs = 0;
  #firstArrivedMs = 0;
  #lastArrivedMs = 0;

  /** The probe that is being sent; undefined once all of it has left or its time is over. */
  get sending(): ProbeRequest | undefined {
    return this.#isSending ? this.#request : undefined;
  }

  /** Sent or not yet answered. */
  get isBusy(): boolean {
    return this.#request !== undefined;
  }

  /** Whether this packet is part of the probe that is being sent or answered. */
  covers(seqExt: number): boolean {
    return this.#request !== undefined && seqExt >= this.#firstSeqExt && seqExt <= this.#lastSeqExt;
  }

  begin(request: ProbeRequest): void {
    this.#request = request;
    this.#isSending = true;
    this.#firstSeqExt = -1;
    this.#lastSeqExt = -1;
    this.#sentBytes = 0;
    this.#sentCount = 0;
    this.#arrivedCount = 0;
    this.#bytes = 0;
  }

  abort(): void {
    this.#request = undefined;
    this.#isSending = false;
  }

  onSent(seqExt: number, bytes: number, isProbe: boolean, nowMs: number): void {
    if (!this.#isSending || this.#request === undefined || (this.#firstSeqExt < 0 && !isProbe)) {
      return;
    }
    this.#firstSeqExt = this.#firstSeqExt < 0 ? seqExt : this.#firstSeqExt;
    this.#lastSeqExt = seqExt;
    this.#sentCount += 1;
    this.#sentBytes += isProbe ? bytes : 0;
    this.#isSending = this.#sentBytes < this.#request.bytes && nowMs < this.#request.endsAtMs;
  }

  /** In the order of sending. */
  onArrived(packet: { seqExt: number; sentAtMs: number; arrivedAtMs: number; bytes: number }): void {
    if (!this.covers(packet.seqExt)) {
      return;
    }
    if (this.#arrivedCount === 0) {
      this.#firstSentMs = packet.sentAtMs;
      this.#firstArrivedMs = packet.arrivedAtMs;
      this.#lastArrivedMs = packet.arrivedAtMs;
      this.#firstBytes = packet.bytes;
    }
    this.#lastSentMs = packet.sentAtMs;
    this.#lastArrivedMs = Math.max(this.#lastArrivedMs, packet.arrivedAtMs);
    this.#lastBytes = packet.bytes;
    this.#arrivedCount += 1;
    this.#bytes += packet.bytes;
  }

  /** Undefined: not known yet, or nothing of it was sent in time. The probe is over with an answer. */
  result(answeredUntilSeqExt: number, nowMs: number): ProbeResult | undefined {
    const request = this.#request;
    if (request === undefined) {
      return undefined;
    }
    if (this.#isSending && nowMs >= request.endsAtMs) {
      this.#isSending = false;
    }
    if (!this.#isSending && this.#sentCount === 0) {
      this.#request = undefined;
      return undefined;
    }
    const isAnswered = answeredUntilSeqExt >= this.#lastSeqExt;
    if (this.#isSending || (!isAnswered && nowMs < request.endsAtMs + ANSWER_MAX_MS)) {
      return undefined;
    }
    this.#request = undefined;
    if (this.#arrivedCount < PACKET_MIN_COUNT || this.#arrivedCount < COUNTED_MIN_RATIO * this.#sentCount) {
      return FAILED;
    }
    const sendMs = this.#lastSentMs - this.#firstSentMs;
    const receiveMs = this.#lastArrivedMs - this.#firstArrivedMs;
    if (sendMs <= 0 || receiveMs <= 0) {
      return FAILED;
    }
    const sentBps = ((this.#bytes - this.#lastBytes) * 8_000) / sendMs;
    const receivedBps = ((this.#bytes - this.#firstBytes) * 8_000) / receiveMs;
    if (receivedBps > SEND_RECEIVE_MAX_RATIO * sentBps) {
      return FAILED;
    }
    const isSlower = receivedBps < SATURATED_RATIO * sentBps;
    const bps = isSlower ? SATURATED_FACTOR * receivedBps : Math.min(sentBps, receivedBps);
    return { bps, stretchMs: receiveMs - sendMs };
  }
}
