/** Opus: the identification header (RFC 7845 5.1) and how long a packet lasts (RFC 6716 3.1). */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';

export const OPUS_TIMESCALE_HZ = 48_000;
/** 120 ms (RFC 6716 3.2.5). */
const PACKET_MAX_SAMPLES = 5_760;

/** Throws `ProtocolError` `OPUS_CONFIG_INVALID`. */
export const parseOpusHead = (head: Uint8Array): { readonly channelCount: number } => {
  const reader = new ByteReader(head, 'OPUS_CONFIG_INVALID');
  const magic = `${reader.fourCc()}${reader.fourCc()}`;
  const version = reader.u8();
  const channelCount = reader.u8();
  reader.skip(9);
  if (magic !== 'OpusHead' || version >> 4 !== 0 || channelCount === 0) {
    throw new ProtocolError('OPUS_CONFIG_INVALID', `not an OpusHead of version 0 with channels`);
  }
  return { channelCount };
};

/** For a live stream that may be joined anywhere: nothing to be left out at its beginning, channels in the usual order. */
export const buildOpusHead = (channelCount: 1 | 2): Uint8Array => {
  const head = Buffer.alloc(19);
  head.write('OpusHead', 'latin1');
  head[8] = 1;
  head[9] = channelCount;
  head.writeUInt32LE(OPUS_TIMESCALE_HZ, 12);
  return head;
};

/** Samples at 48 kHz in one packet. Throws `ProtocolError` `OPUS_PACKET_INVALID`. */
export const opusPacketSamples = (packet: Uint8Array): number => {
  const reader = new ByteReader(packet, 'OPUS_PACKET_INVALID');
  const toc = reader.u8();
  const countCode = toc & 0x03;
  const severalCount = countCode === 3 ? reader.u8() & 0x3f : 2;
  const frameCount = countCode === 0 ? 1 : severalCount;
  const samples = frameCount * frameSamples(toc >> 3);
  if (samples === 0 || samples > PACKET_MAX_SAMPLES) {
    throw new ProtocolError('OPUS_PACKET_INVALID', `lasts ${samples} samples, expected 1 to ${PACKET_MAX_SAMPLES}`);
  }
  return samples;
};

/** RFC 6716 table 2. */
const frameSamples = (config: number): number => {
  if (config < 12) {
    return [480, 960, 1_920, 2_880][config & 3] ?? 0;
  }
  return config < 16 ? ([480, 960][config & 1] ?? 0) : ([120, 240, 480, 960][config & 3] ?? 0);
};
