/** One field of an RTP header without reading the rest: on the path of each packet of each viewer. Pure. */

const ONE_BYTE_PROFILE = 0xbede;

/** The transport-wide sequence number in a one-byte header extension (RFC 8285 4.2), where `id` was agreed on and it is there. */
export const readTransportSeq = (datagram: Buffer, id: number | undefined): number | undefined => {
  if (id === undefined || ((datagram[0] ?? 0) & 0x10) === 0) {
    return undefined;
  }
  const start = 12 + ((datagram[0] ?? 0) & 0x0f) * 4;
  if (start + 4 > datagram.byteLength || datagram.readUInt16BE(start) !== ONE_BYTE_PROFILE) {
    return undefined;
  }
  const end = Math.min(datagram.byteLength - 2, start + 4 + datagram.readUInt16BE(start + 2) * 4);
  for (let at = start + 4; at < end;) {
    const head = datagram[at] ?? 0;
    if (head >> 4 === id) {
      return datagram.readUInt16BE(at + 1);
    }
    at += head >> 4 === 0 ? 1 : (head & 0x0f) + 2;
  }
  return undefined;
};
