/**
 * What comes over the shared socket, read by the native back end: many datagrams with one call, RTCP of known peers in clear. Whom an address
 * belongs to is told to it from here; everything but that RTCP is handed on as it came.
 */
import {
  ADDRESS_MAX_BYTES,
  AS_IT_CAME,
  DATAGRAM_MAX_BYTES,
  DATAGRAM_WORDS,
  OPENED,
  READ_MAX_COUNT,
  SRTCP_OVERHEAD_BYTES,
} from '../native/rtcp-binding.ts';
import type { ReadCounts, RtcpPortBinding } from '../native/rtcp-binding.ts';
import { AEAD_AES_128_GCM } from './dtls.ts';
import type { PathAddress } from './path.ts';
import type { MasterKey } from './srtp.ts';
import { deriveGcm } from './srtp.ts';

/** More than any datagram or TCP frame. */
const COMPOUND_MAX_BYTES = 65_536;

/** Who is told of a peer's RTCP. */
export type RtcpReceiver = {
  /** A compound in clear: a view that is valid during the call. */
  onOpened(compound: Buffer): void;
  /** It was not authentic, or came before. */
  onRefused(): void;
};

export class DatagramReader {
  readonly #native: RtcpPortBinding;
  readonly #words = new Uint32Array(READ_MAX_COUNT * DATAGRAM_WORDS);
  readonly #bytes = Buffer.allocUnsafeSlow(READ_MAX_COUNT * (DATAGRAM_MAX_BYTES + ADDRESS_MAX_BYTES));
  readonly #target = Buffer.allocUnsafeSlow(COMPOUND_MAX_BYTES);
  readonly #receivers = new Map<number, RtcpReceiver>();
  readonly #onDatagram: (datagram: Buffer, address: string, port: number) => void;
  #isClosed = false;
  #finalCounts: ReadCounts | undefined;

  /** `onDatagram`: what came and is not opened here, in bytes of its own. */
  constructor(native: RtcpPortBinding, onDatagram: (datagram: Buffer, address: string, port: number) => void) {
    this.#native = native;
    this.#onDatagram = onDatagram;
  }

  get counts(): ReadCounts {
    return this.#finalCounts ?? this.#native.counts();
  }

  /** Reads from now on; nobody else may. Once. */
  listen(): void {
    this.#native.listen(this.#words, this.#bytes, this.#onBatch);
  }

  /** SRTCP of one peer, both ways. Undefined where its cipher is not one that is spoken here. */
  open(keys: { local: MasterKey; remote: MasterKey }, receiver: RtcpReceiver): RtcpChannel | undefined {
    if (this.#isClosed || keys.local.profile !== AEAD_AES_128_GCM) {
      return undefined;
    }
    const local = deriveGcm(keys.local, 'srtcp');
    const remote = deriveGcm(keys.remote, 'srtcp');
    const id = this.#native.addPeer(local.key, local.salt, remote.key, remote.salt);
    this.#receivers.set(id, receiver);
    return new RtcpChannel(this.#native, {
      ...{ id, target: this.#target },
      close: () => this.#remove(id),
    });
  }

  close(): void {
    if (!this.#isClosed) {
      this.#finalCounts = this.#native.counts();
      this.#isClosed = true;
      this.#native.close();
    }
  }

  readonly #onBatch = (count: number): void => {
    const words = this.#words;
    const bytes = this.#bytes;
    for (let at = 0; at < count * DATAGRAM_WORDS; at += DATAGRAM_WORDS) {
      const kind = words[at];
      const start = words[at + 2] ?? 0;
      const end = start + (words[at + 3] ?? 0);
      if (kind === AS_IT_CAME) {
        const address = bytes.toString('latin1', end, end + (words[at + 5] ?? 0));
        this.#onDatagram(Buffer.from(bytes.subarray(start, end)), address, words[at + 4] ?? 0);
      } else if (kind === OPENED) {
        this.#receivers.get(words[at + 1] ?? 0)?.onOpened(bytes.subarray(start, end));
      } else {
        this.#receivers.get(words[at + 1] ?? 0)?.onRefused();
      }
    }
  };

  #remove(id: number): void {
    this.#receivers.delete(id);
    if (!this.#isClosed) {
      this.#native.removePeer(id);
    }
  }
}

/** SRTCP of one peer by the native back end, whichever way it travels: the indices of both directions are counted here alone. */
export class RtcpChannel {
  readonly #native: RtcpPortBinding;
  readonly #id: number;
  readonly #target: Buffer;
  readonly #close: () => void;
  #isClosed = false;

  constructor(native: RtcpPortBinding, options: { id: number; target: Buffer; close: () => void }) {
    this.#native = native;
    this.#id = options.id;
    this.#target = options.target;
    this.#close = options.close;
  }

  /** What comes along this path is this peer's. One that cannot be bound (TCP, an address with a scope) is opened by `unprotect`. */
  bind({ kind, address, port }: PathAddress): void {
    if (kind === 'udp' && !this.#isClosed) {
      this.#native.bind(this.#id, address, port);
    }
  }

  unbind({ kind, address, port }: PathAddress): void {
    if (kind === 'udp' && !this.#isClosed) {
      this.#native.unbind(this.#id, address, port);
    }
  }

  /** Decrypts one datagram: a view that is valid until the next call. Undefined when it is wrong, unencrypted or repeated. */
  unprotect(datagram: Buffer): Buffer | undefined {
    const bytes = this.#isClosed ? 0 : this.#native.open(this.#id, datagram, this.#target);
    return bytes === 0 ? undefined : this.#target.subarray(0, bytes);
  }

  /** Encrypts a compound packet. */
  protect(compound: Buffer): Buffer {
    const datagram = Buffer.allocUnsafe(compound.byteLength + SRTCP_OVERHEAD_BYTES);
    this.#native.seal(this.#id, compound, datagram);
    return datagram;
  }

  /** May be called twice; nothing may be encrypted after it. */
  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#close();
    }
  }
}
