/**
 * The only file that knows werift: the certificate, and DTLS 1.2 in the server's role where there is no native back end. Everything else of
 * WebRTC (SDP, ICE, SRTP, RTP) is ours. werift ships two builds whose classes differ; this takes the CommonJS one.
 */
import { createRequire } from 'node:module';
import { messageOf } from '../base/errors.ts';
import type { DtlsEngine, DtlsEngineListener, SrtpKeys } from './dtls.ts';
import { AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 } from './dtls.ts';

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

/** Of an elliptic curve, P-256, signed by itself. */
export type WeriftCertificate = {
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

/** A record it cannot read may be garbage from a third party; so many are not. */
const ERROR_MAX_COUNT = 100;

export const createCertificate = async (): Promise<WeriftCertificate> => werift.RTCDtlsTransport.SetupCertificate();

export class WeriftDtls implements DtlsEngine {
  readonly hasOwnTimer = true;
  readonly #server: WeriftDtlsServer;
  readonly #transport: WeriftTransport;
  readonly #listener: DtlsEngineListener;
  #errorCount = 0;
  #isConnected = false;

  constructor(certificate: WeriftCertificate, listener: DtlsEngineListener) {
    this.#listener = listener;
    this.#transport = {
      type: 'ice',
      address: {},
      closed: false,
      onData: () => undefined,
      send: async (datagram) => listener.onOutgoing(datagram),
      close: async () => undefined,
    };
    const { certPem, privateKey, signatureHash } = certificate;
    this.#server = new werift.DtlsServer({
      cert: certPem,
      key: privateKey,
      signatureHash,
      transport: this.#transport,
      srtpProfiles: [AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80],
      extendedMasterSecret: true,
      certificateRequest: true,
    });
    this.#server.onConnect.subscribe(() => {
      this.#isConnected = true;
      listener.onConnected();
    });
    this.#server.onError.subscribe((error) => listener.onFailed(messageOf(error)));
    this.#server.onClose.subscribe(() => listener.onClosedByPeer());
  }

  get srtpProfile(): number | undefined {
    return this.#server.srtp.srtpProfile;
  }

  get remoteCertificate(): Uint8Array | undefined {
    return this.#server.remoteCertificate;
  }

  /** It only ever answers. */
  start(): void {}

  take(record: Buffer): void {
    try {
      this.#transport.onData(record);
    } catch (error) {
      this.#errorCount += 1;
      if (!this.#isConnected && this.#errorCount > ERROR_MAX_COUNT) {
        this.#listener.onFailed(messageOf(error));
      }
    }
  }

  exportKeys(keyBytes: number, saltBytes: number): Omit<SrtpKeys, 'profile'> {
    return this.#server.extractSessionKeys(keyBytes, saltBytes);
  }

  close(): void {
    this.#transport.closed = true;
  }
}
