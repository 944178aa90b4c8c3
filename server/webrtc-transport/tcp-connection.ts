/** One ICE-TCP connection (RFC 6544, passive): framing, a bounded output, and an end for those who never prove who they are. */
import type { Socket } from 'node:net';
import type { Path } from './path.ts';
import { StreamDeframer, frameDatagram } from './stream-framing.ts';

export type TcpConnectionOptions = {
  /** Bytes queued beyond what the kernel took before datagrams are refused. */
  readonly outputMaxBytes: number;
  /** To prove by STUN that a session is behind it. */
  readonly identifyMaxMs: number;
};

export class TcpConnection {
  readonly path: Path;
  readonly #socket: Socket;
  readonly #identifyTimer: NodeJS.Timeout;

  constructor(options: {
    socket: Socket;
    limits: TcpConnectionOptions;
    onDatagram: (datagram: Buffer, connection: TcpConnection) => void;
    onClosed: (connection: TcpConnection) => void;
  }) {
    const { socket, limits } = options;
    this.#socket = socket;
    this.#identifyTimer = setTimeout(() => socket.destroy(), limits.identifyMaxMs);
    this.path = pathOf(socket, limits.outputMaxBytes);
    const deframer = new StreamDeframer();
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      try {
        for (const datagram of deframer.push(bytes)) {
          options.onDatagram(datagram, this);
        }
      } catch {
        // Only the framing throws, and after a wrong length nothing on this connection makes sense.
        socket.destroy();
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(this.#identifyTimer);
      options.onClosed(this);
    });
  }

  /** A session is behind it: it may stay. */
  identify(): void {
    clearTimeout(this.#identifyTimer);
  }

  close(): void {
    this.#socket.destroy();
  }
}

const pathOf = (socket: Socket, outputMaxBytes: number): Path => {
  const address = socket.remoteAddress ?? '0.0.0.0';
  const port = socket.remotePort ?? 0;
  return {
    key: `tcp ${address} ${port}`,
    kind: 'tcp',
    address,
    port,
    send: (bytes, start, end) => {
      if (socket.destroyed || socket.writableLength > outputMaxBytes) {
        return false;
      }
      socket.write(frameDatagram(bytes.subarray(start, end)));
      return true;
    },
    get isCongested() {
      return socket.writableLength > outputMaxBytes / 2;
    },
    close: () => socket.end(),
  };
};
