/**
 * The socket to `/ws/NAME`: the server's state, its clock and its hints come in, quality reports go out. It comes back by itself,
 * with capped and jittered pauses, for as long as it is not closed.
 */
import type { ClientMessage, QualityReport, ServerMessage } from '../../server/api/contract/socket.ts';
import type { PlayerClock } from '../clock.ts';
import type { PingExchange } from '../playout/server-clock.ts';
import { Backoff, jitterRatio } from './backoff.ts';

export type WatchSocketOptions = {
  readonly url: string;
  readonly clock: PlayerClock;
  onMessage(message: Exclude<ServerMessage, { type: 'pong' }>): void;
  onExchange(exchange: PingExchange): void;
  /** It can be written to. */
  onOpen(): void;
  /** The socket was lost or could not be opened. Said for each attempt. */
  onLost(): void;
};

const PING_EVERY_MS = 2000;
/** The first pings come quickly, so that latency can be shown soon. */
const PING_FIRST_EVERY_MS = 150;
const PING_FIRST_COUNT = 5;
const SILENCE_MAX_MS = 7000;
const OPEN_MAX_MS = 5000;
/** All cues at once are the longest: 48 kB, unless the server is configured to more. */
const MESSAGE_MAX_CHARS = 1_000_000;

export class WatchSocket {
  readonly #options: WatchSocketOptions;
  readonly #backoff = new Backoff({ minMs: 500, maxMs: 8000 });
  #url: string;
  #socket: WebSocket | undefined;
  #heardAtMs = 0;
  #openedAtMs = 0;
  #pingId = 0;
  #pingCount = 0;
  #pingSentAtMs = new Map<number, number>();
  #pingDueAtMs = 0;
  #reconnectAtMs: number | null = 0;
  #closed = false;

  constructor(options: WatchSocketOptions) {
    this.#options = options;
    this.#url = options.url;
  }

  /** Goes over to another address (a session's own socket) at once. Losing the old one is not reported. */
  retarget(url: string): void {
    if (url !== this.#url || this.#socket === undefined) {
      this.#url = url;
      this.#connect();
    }
  }

  /** The address of the next attempt; an open socket stays. */
  readdress(url: string): void {
    this.#url = url;
  }

  /** Drops the report when the socket is not open: the next one says all that this one did. */
  report(report: QualityReport): void {
    this.#send({ type: 'report', report });
  }

  /** The rendition this viewer wants over WebRTC. Dropped when the socket is not open: to be said again by `onOpen`. */
  watch(rendition: string): void {
    this.#send({ type: 'watch', rendition });
  }

  /** Pings, reconnects, notices silence. To be called several times a second. */
  tick(): void {
    const nowMs = this.#options.clock.nowMs();
    if (this.#closed) {
      return;
    }
    if (this.#socket === undefined) {
      if (this.#reconnectAtMs !== null && nowMs >= this.#reconnectAtMs) {
        this.#connect();
      }
      return;
    }
    const opening = this.#socket.readyState === WebSocket.CONNECTING;
    if (opening ? nowMs - this.#openedAtMs > OPEN_MAX_MS : nowMs - this.#heardAtMs > SILENCE_MAX_MS) {
      this.#lose(this.#socket);
    } else if (!opening && nowMs >= this.#pingDueAtMs) {
      this.#ping(nowMs);
    }
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #connect(): void {
    this.#drop();
    const nowMs = this.#options.clock.nowMs();
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#openedAtMs = nowMs;
    this.#heardAtMs = nowMs;
    this.#pingCount = 0;
    this.#pingDueAtMs = 0;
    this.#pingSentAtMs.clear();
    socket.addEventListener('open', () => this.#onOpen(socket));
    socket.addEventListener('message', ({ data }) => this.#onMessage(socket, data));
    socket.addEventListener('close', () => this.#lose(socket));
  }

  #onOpen(socket: WebSocket): void {
    if (socket === this.#socket) {
      this.#heardAtMs = this.#options.clock.nowMs();
      this.#options.onOpen();
      this.tick();
    }
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#reconnectAtMs = null;
    socket?.close();
  }

  #lose(socket: WebSocket): void {
    if (socket !== this.#socket) {
      return;
    }
    this.#drop();
    this.#reconnectAtMs = this.#options.clock.nowMs() + this.#backoff.nextMs(jitterRatio());
    this.#options.onLost();
  }

  #onMessage(socket: WebSocket, data: unknown): void {
    if (socket !== this.#socket) {
      return;
    }
    this.#heardAtMs = this.#options.clock.nowMs();
    const message = parseServerMessage(data);
    if (message === null) {
      return;
    }
    this.#backoff.reset();
    if (message.type === 'pong') {
      this.#onPong(message.id, message.serverWallMs);
    } else {
      this.#options.onMessage(message);
    }
  }

  #onPong(id: number, serverWallMs: number): void {
    const sentAtMs = this.#pingSentAtMs.get(id);
    if (sentAtMs !== undefined) {
      this.#pingSentAtMs.delete(id);
      this.#options.onExchange({ sentAtMs, receivedAtMs: this.#heardAtMs, serverWallMs });
    }
  }

  #ping(nowMs: number): void {
    this.#pingId += 1;
    this.#pingCount += 1;
    this.#pingDueAtMs = nowMs + (this.#pingCount < PING_FIRST_COUNT ? PING_FIRST_EVERY_MS : PING_EVERY_MS);
    const [oldestId] = this.#pingSentAtMs.keys();
    if (this.#pingSentAtMs.size >= 8 && oldestId !== undefined) {
      this.#pingSentAtMs.delete(oldestId);
    }
    this.#pingSentAtMs.set(this.#pingId, nowMs);
    this.#send({ type: 'ping', id: this.#pingId });
  }

  #send(message: ClientMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }
}

const TYPES: readonly string[] = [
  ...(['state', 'pong', 'rtp-mapping', 'renditions', 'hints', 'closing'] satisfies ServerMessage['type'][]),
  ...(['cues', 'cue-mark', 'cue', 'cue-withdrawn'] satisfies ServerMessage['type'][]),
];

/** The server is ours; this only keeps a newer server's messages, and a stranger's, from being misread. */
export const parseServerMessage = (data: unknown): ServerMessage | null => {
  if (typeof data !== 'string' || data.length > MESSAGE_MAX_CHARS) {
    return null;
  }
  try {
    const message: unknown = JSON.parse(data);
    const isKnown =
      typeof message === 'object' && message !== null && 'type' in message && TYPES.includes(String(message.type));
    return isKnown ? (message as ServerMessage) : null;
  } catch {
    return null;
  }
};
