/**
 * UDP through the link: one front port on loopback stands for one address of a server; each viewer's address that shows up there gets
 * a socket of its own towards the server, so that the server tells viewers apart as it would on a network.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { LinkPump } from './link-pump.ts';

export type UdpTarget = { readonly address: string; readonly port: number };

/** IPv4 and UDP headers. */
const HEADER_BYTES = 28;
const FLOW_MAX_COUNT = 2_000;
const IDLE_MAX_MS = 120_000;
const RECEIVE_BUFFER_BYTES = 4_000_000;

type Flow = { readonly back: Socket; usedAtMs: number };

export class UdpRelay {
  readonly port: number;
  readonly #front: Socket;
  readonly #target: UdpTarget;
  readonly #pump: LinkPump;
  readonly #flows = new Map<string, Flow>();
  #usedAtMs: number;
  #flowCount = 0;
  #refusedCount = 0;

  private constructor(front: Socket, target: UdpTarget, pump: LinkPump) {
    this.#front = front;
    this.port = front.address().port;
    this.#target = target;
    this.#pump = pump;
    this.#usedAtMs = pump.nowMs;
    front.on('message', (datagram, from) => this.#onViewer(datagram, from));
    front.on('error', () => {
      this.#refusedCount += 1;
    });
  }

  static async open(target: UdpTarget, pump: LinkPump): Promise<UdpRelay> {
    const front = createSocket('udp4');
    front.bind(0, '127.0.0.1');
    await once(front, 'listening');
    front.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
    return new UdpRelay(front, target, pump);
  }

  /** Viewers' addresses seen so far. */
  get flowCount(): number {
    return this.#flowCount;
  }

  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** Ends flows nobody uses any more; true when the whole relay is idle. */
  sweep(nowMs: number): boolean {
    for (const [key, flow] of this.#flows) {
      if (nowMs - flow.usedAtMs > IDLE_MAX_MS) {
        flow.back.close();
        this.#flows.delete(key);
      }
    }
    return this.#flows.size === 0 && nowMs - this.#usedAtMs > IDLE_MAX_MS;
  }

  close(): void {
    this.#front.removeAllListeners('message').close();
    for (const { back } of this.#flows.values()) {
      back.removeAllListeners('message').close();
    }
    this.#flows.clear();
  }

  #onViewer(datagram: Buffer, from: RemoteInfo): void {
    const key = `${from.address}:${from.port}`;
    const flow = this.#flows.get(key) ?? this.#openFlow(key, from);
    if (flow === undefined) {
      this.#refusedCount += 1;
      return;
    }
    flow.usedAtMs = this.#pump.nowMs;
    this.#usedAtMs = flow.usedAtMs;
    this.#pump.send('up', datagram.length + HEADER_BYTES, () => this.#forward(flow.back, datagram, this.#target));
  }

  #openFlow(key: string, viewer: RemoteInfo): Flow | undefined {
    if (this.#flows.size >= FLOW_MAX_COUNT) {
      return undefined;
    }
    const { address, port } = this.#target;
    const back = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const flow: Flow = { back, usedAtMs: this.#pump.nowMs };
    this.#flows.set(key, flow);
    this.#flowCount += 1;
    back.on('message', (datagram, from) => {
      if (from.port !== port) {
        this.#refusedCount += 1;
        return;
      }
      flow.usedAtMs = this.#pump.nowMs;
      this.#pump.send('down', datagram.length + HEADER_BYTES, () => this.#forward(this.#front, datagram, viewer));
    });
    back.on('error', () => {
      this.#refusedCount += 1;
    });
    back.on('listening', () => back.setRecvBufferSize(RECEIVE_BUFFER_BYTES));
    return flow;
  }

  /** A flow that has ended meanwhile swallows what still arrives. */
  #forward(socket: Socket, datagram: Buffer, to: UdpTarget): void {
    try {
      socket.send(datagram, to.port, to.address, (error) => {
        if (error !== null) {
          this.#refusedCount += 1;
        }
      });
    } catch {
      this.#refusedCount += 1;
    }
  }
}
