/**
 * AV1CodecConfigurationRecord (AV1-ISOBMFF 2.3.3), and the sequence header in it (AV1 specification 5.5):
 *
 *     1 version (7) | profile (3) level (5) | tier highBitdepth twelveBit mono subX subY position (2) | … | OBUs
 */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';
import { BitReader } from '../h264/bit-reader.ts';
import { OBU_SEQUENCE_HEADER, splitObus } from './obu.ts';

export type Av1Config = { readonly codecString: string; readonly widthPx: number; readonly heightPx: number };

const CODE = 'AV1_CONFIG_INVALID';

/** Throws `ProtocolError` `AV1_CONFIG_INVALID`, or `AV1_OBU_INVALID` from the OBUs within. */
export const parseAv1Config = (record: Uint8Array): Av1Config => {
  const reader = new ByteReader(record, CODE);
  const version = reader.u8();
  if (version !== 0x81) {
    throw new ProtocolError(CODE, `marker and version are ${version}, expected 129`);
  }
  const profileAndLevel = reader.u8();
  const format = reader.u8();
  reader.skip(1);
  const sequenceHeader = splitObus(reader.rest()).find((obu) => obu.type === OBU_SEQUENCE_HEADER);
  if (sequenceHeader === undefined) {
    throw new ProtocolError(CODE, 'has no sequence header OBU');
  }
  const profile = profileAndLevel >> 5;
  const level = String(profileAndLevel & 0x1f).padStart(2, '0');
  const tier = (format & 0x80) === 0 ? 'M' : 'H';
  const deepBits = (format & 0x20) === 0 ? '10' : '12';
  const depth = (format & 0x40) === 0 ? '08' : deepBits;
  return { codecString: `av01.${profile}.${level}${tier}.${depth}`, ...readSize(sequenceHeader.payload) };
};

const readSize = (sequenceHeader: Uint8Array): { widthPx: number; heightPx: number } => {
  const reader = new BitReader(sequenceHeader, CODE);
  reader.skip(4);
  const isReduced = reader.flag();
  if (isReduced) {
    reader.skip(5);
  } else {
    skipOperatingPoints(reader);
  }
  const widthBits = reader.bits(4) + 1;
  const heightBits = reader.bits(4) + 1;
  return { widthPx: reader.bits(widthBits) + 1, heightPx: reader.bits(heightBits) + 1 };
};

const skipOperatingPoints = (reader: BitReader): void => {
  const delayBits = reader.flag() ? skipTimingInfo(reader) : undefined;
  const hasDisplayDelay = reader.flag();
  const pointCount = reader.bits(5) + 1;
  for (let index = 0; index < pointCount; index += 1) {
    reader.skip(12);
    if (reader.bits(5) > 7) {
      reader.skip(1);
    }
    if (delayBits !== undefined && reader.flag()) {
      reader.skip(2 * delayBits + 1);
    }
    if (hasDisplayDelay && reader.flag()) {
      reader.skip(4);
    }
  }
};

/** The length of the decoder model's delays, when there is a decoder model. */
const skipTimingInfo = (reader: BitReader): number | undefined => {
  reader.skip(64);
  if (reader.flag()) {
    reader.ue();
  }
  if (!reader.flag()) {
    return undefined;
  }
  const delayBits = reader.bits(5) + 1;
  reader.skip(42);
  return delayBits;
};
