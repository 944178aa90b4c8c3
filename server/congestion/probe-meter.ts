/** What one probe has shown: the packets between its first and its last number, however they were meant, sent at one rate and received at another. */
import type { ProbeRequest } from './controller.ts';

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

  begin(request: ProbeRequest): void {
    this.#request = request;
    this.#isSending = true;
    this.#firstSeqExt = -1;
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
    if (!this.#isSending || this.#request === undefined) {
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
    if (this.#request === undefined || packet.seqExt < this.#firstSeqExt || packet.seqExt > this.#lastSeqExt) {
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

  /** Bits a second that came through; NaN: it has failed; undefined: not known yet. The probe is over with an answer. */
  result(answeredUntilSeqExt: number, nowMs: number): number | undefined {
    const request = this.#request;
    if (request === undefined) {
      return undefined;
    }
    if (this.#isSending && nowMs >= request.endsAtMs) {
      this.#isSending = false;
    }
    const isAnswered = this.#firstSeqExt >= 0 && answeredUntilSeqExt >= this.#lastSeqExt;
    if (this.#isSending || (!isAnswered && nowMs < request.endsAtMs + ANSWER_MAX_MS)) {
      return undefined;
    }
    this.#request = undefined;
    if (this.#arrivedCount < PACKET_MIN_COUNT || this.#arrivedCount < COUNTED_MIN_RATIO * this.#sentCount) {
      return Number.NaN;
    }
    const sendMs = this.#lastSentMs - this.#firstSentMs;
    const receiveMs = this.#lastArrivedMs - this.#firstArrivedMs;
    if (sendMs <= 0 || receiveMs <= 0) {
      return Number.NaN;
    }
    const sentBps = ((this.#bytes - this.#lastBytes) * 8_000) / sendMs;
    const receivedBps = ((this.#bytes - this.#firstBytes) * 8_000) / receiveMs;
    if (receivedBps > SEND_RECEIVE_MAX_RATIO * sentBps) {
      return Number.NaN;
    }
    return receivedBps < SATURATED_RATIO * sentBps ? SATURATED_FACTOR * receivedBps : Math.min(sentBps, receivedBps);
  }
}
