/** Reads back what `init-segment.ts` wrote, as far as another file about the same track needs it. */
import { ProtocolError } from '../../base/errors.ts';
import { parseAvcConfig } from '../h264/avc-config.ts';
import { joinNalUnits } from '../h264/nal-units.ts';
import type { BoxSpan } from './box-reader.ts';
import { boxAt, typeAt, viewOf } from './box-reader.ts';

export type InitFacts = {
  readonly kind: 'video' | 'audio';
  readonly timescaleHz: number;
  /** The one entry of `stsd`, whole, as it can go into another `stsd`. */
  readonly sampleEntry: Uint8Array;
  /** 0 for sound. */
  readonly widthPx: number;
  readonly heightPx: number;
  /** H.264's parameter sets as they would stand in front of a keyframe, each behind its length; empty for other codecs. */
  readonly inBandSets: Uint8Array;
};

const STSD_HEAD_BYTES = 8;
/** A visual sample entry's fields before its boxes, its header among them (12.1.3). */
const VISUAL_ENTRY_BYTES = 86;

/** Throws `ProtocolError` `FMP4_DAMAGED` or `AVC_CONFIG_INVALID`. The entry is a view of `bytes`. */
export const readInitSegment = (bytes: Uint8Array): InitFacts => {
  const view = viewOf(bytes);
  const trak = boxAt(view, ['moov', 'trak']);
  const mdhd = atLeast(16, boxAt(view, ['mdia', 'mdhd'], trak));
  const hdlr = atLeast(12, boxAt(view, ['mdia', 'hdlr'], trak));
  const tkhd = atLeast(8, boxAt(view, ['tkhd'], trak));
  const stsd = atLeast(STSD_HEAD_BYTES + 8, boxAt(view, ['mdia', 'minf', 'stbl', 'stsd'], trak));
  const handler = typeAt(view, hdlr.startByte + 8);
  if (handler !== 'vide' && handler !== 'soun') {
    throw new ProtocolError('FMP4_DAMAGED', `a track of handler ${handler}, expected vide or soun`);
  }
  return {
    kind: handler === 'vide' ? 'video' : 'audio',
    timescaleHz: view.getUint32(mdhd.startByte + 12),
    sampleEntry: bytes.subarray(stsd.startByte + STSD_HEAD_BYTES, stsd.endByte),
    widthPx: view.getUint32(tkhd.endByte - 8) / 0x10000,
    heightPx: view.getUint32(tkhd.endByte - 4) / 0x10000,
    inBandSets: parameterSetsOf(bytes.subarray(stsd.startByte + STSD_HEAD_BYTES, stsd.endByte)),
  };
};

const atLeast = (bytes: number, span: BoxSpan): BoxSpan => {
  if (span.endByte - span.startByte < bytes) {
    throw new ProtocolError('FMP4_DAMAGED', `${span.type} has less than ${bytes} bytes`);
  }
  return span;
};

const parameterSetsOf = (sampleEntry: Uint8Array): Uint8Array => {
  const view = viewOf(sampleEntry);
  if (sampleEntry.byteLength < VISUAL_ENTRY_BYTES || typeAt(view, 4) !== 'avc1') {
    return new Uint8Array(0);
  }
  const span = { type: 'avc1', startByte: VISUAL_ENTRY_BYTES, endByte: sampleEntry.byteLength };
  const avcC = boxAt(view, ['avcC'], span);
  const { sps, pps } = parseAvcConfig(sampleEntry.subarray(avcC.startByte, avcC.endByte));
  return joinNalUnits([...sps, ...pps]);
};
