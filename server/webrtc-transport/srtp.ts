/**
 * SRTP and SRTCP (RFC 3711, RFC 7714) on node:crypto: AEAD_AES_128_GCM, which we choose, and AES_CM_128_HMAC_SHA1_80 for peers
 * that have nothing better. RTP outwards and RTCP both ways (`srtp-opener.ts`: RTP inwards); the key derivation rate is 0.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { ProtocolError } from '../base/errors.ts';
import type { SrtpProfile } from './dtls.ts';
import { AEAD_AES_128_GCM } from './dtls.ts';

/** What protection adds to an RTP packet at most. */
export const SRTP_TAG_MAX_BYTES = 16;
export const GCM_TAG_BYTES = 16;
export const HMAC_TAG_BYTES = 10;
const RTCP_HEADER_BYTES = 8;
const INDEX_BYTES = 4;
const ENCRYPTED_FLAG = 0x80000000;
const FAILED = 'SRTCP_AUTHENTICATION_FAILED';
/** RFC 3711 3.3.2 demands a window of 64 at least. */
const REPLAY_WINDOW = 64;

export type SessionKeys = { readonly cipherKey: KeyObject; readonly salt: Buffer; readonly authKey: KeyObject };

const AES_BLOCK_BYTES = 16;
/** Which label, counted from the first, and which block of its key stream: the authentication key needs two. */
const DERIVED_BLOCKS = [
  { label: 0, block: 0 },
  { label: 1, block: 0 },
  { label: 1, block: 1 },
  { label: 2, block: 0 },
] as const;

export type MasterKey = { readonly profile: SrtpProfile; readonly key: Uint8Array; readonly salt: Uint8Array };

/** RFC 3711 4.3.2: the labels of cipher key, authentication key and salt follow each other from here. */
const FIRST_LABEL = { srtp: 0, srtcp: 3 } as const;

/** Keys of RTP, or of RTCP. */
export type KeyUse = keyof typeof FIRST_LABEL;

/**
 * RFC 3711 4.3.1: AES in counter mode over the salt, with each key's label mixed in at byte 7. Key stream is the encrypted counter, so one cipher in
 * codebook mode makes that of all three: to make a cipher costs many times what it does here.
 */
const deriveStreams = ({ key, salt }: Pick<MasterKey, 'key' | 'salt'>, use: KeyUse): Buffer => {
  const counters = Buffer.alloc(DERIVED_BLOCKS.length * AES_BLOCK_BYTES);
  DERIVED_BLOCKS.forEach(({ label, block }, index) => {
    const at = index * AES_BLOCK_BYTES;
    counters.set(salt, at);
    counters[at + 7] = (counters[at + 7] ?? 0) ^ (FIRST_LABEL[use] + label);
    counters[at + AES_BLOCK_BYTES - 1] = block;
  });
  return createCipheriv('aes-128-ecb', key, null).update(counters);
};

export const deriveAll = (master: Pick<MasterKey, 'key' | 'salt'>, use: KeyUse): SessionKeys => {
  const streams = deriveStreams(master, use);
  return {
    cipherKey: createSecretKey(streams.subarray(0, 16)),
    authKey: createSecretKey(streams.subarray(16, 36)),
    salt: streams.subarray(48, 62),
  };
};

/** Of AEAD_AES_128_GCM as bytes, for the native back end: no authentication key, 12 bytes of salt (RFC 7714 14.2). */
export const deriveGcm = (master: MasterKey, use: KeyUse): { readonly key: Buffer; readonly salt: Buffer } => {
  const streams = deriveStreams(master, use);
  return { key: streams.subarray(0, 16), salt: streams.subarray(48, 60) };
};

/** Encrypts RTP of any number of SSRCs under one key. Keeps no state: the caller counts extended sequence numbers. */
export class SrtpProtector {
  readonly #isGcm: boolean;
  readonly #keys: SessionKeys;
  readonly #iv: Buffer;
  readonly #rollover = Buffer.alloc(4);

  constructor(master: MasterKey) {
    this.#isGcm = master.profile === AEAD_AES_128_GCM;
    this.#keys = deriveAll(master, 'srtp');
    this.#iv = Buffer.alloc(this.#isGcm ? 12 : 16);
  }

  /**
   * Writes the protected packet into `target` right behind the header that stands at `headerStart … headerEnd`, and returns the
   * offset of its end. `seqExt` is the unwrapped sequence number (0 … 2^48). The caller sees to `SRTP_TAG_MAX_BYTES` of room.
   */
  protect(target: Buffer, at: RtpPlace, payload: Uint8Array): number {
    return this.#isGcm ? this.#protectGcm(target, at, payload) : this.#protectCm(target, at, payload);
  }

  #protectGcm(target: Buffer, { headerStart, headerEnd, ssrc, seqExt }: RtpPlace, payload: Uint8Array): number {
    const iv = this.#iv;
    iv.writeUInt16BE(0, 0);
    iv.writeUInt32BE(ssrc, 2);
    iv.writeUInt32BE(Math.floor(seqExt / 65_536), 6);
    iv.writeUInt16BE(seqExt % 65_536, 10);
    xorInto(iv, this.#keys.salt, 12);
    const cipher = createCipheriv('aes-128-gcm', this.#keys.cipherKey, iv);
    cipher.setAAD(target.subarray(headerStart, headerEnd));
    target.set(cipher.update(payload), headerEnd);
    cipher.final();
    const tagAt = headerEnd + payload.byteLength;
    target.set(cipher.getAuthTag(), tagAt);
    return tagAt + GCM_TAG_BYTES;
  }

  #protectCm(target: Buffer, { headerStart, headerEnd, ssrc, seqExt }: RtpPlace, payload: Uint8Array): number {
    const rollover = Math.floor(seqExt / 65_536);
    writeCounterIv(this.#iv, this.#keys.salt, { ssrc, high: rollover >>> 16, low: (seqExt % 2 ** 32) >>> 0 });
    target.set(createCipheriv('aes-128-ctr', this.#keys.cipherKey, this.#iv).update(payload), headerEnd);
    const tagAt = headerEnd + payload.byteLength;
    this.#rollover.writeUInt32BE(rollover);
    const tag = createHmac('sha1', this.#keys.authKey)
      .update(target.subarray(headerStart, tagAt))
      .update(this.#rollover)
      .digest();
    tag.copy(target, tagAt, 0, HMAC_TAG_BYTES);
    return tagAt + HMAC_TAG_BYTES;
  }
}

export type RtpPlace = {
  headerStart: number;
  headerEnd: number;
  ssrc: number;
  seqExt: number;
};

/** RFC 3711 4.1.1: salt, SSRC and packet index, with the last 16 bits left for the block counter. */
export const writeCounterIv = (iv: Buffer, salt: Buffer, index: { ssrc: number; high: number; low: number }): void => {
  iv.fill(0);
  iv.writeUInt32BE(index.ssrc, 4);
  iv.writeUInt16BE(index.high, 8);
  iv.writeUInt32BE(index.low, 10);
  xorInto(iv, salt, 14);
};

export const xorInto = (target: Buffer, mask: Buffer, bytes: number): void => {
  for (let index = 0; index < bytes; index += 1) {
    target[index] = (target[index] ?? 0) ^ (mask[index] ?? 0);
  }
};

/** SRTCP in one direction. One object per direction and peer. */
export class SrtcpContext {
  readonly #isGcm: boolean;
  readonly #keys: SessionKeys;
  #sentIndex = 0;
  #highestIndex = -1;
  #seenMask = 0n;

  constructor(master: MasterKey) {
    this.#isGcm = master.profile === AEAD_AES_128_GCM;
    this.#keys = deriveAll(master, 'srtcp');
  }

  /** Encrypts a compound packet. */
  protect(compound: Buffer): Buffer {
    this.#sentIndex = (this.#sentIndex + 1) % ENCRYPTED_FLAG;
    const indexWord = Buffer.alloc(INDEX_BYTES);
    indexWord.writeUInt32BE((this.#sentIndex + ENCRYPTED_FLAG) >>> 0);
    const header = compound.subarray(0, RTCP_HEADER_BYTES);
    const body = compound.subarray(RTCP_HEADER_BYTES);
    const ssrc = compound.readUInt32BE(4);
    if (this.#isGcm) {
      const cipher = createCipheriv('aes-128-gcm', this.#keys.cipherKey, this.#gcmIv(ssrc, this.#sentIndex));
      cipher.setAAD(Buffer.concat([header, indexWord]));
      const encrypted = Buffer.concat([cipher.update(body), cipher.final()]);
      return Buffer.concat([header, encrypted, cipher.getAuthTag(), indexWord]);
    }
    const cipher = createCipheriv('aes-128-ctr', this.#keys.cipherKey, this.#counterIv(ssrc, this.#sentIndex));
    const covered = Buffer.concat([header, cipher.update(body), indexWord]);
    const tag = createHmac('sha1', this.#keys.authKey).update(covered).digest();
    return Buffer.concat([covered, tag.subarray(0, HMAC_TAG_BYTES)]);
  }

  /** Decrypts one datagram. Throws `ProtocolError` `SRTCP_AUTHENTICATION_FAILED` on wrong, unencrypted or repeated packets. */
  unprotect(datagram: Buffer): Buffer {
    const overheadBytes = INDEX_BYTES + (this.#isGcm ? GCM_TAG_BYTES : HMAC_TAG_BYTES);
    if (datagram.byteLength < RTCP_HEADER_BYTES + overheadBytes) {
      throw new ProtocolError(FAILED, `${datagram.byteLength} bytes are too few`);
    }
    const indexAt = datagram.byteLength - INDEX_BYTES - (this.#isGcm ? 0 : HMAC_TAG_BYTES);
    const indexWord = datagram.readUInt32BE(indexAt);
    if (indexWord < ENCRYPTED_FLAG) {
      throw new ProtocolError(FAILED, 'not encrypted');
    }
    const index = indexWord - ENCRYPTED_FLAG;
    this.#refuseReplay(index);
    const plain = this.#isGcm ? this.#openGcm(datagram, index, indexAt) : this.#openCm(datagram, index, indexAt);
    this.#noteSeen(index);
    return plain;
  }

  #openGcm(datagram: Buffer, index: number, indexAt: number): Buffer {
    const header = datagram.subarray(0, RTCP_HEADER_BYTES);
    const tagAt = indexAt - GCM_TAG_BYTES;
    const iv = this.#gcmIv(datagram.readUInt32BE(4), index);
    const decipher = createDecipheriv('aes-128-gcm', this.#keys.cipherKey, iv);
    decipher.setAAD(Buffer.concat([header, datagram.subarray(indexAt)]));
    decipher.setAuthTag(datagram.subarray(tagAt, indexAt));
    const body = decipher.update(datagram.subarray(RTCP_HEADER_BYTES, tagAt));
    try {
      decipher.final();
    } catch (error) {
      throw new ProtocolError(FAILED, 'wrong tag', error);
    }
    return Buffer.concat([header, body]);
  }

  #openCm(datagram: Buffer, index: number, indexAt: number): Buffer {
    const tagAt = indexAt + INDEX_BYTES;
    const tag = createHmac('sha1', this.#keys.authKey).update(datagram.subarray(0, tagAt)).digest();
    if (!timingSafeEqual(tag.subarray(0, HMAC_TAG_BYTES), datagram.subarray(tagAt))) {
      throw new ProtocolError(FAILED, 'wrong tag');
    }
    const header = datagram.subarray(0, RTCP_HEADER_BYTES);
    const iv = this.#counterIv(datagram.readUInt32BE(4), index);
    const decipher = createCipheriv('aes-128-ctr', this.#keys.cipherKey, iv);
    return Buffer.concat([header, decipher.update(datagram.subarray(RTCP_HEADER_BYTES, indexAt))]);
  }

  /** RFC 7714 9.1. */
  #gcmIv(ssrc: number, index: number): Buffer {
    const iv = Buffer.alloc(12);
    iv.writeUInt32BE(ssrc, 2);
    iv.writeUInt32BE(index, 8);
    xorInto(iv, this.#keys.salt, 12);
    return iv;
  }

  #counterIv(ssrc: number, index: number): Buffer {
    const iv = Buffer.alloc(16);
    writeCounterIv(iv, this.#keys.salt, { ssrc, high: 0, low: index });
    return iv;
  }

  #refuseReplay(index: number): void {
    const age = this.#highestIndex - index;
    if (age >= REPLAY_WINDOW || (age >= 0 && ((this.#seenMask >> BigInt(age)) & 1n) === 1n)) {
      throw new ProtocolError(FAILED, `packet ${index} came before`);
    }
  }

  #noteSeen(index: number): void {
    if (index > this.#highestIndex) {
      const shift = Math.min(REPLAY_WINDOW, index - this.#highestIndex);
      this.#seenMask = BigInt.asUintN(REPLAY_WINDOW, (this.#seenMask << BigInt(shift)) | 1n);
      this.#highestIndex = index;
    } else {
      this.#seenMask |= 1n << BigInt(this.#highestIndex - index);
    }
  }
}
