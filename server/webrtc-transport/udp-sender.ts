/**
 * Datagrams into the kernel, with a bounded line before it. `dgram.Socket.send` checks, wraps and looks up anew for every datagram,
 * a third of what a packet costs; where this Node lets us, its handle is called as `send` itself calls it (README, 2026-11-22).
 */
import type { Socket } from 'node:dgram';

/** Bytes that wait while the kernel refuses; beyond, datagrams are dropped as a router would drop them. */
const UDP_QUEUE_MAX_BYTES = 1_048_576;
/** Senders reuse their buffers after twice as many packets (relay/webrtc/media-sender.ts). */
export const UDP_QUEUE_MAX_COUNT = 512;
const CHECKED_SEND_EVERY = 32;

export type UdpSender = {
  /** Hands over bytes `start … end` of `bytes`, which stay untouched while they wait; false when refused. `address` is numeric. Never throws. */
  send(bytes: Buffer, place: UdpPlace): boolean;
  /** Refused by the full line or by the kernel, since the start. */
  readonly refusedCount: number;
};

export type UdpPlace = {
  readonly start: number;
  readonly end: number;
  readonly port: number;
  readonly address: string;
};

/** The fastest way this Node offers. `socket` is bound, stays its owner's, and looks addresses up within the call. */
export const openUdpSender = (socket: Socket): UdpSender => {
  const handle = handleOf(socket);
  const request = handle === undefined ? undefined : learnRequest(socket, handle);
  return handle === undefined || request === undefined
    ? new SocketSender(socket)
    : new HandleSender(handle, new (constructorOf(request))());
};

/** By the public interface. */
export class SocketSender implements UdpSender {
  readonly #socket: Socket;
  #sentCount = 0;
  #refusedCount = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get refusedCount(): number {
    return this.#refusedCount;
  }

  send(bytes: Buffer, { start, end, port, address }: UdpPlace): boolean {
    const socket = this.#socket;
    if (socket.getSendQueueCount() >= UDP_QUEUE_MAX_COUNT || socket.getSendQueueSize() > UDP_QUEUE_MAX_BYTES) {
      this.#refusedCount += 1;
      return false;
    }
    this.#sentCount += 1;
    // A callback costs a third of a send. Refusals of the kernel last (no route, no permission), so a sample finds them.
    if (this.#sentCount % CHECKED_SEND_EVERY === 0) {
      socket.send(bytes, start, end - start, port, address, this.#onSent);
    } else {
      socket.send(bytes, start, end - start, port, address);
    }
    return true;
  }

  readonly #onSent = (error: Error | null): void => {
    if (error !== null) {
      this.#refusedCount += 1;
    }
  };
}

/** What Node's own `send` hands its handle; the handle fills it in only when the datagram has to wait. */
type Request = { list?: readonly Uint8Array[]; oncomplete?: (status: number) => void };
type RequestConstructor = new () => Request;

/** Negative: an error of the kernel. 0: it waits, `oncomplete` follows. Else sent, bytes and one. */
type Handle = {
  send(request: Request, list: Uint8Array[], count: number, port: number, address: string, isTold: boolean): number;
};

class HandleSender implements UdpSender {
  readonly #handle: Handle;
  /** Used again until a datagram has to wait: then it belongs to that one. */
  #request: Request;
  #waitingCount = 0;
  #waitingBytes = 0;
  #refusedCount = 0;

  constructor(handle: Handle, request: Request) {
    this.#handle = handle;
    this.#request = request;
  }

  get refusedCount(): number {
    return this.#refusedCount;
  }

  send(bytes: Buffer, { start, end, port, address }: UdpPlace): boolean {
    if (this.#waitingCount >= UDP_QUEUE_MAX_COUNT || this.#waitingBytes > UDP_QUEUE_MAX_BYTES) {
      this.#refusedCount += 1;
      return false;
    }
    const list = [bytes.subarray(start, end)];
    const result = this.#handle.send(this.#request, list, 1, port, address, true);
    if (result === 0) {
      this.#letWait(list, end - start);
    } else if (result < 0) {
      this.#refusedCount += 1;
    }
    return result >= 0;
  }

  #letWait(list: readonly Uint8Array[], bytes: number): void {
    const request = this.#request;
    this.#waitingCount += 1;
    this.#waitingBytes += bytes;
    // The kernel reads it later: it must not be collected before.
    request.list = list;
    request.oncomplete = (status) => {
      this.#waitingCount -= 1;
      this.#waitingBytes -= bytes;
      this.#refusedCount += status < 0 ? 1 : 0;
    };
    this.#request = new (constructorOf(request))();
  }
}

const constructorOf = (request: Request): RequestConstructor => request.constructor as RequestConstructor;

/** Of the socket, once it is bound; undefined where Node does not show it. Whoever keeps it must copy it: the socket may be closed. */
export const descriptorOf = (socket: Socket): number | undefined => {
  const fd: unknown = Reflect.get(handleOf(socket) ?? {}, 'fd');
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
};

/** Its messages are read by somebody else from now on. False: this Node does not let us say so. */
export const stopReading = (socket: Socket): boolean => {
  const handle = handleOf(socket);
  const recvStop: unknown = Reflect.get(handle ?? {}, 'recvStop');
  return typeof recvStop === 'function' && Reflect.apply(recvStop, handle, []) === 0;
};

/** Undefined where Node keeps it elsewhere. (`socket._handle` is deprecated, with a warning.) */
const handleOf = (socket: Socket): Handle | undefined => {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const state: unknown = key === undefined ? undefined : Reflect.get(socket, key);
  const handle: unknown = isObject(state) ? state['handle'] : undefined;
  return isObject(handle) && typeof handle['send'] === 'function' ? (handle as Handle) : undefined;
};

/**
 * Lets the socket send one datagram into a stand-in, and returns the request it came with. Undefined when it does not call its handle
 * as we would, within the call: the handle ends the process over arguments it does not know.
 */
const learnRequest = (socket: Socket, handle: Handle): Request | undefined => {
  const own = Object.getOwnPropertyDescriptor(handle, 'send');
  let seen: unknown[] = [];
  const standIn = (...values: unknown[]): number => {
    seen = values;
    return 2;
  };
  Object.defineProperty(handle, 'send', { value: standIn, configurable: true, writable: true });
  try {
    const address = socket.address().family === 'IPv6' ? '::1' : '127.0.0.1';
    socket.send(Buffer.alloc(1), 0, 1, 9, address);
  } finally {
    if (own === undefined) {
      Reflect.deleteProperty(handle, 'send');
    } else {
      Object.defineProperty(handle, 'send', own);
    }
  }
  return isKnownCall(seen) ? seen[0] : undefined;
};

const isKnownCall = (seen: unknown[]): seen is [Request, ...unknown[]] => {
  const [request, list, count, port, address, isTold] = seen;
  return (
    seen.length === 6 &&
    isObject(request) &&
    request.constructor !== Object &&
    Array.isArray(list) &&
    list[0] instanceof Uint8Array &&
    count === 1 &&
    port === 9 &&
    typeof address === 'string' &&
    typeof isTold === 'boolean'
  );
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
