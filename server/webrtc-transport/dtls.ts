/** What is said of DTLS and its keys (RFC 5764), whichever engine shakes hands. */

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

export type DtlsFingerprint = { readonly algorithm: string; readonly value: string };

export type DtlsRole = 'server' | 'client';

/** The handshake itself. It is told no time and sees each record of the peer whole, once and in order. */
export type DtlsEngine = {
  /** Whether it sends a flight again by itself. */
  readonly hasOwnTimer: boolean;
  /** A client's first flight. */
  start(): void;
  /** Never throws. */
  take(record: Buffer): void;
  /** While `onConnected` is told; an engine may let go of them afterwards. */
  readonly srtpProfile: number | undefined;
  readonly remoteCertificate: Uint8Array | undefined;
  exportKeys(keyBytes: number, saltBytes: number): Omit<SrtpKeys, 'profile'>;
  /** Says goodbye where it can; nothing comes of it afterwards. */
  close(): void;
};

export type DtlsEngineListener = {
  onOutgoing(datagram: Buffer): void;
  onConnected(): void;
  onFailed(reason: string): void;
  onClosedByPeer(): void;
};
