/**
 * A CMAF chunk: one `moof` and its `mdat`, one track, one run of samples.
 *
 *     moof ─ mfhd (sequence number)
 *          └ traf ─ tfhd (track 1, default-base-is-moof)
 *                 ├ tfdt v1 (decoding time of the first sample, 64 bits)
 *                 └ trun v1 (per sample: duration, size, flags, signed composition offset)
 *     mdat ─ the samples' bytes
 */
import type { CutPart } from '../part-cutter.ts';
import { TRACK_ID } from './init-segment.ts';

const SAMPLE_ENTRY_BYTES = 16;
const TRUN_BYTES = 20;
const TFDT_BYTES = 20;
const TFHD_BYTES = 16;
const MFHD_BYTES = 16;
/** `default-base-is-moof` (ISO/IEC 14496-12 8.8.7). */
const TFHD_FLAGS = 0x020000;
/** data offset, and per sample duration, size, flags, composition offset (8.8.8). */
const TRUN_FLAGS = 0x000f01;
/** `sample_depends_on` 2: on no other; 1: on others, and no sync sample (8.8.3.1). */
const SAMPLE_FLAGS_SYNC = 0x02000000;
const SAMPLE_FLAGS_DEPENDENT = 0x01010000;

/** `sequenceNumber` rises by one with each fragment of a track. The bytes are one fresh buffer. */
export const writeFragment = (part: CutPart, sequenceNumber: number): Uint8Array => {
  const { samples } = part;
  const trafBytes = 8 + TFHD_BYTES + TFDT_BYTES + TRUN_BYTES + samples.length * SAMPLE_ENTRY_BYTES;
  const moofBytes = 8 + MFHD_BYTES + trafBytes;
  const mdatBytes = samples.reduce((sum, sample) => sum + sample.payload.byteLength, 8);
  const bytes = new Uint8Array(moofBytes + mdatBytes);
  const fields = new FieldWriter(bytes);
  fields.header(moofBytes, 'moof');
  fields.header(MFHD_BYTES, 'mfhd').u32(0).u32(sequenceNumber);
  fields.header(trafBytes, 'traf');
  fields.header(TFHD_BYTES, 'tfhd').u32(TFHD_FLAGS).u32(TRACK_ID);
  fields.header(TFDT_BYTES, 'tfdt').u32(0x01000000).u64(part.startTicks);
  fields.header(TRUN_BYTES + samples.length * SAMPLE_ENTRY_BYTES, 'trun').u32((0x01000000 | TRUN_FLAGS) >>> 0);
  fields.u32(samples.length).u32(moofBytes + 8);
  for (const sample of samples) {
    fields.u32(sample.durationTicks).u32(sample.payload.byteLength);
    fields.u32(sample.isKeyframe ? SAMPLE_FLAGS_SYNC : SAMPLE_FLAGS_DEPENDENT);
    fields.u32(sample.compositionOffsetTicks >>> 0);
  }
  fields.header(mdatBytes, 'mdat');
  for (const sample of samples) {
    fields.bytes(sample.payload);
  }
  return bytes;
};

class FieldWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  u32(value: number): this {
    this.#view.setUint32(this.#offset, value);
    this.#offset += 4;
    return this;
  }

  u64(value: number): this {
    return this.u32(Math.floor(value / 2 ** 32)).u32(value % 2 ** 32);
  }

  header(bytes: number, type: string): this {
    this.u32(bytes);
    for (let index = 0; index < 4; index += 1) {
      this.#view.setUint8(this.#offset + index, type.charCodeAt(index));
    }
    this.#offset += 4;
    return this;
  }

  bytes(payload: Uint8Array): this {
    this.#bytes.set(payload, this.#offset);
    this.#offset += payload.byteLength;
    return this;
  }
}
