/** Walks ISO-BMFF boxes (ISO/IEC 14496-12 4.2) in bytes that are all there. Made for our own files, wary of damaged ones. */
import { ProtocolError } from '../../base/errors.ts';

export type BoxSpan = {
  readonly type: string;
  /** Of the payload, behind the header. */
  readonly startByte: number;
  readonly endByte: number;
};

const HEADER_BYTES = 8;

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Four characters. */
export const typeAt = (view: DataView, at: number): string =>
  String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));

/** The boxes that fill `[startByte, endByte)`. Throws `ProtocolError` `FMP4_DAMAGED` where one does not fit. */
export const boxesIn = (view: DataView, startByte: number, endByte: number): BoxSpan[] => {
  const spans: BoxSpan[] = [];
  let at = startByte;
  while (at < endByte) {
    const bytes = at + HEADER_BYTES <= endByte ? view.getUint32(at) : 0;
    if (bytes < HEADER_BYTES || at + bytes > endByte) {
      throw new ProtocolError('FMP4_DAMAGED', `box of ${bytes} bytes at ${at}, expected it to end before ${endByte}`);
    }
    spans.push({ type: typeAt(view, at + 4), startByte: at + HEADER_BYTES, endByte: at + bytes });
    at += bytes;
  }
  return spans;
};

/** The box at the end of a way down, such as `['moov', 'trak', 'mdia']`: the first of each name. Throws `FMP4_DAMAGED` without one. */
export const boxAt = (view: DataView, way: readonly string[], from?: BoxSpan): BoxSpan => {
  let span: BoxSpan = from ?? { type: '', startByte: 0, endByte: view.byteLength };
  for (const type of way) {
    const found = boxesIn(view, span.startByte, span.endByte).find((box) => box.type === type);
    if (found === undefined) {
      throw new ProtocolError('FMP4_DAMAGED', `${span.type || 'file'} without ${type}, expected ${way.join('/')}`);
    }
    span = found;
  }
  return span;
};
