/**
 * WHIP (RFC 9725) over `base/http-exchange.ts`: `/whip/NAME` and `/whip/NAME/SESSION`, always with the publisher's key as bearer token. Rows W1–W3,
 * W5–W14 and W16–W20 of CONFORMANCE part 2, as they concern publishing.
 */
import { AddressLimiter } from '../../base/address-limiter.ts';
import type { Clock } from '../../base/clock.ts';
import { Closer } from '../../base/closer.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../../base/http-exchange.ts';
import { refuse } from '../../base/http-exchange.ts';
import { parseSdpOffer } from '../../webrtc-transport/sdp-offer.ts';
import {
  FRAGMENT_TYPE,
  RETRY_AFTER_S,
  SDP_TYPE,
  answerOnSession,
  notAllowed,
  refusalOf,
  refusalOfPost,
  sessionCreated,
  sessionHeaders,
  signallingEndpoint,
  textOf,
  tooManyRequests,
  unknownSession,
} from '../../webrtc-transport/signalling-http.ts';
import type { PublishGate } from '../publish-gate.ts';
import type { UsableOffer, WhipServer } from './whip-server.ts';
import { chooseMedia } from './whip-server.ts';

export type WhipEndpointOptions = {
  readonly server: WhipServer;
  readonly gate: PublishGate;
  /** Whether `key` is the publisher's key of `name`. */
  readonly isKey: (name: string, key: string) => boolean;
  /** `Link` headers for the answer: ICE servers, as WHEP gives them. */
  readonly iceServerLinks: readonly string[];
  readonly clock: Clock;
};

const PATH = /^\/whip\/([A-Za-z0-9_-]{1,64})(?:\/([0-9a-f]{32}))?$/u;

export const createWhipEndpoint = (options: WhipEndpointOptions): HttpEndpoint => {
  const endpoint = new WhipEndpoint(options);
  return signallingEndpoint(async (request) => endpoint.handle(request));
};

class WhipEndpoint {
  readonly #options: WhipEndpointOptions;
  readonly #addresses: AddressLimiter;

  constructor(options: WhipEndpointOptions) {
    this.#options = options;
    this.#addresses = new AddressLimiter(options.server.settings.requestsPerMinute);
  }

  async handle(request: HttpRequest): Promise<HttpAnswer> {
    const [, name, sessionId] = PATH.exec(request.path) ?? [];
    if (name === undefined) {
      return refuse(404, 'WHIP_NOT_FOUND', 'expected /whip/NAME or /whip/NAME/SESSION');
    }
    return sessionId === undefined ? this.#onEndpoint(request, name) : this.#onSession(request, name, sessionId);
  }

  async #onEndpoint(request: HttpRequest, name: string): Promise<HttpAnswer> {
    switch (request.method) {
      case 'POST':
        return this.#post(request, name);
      case 'OPTIONS':
        return { status: 200, headers: { 'accept-post': SDP_TYPE } };
      case 'GET':
      case 'HEAD':
        return { status: 204, headers: {} };
      default:
        return notAllowed('WHIP', 'OPTIONS, GET, HEAD, POST');
    }
  }

  #onSession(request: HttpRequest, name: string, id: string): HttpAnswer {
    if (request.method === 'OPTIONS') {
      return { status: 200, headers: { 'accept-patch': FRAGMENT_TYPE } };
    }
    if (!this.#mayAsk(request)) {
      return tooManyRequests('WHIP');
    }
    const key = bearerOf(request);
    if (key === undefined || !this.#options.isKey(name, key)) {
      return this.#unauthorised(name);
    }
    const found = this.#options.server.find(id);
    if (found === undefined || found.name !== name) {
      return unknownSession('WHIP');
    }
    return answerOnSession('WHIP', request, {
      close: () => found.close('deleted_by_publisher'),
      patch: () => found.ice.patch(request),
    });
  }

  async #post(request: HttpRequest, name: string): Promise<HttpAnswer> {
    if (!this.#mayAsk(request)) {
      return tooManyRequests('WHIP');
    }
    const refusal = refusalOfPost('WHIP', request);
    if (refusal !== undefined) {
      return refusal;
    }
    const key = bearerOf(request);
    if (key === undefined) {
      return this.#unauthorised(name);
    }
    const { server } = this.#options;
    if (server.sessionCount >= server.settings.sessionMaxCount) {
      return overloaded('WHIP_OVERLOADED', `${server.settings.sessionMaxCount} publish, the most this server takes`);
    }
    let usable;
    try {
      // Before the gate is asked: an offer that cannot be served must not take a running publisher's place.
      usable = chooseMedia(parseSdpOffer(textOf(request)));
    } catch (error) {
      return this.#refusalOf(error);
    }
    return this.#publish(request, { name, key }, usable);
  }

  async #publish(
    request: HttpRequest,
    { name, key }: { name: string; key: string },
    usable: UsableOffer,
  ): Promise<HttpAnswer> {
    const { server, gate } = this.#options;
    const { remoteAddress } = request;
    // Whoever takes over may do so before there is a session.
    const ending = new Closer();
    const verdict = await gate({
      ...{ protocol: 'whip', name, key, remoteAddress },
      close: (reason) => void ending.close(reason),
    });
    if (!verdict.ok) {
      return this.#refusedBy(verdict, name);
    }
    const { session, answerSdp } = server.open(name, usable, { feed: verdict.feed, remoteAddress });
    ending.own((reason) => session.close(reason));
    const headers = sessionHeaders(session.ice.etag, this.#options.iceServerLinks);
    return sessionCreated(`/whip/${name}/${session.id}`, { headers, answerSdp });
  }

  #refusedBy(verdict: { code: string; detail: string }, name: string): HttpAnswer {
    const { code, detail } = verdict;
    this.#options.server.metrics.refused(code);
    if (code === 'PUBLISH_KEY_WRONG' || code === 'PUBLISH_KEY_MISSING') {
      return this.#unauthorised(name);
    }
    return code === 'PUBLISH_NAME_BUSY' ? refuse(409, code, detail) : overloaded(code, detail);
  }

  #refusalOf(error: unknown): HttpAnswer {
    if (error instanceof ProtocolError) {
      this.#options.server.metrics.refused(error.code);
    }
    return refusalOf('WHIP', error);
  }

  #unauthorised(name: string): HttpAnswer {
    this.#options.server.metrics.refused('WHIP_UNAUTHORISED');
    return refuse(
      401,
      'WHIP_UNAUTHORISED',
      `expected Authorization: Bearer with the publish key of ${name} (in OBS: the Bearer Token)`,
      { 'www-authenticate': 'Bearer' },
    );
  }

  #mayAsk(request: HttpRequest): boolean {
    return this.#addresses.take(request.remoteAddress, this.#options.clock.nowMs());
  }
}

const overloaded = (code: string, detail: string): HttpAnswer =>
  refuse(503, code, detail, { 'retry-after': RETRY_AFTER_S });

const bearerOf = (request: HttpRequest): string | undefined =>
  /^Bearer +([A-Za-z0-9._~+/=-]{1,4096})$/iu.exec(request.headers['authorization']?.trim() ?? '')?.[1];
