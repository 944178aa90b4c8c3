/**
 * Packets of many peers on their way to the native back end, which encrypts and sends them with one call: they are listed here while viewers are
 * walked through, and leave at `flush`, when the list is full, or at the end of the event loop's step, whichever is first.
 */
import { PACKET_WORDS } from '../native/udp-binding.ts';
import type { DatagramCounts, UdpBatchBinding } from '../native/udp-binding.ts';
import { AEAD_AES_128_GCM } from './dtls.ts';
import type { PathAddress } from './path.ts';
import type { MasterKey } from './srtp.ts';
import { deriveGcm } from './srtp.ts';

/** Few enough that the first of many viewers does not wait for the last, enough that a call costs nothing beside them. */
const BATCH_COUNT = 256;
/** Different ones that are remembered from one call to the next: those of a large keyframe, which every viewer gets. */
const PAYLOAD_MAX_COUNT = 512;
/** The kernel's buffer was full: it is asked again after this. */
const RETRY_AFTER_MS = 1;

export class PacketBatch {
  /** `PACKET_WORDS` for each packet. */
  readonly words = new Uint32Array(BATCH_COUNT * PACKET_WORDS);
  readonly #native: UdpBatchBinding;
  readonly #payloads: Uint8Array[] = [];
  readonly #places = new Map<Uint8Array, number>();
  #nextPlace = 0;
  #count = 0;
  #isFlushDue = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #finalCounts: DatagramCounts | undefined;

  constructor(native: UdpBatchBinding) {
    this.#native = native;
  }

  get counts(): DatagramCounts {
    return this.#finalCounts ?? this.#native.counts();
  }

  /** A peer whose packets may go this way. Undefined where its cipher is not one that is spoken here. */
  open(master: MasterKey): BatchedPeer | undefined {
    if (master.profile !== AEAD_AES_128_GCM || this.#isClosed) {
      return undefined;
    }
    const { key, salt } = deriveGcm(master, 'srtp');
    const id = this.#native.addPeer(key, salt);
    return new BatchedPeer({
      ...{ id, setAddress: (address, port) => this.#native.setAddress(id, address, port) },
      close: () => this.#remove(id),
    });
  }

  /** Makes room for one packet and says where in `words` it is described. Words 0 and 1 are written. */
  add(peer: number, payload: Uint8Array): number {
    if (this.#count === BATCH_COUNT) {
      this.flush();
    }
    if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      process.nextTick(this.#onStepEnd);
    }
    const at = this.#count * PACKET_WORDS;
    this.#count += 1;
    this.words[at] = peer;
    this.words[at + 1] = this.#placeOf(payload);
    return at;
  }

  /** What is listed leaves. */
  flush(): void {
    if (this.#count === 0 || this.#isClosed) {
      return;
    }
    const count = this.#count;
    this.#count = 0;
    this.#waitFor(this.#native.send(this.words, count, this.#payloads));
    if (this.#payloads.length >= PAYLOAD_MAX_COUNT) {
      this.#forgetPayloads();
    }
  }

  close(): void {
    if (!this.#isClosed) {
      this.flush();
      this.#isClosed = true;
      clearTimeout(this.#retryTimer);
      this.#finalCounts = this.#native.counts();
      this.#native.close();
    }
  }

  readonly #onStepEnd = (): void => {
    this.#isFlushDue = false;
    this.flush();
    this.#forgetPayloads();
  };

  #forgetPayloads(): void {
    this.#payloads.length = 0;
    this.#places.clear();
    this.#nextPlace = 0;
  }

  /** Viewers of one broadcast get the same payloads in the same order, so the next one is most often where the last viewer's was. */
  #placeOf(payload: Uint8Array): number {
    const payloads = this.#payloads;
    let place = this.#nextPlace;
    if (payloads[place] !== payload) {
      place = this.#places.get(payload) ?? payloads.length;
      if (place === payloads.length) {
        payloads.push(payload);
        this.#places.set(payload, place);
      }
    }
    this.#nextPlace = place + 1;
    return place;
  }

  #waitFor(waitingCount: number): void {
    if (waitingCount > 0 && this.#retryTimer === undefined) {
      this.#retryTimer = setTimeout(() => {
        this.#retryTimer = undefined;
        this.#waitFor(this.#native.retry());
      }, RETRY_AFTER_MS);
    }
  }

  #remove(id: number): void {
    if (!this.#isClosed) {
      this.flush();
      this.#native.removePeer(id);
    }
  }
}

/** One peer's place in the batch. */
export class BatchedPeer {
  readonly #id: number;
  readonly #setAddress: (address: string, port: number) => boolean;
  readonly #close: () => void;
  #path: PathAddress | undefined;
  #isReachable = false;
  #isClosed = false;

  constructor(options: { id: number; setAddress: (address: string, port: number) => boolean; close: () => void }) {
    this.#id = options.id;
    this.#setAddress = options.setAddress;
    this.#close = options.close;
  }

  /** Its number, for packets along this path; undefined: they must go the plain way. */
  towards(path: PathAddress): number | undefined {
    if (this.#isClosed) {
      return undefined;
    }
    if (path !== this.#path) {
      this.#path = path;
      this.#isReachable = path.kind === 'udp' && this.#setAddress(path.address, path.port);
    }
    return this.#isReachable ? this.#id : undefined;
  }

  /** What it was sent before leaves first. May be called twice. */
  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#close();
    }
  }
}
