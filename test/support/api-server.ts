/** The HTTP doors by themselves, on loopback: an echo and a broken endpoint, one broadcast, one viewer session, all told by the test. */
import type { SessionDetail } from '../../server/api/contract/sessions.ts';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LearningStatus } from '../../server/api/contract/learning.ts';
import type { BroadcastHealth } from '../../server/api/contract/studio.ts';
import type { BroadcastSummary, RenditionSummary, ServerMessage } from '../../server/api/contract/socket.ts';
import type { CuesView } from '../../server/api/views.ts';
import type { HttpServerParts } from '../../server/api/http-server.ts';
import { DEFAULT_HTTP_SERVER_OPTIONS, DEFAULT_TLS_OPTIONS, HttpServer } from '../../server/api/http-server.ts';
import { DEFAULT_SOCKET_OPTIONS } from '../../server/api/routes/socket.ts';
import type { BroadcastNews } from '../../server/api/views.ts';
import { systemClock } from '../../server/base/clock.ts';
import type { HttpRequest } from '../../server/base/http-exchange.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { MemoryRecordings, replaysViewOf } from './memory-recordings.ts';
import { tempFolder } from './temp-folder.ts';

export const SUMMARY: BroadcastSummary = {
  name: 'demo',
  id: '0123',
  state: 'live',
  startedAtWallMs: 1,
  viewerCount: 3,
  video: null,
  audio: null,
  bitrateBps: 0,
  findings: [],
};

export const LEARNED: LearningStatus = {
  mode: 'on',
  pinnedArm: null,
  holdoutRatio: 0.1,
  sinceWallMs: 1,
  refused: { unreported: 0, contradicted: 2, short: 0 },
  comparisons: [],
  classes: [],
  frontier: [],
};

const NOT_THERE = { ok: false, refusal: { code: 'CUE_UNKNOWN', detail: 'there are none here' } } as const;

export const NO_CUES: CuesView = {
  list: () => ({ cues: [], clock: null }),
  create: async () => NOT_THERE,
  fire: async () => NOT_THERE,
  edit: async () => NOT_THERE,
  withdraw: async () => NOT_THERE,
  snapshotText: () => '{"type":"cues","marks":[],"cues":[]}',
  setViewers: () => undefined,
};

export const HEALTH: BroadcastHealth = {
  state: 'live',
  findings: [],
  viewers: { udpCount: 1, tcpCount: 0, hlsCount: 2 },
  everyMs: 2_000,
  history: {
    ...{ atWallMs: [1], bitrateBps: [2e6], frameRateFps: [30], keyframeIntervalMs: [1_000], missingCount: [0] },
    ...{ lateCount: [0], viewerCount: [3], latencyMedianMs: [null], latencyP95Ms: [null], stallRatio: [null] },
  },
};

export type ApiFixture = {
  readonly url: string;
  /** Empty without a TLS door. */
  readonly tlsUrl: string;
  readonly server: HttpServer;
  readonly metrics: Metrics;
  readonly folder: string;
  readonly requests: HttpRequest[];
  readonly ended: string[];
  readonly reports: unknown[];
  /** Of all sockets, whether they have a session or not; `closed` when one has gone. */
  readonly unboundReports: unknown[];
  /** What was asked for by `watch`. */
  readonly watched: (string | undefined)[];
  readonly viewers: SessionDetail[];
  /** As set by the learning route. */
  readonly modes: unknown[];
  readonly tell: () => void;
  renditions: readonly RenditionSummary[];
  isReady: boolean;
  smoothnessRatio: number;
  summary: BroadcastSummary;
  toViewer: (message: ServerMessage) => void;
};

export const ADMIN = { headers: { authorization: 'Bearer admin-key' } };

/** Runs with the doors open, then closes them. `change` replaces parts; it is told the temporary folder. */
export const withApiServer = async (
  run: (fixture: ApiFixture) => Promise<void>,
  change: (folder: string) => Partial<HttpServerParts> = () => ({}),
): Promise<void> => {
  const folder = tempFolder('api');
  writeFileSync(join(folder, 'index.html'), '<title>live</title>');
  writeFileSync(join(folder, 'watch.html'), '<title>watch</title>');
  writeFileSync(join(folder, 'studio.html'), '<title>studio</title>');
  const fixture = {
    folder,
    url: '',
    tlsUrl: '',
    isReady: true,
    smoothnessRatio: 0.5,
    summary: SUMMARY,
    renditions: [],
    toViewer: () => undefined,
  };
  const told = {
    requests: [],
    ended: [],
    reports: [],
    unboundReports: [],
    watched: [],
    viewers: [],
    modes: [],
    metrics: new Metrics({ collectDefaults: false }),
  };
  const watchers = new Set<(news: BroadcastNews) => void>();
  const tell = (): void => watchers.forEach((onNews) => onNews(newsOf(whole)));
  const whole = Object.assign(fixture, told, { tell }) as unknown as ApiFixture;
  const server = new HttpServer({ ...partsFor(whole, watchers), ...change(folder) });
  const { http, https } = await server.listen();
  Object.assign(whole, {
    server,
    url: `http://127.0.0.1:${http}`,
    tlsUrl: https === undefined ? '' : `https://127.0.0.1:${https}`,
  });
  try {
    await run(whole);
  } finally {
    await server.close('test over');
    rmSync(folder, { recursive: true });
  }
};

export const TEST_HTTP_OPTIONS = {
  ...DEFAULT_HTTP_SERVER_OPTIONS,
  host: '127.0.0.1',
  port: 0,
  bodyMaxBytes: 1_000,
};

const newsOf = ({ summary, renditions }: ApiFixture): BroadcastNews => ({
  state: summary.state,
  viewerCount: summary.viewerCount,
  broadcastId: summary.id,
  renditions,
});

const partsFor = (fixture: ApiFixture, watchers: Set<(news: BroadcastNews) => void>): HttpServerParts => ({
  settings: TEST_HTTP_OPTIONS,
  tls: DEFAULT_TLS_OPTIONS,
  dataDir: fixture.folder,
  socketSettings: { ...DEFAULT_SOCKET_OPTIONS, messageRateMaxPerS: 5 },
  endpoints: {
    '/echo': async (request) => {
      fixture.requests.push(request);
      return { status: 201, headers: { 'content-type': 'application/x-echo', etag: '"e"' }, body: request.body };
    },
    '/broken': async () => {
      throw new Error('secret detail');
    },
  },
  drops: async (request) => {
    fixture.requests.push(request);
    return { status: 409, headers: { 'content-type': 'application/json' }, body: '{"error":"DROP_SOLD_OUT"}' };
  },
  broadcasts: {
    list: () => [fixture.summary],
    find: (name) => (name === 'demo' ? fixture.summary : undefined),
    end: (name) => {
      fixture.ended.push(name);
      return name === 'demo';
    },
    newsOf: (name) =>
      name === 'demo' ? newsOf(fixture) : { state: 'absent', viewerCount: 0, broadcastId: undefined, renditions: [] },
    watch: (_name, onNews) => {
      watchers.add(onNews);
      return () => watchers.delete(onNews);
    },
  },
  learning: {
    armNames: ['defaults', 'cautious'],
    status: () => LEARNED,
    setMode: (mode, arm) => {
      fixture.modes.push([mode, arm]);
      return mode !== 'pinned' || arm === 'cautious';
    },
  },
  cues: NO_CUES,
  keys: {
    names: ['demo'],
    renewPublishKey: () => 'fresh',
    removePublishKey: (name) => name === 'demo',
    isPublishKey: (name, key) => name === 'demo' && key === 'demo-key',
  },
  tokens: {
    make: ({ audience, durationS }) => ({ token: 'v1.token', audience, expiresAtWallMs: 1_000 * (durationS ?? 7) }),
    keyIds: ['k1'],
    rotateKey: () => ({ id: 'k2', secret: 'made' }),
    removeKey: (id) => id === 'k1',
  },
  replays: replaysViewOf(new MemoryRecordings([])),
  smoothness: {
    smoothnessOf: (name) => (name === 'demo' ? fixture.smoothnessRatio : undefined),
    setSmoothness: (_name, smoothnessRatio) => {
      fixture.smoothnessRatio = smoothnessRatio;
    },
    maySet: (bearer) => bearer === 'admin-key' || bearer === 'demo-key',
  },
  studio: {
    holderOf: (bearer, name) => {
      const isHost = bearer === 'demo-key' && name === 'demo';
      return bearer === 'admin-key' ? 'admin' : isHost ? 'host' : undefined;
    },
    factsOf: (name, isAdmin) => ({
      ...{
        name,
        isAdmin,
        hasKey: name === 'demo',
        rtmpPort: 1935,
        isLoopbackOpen: false,
        mayHaveDrops: true,
        watchToken: null,
      },
    }),
    healthOf: (_name, afterWallMs) => ({ ...HEALTH, history: { ...HEALTH.history, atWallMs: [afterWallMs + 1] } }),
  },
  sessions: {
    findBySecret: (secret) =>
      secret === 's3cret'
        ? {
            listen: (onMessage) => {
              fixture.toViewer = onMessage;
              return () => undefined;
            },
            report: (report) => fixture.reports.push(report),
            watch: (renditionId) => fixture.watched.push(renditionId),
          }
        : undefined,
  },
  viewers: {
    list: () => fixture.viewers.map(({ timeline: _timeline, ...summary }) => summary),
    find: async (number) => fixture.viewers.find((viewer) => viewer.number === number),
  },
  reporters: {
    open: (broadcast) => ({
      report: (report) => fixture.unboundReports.push({ broadcast, ...report }),
      close: () => fixture.unboundReports.push('closed'),
    }),
  },
  hints: { hintsFor: () => ({ v: 1, targetLatencyMs: 1_100, fastRatio: 0.08, slowRatio: 0.05 }) },
  health: { readiness: () => ({ isReady: fixture.isReady, problems: fixture.isReady ? [] : ['draining'] }) },
  access: {
    isAdmin: (bearer) => bearer === 'admin-key',
    isLoopback: () => false,
    mayWatch: (_name, token) => token !== 'bad',
  },
  playerFolder: fixture.folder,
  clock: systemClock,
  log: silentLog,
  metrics: fixture.metrics,
});
