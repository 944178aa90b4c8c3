/**
 * The packet path: header, encryption, kernel. One interface and two ways: plain, packet by packet in JavaScript, and batched, where the native
 * back end does all three for many packets and viewers with one call. Both make the same bytes.
 */
import type { RtpExtensionIds, RtpFields } from '../../media/rtp/rtp-header.ts';
import { playoutDelayWord, writeRtpHeader } from '../../media/rtp/rtp-header.ts';
import { PAYLOAD_MAX_BYTES } from '../../native/udp-binding.ts';
import type { PacketBatch } from '../../webrtc-transport/packet-batch.ts';
import type { PeerTransport } from '../../webrtc-transport/peer-transport.ts';
import type { RtpPlace } from '../../webrtc-transport/srtp.ts';
import { UDP_QUEUE_MAX_COUNT } from '../../webrtc-transport/udp-sender.ts';

export type MediaSender = {
  /**
   * Sends one packet with these fields; bytes handed to the kernel, 0 when it was refused. Never throws for the network's reasons.
   * The payload is no part of `packet`: a young object put into an old one, for each packet and viewer, costs as much as its encryption.
   */
  send(peer: PeerTransport, packet: OutgoingPacket, payload: Uint8Array): number;
  /** What was kept back leaves now; without it, at the end of the event loop's step. */
  flush(): void;
};

/** The fastest that this port has. */
export const createMediaSender = ({ batch }: { readonly batch: PacketBatch | undefined }): MediaSender =>
  batch === undefined ? new NodeMediaSender() : new BatchMediaSender(batch);

/** Changed in place by its stream, read during the call. */
export type OutgoingPacket = {
  readonly fields: RtpFields;
  readonly extensionIds: RtpExtensionIds;
  /** What every packet of this stream takes on the link beside its payload, IP and UDP included. */
  readonly overheadBytes: number;
};

const SLOT_BYTES = 1_536;
/** A packet the kernel did not take at once still lies in its slot: twice as many slots as the socket's queue may hold. */
const SLOT_COUNT = 2 * UDP_QUEUE_MAX_COUNT;

export class NodeMediaSender implements MediaSender {
  readonly #slots = Buffer.allocUnsafeSlow(SLOT_BYTES * SLOT_COUNT);
  readonly #place: RtpPlace = { headerStart: 0, headerEnd: 0, ssrc: 0, seqExt: 0 };
  #slotIndex = 0;

  send(peer: PeerTransport, { fields, extensionIds }: OutgoingPacket, payload: Uint8Array): number {
    const { protector, path } = peer;
    if (protector === undefined || path === undefined) {
      return 0;
    }
    const start = this.#slotIndex * SLOT_BYTES;
    this.#slotIndex = (this.#slotIndex + 1) % SLOT_COUNT;
    const place = this.#place;
    place.headerStart = start;
    place.headerEnd = writeRtpHeader(this.#slots, start, fields, extensionIds);
    place.ssrc = fields.ssrc;
    place.seqExt = fields.seqExt;
    const end = protector.protect(this.#slots, place, payload);
    return path.send(this.#slots, start, end) ? end - start : 0;
  }

  flush(): void {
    // Nothing is kept back.
  }
}

/** What the link counts beside RTP and its tag. */
const IP_UDP_BYTES = 28;

/** By the native back end. What it cannot send (TCP, another cipher) goes the plain way. */
export class BatchMediaSender implements MediaSender {
  readonly #batch: PacketBatch;
  readonly #plain = new NodeMediaSender();

  constructor(batch: PacketBatch) {
    this.#batch = batch;
  }

  /** The kernel's refusals are counted by the port: they are known later. */
  send(peer: PeerTransport, packet: OutgoingPacket, payload: Uint8Array): number {
    const { fields, extensionIds } = packet;
    const id = peer.batchedId;
    if (id === undefined || payload.byteLength === 0 || payload.byteLength > PAYLOAD_MAX_BYTES) {
      return this.#plain.send(peer, packet, payload);
    }
    const { words } = this.#batch;
    const at = this.#batch.add(id, payload);
    words[at + 2] = fields.ssrc;
    words[at + 3] = fields.seqExt / 65_536;
    words[at + 4] = (fields.payloadType << 17) | (fields.isMarked ? 0x1_0000 : 0) | (fields.seqExt & 0xffff);
    words[at + 5] = fields.timestampTs32;
    words[at + 6] =
      (extensionIds.playoutDelay << 20) | (extensionIds.transportSeq << 16) | (fields.transportSeqExt & 0xffff);
    words[at + 7] = extensionIds.playoutDelay > 0 ? playoutDelayWord(fields) : 0;
    return packet.overheadBytes - IP_UDP_BYTES + payload.byteLength;
  }

  flush(): void {
    this.#batch.flush();
  }
}
