/**
 * STUN binding as ICE uses it (RFC 8489 5 and 14, RFC 8445 7.3): what a lite agent must read and write, and no more.
 *
 *     0 0 type (14) | length (16) | magic cookie 0x2112A442 | transaction id (96)
 *     { type (16) | length (16) | value, padded to 4 }…
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { crc32 } from 'node:zlib';
import { ByteReader } from '../base/byte-reader.ts';
import { ProtocolError } from '../base/errors.ts';

const INVALID = 'STUN_MESSAGE_INVALID';
const HEADER_BYTES = 20;
const MAGIC_COOKIE = 0x2112a442;
export const STUN_BINDING_REQUEST = 0x0001;
export const STUN_BINDING_SUCCESS = 0x0101;
const ATTRIBUTE_USERNAME = 0x0006;
const ATTRIBUTE_MESSAGE_INTEGRITY = 0x0008;
const ATTRIBUTE_XOR_MAPPED_ADDRESS = 0x0020;
const ATTRIBUTE_PRIORITY = 0x0024;
const ATTRIBUTE_USE_CANDIDATE = 0x0025;
const ATTRIBUTE_ICE_CONTROLLING = 0x802a;
const ATTRIBUTE_FINGERPRINT = 0x8028;
const FINGERPRINT_XOR = 0x5354554e;
const INTEGRITY_BYTES = 20;
const ATTRIBUTE_MAX_COUNT = 32;

export type StunMessage = {
  readonly type: number;
  /** 12 bytes. */
  readonly transactionId: Uint8Array;
  /** `LOCAL:REMOTE` fragments as the receiver of the request sees them. */
  readonly username: string | undefined;
  readonly hasUseCandidate: boolean;
  /** Where MESSAGE-INTEGRITY starts, if it is there. */
  readonly integrityOffset: number | undefined;
  readonly bytes: Uint8Array;
};

/** By RFC 7983, STUN has 0 to 3 in its first byte; and the cookie. */
export const isStun = (datagram: Buffer): boolean =>
  datagram.byteLength >= HEADER_BYTES && (datagram[0] ?? 255) < 4 && datagram.readUInt32BE(4) === MAGIC_COOKIE;

/** Throws `ProtocolError` `STUN_MESSAGE_INVALID`. Attributes after MESSAGE-INTEGRITY are not covered by it and are not read. */
export const parseStun = (bytes: Uint8Array): StunMessage => {
  const reader = new ByteReader(bytes, INVALID);
  const type = reader.u16();
  const length = reader.u16();
  reader.skip(4);
  if (length !== bytes.byteLength - HEADER_BYTES) {
    throw new ProtocolError(INVALID, `length is ${length}, ${bytes.byteLength - HEADER_BYTES} bytes follow`);
  }
  const transactionId = reader.bytes(12);
  let username: string | undefined;
  let hasUseCandidate = false;
  let integrityOffset: number | undefined;
  for (let count = 0; reader.remainingBytes > 0 && integrityOffset === undefined; count += 1) {
    if (count === ATTRIBUTE_MAX_COUNT) {
      throw new ProtocolError(INVALID, `more than ${ATTRIBUTE_MAX_COUNT} attributes`);
    }
    const offset = reader.offset;
    const attribute = reader.u16();
    const value = readPadded(reader, reader.u16());
    if (attribute === ATTRIBUTE_USERNAME) {
      username = Buffer.from(value).toString('utf8');
    } else if (attribute === ATTRIBUTE_USE_CANDIDATE) {
      hasUseCandidate = true;
    } else if (attribute === ATTRIBUTE_MESSAGE_INTEGRITY && value.byteLength === INTEGRITY_BYTES) {
      integrityOffset = offset;
    }
  }
  return { type, transactionId, username, hasUseCandidate, integrityOffset, bytes };
};

const readPadded = (reader: ByteReader, length: number): Uint8Array => {
  const value = reader.bytes(length);
  reader.skip(Math.min(reader.remainingBytes, (4 - (length % 4)) % 4));
  return value;
};

/** Whether the message was made by someone who knows the password (RFC 8489 14.5). */
export const hasValidIntegrity = (message: StunMessage, password: string): boolean => {
  const { integrityOffset, bytes } = message;
  if (integrityOffset === undefined) {
    return false;
  }
  const covered = Buffer.from(bytes.subarray(0, integrityOffset));
  covered.writeUInt16BE(integrityOffset + 4 + INTEGRITY_BYTES - HEADER_BYTES, 2);
  const expected = createHmac('sha1', password).update(covered).digest();
  return timingSafeEqual(expected, bytes.subarray(integrityOffset + 4, integrityOffset + 4 + INTEGRITY_BYTES));
};

/** The answer to a binding request: the address it came from, signed with our password. */
export const buildBindingSuccess = (
  request: StunMessage,
  options: { address: string; port: number; password: string },
): Buffer => {
  const attributes = [attribute(ATTRIBUTE_XOR_MAPPED_ADDRESS, xorAddress(request.transactionId, options))];
  return sealed({ type: STUN_BINDING_SUCCESS, transactionId: request.transactionId, attributes }, options.password);
};

/**
 * A binding request as a controlling agent sends it: for the self-test, our client and tests. `controlling` is what agents that are not
 * lite ask for (RFC 8445 7.1): 8 bytes of tie-breaker, and the priority of a candidate they may learn from the request.
 */
export const buildBindingRequest = (options: {
  transactionId: Uint8Array;
  username: string;
  password: string;
  hasUseCandidate: boolean;
  controlling?: { tieBreaker: Uint8Array; priority: number };
}): Buffer => {
  const attributes = [attribute(ATTRIBUTE_USERNAME, Buffer.from(options.username))];
  if (options.controlling !== undefined) {
    const priority = Buffer.alloc(4);
    priority.writeUInt32BE(options.controlling.priority);
    attributes.push(attribute(ATTRIBUTE_PRIORITY, priority));
    attributes.push(attribute(ATTRIBUTE_ICE_CONTROLLING, options.controlling.tieBreaker));
  }
  if (options.hasUseCandidate) {
    attributes.push(attribute(ATTRIBUTE_USE_CANDIDATE, Buffer.alloc(0)));
  }
  return sealed({ type: STUN_BINDING_REQUEST, transactionId: options.transactionId, attributes }, options.password);
};

type Unsealed = { readonly type: number; readonly transactionId: Uint8Array; readonly attributes: readonly Buffer[] };

const sealed = ({ type, transactionId, attributes }: Unsealed, password: string): Buffer => {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(type, 0);
  header.writeUInt32BE(MAGIC_COOKIE, 4);
  header.set(transactionId, 8);
  const plain = Buffer.concat([header, ...attributes]);
  plain.writeUInt16BE(plain.byteLength - HEADER_BYTES + 4 + INTEGRITY_BYTES, 2);
  const integrity = createHmac('sha1', password).update(plain).digest();
  const signed = Buffer.concat([plain, attribute(ATTRIBUTE_MESSAGE_INTEGRITY, integrity)]);
  signed.writeUInt16BE(signed.byteLength - HEADER_BYTES + 8, 2);
  const fingerprint = Buffer.alloc(4);
  fingerprint.writeUInt32BE((crc32(signed) ^ FINGERPRINT_XOR) >>> 0);
  return Buffer.concat([signed, attribute(ATTRIBUTE_FINGERPRINT, fingerprint)]);
};

const attribute = (type: number, value: Uint8Array): Buffer => {
  const built = Buffer.alloc(4 + 4 * Math.ceil(value.byteLength / 4));
  built.writeUInt16BE(type, 0);
  built.writeUInt16BE(value.byteLength, 2);
  built.set(value, 4);
  return built;
};

const xorAddress = (transactionId: Uint8Array, { address, port }: { address: string; port: number }): Buffer => {
  const mask = Buffer.alloc(16);
  mask.writeUInt32BE(MAGIC_COOKIE, 0);
  mask.set(transactionId, 4);
  const plain = addressBytes(address);
  const value = Buffer.alloc(4 + plain.byteLength);
  value[1] = plain.byteLength === 4 ? 1 : 2;
  value.writeUInt16BE(port ^ (MAGIC_COOKIE >>> 16), 2);
  plain.forEach((byte, index) => {
    value[4 + index] = byte ^ (mask[index] ?? 0);
  });
  return value;
};

/** Of an address as the kernel prints it; a zone is left out. */
const addressBytes = (address: string): Uint8Array => {
  const mapped = address.startsWith('::ffff:') ? address.slice(7) : address;
  if (isIPv4(mapped)) {
    return Uint8Array.from(mapped.split('.').map(Number));
  }
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after];
  return Uint8Array.from(
    groups.flatMap((group) => {
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 0xff];
    }),
  );
};
