/**
 * What `src/dtls.cc` exports: DTLS 1.2 in either role, without socket and clock. Everything is checked there: what is of the wrong kind throws a
 * `TypeError` or `RangeError`, as does a handshake that is closed; nothing that a peer sends does.
 */

declare const contextBrand: unique symbol;
declare const handshakeBrand: unique symbol;

/** One certificate and key. Lives as long as anything that was opened with it. */
export type NativeDtlsContext = { readonly [contextBrand]: true };

/** About 94 kB until it is settled, closed or collected. */
export type NativeDtlsHandshake = { readonly [handshakeBrand]: true };

export const DTLS_HANDSHAKING = 0;
export const DTLS_CONNECTED = 1;
export const DTLS_CLOSED_BY_PEER = 2;
export const DTLS_FAILED = 3;

export type NativeDtlsOutcome = {
  readonly state: number;
  /** Datagrams for the peer, of at most 1,200 bytes. */
  readonly outgoing: readonly Buffer[];
  /** OpenSSL's reason. */
  readonly failure?: string;
};

export type DtlsBinding = {
  /** Throws `Error` with OpenSSL's reason when they cannot be used. The key is one of an elliptic curve, as SEC 1 or PKCS 8. */
  createContext(certificateDer: Uint8Array, privateKeyDer: Uint8Array): NativeDtlsContext;
  open(context: NativeDtlsContext, isServer: boolean): NativeDtlsHandshake;
  /** A client's first flight. */
  start(handshake: NativeDtlsHandshake): NativeDtlsOutcome;
  take(handshake: NativeDtlsHandshake, datagram: Uint8Array): NativeDtlsOutcome;
  /** The SRTP protection profile agreed on; 0: none. */
  profile(handshake: NativeDtlsHandshake): number;
  /** RFC 5764 4.2: the client's and the server's key, then their salts. Only once connected. */
  exportKeys(handshake: NativeDtlsHandshake, byteCount: number): Buffer;
  /** DER; undefined: it sent none. Whether it is the right one is the caller's to find out. */
  peerCertificate(handshake: NativeDtlsHandshake): Buffer | undefined;
  /**
   * The keys are out: 94 kB of OpenSSL's go. From then on `take` sees alerts alone, `close` still tells the peer, and what asks for keys, profile or
   * certificate throws. Changes nothing where the cipher is not AES-128-GCM. Only once connected.
   */
  settle(handshake: NativeDtlsHandshake): void;
  /** Frees it; `outgoing` tells the peer. Again: nothing. */
  close(handshake: NativeDtlsHandshake): NativeDtlsOutcome;
};
