/** A thread's side of HTTP: requests that come as messages, answers that go as such; a stream is pulled piece by piece, so that who does not read holds nothing. */
import type { HttpEndpoint } from '../base/http-exchange.ts';
import type { AnswerMessage, RequestMessage } from './thread-messages.ts';

export class RequestDoor {
  readonly #endpoint: HttpEndpoint;
  readonly #aborters = new Map<number, AbortController>();
  readonly #streams = new Map<number, AsyncIterator<Uint8Array>>();
  #lastStreamId = 0;

  constructor(endpoint: HttpEndpoint) {
    this.#endpoint = endpoint;
  }

  async answer(request: RequestMessage, callId: number): Promise<AnswerMessage> {
    const { query, ...rest } = request;
    const aborter = new AbortController();
    this.#aborters.set(callId, aborter);
    try {
      const answer = await this.#endpoint({ ...rest, query: new URLSearchParams(query), signal: aborter.signal });
      const { status, headers, body, stream } = answer;
      return { status, headers, body, streamId: stream === undefined ? undefined : this.#open(stream) };
    } finally {
      this.#aborters.delete(callId);
    }
  }

  abort(callId: number): void {
    this.#aborters.get(callId)?.abort();
  }

  /** Undefined: it has ended. */
  async pull(streamId: number): Promise<Uint8Array | undefined> {
    const next = await this.#streams.get(streamId)?.next();
    if (next === undefined || next.done === true) {
      this.#streams.delete(streamId);
      return undefined;
    }
    return new Uint8Array(next.value);
  }

  async leave(streamId: number): Promise<undefined> {
    const stream = this.#streams.get(streamId);
    this.#streams.delete(streamId);
    await stream?.return?.();
    return undefined;
  }

  #open(stream: AsyncIterable<Uint8Array>): number {
    this.#lastStreamId += 1;
    this.#streams.set(this.#lastStreamId, stream[Symbol.asyncIterator]());
    return this.#lastStreamId;
  }
}
