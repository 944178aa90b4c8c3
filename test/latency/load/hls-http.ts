/**
 * The requests of one HLS player: keep-alive connections of its own, at most six as a browser has to one host. Only to the host the player was
 * given. Bodies of media are counted and thrown away.
 */
import http from 'node:http';
import https from 'node:https';
import { gunzipSync } from 'node:zlib';
import { ProtocolError, WorldError } from '../../../server/base/errors.ts';

const CONNECTION_MAX_COUNT = 6;
const REQUEST_MAX_MS = 15_000;
const PLAYLIST_MAX_BYTES = 8_000_000;

export type HlsResponse = { readonly status: number; readonly byteCount: number; readonly text: string };

export class HlsHttp {
  readonly #host: string;
  readonly #bearer: string | undefined;
  readonly #agent: http.Agent;
  readonly #requests = new Set<http.ClientRequest>();
  #isClosed = false;

  constructor(options: { url: string; bearer: string | undefined }) {
    const url = new URL(options.url);
    this.#host = url.host;
    this.#bearer = options.bearer;
    const agentOptions = { keepAlive: true, maxSockets: CONNECTION_MAX_COUNT };
    this.#agent = url.protocol === 'https:' ? new https.Agent(agentOptions) : new http.Agent(agentOptions);
  }

  /** Rejects with `WorldError`: `HTTP_<status>`, `HTTP_TIMEOUT`, `HTTP_REFUSED`; `ProtocolError` `ELSEWHERE` for another host. */
  async playlist(url: URL): Promise<HlsResponse> {
    return this.#get(url, { isText: true });
  }

  /** As `playlist`; without a text. */
  async media(url: URL): Promise<HlsResponse> {
    return this.#get(url, { isText: false });
  }

  /** Ends what is under way. May be called twice. */
  close(): void {
    this.#isClosed = true;
    this.#requests.forEach((request) => request.destroy());
    this.#agent.destroy();
  }

  async #get(url: URL, options: { isText: boolean }): Promise<HlsResponse> {
    if (url.host !== this.#host) {
      throw new ProtocolError('ELSEWHERE', `${url.host} is not ${this.#host}, to which the load was sent`);
    }
    if (this.#isClosed) {
      throw new WorldError('CLOSED', 'the viewer has left');
    }
    const response = await this.#exchange(url, options);
    if (response.status !== 200) {
      throw new WorldError(`HTTP_${response.status}`, `${url.pathname}${url.search}`);
    }
    return response;
  }

  async #exchange(url: URL, { isText }: { isText: boolean }): Promise<HlsResponse> {
    const { request } = url.protocol === 'https:' ? https : http;
    const headers = {
      ...(isText ? { 'accept-encoding': 'gzip' } : {}),
      ...(this.#bearer === undefined ? {} : { authorization: `Bearer ${this.#bearer}` }),
    };
    return new Promise((resolve, reject) => {
      const sent = request(url, { agent: this.#agent, headers, timeout: REQUEST_MAX_MS });
      this.#requests.add(sent);
      sent.on('close', () => this.#requests.delete(sent));
      sent.on('timeout', () => sent.destroy(new WorldError('HTTP_TIMEOUT', url.pathname)));
      sent.on('error', (error) => {
        reject(error instanceof WorldError ? error : new WorldError('HTTP_REFUSED', String(error), error));
      });
      sent.on('response', (response) => {
        collect(response, isText).then(resolve, reject);
      });
      sent.end();
    });
  }
}

const collect = async (response: http.IncomingMessage, isText: boolean): Promise<HlsResponse> =>
  new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let byteCount = 0;
    response.on('data', (piece: Buffer) => {
      byteCount += piece.byteLength;
      if (isText && byteCount <= PLAYLIST_MAX_BYTES) {
        pieces.push(piece);
      }
    });
    response.on('error', (error) => reject(new WorldError('HTTP_REFUSED', String(error), error)));
    response.on('end', () => {
      const body = Buffer.concat(pieces);
      const isZipped = response.headers['content-encoding'] === 'gzip';
      resolve({
        ...{ status: response.statusCode ?? 0, byteCount },
        text: isText ? (isZipped ? gunzipSync(body) : body).toString('utf8') : '',
      });
    });
  });
