/** A download beside the viewers: TCP by CUBIC with always something to send, its acknowledgements on a way of their own. */
import { LinkModel, type LinkModelOptions } from '../latency/link/link-model.ts';
import { TCP_HEADER_BYTES, VirtualTcp, type Acknowledgement, type Transmission } from '../latency/link/virtual-tcp.ts';
import type { Transmit } from './sim-viewer.ts';

const BACKLOG_BYTES = 1_000_000;
/** More than can be on their way at once: the window ends at 6 MB. */
const RING = 1 << 13;

export class CubicFlow {
  readonly #tcp = new VirtualTcp();
  readonly #startMs: number;
  readonly #up: LinkModel;
  readonly #transmit: Transmit;
  readonly #segments: (Transmission | undefined)[] = Array.from({ length: RING }, () => undefined);
  readonly #acks: (Acknowledgement | undefined)[] = Array.from({ length: RING }, () => undefined);
  #segmentCount = 0;
  #ackCount = 0;
  #hasStarted = false;

  constructor(options: { seed: number; startMs: number; up: LinkModelOptions }, transmit: Transmit) {
    this.#startMs = options.startMs;
    this.#up = new LinkModel(options.up, { seed: options.seed, name: 'acks' });
    this.#transmit = transmit;
  }

  get nextAtMs(): number {
    return this.#hasStarted ? Math.min(this.#tcp.nextAtMs, this.#up.nextAtMs) : this.#startMs;
  }

  onPacket(handle: number, nowMs: number): void {
    const segment = this.#segments[handle];
    const ack = segment === undefined ? undefined : this.#tcp.onSegment(segment, 0).ack;
    if (ack !== undefined) {
      this.#acks[this.#ackCount % RING] = ack;
      this.#up.send(this.#ackCount % RING, TCP_HEADER_BYTES, nowMs);
      this.#ackCount += 1;
    }
  }

  step(nowMs: number): void {
    this.#hasStarted = true;
    for (let handle = this.#up.take(nowMs); handle >= 0; handle = this.#up.take(nowMs)) {
      const ack = this.#acks[handle];
      if (ack !== undefined) {
        this.#tcp.onAck(ack, nowMs);
      }
    }
    if (this.#tcp.unsentBytes < BACKLOG_BYTES) {
      this.#tcp.write(BACKLOG_BYTES, nowMs);
    }
    const due = this.#tcp.onTimer(nowMs);
    if (due !== undefined) {
      this.#send(due, nowMs);
    }
    for (let next = this.#tcp.transmit(nowMs); next !== undefined; next = this.#tcp.transmit(nowMs)) {
      this.#send(next, nowMs);
    }
  }

  #send(transmission: Transmission, nowMs: number): void {
    const handle = this.#segmentCount % RING;
    this.#segmentCount += 1;
    this.#segments[handle] = transmission;
    this.#transmit(handle, transmission.segment.bytes + TCP_HEADER_BYTES, nowMs);
  }
}
