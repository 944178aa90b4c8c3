/**
 * AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1):
 *
 *     objectType (5, 31: +6) | frequencyIndex (4, 15: +24) | channels (4) | for SBR and PS: extension frequency, core type | frameLength (1) …
 */
import { ProtocolError } from '../../base/errors.ts';
import { BitReader } from '../h264/bit-reader.ts';

export type AacConfig = {
  readonly objectType: number;
  /** The core's: an access unit is `samplesPerUnit` of these, with or without SBR. */
  readonly sampleRateHz: number;
  readonly channelCount: number;
  readonly samplesPerUnit: number;
  readonly codecString: string;
};

const CODE = 'AAC_CONFIG_INVALID';
const SAMPLE_RATES_HZ = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
const TYPE_LC = 2;
const TYPE_SBR = 5;
const TYPE_PS = 29;
const CHANNELS = [undefined, 1, 2, 3, 4, 5, 6, 8];

/** Throws `ProtocolError` `AAC_CONFIG_INVALID`. */
export const parseAacConfig = (config: Uint8Array): AacConfig => {
  const reader = new BitReader(config, CODE);
  const objectType = readObjectType(reader);
  const sampleRateHz = readSampleRate(reader);
  const channels = reader.bits(4);
  const channelCount = CHANNELS[channels];
  if (channelCount === undefined) {
    throw new ProtocolError(CODE, `channel configuration is ${channels}, expected 1 to 7`);
  }
  const isExtended = objectType === TYPE_SBR || objectType === TYPE_PS;
  if (isExtended) {
    readSampleRate(reader);
  }
  const coreType = isExtended ? readObjectType(reader) : objectType;
  if (coreType !== TYPE_LC) {
    throw new ProtocolError(CODE, `audio object type is ${coreType}, expected AAC-LC (2), alone or under SBR`);
  }
  const samplesPerUnit = reader.flag() ? 960 : 1024;
  return { objectType, sampleRateHz, channelCount, samplesPerUnit, codecString: `mp4a.40.${objectType}` };
};

const readObjectType = (reader: BitReader): number => {
  const objectType = reader.bits(5);
  return objectType === 31 ? 32 + reader.bits(6) : objectType;
};

const readSampleRate = (reader: BitReader): number => {
  const index = reader.bits(4);
  const sampleRateHz = index === 15 ? reader.bits(24) : SAMPLE_RATES_HZ[index];
  if (sampleRateHz === undefined || sampleRateHz < 7_350 || sampleRateHz > 96_000) {
    throw new ProtocolError(CODE, `sampling frequency index is ${index}`);
  }
  return sampleRateHz;
};
