/**
 * The two doors of HTTP, as Fastify instances with the same bounds: plain for proxies and loopback, TLS with HTTP/2 (and HTTP/1.1, which
 * WebSockets need) for everybody. Routes see no difference: node:http2 offers them the classes of node:http.
 */
import type { Http2SecureServer, SecureServerOptions, ServerHttp2Session } from 'node:http2';
import Fastify from 'fastify';
import type { FastifyHttp2SecureOptions, FastifyInstance } from 'fastify';
import type { Metrics } from '../observability/metrics.ts';
import { cancelStalledAnswers } from './stalled-answers.ts';
import type { CertificateSource } from './tls/certificate-source.ts';
import type { CertificatePair } from './tls/self-made-certificate.ts';

export type DoorOptions = {
  readonly trustedProxies: readonly string[];
  readonly bodyMaxBytes: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
};

export type TlsDoorOptions = {
  /** A client that has not finished its handshake by then is cut off. */
  readonly handshakeTimeoutMs: number;
  /** Requests that one HTTP/2 connection may have open. */
  readonly streamMaxCount: number;
};

/** Request heads: what Node allows over HTTP/1.1, said over HTTP/2 as well. */
export const HEADERS_MAX_BYTES = 16_384;
/** Longer than proxies keep idle connections, so that none is closed under a request. */
const KEEP_ALIVE_MS = 72_000;
/** Answers that wait to be read count here too, though they are shared: a cache in front may wait for many at once. */
const SESSION_MEMORY_MAX_MB = 64;

export const createPlainDoor = (options: DoorOptions): FastifyInstance =>
  Fastify({ ...sharedOptions(options), http: { maxHeaderSize: HEADERS_MAX_BYTES } });

/** Serves the pair of `certificates`, and each that replaces it, for connections made from then on. */
export const createTlsDoor = (
  options: DoorOptions & TlsDoorOptions,
  parts: { certificates: Pick<CertificateSource, 'pair' | 'listen'>; metrics: Metrics },
): FastifyInstance => {
  const settings: FastifyHttp2SecureOptions<Http2SecureServer> = {
    ...sharedOptions(options),
    http2: true,
    http2SessionTimeout: options.idleTimeoutMs,
    https: tlsOptions(options, parts.certificates.pair),
  };
  const server = Fastify(settings);
  parts.certificates.listen((pair) => server.server.setSecureContext(contextOf(pair)));
  countSessions(server.server, parts.metrics);
  // To routes the compatibility classes of node:http2 are those of node:http; Fastify's types cannot say so.
  const door = server as unknown as FastifyInstance;
  cancelStalledAnswers(door, options.idleTimeoutMs);
  return door;
};

const tlsOptions = (options: DoorOptions & TlsDoorOptions, pair: CertificatePair): SecureServerOptions => {
  // For those who speak HTTP/1.1 here; Fastify sets these on plain servers only, and Node's types know one of them.
  const http1Options = {
    requestTimeout: options.requestTimeoutMs,
    headersTimeout: options.requestTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: HEADERS_MAX_BYTES,
  };
  return {
    ...contextOf(pair),
    allowHTTP1: true,
    http1Options,
    handshakeTimeout: options.handshakeTimeoutMs,
    maxSessionMemory: SESSION_MEMORY_MAX_MB,
    settings: { maxConcurrentStreams: options.streamMaxCount, maxHeaderListSize: HEADERS_MAX_BYTES },
  };
};

const sharedOptions = (options: DoorOptions) => ({
  trustProxy: options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
  bodyLimit: options.bodyMaxBytes,
  requestTimeout: options.requestTimeoutMs,
  // A peer that neither reads nor writes for so long holds an answer in memory for nothing.
  connectionTimeout: options.idleTimeoutMs,
  keepAliveTimeout: KEEP_ALIVE_MS,
  exposeHeadRoutes: true,
  forceCloseConnections: true,
  routerOptions: { ignoreTrailingSlash: true },
});

const contextOf = (pair: CertificatePair): { cert: string; key: string; minVersion: 'TLSv1.2' } => ({
  cert: pair.certificatePem,
  key: pair.keyPem,
  minVersion: 'TLSv1.2',
});

const countSessions = (server: Http2SecureServer, metrics: Metrics): void => {
  const open = new Set<ServerHttp2Session>();
  const failures = metrics.counter('tls_handshake_failures_total', 'TLS handshakes that did not succeed, by code', [
    'code',
  ]);
  metrics.observedGauge('http2_sessions_open', 'Open HTTP/2 connections', () => open.size);
  server.on('session', (session) => {
    open.add(session);
    session.once('close', () => open.delete(session));
  });
  server.on('tlsClientError', (error: Error & { code?: string }) => failures.inc({ code: failureCode(error.code) }));
};

/** Few and known: a label is no place for what a peer can choose. */
const failureCode = (code: string | undefined): string =>
  code === 'ERR_TLS_HANDSHAKE_TIMEOUT' || code === 'ECONNRESET' ? code : 'OTHER';
