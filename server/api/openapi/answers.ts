/** What the API answers, for the OpenAPI document: the types of `contract/`, as schemas. The compiler says when the two part. */
import { z } from 'zod';
import type { CueList, HostedCue } from '../contract/cues-host.ts';
import type { Chapter, Cue } from '../contract/cues.ts';
import type { LearningStatus } from '../contract/learning.ts';
import type { ReplayList, ReplaySummary } from '../contract/replays.ts';
import type { SessionDetail, SessionSummary } from '../contract/sessions.ts';
import type { BroadcastSummary, DoctorFinding, PlaybackHints, RenditionSummary } from '../contract/socket.ts';
import type { BroadcastHealth, StudioFacts } from '../contract/studio.ts';

const NUMBER = z.number();
const TEXT = z.string();
const SOME_NUMBER = NUMBER.nullable();
const SOME_TEXT = TEXT.nullable();
const STATE = z.enum(['absent', 'waiting', 'live', 'reconnecting', 'ended']);

export const REFUSAL = z.strictObject({
  error: TEXT.describe('Stable'),
  detail: TEXT.exactOptional().describe('What was expected'),
});

const FINDING = z.strictObject({
  code: TEXT,
  severity: z.enum(['info', 'warning', 'problem']),
  advice: TEXT,
  costMs: SOME_NUMBER,
}) satisfies z.ZodType<DoctorFinding>;

const RENDITION = z.strictObject({
  id: TEXT,
  codec: TEXT,
  widthPx: NUMBER,
  heightPx: NUMBER,
  frameRateFps: SOME_NUMBER,
  bitrateBps: NUMBER,
}) satisfies z.ZodType<RenditionSummary>;

const NARROWBAND = z.strictObject({
  targetVmaf: NUMBER,
  rungs: z.array(z.strictObject({ id: TEXT, crf: NUMBER, vmafPredicted: SOME_NUMBER })),
  probedAgoMs: SOME_NUMBER,
  lastChange: z.enum(['follows_content', 'quality_low', 'scene_changed']).nullable(),
});

const LADDER = z.strictObject({
  rungs: z.array(RENDITION),
  encoder: z.strictObject({ name: TEXT, why: TEXT }),
  narrowband: NARROWBAND.nullable(),
  leftOut: z.array(z.strictObject({ id: TEXT, why: TEXT })),
  lagMs: NUMBER,
  restartCount: NUMBER,
});

const BROADCAST = z.strictObject({
  name: TEXT,
  id: TEXT,
  state: STATE,
  startedAtWallMs: NUMBER,
  viewerCount: NUMBER,
  video: z.strictObject({ codec: TEXT, widthPx: NUMBER, heightPx: NUMBER, frameRateFps: SOME_NUMBER }).nullable(),
  audio: z.strictObject({ codec: TEXT, channelCount: NUMBER }).nullable(),
  bitrateBps: NUMBER,
  findings: z.array(FINDING),
  recording: z
    .object({
      state: z.enum(['idle', 'recording', 'paused', 'ended']),
      pauseReason: SOME_TEXT,
      lostCount: NUMBER,
    })
    .nullable()
    .exactOptional(),
  ladder: LADDER.nullable().exactOptional(),
}) satisfies z.ZodType<BroadcastSummary>;

const HINTS = z.strictObject({
  v: z.literal(1),
  targetLatencyMs: NUMBER,
  fastRatio: NUMBER,
  slowRatio: NUMBER,
  smoothnessRatio: NUMBER.exactOptional(),
  bandwidthDownRatio: NUMBER.exactOptional(),
  bandwidthUpRatio: NUMBER.exactOptional(),
  startBandwidthBps: NUMBER.exactOptional(),
}) satisfies z.ZodType<PlaybackHints>;

const REPLAY = z.strictObject({
  id: TEXT,
  name: TEXT,
  title: TEXT,
  state: z.enum(['recording', 'ended']),
  startedAtWallMs: NUMBER,
  endedAtWallMs: SOME_NUMBER,
  durationMs: NUMBER,
  sizeBytes: NUMBER,
  playlistUrl: TEXT,
  downloadUrl: TEXT,
  posterUrl: TEXT,
  storyboardUrl: TEXT,
}) satisfies z.ZodType<ReplaySummary>;
const REPLAYS = z.strictObject({ replays: z.array(REPLAY), totalCount: NUMBER }) satisfies z.ZodType<ReplayList>;

const CONTENT = {
  id: TEXT,
  mode: z.enum(['media', 'clock']),
  kind: TEXT,
  title: TEXT.exactOptional(),
  price: TEXT.exactOptional(),
  picture: TEXT.exactOptional(),
  link: TEXT.exactOptional(),
  durationMs: SOME_NUMBER,
  payload: z.unknown().optional(),
  stock: NUMBER.exactOptional(),
};
const CUE = z.strictObject({
  ...CONTENT,
  mediaMs: NUMBER,
  programWallMs: NUMBER,
  showAtWallMs: SOME_NUMBER,
}) satisfies z.ZodType<Cue>;
const HOSTED_CUE = z.strictObject({
  ...CONTENT,
  state: z.enum(['prepared', 'armed', 'fired', 'ended']),
  at: z
    .union([z.literal('now'), z.strictObject({ countdownMs: NUMBER }), z.strictObject({ mediaMs: NUMBER })])
    .nullable(),
  mediaMs: SOME_NUMBER,
  programWallMs: SOME_NUMBER,
  showAtWallMs: SOME_NUMBER,
  firedAtWallMs: SOME_NUMBER,
}) satisfies z.ZodType<HostedCue>;
const CUES = z.strictObject({
  cues: z.array(HOSTED_CUE),
  clock: z
    .object({
      broadcastId: TEXT,
      mediaMs: NUMBER,
      serverWallMs: NUMBER,
      encoderDelayMs: NUMBER,
      encoderDelayFrom: z.enum(['config', 'x264', 'guess']),
    })
    .nullable(),
}) satisfies z.ZodType<CueList>;
export const CHAPTERS = z.strictObject({
  chapters: z.array(z.strictObject({ startMs: NUMBER, endMs: NUMBER, title: TEXT, cue: CUE })),
}) satisfies z.ZodType<{ chapters: readonly Chapter[] }>;

const SESSION = z.strictObject({
  number: NUMBER,
  broadcast: TEXT,
  transport: z.enum(['whep', 'll-hls']),
  startedAtWallMs: NUMBER,
  durationMs: NUMBER,
  endedAtWallMs: SOME_NUMBER,
  endReason: SOME_TEXT,
  path: TEXT,
  renditionId: SOME_TEXT,
  estimateBps: SOME_NUMBER,
  networkClass: SOME_TEXT,
  playoutDelayMs: SOME_NUMBER,
  targetLatencyMs: SOME_NUMBER,
  rttMs: SOME_NUMBER,
  latencyMs: SOME_NUMBER,
  stallCount: SOME_NUMBER,
  stallMs: SOME_NUMBER,
  smoothnessRatio: SOME_NUMBER,
}) satisfies z.ZodType<SessionSummary>;
const COLUMN = z.array(SOME_NUMBER);
const SESSION_DETAIL = SESSION.extend({
  timeline: z.strictObject({
    atMs: z.array(NUMBER),
    estimateBps: COLUMN,
    sentBps: COLUMN,
    playoutDelayMs: COLUMN,
    needMs: COLUMN,
    targetLatencyMs: COLUMN,
    queueDelayMs: COLUMN,
    rttMs: COLUMN,
    latencyMs: COLUMN,
    frozenMs: COLUMN,
    renditionId: z.array(TEXT),
  }),
}) satisfies z.ZodType<SessionDetail>;

const ESTIMATE = z.strictObject({ value: NUMBER, low: NUMBER, high: NUMBER, words: TEXT });
const FRONTIER_POINT = z.strictObject({ latencyMs: NUMBER, stallRatio: NUMBER });
const LEARNING = z.strictObject({
  mode: z.enum(['on', 'off', 'pinned']),
  pinnedArm: SOME_TEXT,
  holdoutRatio: NUMBER,
  sinceWallMs: NUMBER,
  refused: z.strictObject({ unreported: NUMBER, contradicted: NUMBER, short: NUMBER }),
  comparisons: z.array(
    z.strictObject({
      networkClass: TEXT,
      against: z.enum(['gcc', 'defaults']),
      learningSessionCount: NUMBER,
      holdoutSessionCount: NUMBER,
      differences: z.array(
        z.strictObject({
          measure: TEXT,
          learning: NUMBER,
          holdout: NUMBER,
          learningHalf: NUMBER,
          holdoutHalf: NUMBER,
          difference: NUMBER,
          low: NUMBER,
          high: NUMBER,
          words: TEXT,
        }),
      ),
      adjusted: z.strictObject({ utility: ESTIMATE, stallFactor: ESTIMATE }).nullable(),
    }),
  ),
  classes: z.array(
    z.strictObject({
      networkClass: TEXT,
      sessionCount: NUMBER,
      arms: z.array(
        z.strictObject({
          name: TEXT,
          sessionCount: NUMBER,
          shareRatio: NUMBER,
          abortCount: NUMBER,
          utilityDifference: NUMBER,
          utilityDeviation: NUMBER,
          stallFactor: NUMBER,
          isAdmitted: z.boolean(),
          changes: z.array(z.strictObject({ name: TEXT, from: NUMBER, to: NUMBER, unit: TEXT })),
        }),
      ),
    }),
  ),
  frontier: z.array(
    z.strictObject({
      networkClass: TEXT,
      smoothnessRatio: NUMBER,
      learned: FRONTIER_POINT,
      defaults: FRONTIER_POINT,
    }),
  ),
}) satisfies z.ZodType<LearningStatus>;

const STUDIO = z.strictObject({
  name: TEXT,
  isAdmin: z.boolean(),
  hasKey: z.boolean(),
  rtmpPort: NUMBER,
  isLoopbackOpen: z.boolean(),
  mayHaveDrops: z.boolean(),
  watchToken: SOME_TEXT,
}) satisfies z.ZodType<StudioFacts>;
const HEALTH = z.strictObject({
  state: STATE,
  findings: z.array(FINDING),
  viewers: z.strictObject({ udpCount: NUMBER, tcpCount: NUMBER, hlsCount: NUMBER }),
  everyMs: NUMBER,
  history: z.strictObject({
    atWallMs: z.array(NUMBER),
    bitrateBps: COLUMN,
    frameRateFps: COLUMN,
    keyframeIntervalMs: COLUMN,
    missingCount: COLUMN,
    lateCount: COLUMN,
    viewerCount: COLUMN,
    latencyMedianMs: COLUMN,
    latencyP95Ms: COLUMN,
    stallRatio: COLUMN,
  }),
}) satisfies z.ZodType<BroadcastHealth>;

const SMOOTHNESS = z.strictObject({ smoothnessRatio: NUMBER });
const DROP = { drop: TEXT, broadcast: TEXT, isDemo: z.boolean(), state: TEXT };

type Answers = Readonly<Record<number, z.ZodType | 'text/plain' | null>>;

/** By `METHOD /path`, as registered: what a request that is granted gets. Null: a status without a body. */
export const ANSWERS: Readonly<Record<string, Answers>> = {
  'GET /healthz': { 200: z.strictObject({ status: z.literal('ok') }) },
  'GET /metrics': { 200: 'text/plain' },
  'GET /readyz': {
    200: z.strictObject({ status: TEXT, problems: z.array(TEXT) }),
    503: z.strictObject({ status: TEXT, problems: z.array(TEXT) }),
  },
  'GET /api/broadcasts': { 200: z.strictObject({ broadcasts: z.array(BROADCAST) }) },
  'GET /api/broadcasts/:name': { 200: BROADCAST },
  'DELETE /api/broadcasts/:name': { 204: null },
  'GET /api/broadcasts/:name/health': { 200: HEALTH },
  'GET /api/broadcasts/:name/smoothness': { 200: SMOOTHNESS },
  'PUT /api/broadcasts/:name/smoothness': { 200: SMOOTHNESS },
  'GET /api/broadcasts/:name/cues': { 200: CUES },
  'POST /api/broadcasts/:name/cues': { 200: HOSTED_CUE, 201: HOSTED_CUE },
  'PUT /api/broadcasts/:name/cues/:id': { 200: HOSTED_CUE },
  'DELETE /api/broadcasts/:name/cues/:id': { 204: null },
  'POST /api/broadcasts/:name/cues/:id/fire': { 200: HOSTED_CUE },
  'GET /api/broadcasts/:name/drops/:id': {
    200: z.strictObject({ ...DROP, stock: NUMBER.exactOptional(), claimedCount: NUMBER.exactOptional() }),
  },
  'POST /api/broadcasts/:name/drops/:id/claims': {
    200: z.strictObject({ drop: TEXT, broadcast: TEXT, number: NUMBER, ticket: TEXT, isDemo: z.boolean() }),
    201: z.strictObject({ drop: TEXT, broadcast: TEXT, number: NUMBER, ticket: TEXT, isDemo: z.boolean() }),
  },
  'GET /api/broadcasts/:name/drops/:id/claims': {
    200: z.strictObject({
      ...DROP,
      stock: NUMBER,
      claimedCount: NUMBER,
      claims: z.array(z.strictObject({ number: NUMBER, subject: TEXT, claimedAtWallMs: NUMBER, jti: TEXT })),
    }),
  },
  'GET /api/drops/keys': { 200: z.strictObject({ keys: z.array(z.record(TEXT, z.unknown())) }) },
  'GET /api/hints/:name': { 200: HINTS },
  'GET /api/keys': { 200: z.strictObject({ names: z.array(TEXT) }) },
  'POST /api/keys/:name': { 201: z.strictObject({ name: TEXT, streamKey: TEXT }) },
  'DELETE /api/keys/:name': { 204: null },
  'GET /api/learning': { 200: LEARNING },
  'PUT /api/learning': { 200: z.strictObject({ mode: z.enum(['on', 'off', 'pinned']), pinnedArm: SOME_TEXT }) },
  'GET /api/replays': { 200: REPLAYS },
  'GET /api/replays/:id': { 200: REPLAY },
  'PATCH /api/replays/:id': { 200: REPLAY },
  'DELETE /api/replays/:id': { 204: null },
  'GET /api/sessions': { 200: z.strictObject({ sessions: z.array(SESSION) }) },
  'GET /api/sessions/:number': { 200: SESSION_DETAIL },
  'GET /api/studio/:name': { 200: STUDIO },
  'POST /api/tokens': {
    201: z.strictObject({
      token: TEXT,
      audience: TEXT,
      expiresAtWallMs: NUMBER,
      watchUrl: TEXT.exactOptional(),
      playlistUrl: TEXT.exactOptional(),
    }),
  },
  'GET /api/tokens/keys': { 200: z.strictObject({ ids: z.array(TEXT) }) },
  'POST /api/tokens/keys': { 201: z.strictObject({ id: TEXT, secret: TEXT }) },
  'DELETE /api/tokens/keys/:id': { 204: null },
};
