/**
 * One peer's DTLS: what comes is put in order for the engine (OpenSSL through the addon, else werift), what was lost is sent again, the peer's certificate
 * is compared with what its SDP named, and the keys come out. Told what time it is. It ends once, with a reason.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ProtocolError, messageOf } from '../base/errors.ts';
import type { DtlsBinding } from '../native/dtls-binding.ts';
import type { DtlsEngine, DtlsEngineListener, DtlsFingerprint, DtlsRole, SrtpKeys } from './dtls.ts';
import { AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 } from './dtls.ts';
import { DtlsInbox } from './dtls-inbox.ts';
import type { NativeIdentity } from './native-dtls.ts';
import { NativeDtls, createNativeIdentity } from './native-dtls.ts';
import type { WeriftCertificate } from './werift-dtls.ts';
import { WeriftDtls, createCertificate } from './werift-dtls.ts';

/** This server's certificate, one for the life of the process: making one costs as much as many joins. */
export type DtlsIdentity = {
  /** `sha-256 AA:BB…` */
  readonly fingerprint: string;
  readonly certificate: WeriftCertificate;
  readonly native: NativeIdentity | undefined;
};

/** With `binding` handshakes are native. */
export const createDtlsIdentity = async (binding?: DtlsBinding): Promise<DtlsIdentity> => {
  const certificate = await createCertificate();
  const first = certificate.getFingerprints()[0];
  if (first === undefined) {
    throw new TypeError('the certificate has no fingerprint');
  }
  const native = binding === undefined ? undefined : createNativeIdentity(binding, certificate);
  return { fingerprint: `${first.algorithm} ${first.value}`, certificate, native };
};

export type DtlsListener = {
  /** One datagram for the peer. */
  onOutgoing(datagram: Buffer): void;
  /** The handshake is done and the peer's certificate is the one its offer named. */
  onKeys(keys: SrtpKeys): void;
  /** The peer closed, or the handshake failed. At most once. */
  onEnd(reason: string): void;
};

/** A handshake takes about ten datagrams, retransmissions included; what comes beyond is an attack on the parser. */
const DATAGRAM_MAX_COUNT = 200;
/** A client asks with growing pauses, about ten times in a minute. */
const RESEND_MAX_COUNT = 20;
/** RFC 6347 4.2.4.1. */
const RESEND_AFTER_MS = 1_000;
const KEY_BYTES = 16;

export class DtlsHandshake {
  readonly #engine: DtlsEngine;
  readonly #listener: DtlsListener;
  readonly #fingerprints: readonly DtlsFingerprint[];
  readonly #inbox: DtlsInbox;
  /** What was sent since the peer last said something new. */
  readonly #lastFlight = new Set<Buffer>();
  #datagramCount = 0;
  #resendCount = 0;
  #resendAfterMs = RESEND_AFTER_MS;
  #resendAtMs = Number.POSITIVE_INFINITY;
  #isConnected = false;
  #isEnded = false;

  constructor(options: {
    identity: DtlsIdentity;
    remoteFingerprints: readonly DtlsFingerprint[];
    listener: DtlsListener;
    /** `client` needs a native identity, and a call of `start`. */
    role?: DtlsRole;
  }) {
    const { identity, role = 'server' } = options;
    this.#listener = options.listener;
    this.#fingerprints = options.remoteFingerprints;
    this.#inbox = new DtlsInbox(role);
    const listener: DtlsEngineListener = {
      onOutgoing: (datagram) => this.#send(datagram),
      onConnected: () => this.#connect(),
      onFailed: (reason) => this.#end(`dtls_failed: ${reason}`),
      onClosedByPeer: () => this.#end('dtls_closed_by_peer'),
    };
    if (identity.native !== undefined) {
      this.#engine = new NativeDtls(identity.native, role, listener);
    } else if (role === 'server') {
      this.#engine = new WeriftDtls(identity.certificate, listener);
    } else {
      throw new TypeError('role: expected server, where there is no native back end');
    }
  }

  /** A client's first flight. */
  start(nowMs: number): void {
    this.#engine.start();
    this.#wait(nowMs);
  }

  /** One datagram from the peer, of the range that RFC 7983 gives to DTLS. Never throws; floods are ignored. */
  onDatagram(datagram: Buffer, nowMs: number): void {
    this.#datagramCount += 1;
    if (this.#isEnded || this.#datagramCount > DATAGRAM_MAX_COUNT) {
      return;
    }
    const { records, isRetransmission } = this.#inbox.take(datagram);
    if (records.length > 0) {
      this.#lastFlight.clear();
      this.#resendAfterMs = RESEND_AFTER_MS;
      records.forEach((record) => this.#engine.take(record));
      this.#wait(nowMs);
    } else if (isRetransmission) {
      this.#resend();
    }
  }

  /** To be called about once a second: what nobody answered is sent again. */
  onTimer(nowMs: number): void {
    if (nowMs >= this.#resendAtMs && !this.#isConnected && !this.#isEnded) {
      this.#resendAfterMs *= 2;
      this.#wait(nowMs);
      this.#resend();
    }
  }

  /** Tells the peer where that can be done, and stops; nothing is sent any more. */
  close(): void {
    if (!this.#isEnded) {
      this.#engine.close();
      this.#isEnded = true;
      this.#lastFlight.clear();
    }
  }

  #send(datagram: Buffer): void {
    if (!this.#isEnded) {
      this.#lastFlight.add(datagram);
      this.#listener.onOutgoing(datagram);
    }
  }

  #wait(nowMs: number): void {
    this.#resendAtMs = this.#engine.hasOwnTimer ? Number.POSITIVE_INFINITY : nowMs + this.#resendAfterMs;
  }

  /** Our last flight was lost, or came while the peer's timer ran out. */
  #resend(): void {
    if (this.#resendCount < RESEND_MAX_COUNT) {
      this.#resendCount += 1;
      this.#lastFlight.forEach((datagram) => this.#listener.onOutgoing(datagram));
    }
  }

  #connect(): void {
    if (this.#isConnected || this.#isEnded) {
      return;
    }
    try {
      this.#checkFingerprint();
      const keys = this.#extractKeys();
      this.#isConnected = true;
      this.#listener.onKeys(keys);
    } catch (error) {
      this.#end(`dtls_failed: ${messageOf(error)}`);
    }
  }

  #extractKeys(): SrtpKeys {
    const profile = this.#engine.srtpProfile;
    if (profile !== AEAD_AES_128_GCM && profile !== AES_CM_128_HMAC_SHA1_80) {
      throw new ProtocolError('DTLS_NO_SRTP_PROFILE', 'the peer offered no SRTP profile that we have');
    }
    return { profile, ...this.#engine.exportKeys(KEY_BYTES, profile === AEAD_AES_128_GCM ? 12 : 14) };
  }

  #checkFingerprint(): void {
    const certificate = this.#engine.remoteCertificate;
    if (certificate === undefined) {
      throw new ProtocolError('DTLS_NO_CERTIFICATE', 'the peer sent no certificate');
    }
    const isKnown = this.#fingerprints.some(({ algorithm, value }) => isSameFingerprint(certificate, algorithm, value));
    if (!isKnown) {
      throw new ProtocolError('DTLS_FINGERPRINT_MISMATCH', 'the certificate is not the one the offer named');
    }
  }

  #end(reason: string): void {
    if (!this.#isEnded) {
      this.close();
      this.#listener.onEnd(reason);
    }
  }
}

const HASHES: Readonly<Record<string, string>> = {
  'sha-256': 'sha256',
  'sha-384': 'sha384',
  'sha-512': 'sha512',
};

const isSameFingerprint = (certificate: Uint8Array, algorithm: string, value: string): boolean => {
  const hash = HASHES[algorithm.toLowerCase()];
  if (hash === undefined) {
    return false;
  }
  const actual = createHash(hash).update(certificate).digest();
  const expected = Buffer.from(value.replaceAll(':', ''), 'hex');
  return actual.byteLength === expected.byteLength && timingSafeEqual(actual, expected);
};
