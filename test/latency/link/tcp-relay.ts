/**
 * TCP through the link: a listener on loopback; each connection it takes becomes a modelled one (`virtual-tcp.ts`) to whatever `connect`
 * opens at the far side. Set-up costs a round trip; ends and resets are handed on.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Fifo } from './fifo.ts';
import type { Direction, LinkPump } from './link-pump.ts';
import { TCP_HEADER_BYTES, VirtualTcp, type Acknowledgement, type Transmission } from './virtual-tcp.ts';

/** Opens the far side; resolves when it is connected. */
export type Connect = () => Promise<Duplex>;

const CONNECTION_MAX_COUNT = 2_000;
/** What is read ahead of the window; the rest waits in the kernel, and so in the sender. */
const UNSENT_MAX_BYTES = 32_768;
/** With its usual options. */
const SYN_BYTES = 60;
const SYN_RETRY_MS = 1_000;
const SYN_MAX_COUNT = 6;

export class TcpRelay {
  readonly port: number;
  readonly #server: Server;
  readonly #connections = new Set<TcpConnection>();
  #connectionCount = 0;
  #endedRetransmissionCount = 0;
  #endedTimeoutCount = 0;

  private constructor(server: Server, connect: Connect, pump: LinkPump) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (near: Socket) => {
      if (this.#connections.size >= CONNECTION_MAX_COUNT) {
        near.destroy();
        return;
      }
      this.#connectionCount += 1;
      const connection = new TcpConnection(near, connect, pump);
      this.#connections.add(connection);
      near.once('close', () => {
        this.#connections.delete(connection);
        this.#endedRetransmissionCount += connection.retransmissionCount;
        this.#endedTimeoutCount += connection.timeoutCount;
      });
    });
  }

  static async open(connect: Connect, pump: LinkPump): Promise<TcpRelay> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpRelay(server, connect, pump);
  }

  get connectionCount(): number {
    return this.#connectionCount;
  }

  get openCount(): number {
    return this.#connections.size;
  }

  get retransmissionCount(): number {
    return sum(this.#connections, 'retransmissionCount') + this.#endedRetransmissionCount;
  }

  get timeoutCount(): number {
    return sum(this.#connections, 'timeoutCount') + this.#endedTimeoutCount;
  }

  close(): void {
    this.#server.close();
    for (const connection of this.#connections) {
      connection.close();
    }
  }
}

const sum = (connections: Iterable<TcpConnection>, key: 'retransmissionCount' | 'timeoutCount'): number =>
  [...connections].reduce((total, connection) => total + connection[key], 0);

/** A viewer's connection, from its SYN on. */
class TcpConnection {
  readonly #near: Socket;
  readonly #connect: Connect;
  readonly #pump: LinkPump;
  readonly #up: TcpPath;
  readonly #down: TcpPath;
  #far: Promise<Duplex> | undefined;
  #openFar: Duplex | undefined;
  #isUp = false;
  #isClosed = false;
  #synTimer: NodeJS.Timeout | undefined;

  constructor(near: Socket, connect: Connect, pump: LinkPump) {
    this.#near = near;
    this.#connect = connect;
    this.#pump = pump;
    this.#up = new TcpPath('up', pump);
    this.#down = new TcpPath('down', pump);
    near.on('error', () => this.close());
    near.on('close', () => this.close());
    this.#sendSyn(1);
  }

  get retransmissionCount(): number {
    return this.#up.tcp.retransmissionCount + this.#down.tcp.retransmissionCount;
  }

  get timeoutCount(): number {
    return this.#up.tcp.timeoutCount + this.#down.tcp.timeoutCount;
  }

  /** Resets both sides. */
  close(): void {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    clearTimeout(this.#synTimer);
    this.#up.close();
    this.#down.close();
    this.#near.destroy();
    this.#openFar?.destroy();
  }

  #sendSyn(attempt: number): void {
    if (attempt > SYN_MAX_COUNT) {
      this.close();
      return;
    }
    this.#pump.send('up', SYN_BYTES, () => this.#onSyn());
    this.#synTimer = setTimeout(() => this.#sendSyn(attempt + 1), SYN_RETRY_MS * 2 ** (attempt - 1));
  }

  #onSyn(): void {
    if (this.#isClosed) {
      return;
    }
    this.#far ??= this.#openFarSide();
    this.#far.then(
      () => this.#pump.send('down', SYN_BYTES, () => this.#onSynAck()),
      () => this.close(),
    );
  }

  async #openFarSide(): Promise<Duplex> {
    const far = await this.#connect();
    if (this.#isClosed) {
      far.destroy();
      return far;
    }
    this.#openFar = far;
    far.on('error', () => this.close());
    // An orderly end is followed by `close` too; what is still under way then must arrive.
    far.on('close', () => {
      if (!far.readableEnded) {
        this.close();
      }
    });
    this.#down.start(far, this.#near);
    return far;
  }

  #onSynAck(): void {
    if (this.#isUp || this.#isClosed || this.#openFar === undefined) {
      return;
    }
    this.#isUp = true;
    clearTimeout(this.#synTimer);
    this.#up.start(this.#near, this.#openFar);
  }
}

/** One direction: bytes of `source` wait here, in order, until the model has delivered them to `sink`. */
class TcpPath {
  readonly tcp = new VirtualTcp();
  readonly #direction: Direction;
  readonly #pump: LinkPump;
  readonly #chunks = new Fifo<Buffer>();
  #source: Duplex | undefined;
  #sink: Duplex | undefined;
  #hasEnded = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Infinity;

  constructor(direction: Direction, pump: LinkPump) {
    this.#direction = direction;
    this.#pump = pump;
  }

  start(source: Duplex, sink: Duplex): void {
    this.#source = source;
    this.#sink = sink;
    source.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.tcp.write(chunk.length, this.#pump.nowMs);
      this.#flush();
    });
    source.on('end', () => {
      this.#hasEnded = true;
      this.#finish();
    });
    sink.on('drain', () => this.#acknowledge(this.tcp.onRead(sink.writableLength)));
    source.resume();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#chunks.clear();
  }

  #flush(): void {
    if (this.#isClosed) {
      return;
    }
    const nowMs = this.#pump.nowMs;
    for (let next = this.tcp.transmit(nowMs); next !== undefined; next = this.tcp.transmit(nowMs)) {
      this.#send(next);
    }
    const { unsentBytes } = this.tcp;
    if (unsentBytes > UNSENT_MAX_BYTES) {
      this.#source?.pause();
    } else if (unsentBytes < UNSENT_MAX_BYTES / 2 && this.#source?.isPaused() === true) {
      this.#source.resume();
    }
    this.#arm(nowMs);
  }

  #send(transmission: Transmission): void {
    this.#pump.send(this.#direction, transmission.segment.bytes + TCP_HEADER_BYTES, () =>
      this.#onArrival(transmission),
    );
  }

  #onArrival(transmission: Transmission): void {
    const sink = this.#sink;
    if (this.#isClosed || sink === undefined) {
      return;
    }
    const { inOrderBytes, ack } = this.tcp.onSegment(transmission, sink.writableLength);
    this.#deliver(inOrderBytes, sink);
    this.#acknowledge(ack);
    this.#finish();
  }

  #acknowledge(ack: Acknowledgement | undefined): void {
    if (ack === undefined || this.#isClosed) {
      return;
    }
    this.#pump.send(this.#direction === 'down' ? 'up' : 'down', TCP_HEADER_BYTES, (nowMs) => {
      this.tcp.onAck(ack, nowMs);
      this.#flush();
    });
  }

  #deliver(bytes: number, sink: Duplex): void {
    let leftBytes = bytes;
    while (leftBytes > 0) {
      const chunk = this.#chunks.first;
      if (chunk === undefined) {
        throw new Error(`${leftBytes} bytes arrived that nobody sent`);
      }
      const part = chunk.subarray(0, leftBytes);
      leftBytes -= part.length;
      if (part.length === chunk.length) {
        this.#chunks.shift();
      } else {
        this.#chunks.replaceFirst(chunk.subarray(part.length));
      }
      if (!sink.destroyed) {
        sink.write(part);
      }
    }
  }

  #finish(): void {
    if (this.#hasEnded && this.#chunks.length === 0 && this.#sink?.writableEnded === false) {
      this.#sink.end();
    }
  }

  #arm(nowMs: number): void {
    const { nextAtMs } = this.tcp;
    if (nextAtMs === Infinity || nextAtMs >= this.#timerAtMs) {
      return;
    }
    clearTimeout(this.#timer);
    this.#timerAtMs = nextAtMs;
    this.#timer = setTimeout(() => this.#onTimer(), Math.max(1, nextAtMs - nowMs));
  }

  #onTimer(): void {
    this.#timerAtMs = Infinity;
    const transmission = this.tcp.onTimer(this.#pump.nowMs);
    if (transmission !== undefined) {
      this.#send(transmission);
    }
    this.#flush();
  }
}
