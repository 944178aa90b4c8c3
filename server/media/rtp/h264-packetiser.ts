/**
 * H.264 access units to RTP payloads (RFC 6184, packetization-mode 1): parameter sets as one STAP-A before each IDR, small NAL
 * units alone, large ones cut into FU-A fragments of equal size. Payloads are made once and shared by every viewer.
 *
 *     STAP-A: F NRI 24 | { length (16) | NAL unit }…
 *     FU-A:   F NRI 28 | S E R type | fragment
 *
 * Equal fragments, so that a native sender may hand a whole picture to the kernel as one segmented write.
 */
import type { VideoUnit } from '../access-unit.ts';
import { parseAvcConfig } from '../h264/avc-config.ts';
import { NAL_AUD, NAL_FILLER, NAL_PPS, NAL_SPS, nalTypeOf, splitNalUnits } from '../h264/nal-units.ts';
import type { VideoTrack } from '../track.ts';

/** Room for IP, UDP, SRTP tag and header extensions within the 1280 bytes that every IPv6 path carries. */
export const RTP_PAYLOAD_MAX_BYTES = 1_200;

const STAP_A = 24;
const FU_A = 28;
const FU_HEADER_BYTES = 2;
const FU_START = 0x80;
const FU_END = 0x40;
const REFERENCE_BITS = 0x60;
const FORBIDDEN_AND_REFERENCE_BITS = 0xe0;
/** END_OF_SEQUENCE and END_OF_STREAM: nothing to decode. */
const NAL_END_OF_SEQUENCE = 10;
const NAL_END_OF_STREAM = 11;
const LEFT_OUT: ReadonlySet<number> = new Set([NAL_AUD, NAL_FILLER, NAL_END_OF_SEQUENCE, NAL_END_OF_STREAM]);

export class H264Packetiser {
  #track: VideoTrack | undefined;
  #parameterSets: readonly Uint8Array[] = [];

  /**
   * The payloads of one access unit, in order; the last one takes the marker bit. Empty when nothing in it is worth sending.
   * Throws `ProtocolError` (`NAL_LENGTH_INVALID`, `AVC_CONFIG_INVALID`) when the publisher's bytes are wrong.
   */
  packetise(unit: VideoUnit): Uint8Array[] {
    if (unit.track !== this.#track) {
      const config = parseAvcConfig(unit.track.decoderConfig);
      this.#parameterSets = [...config.sps, ...config.pps];
      this.#track = unit.track;
    }
    const nalUnits = splitNalUnits(unit.payload).filter((nalUnit) => !LEFT_OUT.has(nalTypeOf(nalUnit)));
    const types = new Set(nalUnits.map(nalTypeOf));
    const hasOwnSets = types.has(NAL_SPS) && types.has(NAL_PPS);
    const payloads = unit.isKeyframe && !hasOwnSets ? packParameterSets(this.#parameterSets) : [];
    const inBandSets = nalUnits.filter(isParameterSet);
    payloads.push(...packParameterSets(inBandSets));
    for (const nalUnit of nalUnits) {
      if (!isParameterSet(nalUnit)) {
        payloads.push(...packNalUnit(nalUnit));
      }
    }
    return payloads;
  }
}

const isParameterSet = (nalUnit: Uint8Array): boolean => {
  const type = nalTypeOf(nalUnit);
  return type === NAL_SPS || type === NAL_PPS;
};

/** One STAP-A when they fit together, else each by itself. */
const packParameterSets = (sets: readonly Uint8Array[]): Uint8Array[] => {
  const bytes = 1 + sets.reduce((sum, set) => sum + 2 + set.byteLength, 0);
  if (sets.length < 2 || bytes > RTP_PAYLOAD_MAX_BYTES) {
    return sets.flatMap(packNalUnit);
  }
  const payload = new Uint8Array(bytes);
  payload[0] = STAP_A | sets.reduce((most, set) => Math.max(most, (set[0] ?? 0) & REFERENCE_BITS), 0);
  let at = 1;
  for (const set of sets) {
    payload[at] = set.byteLength >> 8;
    payload[at + 1] = set.byteLength & 0xff;
    payload.set(set, at + 2);
    at += 2 + set.byteLength;
  }
  return [payload];
};

const packNalUnit = (nalUnit: Uint8Array): Uint8Array[] =>
  nalUnit.byteLength <= RTP_PAYLOAD_MAX_BYTES ? [nalUnit] : fragment(nalUnit);

const fragment = (nalUnit: Uint8Array): Uint8Array[] => {
  const header = nalUnit[0] ?? 0;
  const bodyBytes = nalUnit.byteLength - 1;
  const count = Math.ceil(bodyBytes / (RTP_PAYLOAD_MAX_BYTES - FU_HEADER_BYTES));
  const stepBytes = Math.ceil(bodyBytes / count);
  // One allocation for the picture; the fragments are views of it.
  const all = new Uint8Array(bodyBytes + count * FU_HEADER_BYTES);
  const fragments: Uint8Array[] = [];
  for (let index = 0; index < count; index += 1) {
    const from = 1 + index * stepBytes;
    const to = Math.min(nalUnit.byteLength, from + stepBytes);
    const at = index * (stepBytes + FU_HEADER_BYTES);
    const edge = (index === 0 ? FU_START : 0) | (index === count - 1 ? FU_END : 0);
    all[at] = (header & FORBIDDEN_AND_REFERENCE_BITS) | FU_A;
    all[at + 1] = edge | (header & 0x1f);
    all.set(nalUnit.subarray(from, to), at + FU_HEADER_BYTES);
    fragments.push(all.subarray(at, at + FU_HEADER_BYTES + to - from));
  }
  return fragments;
};
