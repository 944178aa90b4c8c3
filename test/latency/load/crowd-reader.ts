/**
 * Reads for all viewers of a process at once (`native/crowd-reader.cc`): the kernel says when each datagram came, so that a viewer who is read late is not taken for one
 * who was sent to late, and pieces that nothing had cut on the way (UDP GRO) are cut here. Looks every 2 ms.
 */
import type { Socket } from 'node:dgram';
import path from 'node:path';
import { requireBuilt } from '../../../server/native/native.ts';
import { descriptorOf, stopReading } from '../../../server/webrtc-transport/udp-sender.ts';

const FOLDER = path.join(import.meta.dirname, '../../../node_modules/.cache/sluice/crowd-reader');
const READ_EVERY_MS = 2;
/** Their layout stands at the head of crowd-reader.cc. */
const WORDS = 5;
const PIECE_MAX_COUNT = 4_096;
const BYTES_MAX = 8 * 1024 * 1024;

type Binding = {
  add(viewer: number, fd: number): boolean;
  remove(viewer: number): void;
  read(words: Uint32Array, bytes: Uint8Array): number;
};

/** `atMs`: when the kernel had it, on the clock of `performance.now()`. The bytes are another's after the call. */
export type OnDatagram = (datagram: Buffer, atMs: number) => void;

export class CrowdReader {
  readonly #binding: Binding;
  readonly #words = new Uint32Array(PIECE_MAX_COUNT * WORDS);
  readonly #bytes = Buffer.alloc(BYTES_MAX);
  readonly #listeners = new Map<number, OnDatagram>();
  #nextViewer = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(binding: Binding) {
    this.#binding = binding;
  }

  /** Undefined where it was not built: everyone reads for himself, which the set-up has said. */
  static open(): CrowdReader | undefined {
    try {
      const { CrowdReader: Native } = requireBuilt(FOLDER) as { CrowdReader: new () => Binding };
      return new CrowdReader(new Native());
    } catch {
      return undefined;
    }
  }

  /** From now on `socket`, which is bound, is read here. What ends it; undefined: this Node or kernel does not let us. */
  take(socket: Socket, onDatagram: OnDatagram): (() => void) | undefined {
    const fd = descriptorOf(socket);
    const viewer = this.#nextViewer;
    if (fd === undefined || !this.#binding.add(viewer, fd)) {
      return undefined;
    }
    if (!stopReading(socket)) {
      this.#binding.remove(viewer);
      return undefined;
    }
    this.#nextViewer += 1;
    this.#listeners.set(viewer, onDatagram);
    this.#timer ??= setInterval(() => this.#readAll(), READ_EVERY_MS);
    return () => this.#forget(viewer);
  }

  #forget(viewer: number): void {
    this.#binding.remove(viewer);
    this.#listeners.delete(viewer);
    if (this.#listeners.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #readAll(): void {
    const count = this.#binding.read(this.#words, this.#bytes);
    const nowMs = performance.now();
    for (let index = 0; index < count; index += 1) {
      const [viewer = 0, start = 0, bytes = 0, segmentBytes = 0, ageUs = 0] = this.#words.subarray(
        index * WORDS,
        (index + 1) * WORDS,
      );
      const end = start + bytes;
      for (let at = start; at < end; at += segmentBytes) {
        // Whoever leaves meanwhile hears no more.
        this.#listeners.get(viewer)?.(this.#bytes.subarray(at, Math.min(end, at + segmentBytes)), nowMs - ageUs / 1000);
      }
    }
  }
}
