/**
 * The packet path: header, encryption, kernel. One interface, so that a native back end (batched encryption and sends) can take
 * the place of this plain one.
 */
import type { RtpExtensionIds, RtpFields } from '../../media/rtp/rtp-header.ts';
import { writeRtpHeader } from '../../media/rtp/rtp-header.ts';
import type { PeerTransport } from '../../webrtc-transport/peer-transport.ts';
import type { RtpPlace } from '../../webrtc-transport/srtp.ts';
import { UDP_QUEUE_MAX_COUNT } from '../../webrtc-transport/udp-sender.ts';

export type MediaSender = {
  /** Sends one packet with these fields; bytes handed to the kernel, 0 when it was refused. Never throws for the network's reasons. */
  send(peer: PeerTransport, packet: OutgoingPacket): number;
};

/** Changed in place by its stream, read during the call. */
export type OutgoingPacket = {
  readonly fields: RtpFields;
  readonly extensionIds: RtpExtensionIds;
  /** What every packet of this stream takes on the link beside its payload, IP and UDP included. */
  readonly overheadBytes: number;
  payload: Uint8Array;
};

const SLOT_BYTES = 1_536;
/** A packet the kernel did not take at once still lies in its slot: twice as many slots as the socket's queue may hold. */
const SLOT_COUNT = 2 * UDP_QUEUE_MAX_COUNT;

export class NodeMediaSender implements MediaSender {
  readonly #slots = Buffer.allocUnsafeSlow(SLOT_BYTES * SLOT_COUNT);
  readonly #place: RtpPlace = { headerStart: 0, headerEnd: 0, ssrc: 0, seqExt: 0 };
  #slotIndex = 0;

  send(peer: PeerTransport, { fields, extensionIds, payload }: OutgoingPacket): number {
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
}
