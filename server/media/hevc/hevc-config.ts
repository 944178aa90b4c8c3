/**
 * HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1):
 *
 *     version=1 | space (2) tier (1) profile (5) | compatibility (32) | constraints (48) | level (8) | … 8 bytes … |
 *     … lengthSize−1 (2) | arrayCount (8) { …type (6) | count (16) { length (16) | NAL unit }… }…
 */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';
import { BitReader, unescapeNalUnit } from '../h264/bit-reader.ts';

export const HEVC_NAL_SPS = 33;
/** Decoding can start at types 16 to 21 (BLA, IDR, CRA; ITU-T H.265 table 7-1). */
const HEVC_NAL_IRAP_MIN = 16;
const HEVC_NAL_IRAP_MAX = 21;

export type HevcConfig = {
  /** Bytes of each NAL length field as the encoder sends them: 1, 2 or 4. */
  readonly lengthBytes: number;
  readonly codecString: string;
  readonly widthPx: number;
  readonly heightPx: number;
};

const CODE = 'HEVC_CONFIG_INVALID';
const EDGE_MAX_PX = 16_384;

/** `nal_unit_type` of HEVC (ITU-T H.265 7.3.1.2). */
export const hevcNalTypeOf = (nalUnit: Uint8Array): number => ((nalUnit[0] ?? 0) >> 1) & 0x3f;

/** True for a NAL unit of a picture at which decoding can start. */
export const isHevcKeyframeNal = (nalUnit: Uint8Array): boolean => {
  const type = hevcNalTypeOf(nalUnit);
  return type >= HEVC_NAL_IRAP_MIN && type <= HEVC_NAL_IRAP_MAX;
};

/** Throws `ProtocolError` `HEVC_CONFIG_INVALID`. */
export const parseHevcConfig = (record: Uint8Array): HevcConfig => {
  const reader = new ByteReader(record, CODE);
  const version = reader.u8();
  if (version !== 1) {
    throw new ProtocolError(CODE, `configurationVersion is ${version}, expected 1`);
  }
  const profile = reader.u8();
  const compatibility = reader.u32();
  const constraints = reader.bytes(6);
  const levelIdc = reader.u8();
  reader.skip(8);
  const lengthBytes = (reader.u8() & 0x03) + 1;
  if (lengthBytes === 3) {
    throw new ProtocolError(CODE, 'NAL length size is 3, expected 1, 2 or 4');
  }
  const size = parseHevcSps(findSps(reader));
  return { lengthBytes, codecString: codecStringOf({ profile, compatibility, constraints, levelIdc }), ...size };
};

const findSps = (reader: ByteReader): Uint8Array => {
  let sps: Uint8Array | undefined;
  const arrayCount = reader.u8();
  for (let array = 0; array < arrayCount; array += 1) {
    const type = reader.u8() & 0x3f;
    const count = reader.u16();
    for (let index = 0; index < count; index += 1) {
      const nalUnit = reader.bytes(reader.u16());
      if (type === HEVC_NAL_SPS) {
        sps ??= nalUnit;
      }
    }
  }
  if (sps === undefined) {
    throw new ProtocolError(CODE, 'has no SPS');
  }
  return sps;
};

/** `hvc1.` profile, compatibility in reversed bit order, tier and level, constraint bytes without trailing zeros (ISO/IEC 14496-15 E.3). */
const codecStringOf = (options: {
  profile: number;
  compatibility: number;
  constraints: Uint8Array;
  levelIdc: number;
}): string => {
  const space = ['', 'A', 'B', 'C'][options.profile >> 6] ?? '';
  const tier = (options.profile & 0x20) === 0 ? 'L' : 'H';
  let reversed = 0;
  for (let bit = 0; bit < 32; bit += 1) {
    reversed = reversed * 2 + ((options.compatibility >>> bit) & 1);
  }
  const lastUsed = options.constraints.findLastIndex((byte) => byte !== 0);
  const constraints = [...options.constraints.subarray(0, lastUsed + 1)].map((byte) => byte.toString(16).toUpperCase());
  return [
    'hvc1',
    `${space}${options.profile & 0x1f}`,
    reversed.toString(16).toUpperCase(),
    `${tier}${options.levelIdc}`,
    ...constraints,
  ].join('.');
};

/** The size to be shown (ITU-T H.265 7.3.2.2). Throws `HEVC_CONFIG_INVALID`. */
const parseHevcSps = (sps: Uint8Array): { widthPx: number; heightPx: number } => {
  const reader = new BitReader(unescapeNalUnit(sps, 2), CODE);
  reader.skip(4);
  const subLayerMaxIndex = reader.bits(3);
  reader.skip(1);
  skipProfileTierLevel(reader, subLayerMaxIndex);
  reader.ue();
  const chromaFormat = reader.ue();
  if (chromaFormat === 3) {
    reader.skip(1);
  }
  const codedWidthPx = reader.ue();
  const codedHeightPx = reader.ue();
  const [left, right, top, bottom] = reader.flag()
    ? [reader.ue(), reader.ue(), reader.ue(), reader.ue()]
    : [0, 0, 0, 0];
  const cropX = chromaFormat === 1 || chromaFormat === 2 ? 2 : 1;
  const cropY = chromaFormat === 1 ? 2 : 1;
  const widthPx = codedWidthPx - (left + right) * cropX;
  const heightPx = codedHeightPx - (top + bottom) * cropY;
  if (widthPx <= 0 || heightPx <= 0 || widthPx > EDGE_MAX_PX || heightPx > EDGE_MAX_PX) {
    throw new ProtocolError(CODE, `picture is ${widthPx}x${heightPx}, expected 1 to ${EDGE_MAX_PX} each way`);
  }
  return { widthPx, heightPx };
};

/** ITU-T H.265 7.3.3: 96 bits for the whole, then flags and up to 96 bits for each sub-layer. */
const skipProfileTierLevel = (reader: BitReader, subLayerMaxIndex: number): void => {
  reader.skip(96);
  const subLayers: { hasProfile: boolean; hasLevel: boolean }[] = [];
  for (let index = 0; index < subLayerMaxIndex; index += 1) {
    subLayers.push({ hasProfile: reader.flag(), hasLevel: reader.flag() });
  }
  if (subLayerMaxIndex > 0) {
    reader.skip((8 - subLayerMaxIndex) * 2);
  }
  for (const { hasProfile, hasLevel } of subLayers) {
    reader.skip((hasProfile ? 88 : 0) + (hasLevel ? 8 : 0));
  }
};
