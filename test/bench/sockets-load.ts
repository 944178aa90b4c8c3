/**
 * Viewers' sockets as a process of its own: `node test/bench/sockets-load.ts JSON`. Prints `{"ready":true}` when all are open; for each line on its input one
 * line with how late what came since then was. What it reads of a message is the `"at":` in it, Unix time in ms.
 */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { DelayHistogram } from '../support/delay-histogram.ts';

export type SocketsLoadOptions = {
  readonly port: number;
  readonly count: number;
  /** Of these addresses they come in turn: one has ports for 28,000. */
  readonly localAddresses: readonly string[];
  /** They open, speak as players do, and never read. */
  readonly isSlow: boolean;
};

export type SocketsLoadReport = {
  /** Messages that came in all. */
  readonly messageCount: number;
  readonly latenessMs: readonly number[];
  readonly openCount: number;
  readonly closedCount: number;
};

const options = JSON.parse(process.argv[2] ?? '{}') as SocketsLoadOptions;
const BATCH_COUNT = 100;
const wallMs = (): number => performance.timeOrigin + performance.now();
const UPGRADE = [
  'GET /ws/crowd HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

let histogram = new DelayHistogram();
const tally = { messageCount: 0, openCount: 0, closedCount: 0 };

const onMessage = (payload: Buffer, nowWallMs: number): void => {
  const at = /"at":([\d.]+)/.exec(payload.toString('latin1', 0, Math.min(80, payload.byteLength)))?.[1];
  if (at !== undefined) {
    tally.messageCount += 1;
    histogram.add(nowWallMs - Number(at));
  }
};

const PING = 0x89;
/** Masked with nothing. */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

const SPEECH = Buffer.concat([Buffer.from([0x81, 0x80 | 22, 0, 0, 0, 0]), Buffer.from('{"type":"ping","id":1}')]);
const SPEAK_EVERY_MS = 2_000;

/** Takes whole frames off the front; returns the rest. */
const readFrames = (bytes: Buffer, nowWallMs: number, onPing: () => void): Buffer => {
  let offset = 0;
  while (bytes.byteLength - offset >= 2) {
    const short = (bytes[offset + 1] ?? 0) & 0x7f;
    const headBytes = short === 126 ? 4 : 2;
    if (bytes.byteLength - offset < headBytes) {
      break;
    }
    const end = offset + headBytes + (short === 126 ? bytes.readUInt16BE(offset + 2) : short);
    if (bytes.byteLength < end) {
      break;
    }
    if (bytes[offset] === PING) {
      onPing();
    } else {
      onMessage(bytes.subarray(offset + headBytes, end), nowWallMs);
    }
    offset = end;
  }
  return bytes.subarray(offset);
};

const open = async (index: number): Promise<void> => {
  const localAddress = options.localAddresses[index % options.localAddresses.length] ?? '127.0.0.1';
  const socket: Socket = connect({ port: options.port, host: '127.0.0.1', localAddress });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.write(UPGRADE);
    socket.once('data', (head: Buffer) => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      tally.openCount += 1;
      const end = head.indexOf('\r\n\r\n') + 4;
      const onPing = (): void => void socket.write(PONG);
      let rest = options.isSlow ? head : readFrames(head.subarray(end), wallMs(), onPing);
      if (options.isSlow) {
        socket.pause();
        setInterval(() => socket.write(SPEECH), SPEAK_EVERY_MS);
      } else {
        socket.on('data', (bytes: Buffer) => {
          rest = readFrames(rest.byteLength === 0 ? bytes : Buffer.concat([rest, bytes]), wallMs(), onPing);
        });
      }
      resolve();
    });
  });
  socket.once('close', () => (tally.closedCount += 1));
};

for (let index = 0; index < options.count; index += BATCH_COUNT) {
  const batch = Array.from({ length: Math.min(BATCH_COUNT, options.count - index) }, (_, each) => open(index + each));
  await Promise.all(batch);
}
console.log(JSON.stringify({ ready: true }));
createInterface({ input: process.stdin })
  .on('line', () => {
    console.log(JSON.stringify({ ...tally, latenessMs: histogram.buckets } satisfies SocketsLoadReport));
    histogram = new DelayHistogram();
    tally.messageCount = 0;
  })
  .on('close', () => process.exit(0));
