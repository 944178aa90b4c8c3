/**
 * Answers over HTTP/2 that are not read. Node's own time-out of a stream does not fire while the connection is lively (it looks at the bytes of
 * the whole session), and what is not read stays in memory. So: a body has a time by its size, a streamed one must move.
 */
import { constants } from 'node:http2';
import { Transform, pipeline } from 'node:stream';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';

/** Slower than any line a picture could be watched on: whoever takes longer holds memory, not a viewer. */
export const RATE_MIN_BYTES_PER_S = 16_384;

/** To be called once, on a door of HTTP/2. An answer that makes no progress for `idleTimeoutMs` is cancelled; the connection stays. */
export const cancelStalledAnswers = (server: FastifyInstance, idleTimeoutMs: number): void => {
  server.addHook('onSend', (_request, reply, payload, done) => {
    const stream = streamOf(reply);
    if (stream === undefined) {
      done(null, payload);
      return;
    }
    const cancel = (): void => stream.close(constants.NGHTTP2_CANCEL);
    if (isReadable(payload)) {
      done(null, metered(payload, { reply, idleTimeoutMs, cancel }));
      return;
    }
    const sizeBytes = typeof payload === 'string' || payload instanceof Uint8Array ? payload.length : 0;
    const timer = setTimeout(cancel, idleTimeoutMs + (sizeBytes * 1000) / RATE_MIN_BYTES_PER_S).unref();
    reply.raw.once('close', () => clearTimeout(timer));
    done(null, payload);
  });
};

/** Passes `source` on, and looks now and then whether anything went through. */
const metered = (
  source: Readable,
  options: { reply: FastifyReply; idleTimeoutMs: number; cancel: () => void },
): Readable => {
  let hasMoved = true;
  const meter = new Transform({
    transform(chunk: unknown, _encoding, done) {
      hasMoved = true;
      done(null, chunk);
    },
  });
  const timer = setInterval(() => {
    if (!hasMoved) {
      options.cancel();
    }
    hasMoved = false;
  }, options.idleTimeoutMs).unref();
  options.reply.raw.once('close', () => clearInterval(timer));
  // A source that fails destroys the meter, and with it the answer: nobody takes half of it for the whole.
  pipeline(source, meter, () => undefined);
  return meter;
};

type Cancellable = { close(code: number): void };

/** The HTTP/2 stream below an answer; undefined where it goes over HTTP/1.1. */
const streamOf = (reply: FastifyReply): Cancellable | undefined => (reply.raw as { stream?: Cancellable }).stream;

const isReadable = (payload: unknown): payload is Readable =>
  typeof payload === 'object' && payload !== null && 'pipe' in payload && typeof payload.pipe === 'function';
