/** RFC 4571 framing of datagrams on a TCP stream, as ICE-TCP uses it (RFC 6544 3): each behind a 16-bit length. */
import { ProtocolError } from '../base/errors.ts';

/** Nothing a viewer sends us is larger: STUN, DTLS records and RTCP all fit into one Ethernet frame. */
const FRAME_MAX_BYTES = 4_096;

export class StreamDeframer {
  #pending: Buffer = Buffer.alloc(0);

  /** The datagrams completed by these bytes. Throws `ProtocolError` `ICE_TCP_FRAME_TOO_LARGE`; holds at most one frame. */
  push(bytes: Buffer): Buffer[] {
    let rest = this.#pending.byteLength === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const datagrams: Buffer[] = [];
    while (rest.byteLength >= 2) {
      const length = rest.readUInt16BE(0);
      if (length > FRAME_MAX_BYTES) {
        throw new ProtocolError('ICE_TCP_FRAME_TOO_LARGE', `frame of ${length} bytes, at most ${FRAME_MAX_BYTES}`);
      }
      if (rest.byteLength < 2 + length) {
        break;
      }
      datagrams.push(rest.subarray(2, 2 + length));
      rest = rest.subarray(2 + length);
    }
    this.#pending = rest.byteLength === 0 ? Buffer.alloc(0) : Buffer.from(rest);
    return datagrams;
  }
}

/** One framed copy of `datagram`. */
export const frameDatagram = (datagram: Uint8Array): Buffer => {
  const framed = Buffer.allocUnsafe(2 + datagram.byteLength);
  framed.writeUInt16BE(datagram.byteLength, 0);
  framed.set(datagram, 2);
  return framed;
};
