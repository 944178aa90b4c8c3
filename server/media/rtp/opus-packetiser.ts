/** Opus to RTP (RFC 7587 4.2): one packet of Opus is one payload, as it is. */
import type { AudioUnit } from '../access-unit.ts';
import { RTP_PAYLOAD_MAX_BYTES } from './h264-packetiser.ts';

/** The payload, or none when the packet is empty or could not be carried in one datagram (RFC 7587 forbids to split). */
export const packetiseOpus = (unit: AudioUnit): Uint8Array[] =>
  unit.payload.byteLength === 0 || unit.payload.byteLength > RTP_PAYLOAD_MAX_BYTES ? [] : [unit.payload];
