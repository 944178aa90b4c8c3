// Answers in pieces, over a real socket: all of it arrives, nothing is read ahead of a slow peer, and one that leaves ends the source.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { HttpAnswer } from '../../../server/base/http-exchange.ts';
import { withApiServer } from '../../support/api-server.ts';
import { within } from '../../support/wait.ts';

const BLOCK_BYTES = 65_536;

/** So many blocks; counts what was taken, and whether its end was reached or told. */
const source = (blockCount: number): { answer: () => HttpAnswer; taken: () => number; isOver: () => boolean } => {
  let takenCount = 0;
  let isOver = false;
  async function* blocks(): AsyncGenerator<Uint8Array> {
    try {
      for (let index = 0; index < blockCount; index += 1) {
        takenCount += 1;
        yield new Uint8Array(BLOCK_BYTES).fill(index);
      }
    } finally {
      isOver = true;
    }
  }
  const headers = { 'content-type': 'video/mp4', 'content-length': String(blockCount * BLOCK_BYTES) };
  return {
    answer: () => ({ status: 200, headers, stream: blocks() }),
    taken: () => takenCount,
    isOver: () => isOver,
  };
};

test('a streamed answer arrives whole, with its length', async () => {
  const { answer, isOver } = source(20);
  await withApiServer(
    async ({ url }) => {
      const response = await fetch(`${url}/pieces/a`);
      assert.equal(response.headers.get('content-length'), String(20 * BLOCK_BYTES));
      const bytes = new Uint8Array(await response.arrayBuffer());
      assert.equal(bytes.byteLength, 20 * BLOCK_BYTES);
      assert.equal(bytes.at(-1), 19);
      await within(2_000, 'the source has ended', isOver);
    },
    () => ({ endpoints: { '/pieces': async () => answer() } }),
  );
});

test('a peer that does not read is not read ahead for, and one that leaves ends the source', async () => {
  const { answer, taken, isOver } = source(4_000);
  await withApiServer(
    async ({ url }) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.pause();
      socket.write('GET /pieces/a HTTP/1.1\r\nhost: x\r\n\r\n');
      let before = -1;
      // Sockets hold a few megabytes; then it stands still.
      await within(10_000, 'the source stands still', async () => {
        const now = taken();
        const isStill = now > 0 && now === before;
        before = now;
        await new Promise((resolve) => setTimeout(resolve, 150));
        return isStill;
      });
      assert.ok(taken() < 1_000, `${taken()} blocks were taken for a peer that reads nothing`);
      assert.ok(!isOver());
      socket.destroy();
      await within(5_000, 'the source has ended', isOver);
    },
    () => ({ endpoints: { '/pieces': async () => answer() } }),
  );
});

test('a source that fails cuts the answer off: nobody takes half for the whole', async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10);
    throw new Error('the disk is gone');
  }
  const headers = { 'content-length': '1000' };
  await withApiServer(
    async ({ url }) => {
      await assert.rejects(async () => (await fetch(`${url}/pieces/a`)).arrayBuffer());
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
    },
    () => ({ endpoints: { '/pieces': async () => ({ status: 200, headers, stream: failing() }) } }),
  );
});
