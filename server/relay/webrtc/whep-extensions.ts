/**
 * What a WHEP session offers beyond playing (webrtc-http-egress-events, rows W21 and W22 of CONFORMANCE part 2): streams of events at `…/sse`, and the
 * choice of a rendition at `…/layer`. Whoever knows the session's address may use both; they end with the session.
 */
import type { HttpAnswer, HttpRequest } from '../../base/http-exchange.ts';
import { refuse } from '../../base/http-exchange.ts';
import type { EventKind } from './event-stream.ts';
import { EVENT_KINDS, EventStream } from './event-stream.ts';
import type { ViewerSession } from './viewer-session.ts';
import type { WebRtcOut } from './webrtc-out.ts';

/** What is told of a broadcast to all who watch it, by whatever way. */
export type Audience = {
  newsOf(name: string): AudienceNews;
  /** Tells of every change, made once for all who listen; the returned function ends it. */
  watch(name: string, onNews: (news: AudienceNews) => void): () => void;
};

export type AudienceNews = {
  /** `live`: media comes. */
  readonly state: string;
  readonly viewerCount: number;
  /** What may be chosen, largest first. */
  readonly renditions: readonly {
    readonly id: string;
    readonly codec: string;
    readonly widthPx: number;
    readonly heightPx: number;
    readonly bitrateBps: number;
  }[];
};

type Choice = AudienceNews['renditions'][number];

const JSON_TYPE = 'application/json';
const STREAM_MAX_COUNT = 4;
const BODY_MAX_BYTES = 4_096;
const RELATION = 'urn:ietf:params:whep:ext:core';
/** The viewer's own doing, or nothing to come back to. */
const FINAL_REASONS: ReadonlySet<string> = new Set(['deleted_by_viewer', 'broadcast_ended']);

type Extended = {
  readonly streams: Map<string, EventStream>;
  readonly stop: () => void;
  wasActive: boolean;
  toldLayers: string;
  toldCount: number;
};

export class WhepExtensions {
  readonly #out: WebRtcOut;
  readonly #audience: Audience;
  /** Sessions with a stream. */
  readonly #extended = new Map<ViewerSession, Extended>();

  constructor({ out, audience }: { out: WebRtcOut; audience: Audience }) {
    this.#out = out;
    this.#audience = audience;
    out.listen({ onOpened: () => undefined, onClosed: (session) => this.#onClosed(session) });
  }

  /** For the `Link` of a session's answer. */
  linksOf({ name, id }: ViewerSession): string[] {
    const url = `/whep/${name}/${id}`;
    return [
      `<${url}/sse>; rel="${RELATION}:server-sent-events"; events="${EVENT_KINDS.join(',')}"`,
      `<${url}/layer>; rel="${RELATION}:layer"`,
    ];
  }

  /** `path`: what follows the session's address: `sse`, `sse/STREAM` or `layer`. */
  answer(request: HttpRequest, session: ViewerSession, path: string): HttpAnswer {
    const [what, streamId] = path.split('/');
    if (streamId !== undefined) {
      return this.#onStream(request, session, streamId);
    }
    if (request.method === 'OPTIONS') {
      return { status: 200, headers: { 'accept-post': JSON_TYPE } };
    }
    if (request.method !== 'POST') {
      return notAllowed('OPTIONS, POST');
    }
    const body = readBody(request);
    if (!body.ok) {
      return body.refusal;
    }
    return what === 'layer' ? this.#selectLayer(session, body.value) : this.#openStream(session, body.value);
  }

  #openStream(session: ViewerSession, wish: unknown): HttpAnswer {
    const kinds = wish ?? EVENT_KINDS;
    if (!Array.isArray(kinds)) {
      return refuse(400, 'WHEP_EVENTS_INVALID', 'expected a JSON array of event names');
    }
    const unknown = kinds.filter((kind: unknown) => !isEventKind(kind));
    if (unknown.length > 0) {
      const detail = `not supported: ${JSON.stringify(unknown).slice(0, 100)}; expected some of ${EVENT_KINDS.join(', ')}`;
      return refuse(400, 'WHEP_EVENTS_INVALID', detail);
    }
    const extended = this.#extended.get(session) ?? this.#extend(session);
    if (extended.streams.size >= STREAM_MAX_COUNT) {
      return refuse(429, 'WHEP_EVENTS_TOO_MANY', `a session has at most ${STREAM_MAX_COUNT} event streams`);
    }
    const stream = new EventStream(kinds.filter(isEventKind));
    extended.streams.set(stream.id, stream);
    const news = this.#audience.newsOf(session.name);
    // The draft: nobody is told `inactive` at first.
    if (news.state === 'live') {
      stream.push('active', {});
    }
    stream.push('layers', layersOf(session, news));
    stream.push('viewercount', { viewercount: news.viewerCount });
    return { status: 201, headers: { location: `/whep/${session.name}/${session.id}/sse/${stream.id}` } };
  }

  #onStream(request: HttpRequest, session: ViewerSession, streamId: string): HttpAnswer {
    const streams = this.#extended.get(session)?.streams;
    const stream = streams?.get(streamId);
    if (request.method === 'OPTIONS') {
      return { status: 200, headers: {} };
    }
    if (stream === undefined) {
      return refuse(404, 'WHEP_EVENTS_UNKNOWN', 'this event stream has ended or never was');
    }
    switch (request.method) {
      case 'GET':
        return { status: 200, headers: { 'content-type': 'text/event-stream' }, stream: stream.read() };
      case 'DELETE':
        streams?.delete(streamId);
        stream.end();
        return { status: 200, headers: {} };
      default:
        return notAllowed('OPTIONS, GET, DELETE');
    }
  }

  #extend(session: ViewerSession): Extended {
    const news = this.#audience.newsOf(session.name);
    const extended: Extended = {
      streams: new Map(),
      stop: this.#audience.watch(session.name, (changed) => tell(session, extended, changed)),
      wasActive: news.state === 'live',
      toldLayers: JSON.stringify(layersOf(session, news)),
      toldCount: news.viewerCount,
    };
    this.#extended.set(session, extended);
    return extended;
  }

  #onClosed(session: ViewerSession): void {
    const extended = this.#extended.get(session);
    if (extended === undefined) {
      return;
    }
    this.#extended.delete(session);
    extended.stop();
    for (const stream of extended.streams.values()) {
      if (session.endReason === 'broadcast_ended' && extended.wasActive) {
        stream.push('inactive', {});
      }
      if (!FINAL_REASONS.has(session.endReason ?? '')) {
        stream.push('reconnect', {});
      }
      stream.end();
    }
  }

  /** What `watch` on the session's socket does. Without a wish the server chooses again. */
  #selectLayer(session: ViewerSession, wish: unknown): HttpAnswer {
    const read = readLayerWish(wish);
    if (read === undefined) {
      return refuse(400, 'WHEP_LAYER_INVALID', 'expected a JSON object: mediaId, rid, maxWidth, maxHeight');
    }
    const { mediaId, rid, maxWidth, maxHeight, hasOtherLayer } = read;
    if (mediaId !== undefined && mediaId !== String(session.videoIndex)) {
      return refuse(422, 'WHEP_LAYER_UNKNOWN', `mediaId: the video is media section ${session.videoIndex}`);
    }
    const choices = choicesOf(session, this.#audience.newsOf(session.name));
    const isUnlimited = maxWidth === Number.POSITIVE_INFINITY && maxHeight === Number.POSITIVE_INFINITY;
    const chosen = choices.find(
      ({ id, widthPx, heightPx }) => (rid === undefined || id === rid) && widthPx <= maxWidth && heightPx <= maxHeight,
    );
    const isAutomatic = rid === undefined && isUnlimited;
    if (hasOtherLayer || (chosen === undefined && !isAutomatic)) {
      const known = choices.map(({ id, widthPx, heightPx }) => `${id} (${widthPx}x${heightPx})`).join(', ');
      return refuse(
        422,
        'WHEP_LAYER_UNKNOWN',
        `expected one of: ${known === '' ? 'none yet' : known}; layer ids are 0`,
      );
    }
    this.#out.watch(session.id, isAutomatic ? undefined : chosen?.id);
    return { status: 200, headers: {} };
  }
}

/** What changed, to all streams of a session. */
const tell = (session: ViewerSession, extended: Extended, news: AudienceNews): void => {
  const streams = [...extended.streams.values()];
  const isActive = news.state === 'live';
  if (isActive !== extended.wasActive) {
    extended.wasActive = isActive;
    streams.forEach((stream) => stream.push(isActive ? 'active' : 'inactive', {}));
  }
  if (news.viewerCount !== extended.toldCount) {
    extended.toldCount = news.viewerCount;
    streams.forEach((stream) => stream.push('viewercount', { viewercount: news.viewerCount }));
  }
  const layers = layersOf(session, news);
  const text = JSON.stringify(layers);
  if (text !== extended.toldLayers) {
    extended.toldLayers = text;
    streams.forEach((stream) => stream.push('layers', layers));
  }
};

const choicesOf = (session: ViewerSession, { renditions }: AudienceNews): readonly Choice[] =>
  renditions.filter(({ id, codec }) => id === 'main' || codec !== 'av1' || session.takes('av1'));

/** By the number of the video's media section; of a session without video: nothing. */
const layersOf = (session: ViewerSession, news: AudienceNews): Record<string, object[]> =>
  session.videoIndex === undefined
    ? {}
    : {
        [session.videoIndex]: choicesOf(session, news).map(({ id, widthPx, heightPx, bitrateBps }) => ({
          rid: id,
          bitrate: Math.round(bitrateBps),
          width: widthPx,
          height: heightPx,
        })),
      };

const isEventKind = (kind: unknown): kind is EventKind => EVENT_KINDS.some((known) => known === kind);

type LayerWish = {
  readonly mediaId: string | undefined;
  readonly rid: string | undefined;
  readonly maxWidth: number;
  readonly maxHeight: number;
  /** One of several spatial or temporal layers is asked for; a rendition has one of each. */
  readonly hasOtherLayer: boolean;
};

/** Undefined: not of the draft's form. Members it does not know are left alone. `encodingId` is what `rid` was in its first version. */
const readLayerWish = (wish: unknown): LayerWish | undefined => {
  if (typeof wish !== 'object' || wish === null || Array.isArray(wish)) {
    return undefined;
  }
  const members: Readonly<Record<string, unknown>> = { ...wish };
  const { mediaId, maxWidth = Number.POSITIVE_INFINITY, maxHeight = Number.POSITIVE_INFINITY } = members;
  const rid = members['rid'] ?? members['encodingId'];
  const layerIds = ['spatialLayerId', 'temporalLayerId'].map((name) => members[name] ?? 0);
  const isValid =
    (mediaId === undefined || typeof mediaId === 'string') &&
    (rid === undefined || typeof rid === 'string') &&
    [maxWidth, maxHeight, ...layerIds].every((value) => typeof value === 'number' && value >= 0);
  return isValid
    ? {
        mediaId,
        rid,
        maxWidth: Number(maxWidth),
        maxHeight: Number(maxHeight),
        hasOtherLayer: layerIds.some((id) => id !== 0),
      }
    : undefined;
};

type ReadBody = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly refusal: HttpAnswer };

/** Undefined where there is none. */
const readBody = ({ headers, body }: HttpRequest): ReadBody => {
  if (body.byteLength === 0) {
    return { ok: true, value: undefined };
  }
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== JSON_TYPE) {
    return { ok: false, refusal: refuse(415, 'WHEP_TYPE_UNSUPPORTED', `expected Content-Type: ${JSON_TYPE}`) };
  }
  try {
    if (body.byteLength > BODY_MAX_BYTES) {
      return { ok: false, refusal: refuse(413, 'WHEP_BODY_TOO_LARGE', `at most ${BODY_MAX_BYTES} bytes`) };
    }
    return { ok: true, value: JSON.parse(Buffer.from(body).toString('utf8')) as unknown };
  } catch {
    return { ok: false, refusal: refuse(400, 'WHEP_BODY_INVALID', 'the body is not JSON') };
  }
};

const notAllowed = (allow: string): HttpAnswer =>
  refuse(405, 'WHEP_METHOD_NOT_ALLOWED', `expected one of ${allow}`, { allow });
