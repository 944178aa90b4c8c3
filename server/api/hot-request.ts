/** What the short ways of both protocols share: which requests they take, and the light parts of an `HttpRequest` that are made thousands of times a second. */
import { messageOf } from '../base/errors.ts';
import type { HttpAnswer, HttpEndpoint, HttpRequest, PeerSignal } from '../base/http-exchange.ts';
import type { Log } from '../observability/log.ts';

export type HotRoute = {
  readonly method: 'GET' | 'POST';
  /** What its paths begin with, slash included: `/hls/`. */
  readonly prefix: string;
  /** How they go on; anything, where there is none. */
  readonly form?: RegExp;
  readonly endpoint: HttpEndpoint;
};

/** Percent-encoding and odd characters are the router's to judge. */
const PLAIN_PATH = /^[\w./~-]+$/;
const QUERY_MAX_COUNT = 64;
const QUERY_MAX_CHARS = 256;

/** Path and query of a request target; undefined when it is not this route's. */
export class HotTargets {
  /** Who waits for the same part asks with the same words. */
  readonly #queries = new Map<string, URLSearchParams>();

  read(route: HotRoute, target: string): Pick<HttpRequest, 'path' | 'query'> | undefined {
    const queryAt = target.indexOf('?');
    const path = queryAt < 0 ? target : target.slice(0, queryAt);
    if (!PLAIN_PATH.test(path) || route.form?.test(path) === false) {
      return undefined;
    }
    return { path, query: this.#query(queryAt < 0 ? '' : target.slice(queryAt + 1)) };
  }

  #query(search: string): URLSearchParams {
    const known = this.#queries.get(search);
    if (known !== undefined) {
      return known;
    }
    const query = new URLSearchParams(search);
    if (search.length <= QUERY_MAX_CHARS) {
      if (this.#queries.size >= QUERY_MAX_COUNT) {
        this.#queries.clear();
      }
      this.#queries.set(search, query);
    }
    return query;
  }
}

/** A tenth of an AbortSignal's cost and memory: each request that waits has one. */
export class PeerGone implements PeerSignal {
  readonly #listeners: (() => void)[] = [];
  #isAborted = false;

  get aborted(): boolean {
    return this.#isAborted;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const index = this.#listeners.indexOf(listener);
    if (index >= 0) {
      this.#listeners.splice(index, 1);
    }
  }

  abort(): void {
    this.#isAborted = true;
    this.#listeners.splice(0).forEach((listener) => listener());
  }
}

/** Hands the answer to `send`, at once where it is there at once. A failure of the endpoint is logged, and answered 500. */
export const answerHot = (
  { route, request }: { route: HotRoute; request: HttpRequest },
  { log, send }: { log: Log; send: (answer: HttpAnswer) => void },
): void => {
  const failed = (error: unknown): HttpAnswer => {
    log.error('http.endpoint.failed', { path: route.prefix, error: messageOf(error) });
    return { status: 500, headers: { 'content-type': 'application/json' }, body: '{"error":"INTERNAL"}' };
  };
  let answer: HttpAnswer | Promise<HttpAnswer>;
  try {
    answer = route.endpoint(request);
  } catch (error) {
    answer = failed(error);
  }
  if (answer instanceof Promise) {
    answer.then(send, (error: unknown) => send(failed(error)));
  } else {
    send(answer);
  }
};
