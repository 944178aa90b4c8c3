/** What `src/srtp.cc` exports. Everything is checked there: what is of the wrong kind or size throws a `TypeError` or `RangeError`. */

export type SrtpBinding = {
  /** AES-128-GCM once: ciphertext and tag of 16 bytes into `target`, which must be just as long. */
  seal(this: void, key: Uint8Array, iv: Uint8Array, header: Uint8Array, payload: Uint8Array, target: Uint8Array): void;
};
