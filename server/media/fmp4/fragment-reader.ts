/**
 * Reads back what `fragment.ts` wrote: where the samples of a fragment lie, when they are due, which are keyframes. Only the `moof` is
 * needed; the samples themselves stay where they are.
 */
import { ProtocolError } from '../../base/errors.ts';
import { boxAt, boxesIn, typeAt, viewOf } from './box-reader.ts';

export type FragmentHead = {
  /** `tfdt`: decoding time of the first sample. */
  readonly startTicks: number;
  /** Where that stands, 64 bits, from the first byte of the fragment. */
  readonly startTicksAtByte: number;
  /** From the first byte of the fragment to its first sample. */
  readonly dataStartBytes: number;
  /** `moof` and `mdat` together: the next fragment begins behind them. */
  readonly fragmentBytes: number;
  /** One number a sample each. */
  readonly durationsTicks: Uint32Array;
  readonly sizesBytes: Uint32Array;
  /** Presentation minus decoding time, signed. */
  readonly compositionOffsetsTicks: Int32Array;
  /** 1: a sync sample. */
  readonly keyframes: Uint8Array;
};

/** How much of a fragment's beginning usually holds its whole `moof` and the head of its `mdat`. */
export const FRAGMENT_HEAD_USUAL_BYTES = 2_048;
/** A `moof` of more is none of ours: it would hold over 60 000 samples. */
const MOOF_MAX_BYTES = 1_048_576;
const SAMPLE_ENTRY_BYTES = 16;
const TRUN_FLAGS = 0x000f01;
/** `sample_is_non_sync_sample` (ISO/IEC 14496-12 8.8.3.1). */
const NON_SYNC = 0x00010000;

/**
 * `bytes` begin with a fragment and hold at least 8 of its bytes. Undefined: the `moof` and the `mdat`'s header do not lie in them whole; call again
 * with `headBytesOf` bytes. Throws `ProtocolError` `FMP4_DAMAGED`.
 */
export const readFragmentHead = (bytes: Uint8Array): FragmentHead | undefined => {
  const needed = headBytesOf(bytes);
  if (bytes.byteLength < needed) {
    return undefined;
  }
  const view = viewOf(bytes);
  const moofBytes = view.getUint32(0);
  const mdatBytes = view.getUint32(moofBytes);
  if (typeAt(view, moofBytes + 4) !== 'mdat' || mdatBytes < 8) {
    throw new ProtocolError('FMP4_DAMAGED', 'expected an mdat behind the moof');
  }
  const traf = boxAt(view, ['traf'], { type: 'moof', startByte: 8, endByte: moofBytes });
  const boxes = boxesIn(view, traf.startByte, traf.endByte);
  const tfdt = boxes.find((box) => box.type === 'tfdt');
  const trun = boxes.find((box) => box.type === 'trun');
  if (tfdt === undefined || trun === undefined || tfdt.endByte - tfdt.startByte < 12) {
    throw new ProtocolError('FMP4_DAMAGED', 'expected a traf with a tfdt of 64 bits and a trun');
  }
  const startTicks = view.getUint32(tfdt.startByte + 4) * 2 ** 32 + view.getUint32(tfdt.startByte + 8);
  const run = readRun(view, trun.startByte, trun.endByte);
  const payloadBytes = run.sizesBytes.reduce((sum, size) => sum + size, 0);
  if (run.dataStartBytes !== moofBytes + 8 || payloadBytes + 8 !== mdatBytes) {
    throw new ProtocolError('FMP4_DAMAGED', `samples of ${payloadBytes} bytes in an mdat of ${mdatBytes}`);
  }
  return { ...run, startTicks, startTicksAtByte: tfdt.startByte + 4, fragmentBytes: moofBytes + mdatBytes };
};

/** Bytes of the `moof` and the head of the `mdat` behind it, read off the first 8. Throws `ProtocolError` `FMP4_DAMAGED`. */
export const headBytesOf = (bytes: Uint8Array): number => {
  const view = viewOf(bytes);
  const moofBytes = bytes.byteLength < 8 ? 0 : view.getUint32(0);
  if (moofBytes < 16 || moofBytes > MOOF_MAX_BYTES || typeAt(view, 4) !== 'moof') {
    throw new ProtocolError('FMP4_DAMAGED', 'expected a fragment that begins with a moof');
  }
  return moofBytes + 8;
};

const readRun = (
  view: DataView,
  startByte: number,
  endByte: number,
): Omit<FragmentHead, 'startTicks' | 'startTicksAtByte' | 'fragmentBytes'> => {
  const isLongEnough = endByte - startByte >= 12;
  const sampleCount = isLongEnough ? view.getUint32(startByte + 4) : 0;
  const hasOurFlags = isLongEnough && (view.getUint32(startByte) & 0xffffff) === TRUN_FLAGS;
  if (!hasOurFlags || endByte - startByte !== 12 + sampleCount * SAMPLE_ENTRY_BYTES) {
    throw new ProtocolError('FMP4_DAMAGED', 'expected a trun with duration, size, flags and offset for each sample');
  }
  const durationsTicks = new Uint32Array(sampleCount);
  const sizesBytes = new Uint32Array(sampleCount);
  const compositionOffsetsTicks = new Int32Array(sampleCount);
  const keyframes = new Uint8Array(sampleCount);
  for (let index = 0; index < sampleCount; index += 1) {
    const at = startByte + 12 + index * SAMPLE_ENTRY_BYTES;
    durationsTicks[index] = view.getUint32(at);
    sizesBytes[index] = view.getUint32(at + 4);
    keyframes[index] = (view.getUint32(at + 8) & NON_SYNC) === 0 ? 1 : 0;
    compositionOffsetsTicks[index] = view.getInt32(at + 12);
  }
  const dataStartBytes = view.getInt32(startByte + 8);
  return { dataStartBytes, durationsTicks, sizesBytes, compositionOffsetsTicks, keyframes };
};
