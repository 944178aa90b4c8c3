/**
 * AV1CodecConfigurationRecord (AV1-ISOBMFF 2.3.3), around the sequence header:
 *
 *     1 version (7) | profile (3) level (5) | tier highBitdepth twelveBit mono subX subY position (2) | … | OBUs
 */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { Obu } from './obu.ts';
import { OBU_SEQUENCE_HEADER, joinTemporalUnit, splitObus } from './obu.ts';
import type { Av1SequenceHeader } from './sequence-header.ts';
import { parseSequenceHeader } from './sequence-header.ts';

export type Av1Config = { readonly codecString: string; readonly widthPx: number; readonly heightPx: number };

const CODE = 'AV1_CONFIG_INVALID';
const MARKER_AND_VERSION = 0x81;

/** Throws `ProtocolError` `AV1_CONFIG_INVALID`, or `AV1_OBU_INVALID` from the OBUs within. */
export const parseAv1Config = (record: Uint8Array): Av1Config => {
  const { profileAndLevel, format, obus } = readRecord(record);
  const { widthPx, heightPx } = parseSequenceHeader(sequenceHeaderIn(obus).payload, CODE);
  const profile = profileAndLevel >> 5;
  const level = String(profileAndLevel & 0x1f).padStart(2, '0');
  const tier = (format & 0x80) === 0 ? 'M' : 'H';
  const deepBits = (format & 0x20) === 0 ? '10' : '12';
  const depth = (format & 0x40) === 0 ? '08' : deepBits;
  return { codecString: `av01.${profile}.${level}${tier}.${depth}`, widthPx, heightPx };
};

/** A view of the record's sequence header. Throws as `parseAv1Config` does. */
export const sequenceHeaderOf = (record: Uint8Array): Obu => sequenceHeaderIn(readRecord(record).obus);

const readRecord = (record: Uint8Array): { profileAndLevel: number; format: number; obus: Uint8Array } => {
  const reader = new ByteReader(record, CODE);
  const version = reader.u8();
  if (version !== MARKER_AND_VERSION) {
    throw new ProtocolError(CODE, `marker and version are ${version}, expected ${MARKER_AND_VERSION}`);
  }
  const profileAndLevel = reader.u8();
  const format = reader.u8();
  reader.skip(1);
  return { profileAndLevel, format, obus: reader.rest() };
};

/** From OBUs with a sequence header among them, as encoders hand out their set-up. Throws as `parseAv1Config` does. */
export const buildAv1Config = (obus: Uint8Array): Uint8Array => {
  const sequenceHeader = sequenceHeaderIn(obus);
  const header = parseSequenceHeader(sequenceHeader.payload, CODE);
  const withSize = joinTemporalUnit([sequenceHeader]);
  const record = new Uint8Array(4 + withSize.byteLength);
  record.set([MARKER_AND_VERSION, (header.profile << 5) | header.levelIndex, formatBits(header), 0]);
  record.set(withSize, 4);
  return record;
};

const sequenceHeaderIn = (obus: Uint8Array): Obu => {
  const sequenceHeader = splitObus(obus).find((obu) => obu.type === OBU_SEQUENCE_HEADER);
  if (sequenceHeader === undefined) {
    throw new ProtocolError(CODE, 'has no sequence header OBU');
  }
  return sequenceHeader;
};

const formatBits = (header: Av1SequenceHeader): number =>
  [
    header.isHighTier,
    header.bitDepth > 8,
    header.bitDepth === 12,
    header.isMonochrome,
    header.isSubsampledX,
    header.isSubsampledY,
  ].reduce((bits, isSet, index) => bits | (isSet ? 0x80 >> index : 0), header.chromaSamplePosition);
