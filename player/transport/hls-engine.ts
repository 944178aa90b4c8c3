/** hls.js on one video element, loaded only when it is needed: how it loads, what it may ask for, and its failures as few words. */
import type Hls from 'hls.js';
import type { HlsConfig, LevelDetails } from 'hls.js';
import { AppendedPieces } from '../playout/appended-pieces.ts';
import { wallTimeAt, type TimedPieces } from '../playout/wall-timeline.ts';
import { PlaylistEdges, withoutDelta } from './reload-directives.ts';

/** How long and how often one thing is asked for before it counts as failed. */
export type HlsLoading = {
  readonly retryMaxCount: number;
  readonly retryDelayMs: number;
  readonly loadMaxMs: number;
};

/** What hls.js gave up. `status` is the HTTP answer's, 0 without one. */
export type HlsFailure = { readonly kind: 'media' | 'network' | 'other'; readonly status: number };

export type AppendedPiece = {
  readonly capturedAtWallMs: number;
  readonly durationMs: number;
  readonly askedAtMs: number;
  readonly bytes: number;
  /** From its first byte to its last. */
  readonly loadMs: number;
};

export type HlsEngineOptions = {
  readonly video: HTMLVideoElement;
  readonly playlistUrl: string;
  readonly loading: HlsLoading;
  /**
   * Delta updates pay for playlists of hours. At the live edge hls.js 1.7 loses its alignment with the first one of a young broadcast, leaves parts out
   * and stalls over the holes; the whole playlist has a dozen lines there.
   */
  readonly readsDeltas: boolean;
  /** The renditions of the multivariant playlist are known, and nothing of them is loaded yet. */
  onLevels?(hls: Hls): void;
  onPlaylist(details: LevelDetails): void;
  /** A part or segment of pictures is in the element's buffer; times on the page's clock (`performance.now`). */
  onAppended?(piece: AppendedPiece): void;
  onFailure(failure: HlsFailure): void;
};

const RETRY_DELAY_MAX_MS = 3000;
/** A blocked request may take three target durations (L12). */
const FIRST_BYTE_MAX_MS = 9000;

export class HlsEngine {
  readonly #options: HlsEngineOptions;
  readonly #edges = new PlaylistEdges();
  readonly #appended = new AppendedPieces();
  #hls: Hls | undefined;
  #isClosed = false;

  constructor(options: HlsEngineOptions) {
    this.#options = options;
  }

  /** Undefined until the first `build` has loaded it. */
  get hls(): Hls | undefined {
    return this.#hls;
  }

  /** Throws away what was, and begins anew. Rejects when hls.js itself cannot be loaded. */
  async build(config: Partial<HlsConfig>): Promise<void> {
    const { default: HlsPlayer } = await import('hls.js');
    if (this.#isClosed) {
      return;
    }
    this.#hls?.destroy();
    this.#edges.clear();
    this.#appended.clear();
    const hls = new HlsPlayer({ ...this.#baseConfig(), ...config });
    this.#hls = hls;
    hls.on(HlsPlayer.Events.ERROR, (_event, { type, fatal, response }) => {
      if (fatal && hls === this.#hls) {
        const kinds = {
          [HlsPlayer.ErrorTypes.MEDIA_ERROR]: 'media',
          [HlsPlayer.ErrorTypes.NETWORK_ERROR]: 'network',
        } as const;
        this.#options.onFailure({ kind: kinds[type as keyof typeof kinds] ?? 'other', status: response?.code ?? 0 });
      }
    });
    hls.on(HlsPlayer.Events.MANIFEST_PARSED, () => hls === this.#hls && this.#options.onLevels?.(hls));
    hls.on(HlsPlayer.Events.LEVEL_LOADED, (_event, { details }) => {
      if (hls === this.#hls) {
        this.#noteEdge(details);
        this.#options.onPlaylist(details);
      }
    });
    hls.on(HlsPlayer.Events.FRAG_BUFFERED, (_event, { frag, part, stats }) => {
      const dateMs = frag.programDateTime;
      const trackType: string = frag.type;
      if (hls === this.#hls && trackType === 'main' && dateMs !== null) {
        const capturedAtWallMs = dateMs + 1_000 * (part?.fragOffset ?? 0);
        const durationS = part?.duration ?? frag.duration;
        this.#appended.note({ startS: part?.start ?? frag.start, durationS, startAtWallMs: capturedAtWallMs });
        this.#options.onAppended?.({
          capturedAtWallMs,
          durationMs: 1_000 * durationS,
          askedAtMs: stats.loading.start,
          bytes: stats.loaded,
          loadMs: stats.loading.end - stats.loading.first,
        });
      }
    });
    hls.on(HlsPlayer.Events.AUDIO_TRACK_LOADED, (_event, { details }) => this.#noteEdge(details));
    hls.loadSource(this.#options.playlistUrl);
    hls.attachMedia(this.#options.video);
  }

  /** Unix milliseconds at capture of a picture in the element's buffer, by its program date; null while unknown. */
  wallMsAt(timeS: number): number | null {
    return this.#appended.wallMsAt(timeS) ?? wallTimeAt(piecesOf(this.#hls?.latestLevelDetails), timeS);
  }

  close(): void {
    this.#isClosed = true;
    this.#hls?.destroy();
    this.#hls = undefined;
  }

  #baseConfig(): Partial<HlsConfig> {
    const { loading, readsDeltas } = this.#options;
    const { retryMaxCount, retryDelayMs, loadMaxMs } = loading;
    const errorRetry = { maxNumRetry: retryMaxCount, retryDelayMs, maxRetryDelayMs: RETRY_DELAY_MAX_MS };
    const policy = {
      default: {
        ...{ maxTimeToFirstByteMs: FIRST_BYTE_MAX_MS, maxLoadTimeMs: loadMaxMs },
        ...{ timeoutRetry: errorRetry, errorRetry },
      },
    };
    return {
      lowLatencyMode: true,
      // It stays with the codec it begins with: H.264 has rungs to go down to, AV1 is one rung, for who chooses it.
      videoPreference: { videoCodec: 'avc1' },
      // Speed and place are ours.
      maxLiveSyncPlaybackRate: 1,
      manifestLoadPolicy: policy,
      playlistLoadPolicy: policy,
      fragLoadPolicy: policy,
      xhrSetup: (request: XMLHttpRequest, url: string) => {
        const clamped = this.#edges.clamp(url);
        request.open('GET', readsDeltas ? clamped : withoutDelta(clamped), true);
      },
    };
  }

  #noteEdge({ url, lastPartSn, lastPartIndex }: LevelDetails): void {
    this.#edges.note(url, { msn: lastPartSn, partIndex: lastPartIndex });
  }
}

/** The segments of a playlist in the element's time and by program date. */
export const piecesOf = (details: LevelDetails | null | undefined): TimedPieces => {
  const fragments = details?.fragments ?? [];
  return {
    count: fragments.length,
    at: (index) => {
      const { start, duration, programDateTime } = fragments[index] ?? fragmentMissing;
      return { startS: start, durationS: duration, startAtWallMs: programDateTime ?? 0 };
    },
  };
};

const fragmentMissing = { start: 0, duration: 0, programDateTime: null };
