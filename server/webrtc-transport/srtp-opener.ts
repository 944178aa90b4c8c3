/**
 * Opens SRTP (RFC 3711, RFC 7714) of a publisher: authenticates, decrypts, refuses what came before. Per SSRC it guesses the upper bits of the packet
 * index (RFC 3711 3.3.1) and remembers the last thousand packets, so that repeats under the same number may come late. The key derivation rate is 0.
 */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { ProtocolError } from '../base/errors.ts';
import type { MasterKey, SessionKeys } from './srtp.ts';
import { GCM_TAG_BYTES, HMAC_TAG_BYTES, deriveAll, writeCounterIv, xorInto } from './srtp.ts';
import { AEAD_AES_128_GCM } from './dtls.ts';

const FAILED = 'SRTP_AUTHENTICATION_FAILED';
const HEADER_BYTES = 12;
const REPLAY_WINDOW = 1_024;
/** Picture, sound, their repeats, and those of a stream that began anew. */
const SSRC_MAX_COUNT = 16;

class SsrcState {
  highestExt: number;
  /** By number modulo the window; the number itself where it was seen. */
  readonly #seen = new Float64Array(REPLAY_WINDOW).fill(-1);

  constructor(firstExt: number) {
    this.highestExt = firstExt;
  }

  hasSeen(seqExt: number): boolean {
    return this.highestExt - seqExt >= REPLAY_WINDOW || this.#seen[seqExt % REPLAY_WINDOW] === seqExt;
  }

  note(seqExt: number): void {
    this.#seen[seqExt % REPLAY_WINDOW] = seqExt;
    this.highestExt = Math.max(this.highestExt, seqExt);
  }
}

export class SrtpOpener {
  readonly #isGcm: boolean;
  readonly #keys: SessionKeys;
  readonly #bySsrc = new Map<number, SsrcState>();

  constructor(master: MasterKey) {
    this.#isGcm = master.profile === AEAD_AES_128_GCM;
    this.#keys = deriveAll(master, 'srtp');
  }

  /** The packet with its payload in clear, in bytes of its own. Throws `ProtocolError` `SRTP_AUTHENTICATION_FAILED`. */
  open(datagram: Buffer): Buffer {
    const tagBytes = this.#isGcm ? GCM_TAG_BYTES : HMAC_TAG_BYTES;
    const headerBytes = headerBytesOf(datagram);
    const bodyEnd = datagram.byteLength - tagBytes;
    if (headerBytes === undefined || bodyEnd < headerBytes) {
      throw new ProtocolError(FAILED, `${datagram.byteLength} bytes are no protected packet`);
    }
    const ssrc = datagram.readUInt32BE(8);
    const state = this.#bySsrc.get(ssrc);
    const seqExt = guessIndex(state?.highestExt, datagram.readUInt16BE(2));
    if (seqExt < 0 || state?.hasSeen(seqExt) === true) {
      throw new ProtocolError(FAILED, `packet ${seqExt} of ${ssrc} came before`);
    }
    const place = { ssrc, seqExt, headerBytes, bodyEnd };
    const payload = this.#isGcm ? this.#openGcm(datagram, place) : this.#openCm(datagram, place);
    this.#note(ssrc, state, seqExt);
    return Buffer.concat([datagram.subarray(0, headerBytes), payload]);
  }

  /** Only what was authentic is remembered. The SSRC that was there first has to make room where there are too many. */
  #note(ssrc: number, known: SsrcState | undefined, seqExt: number): void {
    const state = known ?? new SsrcState(seqExt);
    state.note(seqExt);
    if (known === undefined) {
      const oldest = this.#bySsrc.keys().next();
      if (this.#bySsrc.size >= SSRC_MAX_COUNT && oldest.done === false) {
        this.#bySsrc.delete(oldest.value);
      }
      this.#bySsrc.set(ssrc, state);
    }
  }

  #openGcm(datagram: Buffer, { ssrc, seqExt, headerBytes, bodyEnd }: Place): Buffer {
    const iv = Buffer.alloc(12);
    iv.writeUInt32BE(ssrc, 2);
    iv.writeUInt32BE(Math.floor(seqExt / 65_536), 6);
    iv.writeUInt16BE(seqExt % 65_536, 10);
    xorInto(iv, this.#keys.salt, 12);
    const decipher = createDecipheriv('aes-128-gcm', this.#keys.cipherKey, iv);
    decipher.setAAD(datagram.subarray(0, headerBytes));
    decipher.setAuthTag(datagram.subarray(bodyEnd));
    const payload = decipher.update(datagram.subarray(headerBytes, bodyEnd));
    try {
      decipher.final();
    } catch (error) {
      throw new ProtocolError(FAILED, 'wrong tag', error);
    }
    return payload;
  }

  #openCm(datagram: Buffer, { ssrc, seqExt, headerBytes, bodyEnd }: Place): Buffer {
    const rollover = Buffer.alloc(4);
    rollover.writeUInt32BE(Math.floor(seqExt / 65_536));
    const tag = createHmac('sha1', this.#keys.authKey).update(datagram.subarray(0, bodyEnd)).update(rollover).digest();
    if (!timingSafeEqual(tag.subarray(0, HMAC_TAG_BYTES), datagram.subarray(bodyEnd))) {
      throw new ProtocolError(FAILED, 'wrong tag');
    }
    const iv = Buffer.alloc(16);
    const low = (seqExt % 2 ** 32) >>> 0;
    writeCounterIv(iv, this.#keys.salt, { ssrc, high: Math.floor(seqExt / 2 ** 32), low });
    const decipher = createCipheriv('aes-128-ctr', this.#keys.cipherKey, iv);
    return decipher.update(datagram.subarray(headerBytes, bodyEnd));
  }
}

type Place = {
  readonly ssrc: number;
  readonly seqExt: number;
  readonly headerBytes: number;
  readonly bodyEnd: number;
};

/** With contributing sources and header extensions, which stay in clear (RFC 3550 5.1). Undefined where they run past the end. */
const headerBytesOf = (datagram: Buffer): number | undefined => {
  if (datagram.byteLength < HEADER_BYTES) {
    return undefined;
  }
  const first = datagram.readUInt8(0);
  const withSources = HEADER_BYTES + 4 * (first & 0x0f);
  if ((first & 0x10) === 0) {
    return withSources;
  }
  return withSources + 4 > datagram.byteLength
    ? undefined
    : withSources + 4 + 4 * datagram.readUInt16BE(withSources + 2);
};

/** The index nearest to the highest that was authentic; a stream begins without rollovers. */
const guessIndex = (highestExt: number | undefined, seq16: number): number => {
  if (highestExt === undefined) {
    return seq16;
  }
  const distance = ((seq16 - highestExt) << 16) >> 16;
  return highestExt + distance;
};
