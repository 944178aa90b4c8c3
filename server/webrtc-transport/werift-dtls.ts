/**
 * The only file that knows werift: DTLS 1.2 in the server's role, and the keys that come of it (RFC 5764). Everything else of
 * WebRTC (SDP, ICE, SRTP, RTP) is ours. werift ships two builds whose classes differ; this takes the CommonJS one.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createRequire } from 'node:module';
import { ProtocolError, messageOf } from '../base/errors.ts';
import { DtlsInbox } from './dtls-inbox.ts';

type WeriftSubscription = { subscribe(listener: (value?: unknown) => void): void };

type WeriftDtlsServer = {
  readonly onConnect: WeriftSubscription;
  readonly onError: WeriftSubscription;
  readonly onClose: WeriftSubscription;
  readonly srtp: { readonly srtpProfile?: number };
  readonly remoteCertificate?: Uint8Array;
  extractSessionKeys(
    keyBytes: number,
    saltBytes: number,
  ): { localKey: Buffer; localSalt: Buffer; remoteKey: Buffer; remoteSalt: Buffer };
};

type WeriftTransport = {
  type: string;
  address: object;
  closed: boolean;
  onData: (datagram: Buffer) => void;
  send(datagram: Buffer): Promise<void>;
  close(): Promise<void>;
};

type WeriftCertificate = {
  readonly certPem: string;
  readonly privateKey: string;
  readonly signatureHash: unknown;
  getFingerprints(): { readonly algorithm: string; readonly value: string }[];
};

type Werift = {
  readonly DtlsServer: new (options: object) => WeriftDtlsServer;
  readonly RTCDtlsTransport: { SetupCertificate(): Promise<WeriftCertificate> };
};

const werift = createRequire(import.meta.url)('werift') as Werift;

/** SRTP protection profiles by their DTLS numbers (RFC 5764 4.1.2, RFC 7714 14.2). */
export const AES_CM_128_HMAC_SHA1_80 = 0x0001;
export const AEAD_AES_128_GCM = 0x0007;

export type SrtpProfile = typeof AES_CM_128_HMAC_SHA1_80 | typeof AEAD_AES_128_GCM;

export type SrtpKeys = {
  readonly profile: SrtpProfile;
  readonly localKey: Uint8Array;
  readonly localSalt: Uint8Array;
  readonly remoteKey: Uint8Array;
  readonly remoteSalt: Uint8Array;
};

/** This server's certificate, one for the life of the process: making one costs as much as a join. */
export type DtlsIdentity = { readonly fingerprint: string; readonly certificate: WeriftCertificate };

export const createDtlsIdentity = async (): Promise<DtlsIdentity> => {
  const certificate = await werift.RTCDtlsTransport.SetupCertificate();
  const first = certificate.getFingerprints()[0];
  if (first === undefined) {
    throw new TypeError('the certificate has no fingerprint');
  }
  return { fingerprint: `${first.algorithm} ${first.value}`, certificate };
};

export type DtlsFingerprint = { readonly algorithm: string; readonly value: string };

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

export class DtlsHandshake {
  readonly #server: WeriftDtlsServer;
  readonly #transport: WeriftTransport;
  readonly #listener: DtlsListener;
  readonly #fingerprints: readonly DtlsFingerprint[];
  readonly #inbox = new DtlsInbox();
  /** What was sent since the peer last said something new. */
  readonly #lastFlight = new Set<Buffer>();
  #datagramCount = 0;
  #resendCount = 0;
  #isConnected = false;
  #isEnded = false;

  constructor(options: {
    identity: DtlsIdentity;
    remoteFingerprints: readonly DtlsFingerprint[];
    listener: DtlsListener;
  }) {
    this.#listener = options.listener;
    this.#fingerprints = options.remoteFingerprints;
    this.#transport = {
      type: 'ice',
      address: {},
      closed: false,
      onData: () => undefined,
      send: async (datagram) => {
        if (!this.#isEnded) {
          this.#lastFlight.add(datagram);
          options.listener.onOutgoing(datagram);
        }
      },
      close: async () => undefined,
    };
    const { certPem, privateKey, signatureHash } = options.identity.certificate;
    this.#server = new werift.DtlsServer({
      cert: certPem,
      key: privateKey,
      signatureHash,
      transport: this.#transport,
      srtpProfiles: [AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80],
      extendedMasterSecret: true,
      certificateRequest: true,
    });
    this.#server.onConnect.subscribe(() => this.#connect());
    this.#server.onError.subscribe((error) => this.#end(`dtls_failed: ${messageOf(error)}`));
    this.#server.onClose.subscribe(() => this.#end('dtls_closed_by_peer'));
  }

  /** One datagram from the peer, of the range that RFC 7983 gives to DTLS. Never throws; floods are ignored. */
  onDatagram(datagram: Buffer): void {
    this.#datagramCount += 1;
    if (this.#isEnded || this.#datagramCount > DATAGRAM_MAX_COUNT) {
      return;
    }
    const { records, isRetransmission } = this.#inbox.take(datagram);
    if (records.length > 0) {
      this.#lastFlight.clear();
      records.forEach((record) => this.#handle(record));
    } else if (isRetransmission) {
      this.#resend();
    }
  }

  /** Stops it; nothing is sent any more. */
  close(): void {
    this.#isEnded = true;
    this.#transport.closed = true;
  }

  #handle(record: Buffer): void {
    try {
      this.#transport.onData(record);
    } catch (error) {
      if (!this.#isConnected && this.#datagramCount > DATAGRAM_MAX_COUNT / 2) {
        this.#end(`dtls_failed: ${messageOf(error)}`);
      }
    }
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
    const profile = this.#server.srtp.srtpProfile;
    if (profile !== AEAD_AES_128_GCM && profile !== AES_CM_128_HMAC_SHA1_80) {
      throw new ProtocolError('DTLS_NO_SRTP_PROFILE', 'the peer offered no SRTP profile that we have');
    }
    const saltBytes = profile === AEAD_AES_128_GCM ? 12 : 14;
    return { profile, ...this.#server.extractSessionKeys(16, saltBytes) };
  }

  #checkFingerprint(): void {
    const certificate = this.#server.remoteCertificate;
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
