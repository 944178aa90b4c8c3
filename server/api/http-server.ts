/** What HTTP offers: operations, API, pages, and the protocol endpoints bound below their prefixes; the same through both doors. */
import type { Http2SecureServer } from 'node:http2';
import swagger from '@fastify/swagger';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { HttpEndpoint } from '../base/http-exchange.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { bindEndpoint, loggablePath } from './bind-endpoint.ts';
import { ConnectionGate } from './connection-gate.ts';
import type { HotRoute } from './hot-request.ts';
import { HotLane } from './hot-lane.ts';
import { HotStreams } from './hot-streams.ts';
import { HEADERS_MAX_BYTES, createPlainDoor, createTlsDoor } from './doors.ts';
import { openapiOptions } from './openapi/document.ts';
import { registerBroadcasts } from './routes/broadcasts.ts';
import { registerCues } from './routes/cues.ts';
import { CLAIMS_ROUTE, registerDrops } from './routes/drops.ts';
import { registerKeys } from './routes/keys.ts';
import { registerLearning } from './routes/learning.ts';
import { registerOperations } from './routes/operations.ts';
import { registerPages } from './routes/pages.ts';
import { registerTokens } from './routes/tokens.ts';
import { registerReplays } from './routes/replays.ts';
import { registerSessions } from './routes/sessions.ts';
import { registerSmoothness } from './routes/smoothness.ts';
import { registerStudio } from './routes/studio.ts';
import type { SocketOptions } from './routes/socket.ts';
import { WatchSockets } from './routes/socket.ts';
import type { CertificateOptions } from './tls/certificate-source.ts';
import { CertificateSource, isTlsWanted } from './tls/certificate-source.ts';
import type {
  AccessView,
  BroadcastsView,
  CuesView,
  HealthView,
  HintsView,
  KeysView,
  LearningView,
  ReplaysView,
  ReportersView,
  SessionsView,
  SmoothnessView,
  StudioView,
  ViewersView,
  TokensView,
} from './views.ts';

export type HttpServerOptions = {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Addresses or CIDR ranges whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  readonly bodyMaxBytes: number;
  /** How long a client may take to send its request head. */
  readonly requestTimeoutMs: number;
  /** A connection, or an answer on one, that neither moves nor is read for so long is ended. */
  readonly idleTimeoutMs: number;
  /** TCP connections of both doors, in all and from one address that is no trusted proxy. */
  readonly connectionMaxCount: number;
  readonly connectionPerAddressMaxCount: number;
  /** API requests a minute from one address. */
  readonly apiRateMaxPerMin: number;
};

/** The second door; it is there when a certificate is. */
export type TlsOptions = CertificateOptions & {
  /** 0 takes a free one. */
  readonly port: number;
  readonly handshakeTimeoutMs: number;
  /** Requests that one HTTP/2 connection may have open. */
  readonly streamMaxCount: number;
};

export const DEFAULT_HTTP_SERVER_OPTIONS: HttpServerOptions = {
  host: '0.0.0.0',
  port: 8080,
  trustedProxies: [],
  bodyMaxBytes: 65_536,
  requestTimeoutMs: 15_000,
  idleTimeoutMs: 120_000,
  connectionMaxCount: 20_000,
  connectionPerAddressMaxCount: 4_000,
  apiRateMaxPerMin: 600,
};

export const DEFAULT_TLS_OPTIONS: TlsOptions = {
  port: 8443,
  certificateFile: '',
  keyFile: '',
  selfMade: false,
  selfMadeNames: [],
  reloadEveryMs: 5_000,
  handshakeTimeoutMs: 10_000,
  streamMaxCount: 128,
};

export type HttpServerParts = {
  readonly settings: HttpServerOptions;
  readonly tls: TlsOptions;
  /** Where a self-made certificate is kept. */
  readonly dataDir: string;
  readonly socketSettings: SocketOptions;
  readonly endpoints: Readonly<Record<string, HttpEndpoint>>;
  readonly drops: HttpEndpoint;
  readonly broadcasts: BroadcastsView;
  readonly cues: CuesView;
  readonly keys: KeysView;
  readonly tokens: TokensView;
  readonly replays: ReplaysView;
  readonly smoothness: SmoothnessView;
  readonly studio: StudioView;
  readonly sessions: SessionsView;
  readonly reporters: ReportersView;
  readonly viewers: ViewersView;
  readonly hints: HintsView;
  readonly learning: LearningView;
  readonly health: HealthView;
  readonly access: AccessView;
  readonly playerFolder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

/** As registered: `/api/keys/:name`. */
export type Route = { readonly method: string; readonly url: string };

export type HttpPorts = { readonly http: number; readonly https: number | undefined };

/** How long open answers may take to end by themselves before their connections are cut. */
const CLOSE_GRACE_MS = 1_000;
/** What is asked for thousands of times a second, beside claims. */
const HOT_PREFIX = '/hls';

export class HttpServer {
  readonly #parts: HttpServerParts;
  readonly #gate: ConnectionGate;
  readonly #sockets: WatchSockets;
  readonly #certificates: CertificateSource | undefined;
  readonly #plainDoor: FastifyInstance;
  readonly #hotLane: HotLane;
  readonly #tlsDoor: FastifyInstance | undefined;
  readonly #hotStreams: HotStreams | undefined;
  readonly #routes: Route[] = [];

  /** Throws `WorldError` (`TLS_…`) when the certificate that is configured cannot be used. */
  constructor(parts: HttpServerParts) {
    const { settings, tls, metrics } = parts;
    this.#parts = parts;
    this.#gate = new ConnectionGate(settings, metrics);
    this.#sockets = new WatchSockets({ ...parts, settings: parts.socketSettings });
    this.#plainDoor = createPlainDoor(settings);
    const { clock, log } = parts;
    const hot = { ...settings, routes: hotRoutes(parts), hasTrustedProxies: settings.trustedProxies.length > 0 };
    this.#hotLane = new HotLane({ ...hot, headersMaxBytes: HEADERS_MAX_BYTES }, { clock, log });
    this.#hotLane.attach(this.#plainDoor.server);
    if (isTlsWanted(tls)) {
      this.#certificates = new CertificateSource(tls, parts);
      this.#tlsDoor = createTlsDoor({ ...settings, ...tls }, { certificates: this.#certificates, metrics });
      this.#hotStreams = new HotStreams(hot, { clock, log });
      // Fastify's type is that of a plain server; this door's is one of node:http2.
      this.#hotStreams.attach(this.#tlsDoor.server as unknown as Http2SecureServer);
    }
  }

  /** What the plain door has registered, once it listens; of pages and endpoints too. */
  get routes(): readonly Route[] {
    return this.#routes;
  }

  /** Opens the doors; resolves to the ports they are on. */
  async listen(): Promise<HttpPorts> {
    const { settings, tls } = this.#parts;
    const http = await this.#open(this.#plainDoor, settings.port);
    return { http, https: this.#tlsDoor === undefined ? undefined : await this.#open(this.#tlsDoor, tls.port) };
  }

  async close(reason: string): Promise<void> {
    this.#certificates?.close();
    this.#sockets.close(reason);
    this.#hotLane.close();
    this.#hotStreams?.close();
    const timer = setTimeout(() => this.#gate.destroyAll(), CLOSE_GRACE_MS);
    await Promise.all([this.#plainDoor.close(), this.#tlsDoor?.close()]);
    clearTimeout(timer);
  }

  async #open(door: FastifyInstance, port: number): Promise<number> {
    await this.#register(door);
    this.#gate.guard(door.server);
    await door.listen({ host: this.#parts.settings.host, port });
    const address = door.server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  async #register(server: FastifyInstance): Promise<void> {
    const { endpoints, log, settings } = this.#parts;
    this.#setErrorAnswers(server);
    if (server === this.#plainDoor) {
      server.addHook('onRoute', ({ method, url }) => {
        this.#routes.push(...[method].flat().map((one) => ({ method: one, url })));
      });
    }
    await server.register(swagger, openapiOptions(Object.keys(endpoints)));
    for (const [prefix, endpoint] of Object.entries(endpoints)) {
      await bindEndpoint(server, { prefix, endpoint, bodyMaxBytes: settings.bodyMaxBytes, log });
    }
    await registerDrops(server, { endpoint: this.#parts.drops, bodyMaxBytes: settings.bodyMaxBytes, log });
    await server.register(async (scope) => {
      await scope.register(rateLimit, {
        max: settings.apiRateMaxPerMin,
        timeWindow: '1 minute',
        allowList: ['127.0.0.1', '::1'],
      });
      registerBroadcasts(scope, this.#parts);
      await registerCues(scope, this.#parts);
      await registerKeys(scope, this.#parts);
      await registerTokens(scope, this.#parts);
      await registerReplays(scope, this.#parts);
      registerSmoothness(scope, this.#parts.smoothness);
      await registerStudio(scope, this.#parts.studio);
      await registerSessions(scope, this.#parts);
      await registerLearning(scope, this.#parts);
      scope.get('/api/openapi.json', { schema: { hide: true } }, async () => server.swagger());
    });
    registerOperations(server, this.#parts);
    await registerPages(server, this.#parts);
    this.#sockets.attach(server.server);
  }

  /** Refusals are JSON with a stable code and a sentence; a stack never leaves the process. */
  #setErrorAnswers(server: FastifyInstance): void {
    server.setNotFoundHandler(async (request, reply) =>
      reply.code(404).send({ error: 'NOT_FOUND', detail: `there is nothing at ${request.url.split('?')[0]}` }),
    );
    server.setErrorHandler(async (error, request, reply) => {
      const status = statusOf(error);
      if (status >= 500) {
        this.#parts.log.error('http.request.failed', { url: loggablePath(request.url), error: messageOf(error) });
        return reply.code(status).send({ error: 'INTERNAL', detail: 'the server failed; its log says why' });
      }
      return reply.code(status).send({ error: 'REQUEST_INVALID', detail: messageOf(error) });
    });
  }
}

const hotRoutes = ({ endpoints, drops }: HttpServerParts): readonly HotRoute[] => {
  const hls = endpoints[HOT_PREFIX];
  const claims: HotRoute = { ...CLAIMS_ROUTE, endpoint: drops };
  return hls === undefined ? [claims] : [{ method: 'GET', prefix: `${HOT_PREFIX}/`, endpoint: hls }, claims];
};

const statusOf = (error: unknown): number =>
  typeof error === 'object' && error !== null && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : 500;
