/** The sequence header OBU of AV1 (AV1 specification 5.5): what a container must say of the stream. */
import { BitReader } from '../h264/bit-reader.ts';

export type Av1SequenceHeader = {
  readonly profile: number;
  /** Of the first operating point: 5 is level 3.1. */
  readonly levelIndex: number;
  readonly isHighTier: boolean;
  readonly bitDepth: 8 | 10 | 12;
  readonly isMonochrome: boolean;
  readonly isSubsampledX: boolean;
  readonly isSubsampledY: boolean;
  readonly chromaSamplePosition: number;
  readonly widthPx: number;
  readonly heightPx: number;
};

const LEVEL_WITH_TIER_MIN = 8;
const SELECT_SCREEN_CONTENT_TOOLS = 2;
const PRIMARIES_BT709 = 1;
const TRANSFER_SRGB = 13;
const MATRIX_IDENTITY = 0;

/** `payload`: of the OBU, without its header. Throws `ProtocolError` with `errorCode` when it ends too soon. */
export const parseSequenceHeader = (payload: Uint8Array, errorCode: string): Av1SequenceHeader => {
  const reader = new BitReader(payload, errorCode);
  const profile = reader.bits(3);
  reader.skip(1); // still_picture
  const isReduced = reader.flag();
  const point = isReduced ? { levelIndex: reader.bits(5), isHighTier: false } : readOperatingPoints(reader);
  const widthBits = reader.bits(4) + 1;
  const heightBits = reader.bits(4) + 1;
  const widthPx = reader.bits(widthBits) + 1;
  const heightPx = reader.bits(heightBits) + 1;
  skipTools(reader, isReduced);
  return { profile, ...point, ...readColours(reader, profile), widthPx, heightPx };
};

const readOperatingPoints = (reader: BitReader): Pick<Av1SequenceHeader, 'levelIndex' | 'isHighTier'> => {
  const delayBits = reader.flag() ? skipTimingInfo(reader) : undefined;
  const hasDisplayDelay = reader.flag();
  const pointCount = reader.bits(5) + 1;
  let first: Pick<Av1SequenceHeader, 'levelIndex' | 'isHighTier'> | undefined;
  for (let index = 0; index < pointCount; index += 1) {
    reader.skip(12);
    const levelIndex = reader.bits(5);
    const isHighTier = levelIndex >= LEVEL_WITH_TIER_MIN && reader.flag();
    first ??= { levelIndex, isHighTier };
    if (delayBits !== undefined && reader.flag()) {
      reader.skip(2 * delayBits + 1);
    }
    if (hasDisplayDelay && reader.flag()) {
      reader.skip(4);
    }
  }
  return first ?? { levelIndex: 0, isHighTier: false };
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

const skipTools = (reader: BitReader, isReduced: boolean): void => {
  if (!isReduced && reader.flag()) {
    reader.skip(7); // lengths of frame ids
  }
  reader.skip(3); // superblocks of 128, filter-intra, intra edge filter
  if (!isReduced) {
    skipInterTools(reader);
  }
  reader.skip(3); // super-resolution, CDEF, restoration
};

const skipInterTools = (reader: BitReader): void => {
  reader.skip(4); // inter-intra and masked compound, warped motion, dual filter
  const hasOrderHint = reader.flag();
  if (hasOrderHint) {
    reader.skip(2);
  }
  const forcesScreenContent = reader.flag() ? SELECT_SCREEN_CONTENT_TOOLS : reader.bits(1);
  if (forcesScreenContent > 0 && !reader.flag()) {
    reader.skip(1);
  }
  if (hasOrderHint) {
    reader.skip(3);
  }
};

type Colours = Pick<
  Av1SequenceHeader,
  'bitDepth' | 'isMonochrome' | 'isSubsampledX' | 'isSubsampledY' | 'chromaSamplePosition'
>;

/** 5.5.2. */
const readColours = (reader: BitReader, profile: number): Colours => {
  const isHighDepth = reader.flag();
  const isTwelve = profile === 2 && isHighDepth && reader.flag();
  const bitDepth = isTwelve ? 12 : isHighDepth ? 10 : 8;
  const isMonochrome = profile !== 1 && reader.flag();
  const [primaries, transfer, matrix] = reader.flag() ? [reader.bits(8), reader.bits(8), reader.bits(8)] : [2, 2, 2];
  const isSrgb = primaries === PRIMARIES_BT709 && transfer === TRANSFER_SRGB && matrix === MATRIX_IDENTITY;
  if (isMonochrome) {
    return { bitDepth, isMonochrome, isSubsampledX: true, isSubsampledY: true, chromaSamplePosition: 0 };
  }
  const subsampling = isSrgb
    ? { isSubsampledX: false, isSubsampledY: false }
    : readSubsampling(reader, profile, bitDepth);
  const isQuarter = subsampling.isSubsampledX && subsampling.isSubsampledY;
  return { bitDepth, isMonochrome, ...subsampling, chromaSamplePosition: isQuarter ? reader.bits(2) : 0 };
};

const readSubsampling = (
  reader: BitReader,
  profile: number,
  bitDepth: number,
): Pick<Colours, 'isSubsampledX' | 'isSubsampledY'> => {
  reader.skip(1); // colour range
  if (profile === 2 && bitDepth === 12) {
    const isSubsampledX = reader.flag();
    return { isSubsampledX, isSubsampledY: isSubsampledX && reader.flag() };
  }
  return { isSubsampledX: profile !== 1, isSubsampledY: profile === 0 };
};
