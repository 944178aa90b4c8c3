/** What `src/rtcp-port.cc` exports. Everything is checked there: what is of the wrong kind or size throws. */

/** Words of a datagram's description; their layout stands at the head of rtcp-port.cc. */
export const DATAGRAM_WORDS = 6;
/** Datagrams read with one call of the kernel. */
export const READ_MAX_COUNT = 32;
/** Of one; longer ones are not ours. */
export const DATAGRAM_MAX_BYTES = 4_096;
/** Of the address as text, behind a datagram. */
export const ADDRESS_MAX_BYTES = 64;
export const SRTCP_OVERHEAD_BYTES = 20;
/** The first word; 2: RTCP that was refused. */
export const [AS_IT_CAME, OPENED] = [0, 1];

export type RtcpPortBinding = {
  /** AEAD_AES_128_GCM session keys of SRTCP, 16 and 12 bytes, of this side and the other. The peer's number. */
  addPeer(localKey: Uint8Array, localSalt: Uint8Array, remoteKey: Uint8Array, remoteSalt: Uint8Array): number;
  /** Its number may be given to another, but for the time of a batch that is being handed over. */
  removePeer(peer: number): void;
  /** RTCP from this address is this peer's, and nobody else's. False: the address has a scope or is of another family. */
  bind(peer: number, address: string, port: number): boolean;
  /** If it is still this peer's. */
  unbind(peer: number, address: string, port: number): void;
  /** RTCP that came another way: bytes of the compound in `target`, which has room for `datagram`; 0: refused. */
  open(peer: number, datagram: Uint8Array, target: Uint8Array): number;
  /** `target` is `SRTCP_OVERHEAD_BYTES` longer than `compound`. */
  seal(peer: number, compound: Uint8Array, target: Uint8Array): void;
  /** From now on the socket is read here. `onBatch` is told how many datagrams `words` describe; both arrays are written anew after it. Once. */
  listen(words: Uint32Array, bytes: Uint8Array, onBatch: (count: number) => void): void;
  counts(): ReadCounts;
  /** Gives the socket and the keys back. Anything after it throws. */
  close(): void;
};

export type ReadCounts = {
  readonly read: number;
  /** Of the kernel. */
  readonly calls: number;
  /** Too long, or without room. */
  readonly lost: number;
};

export type RtcpBinding = {
  /** For a copy of the descriptor `fd`, a bound UDP socket. */
  readonly RtcpPort: new (fd: number) => RtcpPortBinding;
};
