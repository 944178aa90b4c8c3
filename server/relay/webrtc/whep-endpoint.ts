/**
 * WHEP (draft-ietf-wish-whep-03) over `base/http-exchange.ts`: `/whep/NAME` and `/whep/NAME/SESSION`. Rows W1–W20 and W23 of CONFORMANCE
 * part 2; W21 and W22 are `whep-extensions.ts`. Whether somebody may watch (W14) is asked before a request comes here; knowing a session's URL, 128 random
 * bits, is the right to it.
 */
import { AddressLimiter } from '../../base/address-limiter.ts';
import type { Clock } from '../../base/clock.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../../base/http-exchange.ts';
import { refuse } from '../../base/http-exchange.ts';
import { iceServerLink } from '../../webrtc-transport/ice-server-link.ts';
import { parseSdpOffer } from '../../webrtc-transport/sdp-offer.ts';
import {
  FRAGMENT_TYPE,
  RETRY_AFTER_S,
  SDP_TYPE,
  answerOnSession,
  contentTypeOf,
  linkHeader,
  notAllowed,
  refusalOf,
  refusalOfPost,
  sessionCreated,
  sessionHeaders,
  signallingEndpoint,
  textOf,
  tooManyRequests,
  unknownSession,
  wrongType,
} from '../../webrtc-transport/signalling-http.ts';
import type { BroadcastView } from '../broadcast-view.ts';
import type { CounterOffer } from './counter-offers.ts';
import { JoinTurns, joinLimits } from './join-turns.ts';
import type { ViewerSession } from './viewer-session.ts';
import type { ViewerWishes, WebRtcOut } from './webrtc-out.ts';
import type { Audience } from './whep-extensions.ts';
import { WhepExtensions } from './whep-extensions.ts';

/** What the rest of the server knows of broadcasts that viewers are told. */
export type WhepContext = {
  readonly audience: Audience;
  /** Why WebRTC cannot be served although `name` is live (ffmpeg missing), in words for the operator; undefined: it can, or soon will. */
  readonly lacking: (name: string) => string | undefined;
};

export type WhepEndpointOptions = WhepContext & {
  readonly out: WebRtcOut;
  readonly clock: Clock;
  readonly findBroadcast: (name: string) => BroadcastView | undefined;
};

/** `?rendition=`: what everybody gets who does not ask. */
const MAIN_RENDITION = 'main';
const CHANGING: ReadonlySet<string> = new Set(['POST', 'PATCH', 'DELETE']);
/** A server that is full is not empty again at once. */
const FULL_RETRY_MS = 10_000;
/** What a player keeps of its viewer; anything else is none. */
const VIEWER_ID = /^[0-9a-f]{4}$/u;
const PATH = /^\/whep\/([A-Za-z0-9_-]{1,64})(?:\/([0-9a-f]{32})(?:\/(layer|sse(?:\/[0-9a-f]{32})?))?)?$/u;

export const createWhepEndpoint = (options: WhepEndpointOptions): HttpEndpoint => {
  const endpoint = new WhepEndpoint(options);
  return signallingEndpoint(async (request) => endpoint.handle(request));
};

class WhepEndpoint {
  readonly #options: WhepEndpointOptions;
  readonly #joins: JoinTurns;
  readonly #addresses: AddressLimiter;
  readonly #extensions: WhepExtensions;

  constructor(options: WhepEndpointOptions) {
    const { settings, port } = options.out;
    this.#options = options;
    this.#joins = new JoinTurns(joinLimits(settings, { isNative: port.hasNativeDtls }), options.clock);
    this.#addresses = new AddressLimiter(settings.requestsPerMinute);
    this.#extensions = new WhepExtensions(options);
  }

  async handle(request: HttpRequest): Promise<HttpAnswer> {
    const [, name, sessionId, below] = PATH.exec(request.path) ?? [];
    if (name === undefined) {
      return refuse(404, 'WHEP_NOT_FOUND', 'expected /whep/NAME or /whep/NAME/SESSION');
    }
    return sessionId === undefined
      ? this.#onEndpoint(request, name)
      : this.#onSession(request, { name, id: sessionId, below });
  }

  async #onEndpoint(request: HttpRequest, name: string): Promise<HttpAnswer> {
    switch (request.method) {
      case 'POST':
        return this.#post(request, name);
      case 'OPTIONS':
        return { status: 200, headers: { 'accept-post': SDP_TYPE } };
      case 'GET':
        return { status: 204, headers: {} };
      case 'HEAD':
        return { status: 200, headers: { 'content-type': SDP_TYPE } };
      default:
        return notAllowed('WHEP', 'OPTIONS, GET, HEAD, POST');
    }
  }

  #onSession(
    request: HttpRequest,
    { name, id, below }: { name: string; id: string; below: string | undefined },
  ): HttpAnswer {
    if (request.method === 'OPTIONS' && below === undefined) {
      return { status: 200, headers: { 'accept-patch': `${FRAGMENT_TYPE}, ${SDP_TYPE}` } };
    }
    if (CHANGING.has(request.method) && !this.#mayAsk(request)) {
      return tooManyRequests('WHEP');
    }
    const found = this.#options.out.find(id);
    const session = found?.name === name ? found : undefined;
    if (session === undefined) {
      return below === undefined ? this.#onOffered(request, name, id) : unknownSession('WHEP');
    }
    if (below !== undefined) {
      return this.#extensions.answer(request, session, below);
    }
    return answerOnSession('WHEP', request, {
      close: () => session.close('deleted_by_viewer'),
      patch: () => session.ice.patch(request),
    });
  }

  async #post(request: HttpRequest, name: string): Promise<HttpAnswer> {
    if (!this.#mayAsk(request)) {
      return tooManyRequests('WHEP');
    }
    return refusalOfPost('WHEP', request) ?? this.#join(request, name);
  }

  async #join(request: HttpRequest, name: string): Promise<HttpAnswer> {
    const refusal = this.#refusalFor(name);
    if (refusal !== undefined) {
      return refusal;
    }
    const turn = await this.#joins.turn(request.remoteAddress, request.signal);
    if (!turn.ok) {
      return overloaded('too many viewers join at this moment', turn.retryAfterMs);
    }
    let offer;
    try {
      offer = parseSdpOffer(textOf(request));
    } catch (error) {
      return refusalOf('WHEP', error);
    }
    // While it waited the broadcast may have ended, or the viewer left.
    const broadcast = this.#options.findBroadcast(name);
    const refusalNow = this.#refusalFor(name);
    if (refusalNow !== undefined || broadcast === undefined || request.signal.aborted) {
      return refusalNow ?? absent(name);
    }
    const smoothnessRatio = smoothnessWish(request.query.get('smooth'));
    if (Number.isNaN(smoothnessRatio)) {
      return refuse(400, 'WHEP_SMOOTH_INVALID', 'expected ?smooth= from 0 (react) to 1 (smooth)');
    }
    const viewerId = VIEWER_ID.exec(request.query.get('viewer') ?? '')?.[0];
    const renditionId = request.query.get('rendition') ?? undefined;
    const rungs = this.#options.out.rungsOf(broadcast);
    if (renditionId !== undefined && renditionId !== MAIN_RENDITION && !rungs.includes(renditionId)) {
      const expected = [MAIN_RENDITION, ...rungs].join(', ');
      return refuse(
        404,
        'WHEP_RENDITION_UNKNOWN',
        `${name} has no ${renditionId.slice(0, 20)} now, expected one of ${expected}`,
      );
    }
    const { remoteAddress } = request;
    const wishes = { remoteAddress, renditionId, smoothnessRatio, mayCapture: mayCapture(request), viewerId };
    try {
      const { session, answerSdp } = this.#options.out.open(broadcast, { offer, ...wishes });
      return sessionCreated(`/whep/${name}/${session.id}`, { headers: this.#sessionHeaders(session), answerSdp });
    } catch (error) {
      const own = isUnanswerable(error) ? this.#counterOffer(broadcast, wishes) : undefined;
      return own ?? refusalOf('WHEP', error);
    }
  }

  /** What the viewer offered cannot be answered; perhaps it can answer ours. */
  #counterOffer(broadcast: BroadcastView, wishes: ViewerWishes): HttpAnswer | undefined {
    const own = this.#options.out.counterOffer(broadcast, wishes);
    if (own === undefined) {
      return undefined;
    }
    const validUntil = new Date(own.validUntilWallMs).toUTCString();
    return {
      status: 406,
      headers: {
        'content-type': `${SDP_TYPE}; valid-until="${validUntil}"`,
        location: `/whep/${broadcast.name}/${own.id}`,
        'accept-patch': SDP_TYPE,
        ...linkHeader(this.#options.out.settings.iceServers.map(iceServerLink)),
      },
      body: own.sdp,
    };
  }

  /** The address of a session that there will be once our offer is answered. */
  #onOffered(request: HttpRequest, name: string, id: string): HttpAnswer {
    const { out } = this.#options;
    const offered = out.findCounterOffer(id);
    if (offered === undefined || offered.broadcast.name !== name) {
      return unknownSession('WHEP');
    }
    return answerOnSession('WHEP', request, {
      close: () => out.withdrawCounterOffer(id),
      patch: () => this.#accept(request, offered),
    });
  }

  #accept(request: HttpRequest, offered: CounterOffer<ViewerWishes>): HttpAnswer {
    const { out } = this.#options;
    if (contentTypeOf(request) !== SDP_TYPE) {
      return wrongType('WHEP', request, SDP_TYPE);
    }
    const { name } = offered.broadcast;
    const refusal = offered.broadcast.state === 'ended' ? absent(name) : this.#refusalFor(name);
    if (refusal !== undefined) {
      return refusal;
    }
    try {
      const session = out.acceptAnswer(offered, parseSdpOffer(textOf(request)));
      return { status: 204, headers: this.#sessionHeaders(session) };
    } catch (error) {
      return refusalOf('WHEP', error);
    }
  }

  #refusalFor(name: string): HttpAnswer | undefined {
    const { out, findBroadcast, lacking } = this.#options;
    const broadcast = findBroadcast(name);
    if (broadcast === undefined || broadcast.state === 'ended') {
      return absent(name);
    }
    const lack = out.hasPlayableVideo(broadcast) ? undefined : lacking(name);
    if (lack !== undefined) {
      return refuse(503, 'WHEP_NO_SAFE_RENDITION', lack, { 'retry-after': '10' });
    }
    return out.sessionCount >= out.settings.sessionMaxCount
      ? overloaded(`${out.settings.sessionMaxCount} viewers watch, the most this server takes`, FULL_RETRY_MS)
      : undefined;
  }

  #sessionHeaders(session: ViewerSession): Record<string, string> {
    const links = [
      `</ws/${session.name}?session=${session.secret}>; rel="urn:sluice:socket"`,
      ...this.#extensions.linksOf(session),
      ...this.#options.out.settings.iceServers.map(iceServerLink),
    ];
    return sessionHeaders(session.ice.etag, links);
  }

  #mayAsk(request: HttpRequest): boolean {
    return this.#addresses.take(request.remoteAddress, this.#options.clock.nowMs());
  }
}

/** Who says no, to us (`?capture=off`) or to everybody (Global Privacy Control, Do Not Track), is left alone. */
const mayCapture = ({ query, headers }: HttpRequest): boolean =>
  query.get('capture') !== 'off' && headers['sec-gpc'] !== '1' && headers['dnt'] !== '1';

/** Undefined: nothing was said. NaN: nonsense was. */
const smoothnessWish = (text: string | null): number | undefined => {
  if (text === null) {
    return undefined;
  }
  return /^(?:0(?:\.\d{1,6})?|1(?:\.0{1,6})?)$/u.test(text) ? Number(text) : Number.NaN;
};

/** None of what it offers can be sent, but it may take what we offer. Offers that break the protocol are none of these. */
const isUnanswerable = (error: unknown): boolean =>
  error instanceof ProtocolError && error.code === 'WHEP_NO_COMMON_CODEC';

const absent = (name: string): HttpAnswer =>
  refuse(404, 'WHEP_NOT_LIVE', `nobody publishes ${name} now; ask again`, { 'retry-after': RETRY_AFTER_S });

const overloaded = (detail: string, retryAfterMs: number): HttpAnswer =>
  refuse(503, 'WHEP_OVERLOADED', detail, { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) });
