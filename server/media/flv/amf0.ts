/**
 * AMF0 (Action Message Format 0, Adobe 2007): the values in RTMP commands and FLV script tags. Bounded in depth and in
 * number of values, because both come from strangers. Objects become maps, so that no name of theirs touches a prototype.
 */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';

export type AmfObject = ReadonlyMap<string, AmfValue>;
export type AmfValue = number | string | boolean | null | undefined | Date | readonly AmfValue[] | AmfObject;

export type AmfLimits = { readonly depthMax: number; readonly valueMaxCount: number };

/** OBS and ffmpeg need a depth of 2 and some 30 values. */
export const DEFAULT_AMF_LIMITS: AmfLimits = { depthMax: 8, valueMaxCount: 1_000 };

/** All values in `bytes`. Throws `ProtocolError`: `AMF_INVALID`, `AMF_TOO_DEEP`, `AMF_TOO_MANY_VALUES`. */
export const readAmf0 = (bytes: Uint8Array, limits: AmfLimits = DEFAULT_AMF_LIMITS): AmfValue[] => {
  const reader = new Amf0Reader(bytes, limits);
  const values: AmfValue[] = [];
  while (reader.hasMore) {
    values.push(reader.value(0));
  }
  return values;
};

const OBJECT_END = 0x09;

class Amf0Reader {
  readonly #reader: ByteReader;
  readonly #limits: AmfLimits;
  #valueCount = 0;

  constructor(bytes: Uint8Array, limits: AmfLimits) {
    this.#reader = new ByteReader(bytes, 'AMF_INVALID');
    this.#limits = limits;
  }

  get hasMore(): boolean {
    return this.#reader.remainingBytes > 0;
  }

  value(depth: number): AmfValue {
    this.#valueCount += 1;
    if (this.#valueCount > this.#limits.valueMaxCount) {
      throw new ProtocolError('AMF_TOO_MANY_VALUES', `more than ${this.#limits.valueMaxCount} values`);
    }
    if (depth > this.#limits.depthMax) {
      throw new ProtocolError('AMF_TOO_DEEP', `nested deeper than ${this.#limits.depthMax}`);
    }
    const marker = this.#reader.u8();
    switch (marker) {
      case 0x00:
        return this.#number();
      case 0x01:
        return this.#reader.u8() !== 0;
      case 0x02:
        return this.#text(this.#reader.u16());
      case 0x03:
        return this.#object(depth);
      case 0x05:
        return null;
      case 0x06:
        return undefined;
      case 0x08:
        this.#reader.skip(4);
        return this.#object(depth);
      case 0x0a:
        return this.#array(depth);
      case 0x0b: {
        const date = new Date(this.#number());
        this.#reader.skip(2);
        return date;
      }
      case 0x0c:
      case 0x0f:
        return this.#text(this.#reader.u32());
      case 0x10:
        this.#text(this.#reader.u16());
        return this.#object(depth);
      default:
        throw new ProtocolError('AMF_INVALID', `value marker is ${marker}`);
    }
  }

  #number(): number {
    const bytes = this.#reader.bytes(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0);
  }

  #text(length: number): string {
    const bytes = this.#reader.bytes(length);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  }

  #object(depth: number): AmfObject {
    const object = new Map<string, AmfValue>();
    for (;;) {
      const name = this.#text(this.#reader.u16());
      if (name === '' && this.#isAtObjectEnd()) {
        return object;
      }
      object.set(name, this.value(depth + 1));
    }
  }

  /** An object ends with an empty name and the end marker. True, or thrown. */
  #isAtObjectEnd(): boolean {
    const marker = this.#reader.u8();
    if (marker !== OBJECT_END) {
      throw new ProtocolError('AMF_INVALID', `object has an empty name before marker ${marker}`);
    }
    return true;
  }

  #array(depth: number): AmfValue[] {
    const count = this.#reader.u32();
    if (count > this.#reader.remainingBytes) {
      throw new ProtocolError(
        'AMF_INVALID',
        `array claims ${count} values, ${this.#reader.remainingBytes} bytes are left`,
      );
    }
    const values: AmfValue[] = [];
    for (let index = 0; index < count; index += 1) {
      values.push(this.value(depth + 1));
    }
    return values;
  }
}

/** The values one behind the other. Plain objects are given as maps. Throws `TypeError` for a string over 65,535 bytes. */
export const writeAmf0 = (values: readonly AmfValue[]): Buffer => Buffer.concat(values.map(writeValue));

const writeValue = (value: AmfValue): Buffer => {
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (typeof value === 'string') {
    return Buffer.concat([Buffer.from([0x02]), writeText(value)]);
  }
  if (typeof value === 'boolean') {
    return Buffer.from([0x01, value ? 1 : 0]);
  }
  if (value === null || value === undefined) {
    return Buffer.from([value === null ? 0x05 : 0x06]);
  }
  if (value instanceof Date) {
    const bytes = Buffer.alloc(11, 0x0b);
    bytes.writeDoubleBE(value.getTime(), 1);
    bytes.writeUInt16BE(0, 9);
    return bytes;
  }
  return isAmfObject(value) ? writeObject(value) : writeArray(value);
};

const writeObject = (object: AmfObject): Buffer => {
  const pieces = [...object].flatMap(([name, value]) => [writeText(name), writeValue(value)]);
  return Buffer.concat([Buffer.from([0x03]), ...pieces, Buffer.from([0, 0, OBJECT_END])]);
};

const writeArray = (values: readonly AmfValue[]): Buffer => {
  const head = Buffer.alloc(5, 0x0a);
  head.writeUInt32BE(values.length, 1);
  return Buffer.concat([head, ...values.map(writeValue)]);
};

const writeText = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.byteLength > 0xffff) {
    throw new TypeError(`AMF string has ${bytes.byteLength} bytes, expected at most 65,535`);
  }
  const head = Buffer.alloc(2);
  head.writeUInt16BE(bytes.byteLength);
  return Buffer.concat([head, bytes]);
};

/** Narrows to an object (map). */
export const isAmfObject = (value: AmfValue): value is AmfObject => value instanceof Map;
