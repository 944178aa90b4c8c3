/** IP addresses as bytes, and what counts as one host among them. */
import { isIPv4, isIPv6 } from 'node:net';

/** 4 or 16 bytes in network order; undefined when the text is no address. A zone (`%eth0`) is left out. */
export const ipAddressBytes = (address: string): Buffer | undefined => {
  const text = address.split('%')[0] ?? '';
  if (isIPv4(text)) {
    return Buffer.from(text.split('.').map(Number));
  }
  return isIPv6(text) ? ipv6Bytes(text) : undefined;
};

/**
 * What counts as one host: an IPv4 address (also when written `::ffff:1.2.3.4`), of IPv6 the first 64 bits, since a host chooses the others
 * freely (RFC 4291, 2.5.1). What is no address stands for itself.
 */
export const hostOf = (address: string): string => {
  if (isIPv4(address)) {
    return address;
  }
  const bytes = ipAddressBytes(address);
  if (bytes === undefined || bytes.length === 4) {
    return address;
  }
  const isMapped = bytes.subarray(0, 12).equals(MAPPED_PREFIX);
  return isMapped ? bytes.subarray(12).join('.') : `${bytes.toString('hex', 0, 8)}/64`;
};

/** `::ffff:0:0/96` (RFC 4291, 2.5.5.2). */
const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');

/** Known to be well formed. `::` stands for as many zero words as are missing; the last two words may be written as IPv4. */
const ipv6Bytes = (text: string): Buffer => {
  const [before = '', after] = text.split('::', 2);
  const head = wordsOf(before);
  const tail = wordsOf(after ?? '');
  const zeros = Array<number>(8 - head.length - tail.length).fill(0);
  return Buffer.from([...head, ...zeros, ...tail].flatMap((word) => [word >> 8, word & 0xff]));
};

const wordsOf = (text: string): number[] =>
  text
    .split(':')
    .filter((word) => word !== '')
    .flatMap((word) => {
      const [a = 0, b = 0, c = 0, d = 0] = word.split('.').map(Number);
      return word.includes('.') ? [a * 256 + b, c * 256 + d] : [Number.parseInt(word, 16)];
    });
