/**
 * HTTP without a framework: what an endpoint is asked and what it answers. Endpoints (WHEP, LL-HLS) are plain functions of
 * these; `api/` binds them to sockets, so they can be tested without one.
 */
export type HttpRequest = {
  /** Upper case. */
  readonly method: string;
  /** Percent-decoded, without query, from the root: `/whep/demo`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case; repeated ones joined with `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Empty when there is none. Capped by the server before it gets here. */
  readonly body: Uint8Array;
  /** The peer, after trusted proxies were looked through. */
  readonly remoteAddress: string;
  /** Aborted when the peer went away. */
  readonly signal: PeerSignal;
};

/** What endpoints need of an `AbortSignal`, which is one: where thousands wait at once, a lighter one takes its place. */
export type PeerSignal = {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options: { once: true }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
};

export type HttpAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as it is, never written to. */
  readonly body?: Uint8Array | string;
  /** In place of `body`, for what is too large for one piece: taken as fast as the peer reads, ended (`return`) when it leaves. */
  readonly stream?: AsyncIterable<Uint8Array>;
};

/** An answer that is there at once needs no promise: at thousands a second, promises are a large part of the cost. */
export type HttpEndpoint = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

/** A refusal a person can act on: `code` is stable, `detail` says what was expected. */
export const refuse = (
  status: number,
  code: string,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer => ({
  status,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  body: JSON.stringify({ error: code, detail }),
});
