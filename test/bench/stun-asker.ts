/** A thread that asks a session's port for consent every few ms, as a viewer's browser does, and tells how long each answer took: media-threads.ts starts it. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { parentPort, workerData } from 'node:worker_threads';
import { buildBindingRequest, parseStun } from '../../server/webrtc-transport/stun.ts';

export type StunAskerOrder = { port: number; username: string; password: string; count: number; everyMs: number };

const { port, username, password, count, everyMs } = workerData as StunAskerOrder;
const sentAtMs = new Map<string, number>();
const answeredMs: number[] = [];
const socket = createSocket('udp4');
socket.on('message', (datagram) => {
  const id = Buffer.from(parseStun(datagram).transactionId).toString('hex');
  const atMs = sentAtMs.get(id);
  if (atMs !== undefined) {
    answeredMs.push(performance.now() - atMs);
  }
});
for (let index = 0; index < count; index += 1) {
  const transactionId = randomBytes(12);
  sentAtMs.set(transactionId.toString('hex'), performance.now());
  socket.send(buildBindingRequest({ transactionId, username, password, hasUseCandidate: true }), port, '127.0.0.1');
  await new Promise((resolve) => {
    setTimeout(resolve, everyMs);
  });
}
socket.close();
parentPort?.postMessage({ answeredMs }, []);
