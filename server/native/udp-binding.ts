/** What `src/udp-batch.cc` exports. Everything is checked there before anything leaves: what is wrong throws, and nothing was sent. */

/** Words of a packet's description; their layout stands at the head of udp-batch.cc. */
export const PACKET_WORDS = 8;
export const PAYLOAD_MAX_BYTES = 1_400;

export type UdpBatchBinding = {
  /** AEAD_AES_128_GCM session keys: 16 and 12 bytes. Its number in the packets' words. */
  addPeer(key: Uint8Array, salt: Uint8Array): number;
  /** False when the address is not one of the socket's family, or has a scope: nothing can be sent to it then. */
  setAddress(peer: number, address: string, port: number): boolean;
  /** Its number may be given to another. */
  removePeer(peer: number): void;
  /** Encrypts and sends at most 1,024 packets, in order. How many writes wait for the kernel; above 0, `retry` is to be called soon. */
  send(words: Uint32Array, count: number, payloads: readonly Uint8Array[]): number;
  /** The same for what waits. */
  retry(): number;
  counts(): DatagramCounts;
  /** Gives the socket and the keys back; what waits is lost. Anything after it throws. */
  close(): void;
};

export type DatagramCounts = {
  readonly sent: number;
  /** Of the kernel. */
  readonly calls: number;
  /** Of one or many datagrams each; a call takes many. */
  readonly writes: number;
  /** By the kernel, for good. */
  readonly refused: number;
  /** Because too many waited. */
  readonly dropped: number;
  /** Times that the kernel's buffer was full. */
  readonly full: number;
  /** Writes that the kernel would not cut into datagrams. */
  readonly uncut: number;
};

export type UdpBinding = {
  /** Sends over a copy of the descriptor `fd`, a bound UDP socket. `mayCut`: writes of many packets that the kernel cuts (UDP GSO). */
  readonly UdpBatch: new (fd: number, mayCut: boolean) => UdpBatchBinding;
  /** Whether this kernel cuts, by trying. */
  kernelCuts(this: void): boolean;
};
