/**
 * One text to thousands of sockets: framed once, handed to each in slices of the loop, so that nothing else waits for the crowd. Messages stay in order for
 * each member, and whoever came after a message was made does not get it. Pure: told when its slice is over.
 */

/** Messages under way to one crowd; beyond, the oldest that has not begun is left out. */
const WAITING_MAX_COUNT = 1_000;
const TEXT_FRAME = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** Asks whether somebody reads: every peer answers by itself (RFC 6455 5.5.2). */
export const PING_FRAME = Buffer.from([0x89, 0]);

/** A whole WebSocket message of a server (RFC 6455 5.2): not masked, one frame. */
export const textFrame = (text: string): Buffer => {
  const bytes = Buffer.byteLength(text);
  const headBytes = bytes < LENGTH_16 ? 2 : bytes < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafeSlow(headBytes + bytes);
  frame[0] = TEXT_FRAME;
  if (headBytes === 2) {
    frame[1] = bytes;
  } else if (headBytes === 4) {
    frame[1] = LENGTH_16;
    frame.writeUInt16BE(bytes, 2);
  } else {
    frame[1] = LENGTH_64;
    frame.writeBigUInt64BE(BigInt(bytes), 2);
  }
  frame.write(text, headBytes);
  return frame;
};

export type Hearer = { hear(frame: Buffer): void };

type Waiting = { readonly frame: Buffer; readonly sequence: number };

export class FanOut {
  /** Members, with the number of the last message made before they came. */
  readonly #members = new Map<Hearer, number>();
  readonly #waiting: Waiting[] = [];
  #sequence = 0;
  #leftOutCount = 0;
  #rest: Iterator<[Hearer, number]> | undefined;

  get memberCount(): number {
    return this.#members.size;
  }

  get hasWork(): boolean {
    return this.#waiting.length > 0;
  }

  /** Messages that never began. */
  get leftOutCount(): number {
    return this.#leftOutCount;
  }

  add(member: Hearer): void {
    this.#members.set(member, this.#sequence);
  }

  remove(member: Hearer): void {
    this.#members.delete(member);
  }

  push(frame: Buffer): void {
    this.#sequence += 1;
    this.#waiting.push({ frame, sequence: this.#sequence });
    if (this.#waiting.length > WAITING_MAX_COUNT) {
      this.#waiting.splice(1, 1);
      this.#leftOutCount += 1;
    }
  }

  /** Goes on until all is said or `isOver`, which is asked after each member. */
  run(isOver: () => boolean): void {
    for (let current = this.#waiting[0]; current !== undefined; current = this.#waiting[0]) {
      this.#rest ??= this.#members.entries();
      for (let next = this.#rest.next(); next.done !== true; next = this.#rest.next()) {
        const [member, since] = next.value;
        if (current.sequence > since) {
          member.hear(current.frame);
        }
        if (isOver()) {
          return;
        }
      }
      this.#rest = undefined;
      this.#waiting.shift();
    }
  }
}
