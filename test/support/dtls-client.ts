/**
 * DTLS 1.2 in the client's role by werift, and the SRTP keys that come of it (RFC 5764): the counterpart of the server's `DtlsHandshake`,
 * with the same shape, so that a peer can hold either.
 */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import {
  AEAD_AES_128_GCM,
  AES_CM_128_HMAC_SHA1_80,
  type DtlsFingerprint,
  type SrtpKeys,
} from '../../server/webrtc-transport/dtls.ts';
import type { DtlsIdentity, DtlsListener } from '../../server/webrtc-transport/dtls-handshake.ts';

/** Of werift's record layer, as much as it takes to write a record. */
type Plaintext = {
  recordLayerHeader: {
    contentType: number;
    protocolVersion: { major: number; minor: number };
    epoch: number;
    sequenceNumber: number;
    contentLen: number;
  };
  fragment: Buffer;
};
type Subscription = { subscribe(listener: (value?: unknown) => void): void };
type WeriftDtlsClient = {
  readonly onConnect: Subscription;
  readonly onError: Subscription;
  readonly onClose: Subscription;
  readonly srtp: { readonly srtpProfile?: number };
  readonly remoteCertificate?: Uint8Array;
  readonly dtls: { recordSequenceNumber: number };
  readonly cipher: { encryptPacket(record: Plaintext): Plaintext };
  connect(): Promise<void>;
  extractSessionKeys(keyBytes: number, saltBytes: number): Omit<SrtpKeys, 'profile'>;
};
const werift = createRequire(import.meta.url)('werift') as { DtlsClient: new (options: object) => WeriftDtlsClient };

const CONTENT_ALERT = 21;
const CONTENT_HANDSHAKE = 22;
const HANDSHAKE_HELLO_VERIFY = 3;
const RECORD_HEADER_BYTES = 13;

export class DtlsClientHandshake {
  readonly #client: WeriftDtlsClient;
  readonly #listener: DtlsListener;
  readonly #fingerprints: readonly DtlsFingerprint[];
  readonly #transport: { onData: (datagram: Buffer) => void; closed: boolean };
  #isVerified = false;
  #isConnected = false;
  #isEnded = false;

  constructor(options: {
    identity: DtlsIdentity;
    remoteFingerprints: readonly DtlsFingerprint[];
    listener: DtlsListener;
    /** SRTP protection profiles offered, best first. */
    srtpProfiles?: readonly number[] | undefined;
  }) {
    this.#listener = options.listener;
    this.#fingerprints = options.remoteFingerprints;
    const transport = {
      type: 'ice',
      address: {},
      closed: false,
      onData: (_datagram: Buffer): void => undefined,
      send: async (datagram: Buffer): Promise<void> => {
        if (!this.#isEnded) {
          options.listener.onOutgoing(datagram);
        }
      },
      close: async (): Promise<void> => undefined,
    };
    this.#transport = transport;
    const { certPem, privateKey, signatureHash } = options.identity.certificate;
    this.#client = new werift.DtlsClient({
      cert: certPem,
      key: privateKey,
      signatureHash,
      transport,
      srtpProfiles: options.srtpProfiles ?? [AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80],
      extendedMasterSecret: true,
    });
    this.#client.onConnect.subscribe(() => this.#connect());
    this.#client.onError.subscribe((error) => this.#end(`dtls_failed: ${String(error)}`));
    this.#client.onClose.subscribe(() => this.#end('dtls_closed_by_peer'));
  }

  /** Sends the first flight. */
  start(): void {
    // werift's own promise resolves half a second late, with the retransmission timer of its first flight.
    this.#client.connect().catch((error: unknown) => {
      if (!this.#isConnected) {
        this.#end(`dtls_failed: ${String(error)}`);
      }
    });
  }

  onDatagram(datagram: Buffer): void {
    const isVerify = datagram[0] === CONTENT_HANDSHAKE && datagram[RECORD_HEADER_BYTES] === HANDSHAKE_HELLO_VERIFY;
    // A slow server answers our repeated ClientHello as well; werift takes the second answer for the end of the world.
    if (!this.#isEnded && !(isVerify && this.#isVerified)) {
      this.#isVerified ||= isVerify;
      this.#transport.onData(datagram);
    }
  }

  /** Encrypted; once connected. Werift itself says nothing. */
  sendAlert(severity: number, description: number): void {
    const { dtls, cipher } = this.#client;
    dtls.recordSequenceNumber += 1;
    const { recordLayerHeader, fragment } = cipher.encryptPacket({
      recordLayerHeader: {
        ...{ contentType: CONTENT_ALERT, protocolVersion: { major: 0xfe, minor: 0xfd } },
        ...{ epoch: 1, sequenceNumber: dtls.recordSequenceNumber, contentLen: 2 },
      },
      fragment: Buffer.from([severity, description]),
    });
    const record = Buffer.alloc(RECORD_HEADER_BYTES);
    record.writeUInt8(recordLayerHeader.contentType, 0);
    record.writeUInt16BE(0xfefd, 1);
    record.writeUInt16BE(recordLayerHeader.epoch, 3);
    record.writeUIntBE(recordLayerHeader.sequenceNumber, 5, 6);
    record.writeUInt16BE(fragment.byteLength, 11);
    this.#listener.onOutgoing(Buffer.concat([record, fragment]));
  }

  /** Stops it; nothing is sent any more. */
  close(): void {
    this.#isEnded = true;
    this.#transport.closed = true;
  }

  #connect(): void {
    if (this.#isConnected || this.#isEnded) {
      return;
    }
    const profile = this.#client.srtp.srtpProfile;
    if (profile !== AEAD_AES_128_GCM && profile !== AES_CM_128_HMAC_SHA1_80) {
      this.#end(`dtls_failed: SRTP profile ${profile ?? 'none'} was agreed on`);
    } else if (!this.#hasKnownCertificate()) {
      this.#end('dtls_failed: the certificate is not the one the answer named');
    } else {
      this.#isConnected = true;
      const saltBytes = profile === AEAD_AES_128_GCM ? 12 : 14;
      this.#listener.onKeys({ profile, ...this.#client.extractSessionKeys(16, saltBytes) });
    }
  }

  #hasKnownCertificate(): boolean {
    const certificate = this.#client.remoteCertificate;
    return this.#fingerprints.some(({ algorithm, value }) => {
      const hash = algorithm.replace('-', '');
      return (
        certificate !== undefined &&
        createHash(hash).update(certificate).digest('hex') === value.replaceAll(':', '').toLowerCase()
      );
    });
  }

  #end(reason: string): void {
    if (!this.#isEnded) {
      this.close();
      this.#listener.onEnd(reason);
    }
  }
}
