/**
 * What may be configured: the parts' own option types, each with its bounds. The `satisfies` clauses make the compiler say when a part gains
 * an option that nobody can set, or loses one.
 */
import { z } from 'zod';
import type { ShareOptions } from '../server/access/address-share.ts';
import type { PlaybackTokenOptions } from '../server/access/playback-gate.ts';
import type { LoopbackMode } from '../server/access/publish-policy.ts';
import type { HttpServerOptions, TlsOptions } from '../server/api/http-server.ts';
import type { SocketOptions } from '../server/api/routes/socket.ts';
import type { CueOptions } from '../server/cues/cue-desk.ts';
import type { DropsOptions } from '../server/drops/options.ts';
import type { LinkCaptureOptions } from '../server/learning/link-captures.ts';
import type { RtmpServerOptions } from '../server/ingest/rtmp/options.ts';
import type { WhipOptions } from '../server/ingest/whip/options.ts';
import type { MediaThreadOptions } from '../server/media-threads/options.ts';
import type { WebRtcPortOptions } from '../server/webrtc-transport/webrtc-port.ts';
import type { CongestionOptions } from '../server/relay/webrtc/congestion-options.ts';
import type { WebRtcOutOptions } from '../server/relay/webrtc/options.ts';
import type { RecorderOptions } from '../server/replay/options.ts';
import type { RetentionOptions } from '../server/replay/retention.ts';
import type { HlsOptions } from '../server/relay/hls/http-handler.ts';
import type { WebhookOptions } from '../server/webhooks/webhooks.ts';
import { HOOK_TOPICS, isReceiverUrl } from '../server/webhooks/webhooks.ts';
import type { EssentialsOptions } from '../transcode/essentials.ts';
import type { LadderOptions } from '../transcode/ladder-plan.ts';
import type { QualityModel } from '../transcode/narrowband/quality-model.ts';
import { isFeatureName } from '../transcode/narrowband/quality-model.ts';

const PORT = z.number().int().min(0).max(65_535);
const HOST = z.string().min(1).max(255);
const BYTES = z
  .number()
  .int()
  .min(1)
  .max(2 ** 40);
const COUNT = z.number().int().min(1).max(1e9);
const DURATION_MS = z
  .number()
  .min(0)
  .max(24 * 3_600_000);
const NAME = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -');

const HTTP = z.strictObject({
  host: HOST,
  port: PORT,
  trustedProxies: z.array(z.string().min(1)).max(64),
  bodyMaxBytes: BYTES.min(16_384),
  requestTimeoutMs: DURATION_MS.min(1_000),
  idleTimeoutMs: DURATION_MS.min(15_000),
  connectionMaxCount: COUNT,
  connectionPerAddressMaxCount: COUNT,
  apiRateMaxPerMin: COUNT,
}) satisfies z.ZodType<HttpServerOptions>;

const TLS = z.strictObject({
  port: PORT,
  certificateFile: z.string(),
  keyFile: z.string(),
  selfMade: z.boolean(),
  selfMadeNames: z.array(HOST.regex(/^[\x21-\x7e]+$/, 'expected a DNS name or an address')).max(64),
  reloadEveryMs: DURATION_MS.min(100),
  handshakeTimeoutMs: DURATION_MS.min(500),
  streamMaxCount: COUNT,
}) satisfies z.ZodType<TlsOptions>;

const SOCKETS = z.strictObject({
  socketMaxCount: COUNT,
  queueMaxBytes: BYTES.min(4_096),
  messageMaxBytes: BYTES.min(512),
  messageRateMaxPerS: COUNT,
  idleTimeoutMs: DURATION_MS.min(10_000),
}) satisfies z.ZodType<SocketOptions>;

const RTMP = z.strictObject({
  host: HOST,
  port: PORT,
  connectionMaxCount: COUNT,
  connectionPerAddressMaxCount: COUNT,
  messageMaxBytes: BYTES.min(65_536),
  commandMaxBytes: BYTES.min(4_096),
  chunkStreamMaxCount: COUNT.min(4),
  connectionBufferedMaxBytes: BYTES.min(65_536),
  totalBufferedMaxBytes: BYTES.min(1_048_576),
  beforePublishMaxBytes: BYTES.min(8_192),
  outputBufferedMaxBytes: BYTES.min(4_096),
  handshakeTimeoutMs: DURATION_MS.min(100),
  publishTimeoutMs: DURATION_MS.min(500),
  idleTimeoutMs: DURATION_MS.min(500),
  lingerMs: DURATION_MS,
  tickEveryMs: DURATION_MS.min(10).max(5_000),
  turnMessageMaxCount: COUNT,
}) satisfies z.ZodType<RtmpServerOptions>;

const WHIP = z.strictObject({
  sessionMaxCount: COUNT,
  requestsPerMinute: COUNT,
  keyframeEveryMs: DURATION_MS.min(500).max(10_000),
  repairWaitMaxMs: DURATION_MS.max(5_000),
  reorderWaitMaxMs: DURATION_MS.max(5_000),
  feedbackEveryMs: DURATION_MS.min(20).max(250),
  bufferMaxBytes: BYTES.min(262_144),
  pictureMaxBytes: BYTES.min(65_536),
  idleTimeoutMs: DURATION_MS.min(1_000),
}) satisfies z.ZodType<WhipOptions>;

const GOP_CACHE = z.strictObject({ cacheMaxBytes: BYTES, cacheMaxCount: COUNT });

const PUBLISH = z.strictObject({
  firstName: NAME,
  loopback: z.enum(['auto', 'open', 'closed']) satisfies z.ZodType<LoopbackMode>,
  reconnectGraceMs: DURATION_MS,
  broadcastMaxCount: COUNT,
  gopCache: GOP_CACHE,
});

const WATCH = z.strictObject({
  tokens: z.strictObject({
    required: z.boolean(),
    edgeChecks: z.boolean(),
    skewMaxS: z.number().min(0).max(600),
    durationS: COUNT,
    durationMaxS: COUNT,
  }) satisfies z.ZodType<PlaybackTokenOptions>,
  shares: z.strictObject({
    waitingMaxCount: COUNT,
    waitingPerAddressMaxCount: COUNT,
    downloadMaxCount: COUNT,
    downloadPerAddressMaxCount: COUNT,
  }) satisfies z.ZodType<ShareOptions>,
});

const WEBRTC = z.strictObject({
  listenAddress: HOST,
  port: PORT,
  tcpEnabled: z.boolean(),
  announcedAddresses: z.array(HOST).max(16),
  livenessMaxMs: DURATION_MS.min(3_000),
  connectMaxMs: DURATION_MS.min(1_000),
  tcpConnectionMaxCount: COUNT,
  tcpOutputMaxBytes: BYTES.min(16_384),
  tcpIdentifyMaxMs: DURATION_MS.min(100),
  playoutDelayMs: z.number().int().min(10).max(40_950),
  playoutDelayFarMs: z.number().int().min(10).max(40_950),
  followSoundMaxMs: z.number().int().min(0).max(10_000),
  soundLagMs: z.number().int().min(-125).max(125),
  soundStartsAfterMs: z.number().int().min(0).max(10_000),
  sessionMaxCount: COUNT,
  joinsPerS: z.union([z.literal('auto'), z.number().min(1).max(10_000)]),
  joinQueueMaxCount: z.union([z.literal('auto'), COUNT]),
  requestsPerMinute: COUNT,
  iceServers: z
    .array(
      z.strictObject({
        url: z.string().min(1),
        username: z.string().exactOptional(),
        credential: z.string().exactOptional(),
      }),
    )
    .max(8),
  retransmitWindowMs: DURATION_MS.min(100).max(10_000),
  native: z.enum(['auto', 'off']),
  threads: z.union([z.literal('auto'), z.number().int().min(0).max(64)]),
  threadRingMaxBytes: BYTES.min(1_048_576),
}) satisfies z.ZodType<WebRtcPortOptions & WebRtcOutOptions & MediaThreadOptions>;

const CONGESTION = z.strictObject({
  controller: z.enum(['adaptive', 'gcc', 'off']),
  smoothnessRatio: z.number().min(0).max(1),
  startRateBps: z.number().min(100_000).max(1e9),
  startPlayoutDelayMs: z.number().min(10).max(2_000),
  policyFolder: z.string().max(1_024),
  learning: z.strictObject({
    enabled: z.boolean(),
    arm: z.string().max(64),
    holdoutRatio: z.number().min(0).max(0.5),
    file: z.string().min(1).max(1_024),
    saveEveryMs: DURATION_MS.min(1_000),
  }),
  trace: z.strictObject({ folder: z.string().max(1_024), sessionMaxBytes: BYTES.min(65_536), sessionMaxCount: COUNT }),
  capture: z.strictObject({
    folder: z.string().max(1_024),
    sessionRatio: z.number().min(0).max(1),
    sessionMaxCount: COUNT,
    sessionMaxMs: DURATION_MS.min(60_000),
    totalMaxBytes: BYTES.min(65_536),
  }) satisfies z.ZodType<LinkCaptureOptions>,
}) satisfies z.ZodType<CongestionOptions>;

const HLS = z.strictObject({
  partTargetMs: z.number().min(200).max(1_000),
  segmentMaxCount: COUNT.min(4).max(1_000),
  storeMaxBytes: BYTES.min(8 * 2 ** 20),
  repairWaitMs: DURATION_MS,
  startWaitMs: DURATION_MS.max(30_000),
  keepAfterEndMs: DURATION_MS,
  waitersMaxCount: COUNT,
}) satisfies z.ZodType<Omit<HlsOptions, 'repairedVideoId' | 'aacAudioId'>>;

const CUES = z.strictObject({
  cueMaxCount: COUNT.max(10_000),
  clockLeadMs: DURATION_MS.max(10_000),
  encoderDelayMs: z.union([z.literal('auto'), DURATION_MS.max(30_000)]),
  uplinkDelayMs: DURATION_MS.max(30_000),
  carryOverMaxMs: DURATION_MS,
  snapshotMaxBytes: BYTES.min(4_096),
}) satisfies z.ZodType<CueOptions>;

const RETENTION = z.strictObject({
  ageMaxHours: z.number().min(0).max(1e6),
  totalMaxBytes: z
    .number()
    .int()
    .min(0)
    .max(2 ** 52),
  lookEveryMs: DURATION_MS.min(1_000),
}) satisfies z.ZodType<RetentionOptions>;

const REPLAY = z.strictObject({
  enabled: z.boolean(),
  folder: z.string().min(1),
  renditions: z.array(z.string().min(1)).max(16),
  fsync: z.enum(['never', 'interval', 'segment']),
  fsyncEveryMs: DURATION_MS,
  fileRollMs: DURATION_MS.min(10_000),
  queueMaxBytes: BYTES.min(2 ** 20),
  freeMinBytes: BYTES,
  retryEveryMs: DURATION_MS.min(100),
  retention: RETENTION,
}) satisfies z.ZodType<RecorderOptions & { readonly folder: string; readonly retention: RetentionOptions }>;

const TRANSCODE = z.strictObject({
  ffmpegPath: z.string().min(1),
  opus: z.strictObject({
    bitrateBps: z.number().int().min(16_000).max(510_000),
    frameMs: z.union([z.literal(10), z.literal(20)]),
    complexity: z.number().int().min(0).max(10),
  }),
  repair: z.strictObject({
    crf: z.number().min(0).max(51),
    bitrateMaxRatio: z.number().min(0.1).max(10),
    sliceCount: z.number().int().min(0).max(16),
  }),
  run: z.strictObject({
    queueMaxBytes: BYTES,
    queueMaxCount: COUNT,
    lagMaxMs: DURATION_MS,
    firstOutputMaxMs: DURATION_MS,
    outputGapMaxMs: DURATION_MS,
  }),
  backoff: z.strictObject({ firstMs: DURATION_MS, maxMs: DURATION_MS, healthyAfterMs: DURATION_MS }),
}) satisfies z.ZodType<EssentialsOptions>;

const LADDER = z.strictObject({
  enabled: z.boolean(),
  sidesPx: z.array(z.number().int().min(120).max(4_320)).max(6),
  crf: z.number().min(0).max(51),
  narrowband: z.enum(['auto', 'off']),
  targetVmaf: z.number().min(60).max(98),
  probeCpuMaxRatio: z.number().min(0.001).max(1),
  bitsPerPxMax: z.number().min(0.005).max(1),
  cpuMaxCores: z.number().min(0).max(256),
  lagMaxMs: DURATION_MS,
  shedLagMs: DURATION_MS,
  shedLeftOutRatio: z.number().min(0.01).max(1),
  measuresSpeeds: z.boolean(),
  av1: z.enum(['auto', 'off', 'on']),
  av1Crf: z.number().int().min(0).max(63),
  encoder: z.enum(['auto', 'software', 'vaapi', 'qsv', 'nvenc', 'videotoolbox']),
}) satisfies z.ZodType<LadderOptions>;

const DROPS = z.strictObject({
  folder: z.string().min(1).max(1_024),
  shopKeysFile: z.string().min(1).max(1_024),
  shopKeysReloadEveryMs: DURATION_MS.min(100),
  tokenSkewMaxS: z.number().min(0).max(600),
  stockMaxCount: COUNT.max(1e6),
  totalStockMaxCount: COUNT.max(1e7),
  dropMaxCount: COUNT.max(1e5),
  ticketsPerAddressMaxCount: COUNT,
  claimsPerAddressMaxPerS: COUNT,
  resumeMaxMs: DURATION_MS.min(60_000),
  keepAfterEndMs: DURATION_MS,
  journalMaxHours: z.number().min(0).max(1e6),
  retryEveryMs: DURATION_MS.min(100),
}) satisfies z.ZodType<DropsOptions & { readonly folder: string; readonly shopKeysFile: string }>;

const WEBHOOKS = z.strictObject({
  receivers: z
    .array(
      z.strictObject({
        url: z
          .string()
          .max(2_048)
          .refine(isReceiverUrl, 'expected an http(s) address without user, password and fragment'),
        secret: z.string().min(16, 'expected at least 16 characters').max(256),
        events: z.array(z.enum(HOOK_TOPICS)).min(1),
      }),
    )
    .max(32),
  timeoutMs: DURATION_MS.min(100).max(60_000),
  retryFirstMs: DURATION_MS.min(10),
  retryMaxMs: DURATION_MS.min(10),
  giveUpAfterMs: DURATION_MS,
  queueMaxCount: COUNT.min(2).max(100_000),
}) satisfies z.ZodType<WebhookOptions>;

export const CONFIG_SCHEMA = z.strictObject({
  dataDir: z.string().min(1),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'silent']) }),
  http: HTTP,
  tls: TLS,
  sockets: SOCKETS,
  rtmp: RTMP,
  whip: WHIP,
  publish: PUBLISH,
  watch: WATCH,
  webrtc: WEBRTC,
  congestion: CONGESTION,
  hls: HLS,
  cues: CUES,
  replay: REPLAY,
  transcode: TRANSCODE,
  ladder: LADDER,
  drops: DROPS,
  webhooks: WEBHOOKS,
  drain: z.strictObject({ drainMaxS: z.number().min(0).max(3_600) }),
});

/** `quality-model.json`, made by `test/quality/calibrate.ts`. */
export const QUALITY_MODEL_SCHEMA = z.strictObject({
  version: z.literal(1),
  measure: z.literal('vmaf_v0.6.1'),
  features: z.array(
    z.strictObject({
      name: z.string().refine(isFeatureName, 'no feature that the server knows'),
      unit: z.string(),
      mean: z.number(),
      scale: z.number().positive(),
      weight: z.number(),
    }),
  ),
  offsetVmaf: z.number(),
  vmafPerCrfMin: z.number().positive(),
  vmafPerCrfMax: z.number().positive(),
  safe: z.strictObject({ crf: z.number(), targetVmaf: z.number() }),
  leaveOneClipOut: z.strictObject({
    clipCount: z.number(),
    windowCount: z.number(),
    predictionRmsVmaf: z.number(),
    settledRmsVmaf: z.number(),
    settledLowestVmaf: z.number(),
    settledBelowBy3Ratio: z.number(),
  }),
}) satisfies z.ZodType<QualityModel>;

export type Config = z.infer<typeof CONFIG_SCHEMA>;
