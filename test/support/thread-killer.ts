/** Ends a worker thread of another process, as a crash would: through Node's inspector, so that the server needs no door for it. Start it with `INSPECT_ARG`. */
import { WebSocket } from 'ws';
import type { SluiceProcess } from './sluice-process.ts';
import { withinValue } from './wait.ts';

export const INSPECT_ARG = '--inspect=127.0.0.1:0';

const SAYS_MAX_MS = 10_000;

type Reply = { readonly id?: number; readonly result?: { readonly [key: string]: unknown }; readonly error?: unknown };

/** `index`: of those that run, in the order of their starts. How many ran. */
export const killThread = async (sluice: SluiceProcess, index: number): Promise<number> => {
  const url = await withinValue(SAYS_MAX_MS, 'where its inspector listens', () =>
    sluice.logLines.map((line) => /ws:\/\/127\.0\.0\.1:\d+\/[0-9a-f-]+/u.exec(line)?.[0]).find((found) => found),
  );
  const socket = new WebSocket(url);
  const replies: Reply[] = [];
  socket.on('message', (text) => replies.push(JSON.parse((text as Buffer).toString('utf8')) as Reply));
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  let lastId = 0;
  const ask = async (method: string, parameters: object): Promise<NonNullable<Reply['result']>> => {
    lastId += 1;
    const id = lastId;
    socket.send(JSON.stringify({ id, method, params: parameters }));
    const reply = await withinValue(SAYS_MAX_MS, `the answer to ${method}`, () => replies.find((one) => one.id === id));
    if (reply.result === undefined) {
      throw new Error(`${method}: ${JSON.stringify(reply.error)}`);
    }
    return reply.result;
  };
  try {
    const expression = `process.getBuiltinModule('node:worker_threads').Worker.prototype`;
    const { result: prototype } = await ask('Runtime.evaluate', { expression });
    const { objectId: prototypeObjectId } = prototype as { objectId: string };
    const { objects } = await ask('Runtime.queryObjects', { prototypeObjectId });
    const { objectId } = objects as { objectId: string };
    const functionDeclaration = `function () {
      // Prototypes of its heirs are among them, and throw.
      const idOf = (one) => { try { return one.threadId; } catch { return -1; } };
      const running = this.filter((one) => idOf(one) > 0).sort((a, b) => idOf(a) - idOf(b));
      void running[${index}].terminate();
      return running.length;
    }`;
    const called = await ask('Runtime.callFunctionOn', {
      objectId,
      functionDeclaration,
      returnByValue: true,
    });
    return (called['result'] as { value: number }).value;
  } finally {
    socket.close();
  }
};
