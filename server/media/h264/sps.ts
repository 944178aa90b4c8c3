/** The sequence parameter set of H.264 (ITU-T H.264 7.3.2.1.1 and annex E): what its size is and how far pictures are reordered. */
import { ProtocolError } from '../../base/errors.ts';
import { BitReader, unescapeNalUnit } from './bit-reader.ts';
import { NAL_SPS, nalTypeOf } from './nal-units.ts';

export type SpsFacts = {
  readonly profileIdc: number;
  readonly levelIdc: number;
  /** After cropping: what is to be shown. */
  readonly widthPx: number;
  readonly heightPx: number;
  /** `max_num_reorder_frames`; undefined when the SPS does not say and pictures may be reordered. 0: no B-frames. */
  readonly reorderMaxCount: number | undefined;
  /** From the VUI's timing; undefined when it says none. The encoder's intention, not a measurement. */
  readonly frameRateFps: number | undefined;
};

const CODE = 'H264_SPS_INVALID';
const PROFILES_WITH_CHROMA = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);
/** ITU-T H.264 table 6-1: by `chroma_format_idc`. */
const CHROMA_CROP = [
  { x: 1, y: 1 },
  { x: 2, y: 2 },
  { x: 2, y: 1 },
  { x: 1, y: 1 },
];
const EDGE_MAX_PX = 16_384;
const EXTENDED_SAR = 255;

/** Throws `ProtocolError` `H264_SPS_INVALID`. `sps` is the NAL unit with its header byte. */
export const parseSps = (sps: Uint8Array): SpsFacts => {
  if (nalTypeOf(sps) !== NAL_SPS) {
    throw new ProtocolError(CODE, `NAL unit type is ${nalTypeOf(sps)}, expected ${NAL_SPS}`);
  }
  const reader = new BitReader(unescapeNalUnit(sps, 1), CODE);
  const profileIdc = reader.bits(8);
  reader.skip(8);
  const levelIdc = reader.bits(8);
  reader.ue();
  const chromaFormat = PROFILES_WITH_CHROMA.has(profileIdc) ? readChroma(reader) : 1;
  reader.ue();
  const pocType = readPictureOrderCount(reader);
  reader.ue();
  reader.skip(1);
  const size = readSize(reader, chromaFormat);
  const vui = reader.flag() ? readVui(reader) : { reorderMaxCount: undefined, frameRateFps: undefined };
  const isNeverReordered = pocType === 2 || profileIdc === 66;
  return { profileIdc, levelIdc, ...size, ...vui, reorderMaxCount: isNeverReordered ? 0 : vui.reorderMaxCount };
};

const readChroma = (reader: BitReader): number => {
  const chromaFormat = reader.ue();
  if (chromaFormat > 3) {
    throw new ProtocolError(CODE, `chroma_format_idc is ${chromaFormat}`);
  }
  const planeCount = chromaFormat === 3 ? 12 : 8;
  if (chromaFormat === 3) {
    reader.skip(1);
  }
  reader.ue();
  reader.ue();
  reader.skip(1);
  if (reader.flag()) {
    for (let index = 0; index < planeCount; index += 1) {
      if (reader.flag()) {
        skipScalingList(reader, index < 6 ? 16 : 64);
      }
    }
  }
  return chromaFormat;
};

const skipScalingList = (reader: BitReader, size: number): void => {
  let next = 8;
  let last = 8;
  for (let index = 0; index < size && next !== 0; index += 1) {
    next = (last + reader.se() + 256) % 256;
    last = next === 0 ? last : next;
  }
};

const readPictureOrderCount = (reader: BitReader): number => {
  const pocType = reader.ue();
  if (pocType === 0) {
    reader.ue();
  } else if (pocType === 1) {
    reader.skip(1);
    reader.se();
    reader.se();
    const cycleCount = reader.ue();
    if (cycleCount > 255) {
      throw new ProtocolError(CODE, `num_ref_frames_in_pic_order_cnt_cycle is ${cycleCount}`);
    }
    for (let index = 0; index < cycleCount; index += 1) {
      reader.se();
    }
  } else if (pocType > 2) {
    throw new ProtocolError(CODE, `pic_order_cnt_type is ${pocType}`);
  }
  return pocType;
};

const readSize = (reader: BitReader, chromaFormat: number): { widthPx: number; heightPx: number } => {
  const widthMbs = reader.ue() + 1;
  const heightUnits = reader.ue() + 1;
  const isFrameOnly = reader.flag();
  if (!isFrameOnly) {
    reader.skip(1);
  }
  reader.skip(1);
  const fields = isFrameOnly ? 1 : 2;
  const crop = CHROMA_CROP[chromaFormat] ?? { x: 1, y: 1 };
  const [left, right, top, bottom] = reader.flag()
    ? [reader.ue(), reader.ue(), reader.ue(), reader.ue()]
    : [0, 0, 0, 0];
  const widthPx = widthMbs * 16 - (left + right) * crop.x;
  const heightPx = heightUnits * 16 * fields - (top + bottom) * crop.y * fields;
  if (widthPx <= 0 || heightPx <= 0 || widthPx > EDGE_MAX_PX || heightPx > EDGE_MAX_PX) {
    throw new ProtocolError(CODE, `picture is ${widthPx}x${heightPx}, expected 1 to ${EDGE_MAX_PX} each way`);
  }
  return { widthPx, heightPx };
};

const readVui = (reader: BitReader): Pick<SpsFacts, 'reorderMaxCount' | 'frameRateFps'> => {
  if (reader.flag() && reader.bits(8) === EXTENDED_SAR) {
    reader.skip(32);
  }
  if (reader.flag()) {
    reader.skip(1);
  }
  if (reader.flag()) {
    reader.skip(4);
    if (reader.flag()) {
      reader.skip(24);
    }
  }
  if (reader.flag()) {
    reader.ue();
    reader.ue();
  }
  const frameRateFps = reader.flag() ? readFrameRate(reader) : undefined;
  const hasNalHrd = reader.flag() && skipHrd(reader);
  const hasVclHrd = reader.flag() && skipHrd(reader);
  if (hasNalHrd || hasVclHrd) {
    reader.skip(1);
  }
  reader.skip(1);
  return { frameRateFps, reorderMaxCount: reader.flag() ? readReorder(reader) : undefined };
};

/** A frame is two ticks (ITU-T H.264 E.2.1). */
const readFrameRate = (reader: BitReader): number | undefined => {
  const unitsInTick = reader.bits(32);
  const timescale = reader.bits(32);
  reader.skip(1);
  return unitsInTick === 0 || timescale === 0 ? undefined : timescale / (2 * unitsInTick);
};

const skipHrd = (reader: BitReader): true => {
  const cpbCount = reader.ue() + 1;
  if (cpbCount > 32) {
    throw new ProtocolError(CODE, `cpb_cnt is ${cpbCount}`);
  }
  reader.skip(8);
  for (let index = 0; index < cpbCount; index += 1) {
    reader.ue();
    reader.ue();
    reader.skip(1);
  }
  reader.skip(20);
  return true;
};

const readReorder = (reader: BitReader): number => {
  reader.skip(1);
  for (let index = 0; index < 4; index += 1) {
    reader.ue();
  }
  const reorderMaxCount = reader.ue();
  if (reorderMaxCount > 16) {
    throw new ProtocolError(CODE, `max_num_reorder_frames is ${reorderMaxCount}`);
  }
  return reorderMaxCount;
};
