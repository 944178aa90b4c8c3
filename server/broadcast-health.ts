/** Takes the health of every broadcast at a steady pace and keeps the last quarter of an hour of each name: the hub, the doctor and viewers meet here. */
import type { KeyStore } from './access/key-store.ts';
import { secretsMatch } from './access/key-store.ts';
import type { TokenIssuer } from './access/token-issuer.ts';
import type { BroadcastHealth as Answer, HealthColumn, HealthHistory } from './api/contract/studio.ts';
import type { SessionSummary } from './api/contract/sessions.ts';
import type { DoctorFinding, WatchState } from './api/contract/socket.ts';
import type { StudioView, ViewersView } from './api/views.ts';
import type { Clock } from './base/clock.ts';
import { PointRing } from './health/point-ring.ts';
import { SourceMeter } from './health/source-meter.ts';
import type { ReportingViewer } from './health/viewer-meter.ts';
import { ViewerMeter } from './health/viewer-meter.ts';
import type { Broadcast } from './relay/broadcast.ts';
import { SOURCE_AUDIO, SOURCE_VIDEO } from './relay/broadcast.ts';
import type { Hub } from './relay/hub.ts';

export type HealthSources = {
  readonly hub: Hub;
  readonly viewers: Pick<ViewersView, 'list'>;
  readonly hlsCountOf: (name: string) => number;
  readonly findingsOf: (name: string) => readonly DoctorFinding[];
  readonly clock: Clock;
};

const EVERY_MS = 2_000;
const POINT_MAX_COUNT = 450;
/** Names that are not live any more. */
const PAST_MAX_COUNT = 64;

/** An encoder that was turned away is told of for so long; of so many names, the oldest go. */
const REFUSAL_SHOWN_MS = 60_000;
const REFUSAL_MAX_COUNT = 256;

/** Decimals that mean something. */
const DECIMALS: Readonly<Record<HealthColumn, number>> = {
  ...{ bitrateBps: 0, frameRateFps: 1, keyframeIntervalMs: 0, missingCount: 0, lateCount: 0 },
  ...{ viewerCount: 0, latencyMedianMs: 0, latencyP95Ms: 0, stallRatio: 4 },
};
const COLUMNS = Object.keys(DECIMALS) as HealthColumn[];

type Column = 'atWallMs' | HealthColumn;
type Kept = {
  readonly ring: PointRing<Column>;
  source: SourceMeter;
  readonly viewers: ViewerMeter;
  /** Undefined: it has ended. */
  broadcast: Broadcast | undefined;
  pointAtMs: number;
};

export class BroadcastHealth {
  readonly #sources: HealthSources;
  readonly #byName = new Map<string, Kept>();
  /** Who watches, by name, as of the last points. */
  #watching = new Map<string, SessionSummary[]>();
  readonly #refusals = new Map<string, { readonly remoteAddress: string; readonly atMs: number }>();
  readonly #timer: NodeJS.Timeout;

  constructor(sources: HealthSources) {
    this.#sources = sources;
    sources.hub.listen({ onBroadcastStarted: (broadcast) => this.#follow(broadcast) });
    this.#timer = setInterval(() => this.#takePoints(), EVERY_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Somebody wanted to publish `name` without its key: encoders show their user at most that it failed. */
  noteRefusal(name: string, remoteAddress: string): void {
    this.#refusals.delete(name);
    this.#refusals.set(name, { remoteAddress, atMs: this.#sources.clock.nowMs() });
    const [oldest] = this.#refusals.keys();
    if (this.#refusals.size > REFUSAL_MAX_COUNT && oldest !== undefined) {
      this.#refusals.delete(oldest);
    }
  }

  /** `afterWallMs`: of the history only what is newer. */
  healthOf(name: string, afterWallMs: number): Answer {
    const kept = this.#byName.get(name);
    const { udpCount, tcpCount } = this.#pathsOf(name);
    return {
      state: this.#stateOf(name),
      findings: [...this.#refusalOf(name), ...this.#sources.findingsOf(name)],
      viewers: { udpCount, tcpCount, hlsCount: this.#sources.hlsCountOf(name) },
      everyMs: EVERY_MS,
      history: historyOf(kept?.ring ?? new PointRing(['atWallMs', ...COLUMNS], 1), afterWallMs),
    };
  }

  #refusalOf(name: string): DoctorFinding[] {
    const refusal = this.#refusals.get(name);
    if (refusal === undefined || this.#sources.clock.nowMs() - refusal.atMs > REFUSAL_SHOWN_MS) {
      return [];
    }
    const advice = `An encoder at ${refusal.remoteAddress} wanted to go live here and was refused: its stream key lacks the key of this name, or has another. Copy the stream key again, whole.`;
    return [{ code: 'KEY_WRONG', severity: 'problem', costMs: null, advice }];
  }

  #stateOf(name: string): WatchState {
    return this.#sources.hub.find(name)?.state ?? 'absent';
  }

  #follow(broadcast: Broadcast): void {
    const nowMs = this.#sources.clock.nowMs();
    const kept: Kept = this.#byName.get(broadcast.name) ?? {
      ring: new PointRing(['atWallMs', ...COLUMNS], POINT_MAX_COUNT),
      source: new SourceMeter({ startedAtMs: nowMs }),
      viewers: new ViewerMeter({ startedAtMs: nowMs }),
      broadcast,
      pointAtMs: nowMs,
    };
    // Whoever it was has found the right key by now.
    this.#refusals.delete(broadcast.name);
    kept.source = new SourceMeter({ startedAtMs: nowMs });
    kept.broadcast = broadcast;
    this.#byName.set(broadcast.name, kept);
    const { source } = kept;
    broadcast.listen({
      onRenditionAdded: (rendition) => {
        if (rendition.id === SOURCE_VIDEO || rendition.id === SOURCE_AUDIO) {
          rendition.subscribe({ onUnit: (unit) => source.onUnit(unit) });
        }
      },
      onStateChanged: (state) => {
        if (state === 'ended' && kept.broadcast === broadcast) {
          kept.broadcast = undefined;
          this.#forget();
        }
      },
    });
  }

  #takePoints(): void {
    const { clock } = this.#sources;
    const nowMs = clock.nowMs();
    const watching = this.#sources.viewers.list().filter(({ endedAtWallMs }) => endedAtWallMs === null);
    this.#watching = Map.groupBy(watching, ({ broadcast }) => broadcast);
    for (const [name, kept] of this.#byName) {
      if (kept.broadcast !== undefined) {
        kept.ring.push({ atWallMs: Math.round(clock.wallMs()), ...this.#pointOf(name, kept, nowMs) });
        kept.pointAtMs = nowMs;
      }
    }
    this.#forget();
  }

  #pointOf(name: string, { source, viewers }: Kept, nowMs: number): Record<HealthColumn, number> {
    const reporting = (this.#watching.get(name) ?? []).flatMap(
      ({ number, latencyMs, stallMs }): [number, ReportingViewer][] =>
        stallMs === null ? [] : [[number, { latencyMs, stallMs }]],
    );
    const came = source.take(nowMs);
    const seen = viewers.take(new Map(reporting), nowMs);
    const { udpCount, tcpCount } = this.#pathsOf(name);
    return {
      ...{ bitrateBps: came.bitrateBps, missingCount: came.missingCount, lateCount: came.lateCount },
      frameRateFps: came.frameRateFps ?? Number.NaN,
      keyframeIntervalMs: came.keyframeIntervalMs ?? Number.NaN,
      viewerCount: udpCount + tcpCount + this.#sources.hlsCountOf(name),
      latencyMedianMs: seen.latencyMedianMs ?? Number.NaN,
      latencyP95Ms: seen.latencyP95Ms ?? Number.NaN,
      stallRatio: seen.stallRatio ?? Number.NaN,
    };
  }

  #pathsOf(name: string): { readonly udpCount: number; readonly tcpCount: number } {
    const countOf = (path: string): number =>
      (this.#watching.get(name) ?? []).filter((one) => one.transport === 'whep' && one.path === path).length;
    return { udpCount: countOf('udp'), tcpCount: countOf('tcp') };
  }

  /** What is older than all it covers, and the oldest of too many. */
  #forget(): void {
    const nowMs = this.#sources.clock.nowMs();
    const past = [...this.#byName].filter(([, { broadcast }]) => broadcast === undefined);
    const byAge = past.toSorted(([, one], [, other]) => one.pointAtMs - other.pointAtMs);
    for (const [index, [name, { pointAtMs }]] of byAge.entries()) {
      if (nowMs - pointAtMs > EVERY_MS * POINT_MAX_COUNT || index < byAge.length - PAST_MAX_COUNT) {
        this.#byName.delete(name);
      }
    }
  }
}

const historyOf = (ring: PointRing<Column>, afterWallMs: number): HealthHistory => {
  const atWallMs = ring.column('atWallMs').filter((at) => at > afterWallMs);
  const columns = COLUMNS.map((name): readonly [HealthColumn, (number | null)[]] => {
    const unit = 10 ** DECIMALS[name];
    const rounded = (value: number): number | null => (Number.isNaN(value) ? null : Math.round(value * unit) / unit);
    return [name, ring.column(name, atWallMs.length).map(rounded)];
  });
  return { atWallMs, ...(Object.fromEntries(columns) as Record<HealthColumn, (number | null)[]>) };
};

export type StudioParts = {
  readonly health: BroadcastHealth;
  readonly keys: KeyStore;
  readonly tokens: TokenIssuer;
  readonly areTokensRequired: boolean;
  readonly mayHaveDrops: (name: string) => boolean;
  readonly doors: { readonly rtmpPort: () => number; readonly isLoopbackOpen: boolean };
};

export const createStudioView = (parts: StudioParts): StudioView => {
  const { health, keys, tokens, areTokensRequired, doors } = parts;
  const tokenFor = (name: string): string =>
    tokens.make({ audience: `live/${name}`, durationS: undefined, subject: 'studio' }).token;
  return {
    holderOf: (bearer, name) => {
      if (bearer === undefined) {
        return undefined;
      }
      const isHost = keys.isPublishKey(name, bearer);
      return secretsMatch(bearer, keys.adminKey) ? 'admin' : isHost ? 'host' : undefined;
    },
    factsOf: (name, isAdmin) => ({
      name,
      isAdmin,
      hasKey: keys.publishKeyOf(name) !== undefined,
      rtmpPort: doors.rtmpPort(),
      isLoopbackOpen: doors.isLoopbackOpen,
      mayHaveDrops: parts.mayHaveDrops(name),
      watchToken: areTokensRequired ? tokenFor(name) : null,
    }),
    healthOf: (name, afterWallMs) => health.healthOf(name, afterWallMs),
  };
};
