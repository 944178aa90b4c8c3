/** What the API shows of the hub's broadcasts: the place where the hub, the doctor and the outputs' viewer counts meet. */
import type {
  BroadcastSummary,
  DoctorFinding,
  LadderSummary,
  NarrowbandSummary,
  RecordingStatus,
  RenditionSummary,
} from './api/contract/socket.ts';
import type { EncoderStatus } from '../transcode/encoder-finder.ts';
import type { LadderStatus } from '../transcode/ladder.ts';
import type { BroadcastNews, BroadcastsView } from './api/views.ts';
import type { Broadcast } from './relay/broadcast.ts';
import { SOURCE_AUDIO, SOURCE_VIDEO } from './relay/broadcast.ts';
import type { Hub } from './relay/hub.ts';

export type SummarySources = {
  readonly hub: Hub;
  /** Viewers of one broadcast over all outputs. */
  readonly viewerCountOf: (name: string) => number;
  readonly findingsOf: (name: string) => readonly DoctorFinding[];
  readonly recordingOf: (broadcastId: string) => RecordingStatus | null;
  readonly ladderOf: (name: string) => LadderStatus | undefined;
  readonly encoder: () => EncoderStatus;
};

/** Viewer counts and rungs change by themselves; sockets are told at this pace. */
const POLL_EVERY_MS = 1_000;

export class BroadcastSummaries implements BroadcastsView {
  readonly #sources: SummarySources;
  readonly #watchers = new Map<string, Set<(news: BroadcastNews) => void>>();
  readonly #poll: NodeJS.Timeout;
  /** What was told of each broadcast, as text. */
  #lastTold = new Map<string, string>();

  constructor(sources: SummarySources) {
    this.#sources = sources;
    sources.hub.listen({ onBroadcastStarted: (broadcast) => this.#follow(broadcast) });
    this.#poll = setInterval(() => this.#tellOfChanges(), POLL_EVERY_MS);
  }

  close(): void {
    clearInterval(this.#poll);
    this.#watchers.clear();
  }

  list(): readonly BroadcastSummary[] {
    return [...this.#sources.hub.broadcasts.values()].map((broadcast) => this.#summarise(broadcast));
  }

  find(name: string): BroadcastSummary | undefined {
    const broadcast = this.#sources.hub.find(name);
    return broadcast === undefined ? undefined : this.#summarise(broadcast);
  }

  renditionsOf(name: string): readonly RenditionSummary[] {
    const broadcast = this.#sources.hub.find(name);
    const source = broadcast?.renditions.get(SOURCE_VIDEO);
    if (broadcast === undefined || source?.track?.kind !== 'video') {
      return [];
    }
    const { codec, widthPx, heightPx } = source.track;
    const { frameRateFps = null, bitrateBps } = source.facts;
    const rungs = ladderSummary(broadcast, this.#sources.ladderOf(name), this.#sources.encoder())?.rungs ?? [];
    const begun = rungs.filter((rung) => rung.bitrateBps > 0);
    return [{ id: 'main', codec, widthPx, heightPx, frameRateFps, bitrateBps }, ...begun];
  }

  newsOf(name: string): BroadcastNews {
    const broadcast = this.#sources.hub.find(name);
    return broadcast === undefined
      ? { state: 'absent', viewerCount: 0, broadcastId: undefined, renditions: [] }
      : {
          state: broadcast.state,
          viewerCount: this.#sources.viewerCountOf(name),
          broadcastId: broadcast.id,
          renditions: this.renditionsOf(name),
        };
  }

  end(name: string, reason: string): boolean {
    const isThere = this.#sources.hub.find(name) !== undefined;
    this.#sources.hub.end(name, reason);
    return isThere;
  }

  watch(name: string, onChange: (news: BroadcastNews) => void): () => void {
    const watchers = this.#watchers.get(name) ?? new Set();
    this.#watchers.set(name, watchers);
    watchers.add(onChange);
    return () => {
      watchers.delete(onChange);
      if (watchers.size === 0 && this.#watchers.get(name) === watchers) {
        this.#watchers.delete(name);
      }
    };
  }

  #follow(broadcast: Broadcast): void {
    broadcast.listen({ onStateChanged: () => this.#tell(broadcast.name) });
    this.#tell(broadcast.name);
  }

  #tell(name: string): void {
    const watchers = this.#watchers.get(name);
    if (watchers === undefined) {
      return;
    }
    const news = this.newsOf(name);
    for (const onChange of watchers) {
      onChange(news);
    }
  }

  #tellOfChanges(): void {
    const told = new Map<string, string>();
    for (const name of this.#sources.hub.broadcasts.keys()) {
      const ids = this.renditionsOf(name).map(({ id, widthPx, heightPx }) => `${id} ${widthPx} ${heightPx}`);
      const text = [this.#sources.viewerCountOf(name), ...ids].join();
      told.set(name, text);
      if (this.#lastTold.get(name) !== text) {
        this.#tell(name);
      }
    }
    this.#lastTold = told;
  }

  #summarise(broadcast: Broadcast): BroadcastSummary {
    const { name, id, state, startedAtWallMs } = broadcast;
    const video = broadcast.renditions.get(SOURCE_VIDEO);
    const audio = broadcast.renditions.get(SOURCE_AUDIO);
    return {
      name,
      id,
      state,
      startedAtWallMs: Math.round(startedAtWallMs),
      viewerCount: this.#sources.viewerCountOf(name),
      video:
        video?.track?.kind === 'video'
          ? {
              codec: video.track.codec,
              widthPx: video.track.widthPx,
              heightPx: video.track.heightPx,
              frameRateFps: video.facts.frameRateFps ?? null,
            }
          : null,
      audio:
        audio?.track?.kind === 'audio' ? { codec: audio.track.codec, channelCount: audio.track.channelCount } : null,
      bitrateBps: (video?.facts.bitrateBps ?? 0) + (audio?.facts.bitrateBps ?? 0),
      findings: this.#sources.findingsOf(name),
      recording: this.#sources.recordingOf(id),
      ladder: ladderSummary(broadcast, this.#sources.ladderOf(name), this.#sources.encoder()),
    };
  }
}

const toTenths = (value: number | undefined): number | null =>
  value === undefined ? null : Math.round(value * 10) / 10;

const narrowbandSummary = (status: LadderStatus['narrowband']): NarrowbandSummary | null =>
  status === undefined
    ? null
    : {
        targetVmaf: status.targetVmaf,
        rungs: status.rungs.map(({ id, crf, vmaf }) => ({ id, crf, vmafPredicted: toTenths(vmaf) })),
        probedAgoMs: status.probedAgoMs === undefined ? null : Math.round(status.probedAgoMs),
        lastChange: status.lastChange ?? null,
      };

const ladderSummary = (
  broadcast: Broadcast,
  status: LadderStatus | undefined,
  encoder: EncoderStatus,
): LadderSummary | null =>
  status === undefined || (status.rungs.length === 0 && status.leftOut.length === 0)
    ? null
    : {
        rungs: status.rungs.map(({ id, codec, widthPx, heightPx, frameRateFps }) => {
          const bitrateBps = broadcast.renditions.get(id)?.facts.bitrateBps ?? 0;
          return { id, codec, widthPx, heightPx, frameRateFps, bitrateBps };
        }),
        encoder,
        narrowband: narrowbandSummary(status.narrowband),
        leftOut: status.leftOut,
        lagMs: Math.round(status.lagMs),
        restartCount: status.restartCount,
      };
