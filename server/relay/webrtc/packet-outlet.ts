/**
 * The one place where a viewer's packets leave: gives each its transport-wide number and the playout delay in force, tells the controller,
 * counts. Everything it needs is the viewer's own.
 */
import { randomInt } from 'node:crypto';
import { seqDistance } from '../../base/wrap.ts';
import type { CongestionController, PacketKind, SentPacket } from '../../congestion/controller.ts';
import type { PeerTransport } from '../../webrtc-transport/peer-transport.ts';
import type { MediaSender, OutgoingPacket } from './media-sender.ts';
import type { OutMetrics } from './out-metrics.ts';

export type PacketOutletOptions = {
  readonly peer: PeerTransport;
  readonly sender: MediaSender;
  readonly metrics: OutMetrics;
  readonly controller: CongestionController;
};

const NO_NUMBER = -1;

export class PacketOutlet {
  readonly totals = { packets: 0, bytes: 0, refused: 0 };
  readonly #options: PacketOutletOptions;
  /** Changed in place: told to the controller for each packet. */
  readonly #sent: { -readonly [Key in keyof SentPacket]: SentPacket[Key] } = {
    transportSeqExt: NO_NUMBER,
    bytes: 0,
    kind: 'video',
    videoSeqExt: NO_NUMBER,
  };
  #transportSeqExt = randomInt(2 ** 15);
  #playoutDelayMs = 0;
  #playoutDelayMaxMs = 0;

  constructor(options: PacketOutletOptions) {
    this.#options = options;
  }

  /** Whether what was sent before has not left yet: a TCP reader too slow for its pictures. True without a path. */
  get isCongested(): boolean {
    return this.#options.peer.path?.isCongested ?? true;
  }

  /** On every video packet from now on; the most is what sound may ask for. */
  setPlayoutDelay(delayMs: number, delayMaxMs: number): void {
    this.#playoutDelayMs = delayMs;
    this.#playoutDelayMaxMs = delayMaxMs;
  }

  /** The transport-wide number nearest to the last one sent whose low 16 bits are these. */
  unwrapTransportSeq(seq16: number): number {
    return this.#transportSeqExt + seqDistance(this.#transportSeqExt & 0xffff, seq16);
  }

  /** False: the kernel, or a bounded queue before it, refused. The packet then counts as sent and lost. */
  send(packet: OutgoingPacket, payload: Uint8Array, kind: PacketKind, videoSeqExt: number, nowMs: number): boolean {
    const { fields, extensionIds, overheadBytes } = packet;
    const sent = this.#sent;
    sent.transportSeqExt = NO_NUMBER;
    if (extensionIds.transportSeq > 0) {
      this.#transportSeqExt += 1;
      fields.transportSeqExt = this.#transportSeqExt;
      sent.transportSeqExt = this.#transportSeqExt;
    }
    fields.playoutDelayMs = this.#playoutDelayMs;
    fields.playoutDelayMaxMs = this.#playoutDelayMaxMs;
    sent.bytes = overheadBytes + payload.byteLength;
    sent.kind = kind;
    sent.videoSeqExt = videoSeqExt;
    this.#options.controller.onPacketSent(sent, nowMs);
    return this.#count(this.#options.sender.send(this.#options.peer, packet, payload));
  }

  #count(bytes: number): boolean {
    const { counts } = this.#options.metrics;
    if (bytes === 0) {
      counts.sendErrors += 1;
      this.totals.refused += 1;
      return false;
    }
    counts.packets += 1;
    counts.bytes += bytes;
    this.totals.packets += 1;
    this.totals.bytes += bytes;
    return true;
  }
}
