/** A UDP socket of loopback that listens, until its test is over. */
import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';

/** Enough for all that a test sends before it reads. */
const RECEIVE_BUFFER_BYTES = 4_194_304;

export const boundSocket = async (t: TestContext, address = '127.0.0.1'): Promise<Socket> => {
  const family = address.includes(':') ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    recvBufferSize: RECEIVE_BUFFER_BYTES,
    lookup: (hostname, _options, callback) => callback(null, hostname, family),
  });
  // Looked up within the call, it may listen before `bind` returns.
  const listening = once(socket, 'listening');
  socket.bind(0, address);
  await listening;
  t.after(() => socket.close());
  return socket;
};
