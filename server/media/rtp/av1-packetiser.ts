/**
 * AV1 temporal units to RTP payloads (RTP Payload Format for AV1, 4.3–4.5): OBUs without their size fields, packed and cut into payloads of
 * nearly equal size. Payloads are made once and shared by every viewer.
 *
 *     Z Y W W N 0 0 0 | { length (leb128) | OBU element }… | last OBU element
 *
 * Z: the first element goes on from the payload before; Y: the last one goes on in the next; W: how many there are, so that the last needs no
 * length; N: a new coded video sequence begins.
 */
import type { VideoUnit } from '../access-unit.ts';
import { sequenceHeaderOf } from '../av1/av1-config.ts';
import type { Obu } from '../av1/obu.ts';
import {
  OBU_PADDING,
  OBU_SEQUENCE_HEADER,
  OBU_TEMPORAL_DELIMITER,
  OBU_TILE_LIST,
  splitObus,
  writeLeb128,
} from '../av1/obu.ts';
import type { VideoTrack } from '../track.ts';
import { RTP_PAYLOAD_MAX_BYTES } from './h264-packetiser.ts';

const CONTINUES_FROM_BEFORE = 0x80;
const CONTINUES_IN_NEXT = 0x40;
const COUNT_SHIFT = 4;
const NEW_SEQUENCE = 0x08;
const HEADER_BYTES = 1;
const BODY_MAX_BYTES = RTP_PAYLOAD_MAX_BYTES - HEADER_BYTES;
/** W has two bits, and 0 means something else. */
const ELEMENT_MAX_COUNT = 3;
/** With less room than this the next element begins in the next payload. */
const ROOM_MIN_BYTES = 16;
/** Of an element's length. */
const LENGTH_USUAL_BYTES = 2;
const HAS_SIZE = 0x02;
/** The first two must not be sent (4.5), padding need not. */
const LEFT_OUT: ReadonlySet<number> = new Set([OBU_TEMPORAL_DELIMITER, OBU_TILE_LIST, OBU_PADDING]);

export class Av1Packetiser {
  #track: VideoTrack | undefined;
  #sequenceHeader: Obu | undefined;

  /**
   * The payloads of one temporal unit, in order; the last one takes the marker bit. Empty when nothing in it is worth sending.
   * Throws `ProtocolError` (`AV1_OBU_INVALID`, `AV1_CONFIG_INVALID`) when the bytes are wrong.
   */
  packetise(unit: VideoUnit): Uint8Array[] {
    if (unit.track !== this.#track) {
      this.#sequenceHeader = sequenceHeaderOf(unit.track.decoderConfig);
      this.#track = unit.track;
    }
    const obus = splitObus(unit.payload).filter(({ type }) => !LEFT_OUT.has(type));
    if (obus.length === 0) {
      return [];
    }
    const isLacking = unit.isKeyframe && !obus.some(({ type }) => type === OBU_SEQUENCE_HEADER);
    const all = isLacking && this.#sequenceHeader !== undefined ? [this.#sequenceHeader, ...obus] : obus;
    return packElements(all.map(elementOf), { isNewSequence: unit.isKeyframe });
  }
}

/** The OBU without a size: its element's length tells it. */
const elementOf = ({ header, payload }: Obu): Uint8Array => {
  const element = new Uint8Array(header.byteLength + payload.byteLength);
  element.set(header);
  element[0] = (header[0] ?? 0) & ~HAS_SIZE;
  element.set(payload, header.byteLength);
  return element;
};

/** Part of an element, with the length that stands before it unless it is the payload's last. */
type Piece = { readonly length: Uint8Array; readonly bytes: Uint8Array };

const NO_LENGTH = new Uint8Array(0);

const packElements = (elements: readonly Uint8Array[], { isNewSequence }: { isNewSequence: boolean }): Uint8Array[] => {
  const roomBytes = equalBodyBytes(elements);
  const payloads: Uint8Array[] = [];
  let pieces: Piece[] = [];
  let leftBytes = roomBytes;
  let isContinued = false;
  const close = (continuesInNext: boolean): void => {
    const edges = (isContinued ? CONTINUES_FROM_BEFORE : 0) | (continuesInNext ? CONTINUES_IN_NEXT : 0);
    const first = payloads.length === 0 && isNewSequence ? NEW_SEQUENCE : 0;
    payloads.push(joinPieces(edges | (pieces.length << COUNT_SHIFT) | first, pieces));
    pieces = [];
    leftBytes = roomBytes;
    isContinued = continuesInNext;
  };
  elements.forEach((element, index) => {
    let rest = element;
    while (rest.byteLength > leftBytes) {
      pieces.push({ length: NO_LENGTH, bytes: rest.subarray(0, leftBytes) });
      rest = rest.subarray(leftBytes);
      close(true);
    }
    const length = writeLeb128(rest.byteLength);
    const leftAfterBytes = leftBytes - rest.byteLength - length.byteLength;
    const isLast = index === elements.length - 1;
    const isShared = !isLast && pieces.length + 1 < ELEMENT_MAX_COUNT && leftAfterBytes >= ROOM_MIN_BYTES;
    pieces.push({ length: isShared ? length : NO_LENGTH, bytes: rest });
    leftBytes = leftAfterBytes;
    if (!isShared) {
      close(false);
    }
  });
  return payloads;
};

/** So many bytes in each payload that the last one is hardly smaller than the others; what fits into one is not cut. */
const equalBodyBytes = (elements: readonly Uint8Array[]): number => {
  const allBytes = elements.reduce((sum, { byteLength }) => sum + byteLength + LENGTH_USUAL_BYTES, 0);
  const count = Math.ceil(allBytes / BODY_MAX_BYTES);
  return count === 1 ? BODY_MAX_BYTES : Math.ceil(allBytes / count);
};

const joinPieces = (header: number, pieces: readonly Piece[]): Uint8Array => {
  const bytes = pieces.reduce((sum, piece) => sum + piece.length.byteLength + piece.bytes.byteLength, HEADER_BYTES);
  const payload = new Uint8Array(bytes);
  payload[0] = header;
  let at = HEADER_BYTES;
  for (const piece of pieces) {
    payload.set(piece.length, at);
    at += piece.length.byteLength;
    payload.set(piece.bytes, at);
    at += piece.bytes.byteLength;
  }
  return payload;
};
