/** One rendition as LL-HLS: packages what its segmenter gives, keeps the window, and renders its playlist once per change. */
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { unreachable } from '../../base/assert.ts';
import { writeFragment } from '../../media/fmp4/fragment.ts';
import { writeInitSegment } from '../../media/fmp4/init-segment.ts';
import type { PartPlan } from '../../media/segment-plan.ts';
import type { SegmenterEvent } from '../../media/segmenter.ts';
import type { Track } from '../../media/track.ts';
import type { PlaylistProgress } from './blocking-reload.ts';
import type { DateRange } from './date-ranges.ts';
import { DateRangeList } from './date-ranges.ts';
import type { HlsMetrics } from './hls-metrics.ts';
import type { RenditionWindow, StoredSegment } from './part-store.ts';
import type { MediaPlaylistView, Skip } from './playlist.ts';
import { CAN_SKIP_UNTIL_S, renderMediaPlaylist } from './playlist.ts';
import type { ProgramClock } from './program-clock.ts';
import type { RewindHistory } from './rewind-history.ts';
import type { RewindKey } from './rewind-source.ts';
import type { SegmentRates } from './segment-rate.ts';
import { SegmentRate } from './segment-rate.ts';

/** Makes a playlist reach back to the start of the broadcast. */
export const REWIND_QUERY = '?dvr=1';
/** A part this much of PART-TARGET after it was due is late. */
const LATE_RATIO = 0.5;

export type HlsRenditionOptions = {
  /** Of its files: `v` for the main video, `a` for the sound, `h480-` for a rung. */
  readonly prefix: string;
  readonly kind: Track['kind'];
  /** `video.m3u8`, relative to the broadcast's folder. */
  readonly uri: string;
  readonly plan: PartPlan;
  readonly window: RenditionWindow;
  readonly metrics: HlsMetrics;
  /** Shared by the renditions of a broadcast. */
  readonly programClock: ProgramClock;
  /** Undefined where nobody keeps the past. */
  readonly history: RewindHistory | undefined;
};

export type Encoding = 'identity' | 'gzip' | 'br';

/** Which of the texts that one playlist has at any time. */
export type PlaylistVariant = {
  /** Back to the start of the broadcast. */
  readonly isRewind: boolean;
  readonly skip: Skip;
  readonly encoding: Encoding;
};

/** What the broadcast adds to what the rendition knows. */
export type Surroundings = Pick<MediaPlaylistView, 'partHoldBackS' | 'reports'> & {
  readonly nowMs: number;
  /** Undefined where nobody gives any. */
  readonly dateRanges: readonly DateRange[] | undefined;
};

export type RenderedPlaylist = { readonly version: number; readonly body: Uint8Array };

/** A playlist of 2 KB: 0.1 ms. A rewind playlist of 8 h has 500 KB, and compresses ten times in 4 ms at the lowest. */
const PACKED_WELL_MAX_BYTES = 65_536;

export class HlsRendition {
  readonly prefix: string;
  readonly kind: Track['kind'];
  readonly uri: string;
  readonly window: RenditionWindow;
  readonly partTargetS: number;
  readonly #options: HlsRenditionOptions;
  readonly #rendered = new Map<string, Uint8Array>();
  readonly #liveDates = new DateRangeList({ skippableAfterMs: CAN_SKIP_UNTIL_S * 1000 });
  readonly #rewindDates = new DateRangeList({ skippableAfterMs: CAN_SKIP_UNTIL_S * 1000 });
  readonly #completed: StoredSegment[] = [];
  readonly #rate = new SegmentRate();
  #track: Track | undefined;
  #isEnded = false;
  #version = 0;
  #lastPartAtMs: number | undefined;
  #renderCount = 0;

  constructor(options: HlsRenditionOptions) {
    this.#options = options;
    this.prefix = options.prefix;
    this.kind = options.kind;
    this.uri = options.uri;
    this.window = options.window;
    this.partTargetS = options.plan.partTargetMs / 1000;
  }

  /** Rises with every change of the playlist. */
  get version(): number {
    return this.#version;
  }

  get track(): Track | undefined {
    return this.#track;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** hls.js (1.7) takes a playlist of parts alone for an error, so nothing is announced before this. */
  get hasSegment(): boolean {
    return this.window.listed.some((segment) => segment.isComplete);
  }

  /** By its segments so far; the mean by those that are listed. */
  get rates(): SegmentRates {
    return this.#rate.rates(this.window.listed.filter(({ isComplete, isGap }) => isComplete && !isGap));
  }

  /** How often a playlist was written out: once per change and variant, however many ask. */
  get renderCount(): number {
    return this.#renderCount;
  }

  get progress(): PlaylistProgress {
    const { last } = this.window;
    const lastCompleteMsn = last === undefined ? -1 : last.isComplete ? last.msn : last.msn - 1;
    const openPartCount = last === undefined || last.isComplete ? 0 : last.parts.length;
    return { lastCompleteMsn, openPartCount, partTargetS: this.partTargetS };
  }

  /** The last part that is listed, for rendition reports; undefined before the first. */
  get lastPosition(): { readonly lastMsn: number; readonly lastPart: number } | undefined {
    const { last } = this.window;
    const segment = last === undefined || last.parts.length > 0 ? last : this.window.segment(last.msn - 1);
    return segment === undefined ? undefined : { lastMsn: segment.msn, lastPart: segment.parts.length - 1 };
  }

  /** Takes what the segmenter gave at `nowMs`. True when the playlist changed. */
  apply(events: readonly SegmenterEvent[], nowMs: number): boolean {
    let hasChanged = false;
    for (const event of events) {
      hasChanged = this.#applyOne(event, nowMs) || hasChanged;
    }
    if (hasChanged) {
      this.#change();
    }
    return hasChanged;
  }

  /** Segments that were completed since this was last asked. */
  takeCompleted(): readonly StoredSegment[] {
    return this.#completed.splice(0);
  }

  /** Where a segment is to be asked for that memory has forgotten. */
  rewindKey(msn: number): RewindKey | undefined {
    return this.#options.history?.key(msn);
  }

  end(): void {
    if (!this.#isEnded) {
      this.#isEnded = true;
      this.#change();
    }
  }

  /** `surroundings` are asked only when nothing was rendered since the last change. */
  render(variant: PlaylistVariant, surroundings: () => Surroundings): RenderedPlaylist {
    const key = `${variant.isRewind ? 'r' : 'l'} ${variant.skip} ${variant.encoding}`;
    let body = this.#rendered.get(key);
    if (body === undefined) {
      body =
        variant.encoding === 'identity'
          ? this.#renderText(variant, surroundings())
          : pack(this.render({ ...variant, encoding: 'identity' }, surroundings).body, variant.encoding);
      this.#rendered.set(key, body);
    }
    return { version: this.#version, body };
  }

  #renderText({ isRewind, skip }: PlaylistVariant, surroundings: Surroundings): Uint8Array {
    this.#renderCount += 1;
    const { partHoldBackS, reports } = surroundings;
    const segments = this.window.listed;
    const past = isRewind ? this.#options.history?.before(segments[0]?.msn ?? 0) : undefined;
    const fromWallMs = past?.startAtWallMs ?? segments[0]?.startAtWallMs ?? 0;
    const text = renderMediaPlaylist(
      {
        ...{ partHoldBackS, past, segments },
        reports: isRewind ? reports.map((report) => ({ ...report, uri: `${report.uri}${REWIND_QUERY}` })) : reports,
        prefix: this.prefix,
        partTargetS: this.partTargetS,
        nextPartNumber: this.window.nextPartNumber,
        isEnded: this.#isEnded,
        dates: this.#listDates(isRewind ? this.#rewindDates : this.#liveDates, { ...surroundings, fromWallMs }),
      },
      { skip },
    );
    return Buffer.from(text);
  }

  #listDates(
    list: DateRangeList,
    { dateRanges, nowMs, fromWallMs }: Surroundings & { fromWallMs: number },
  ): MediaPlaylistView['dates'] {
    const msn = this.window.last?.msn ?? 0;
    const wallMsAt = (mediaMs: number): number => this.#options.programClock.wallMsAt(msn, mediaMs);
    return dateRanges === undefined ? undefined : list.list(dateRanges, { nowMs, fromWallMs, wallMsAt });
  }

  #change(): void {
    this.#version += 1;
    this.#rendered.clear();
  }

  #applyOne(event: SegmenterEvent, nowMs: number): boolean {
    switch (event.type) {
      case 'segment-start': {
        this.#track = event.track;
        this.#options.history?.fillUpTo(event);
        this.window.startSegment({
          ...event,
          initIndex: this.window.addInit(writeInitSegment(event.track)),
          startAtWallMs: this.#options.programClock.wallMsAt(event.msn, event.startPtsMs),
        });
        return false;
      }
      case 'part': {
        const { timescaleHz } = event.track;
        const bytes = writeFragment(event, this.window.nextPartNumber + 1);
        this.window.addPart(event, { timescaleHz, bytes });
        this.#countPart((event.durationTicks * 1000) / timescaleHz, nowMs);
        return true;
      }
      case 'segment-end': {
        const completed = this.window.endSegment();
        if (completed !== undefined) {
          this.#options.history?.add(completed);
          this.#completed.push(completed);
          this.#rate.add(completed);
        }
        return true;
      }
      default:
        return unreachable(event);
    }
  }

  #countPart(durationMs: number, nowMs: number): void {
    const { metrics, plan } = this.#options;
    metrics.parts.inc();
    if (this.#lastPartAtMs !== undefined && nowMs - this.#lastPartAtMs > durationMs + plan.partTargetMs * LATE_RATIO) {
      metrics.partsLate.inc();
    }
    this.#lastPartAtMs = nowMs;
  }
}

export const pack = (body: Uint8Array, encoding: Encoding): Uint8Array => {
  const isSmall = body.byteLength <= PACKED_WELL_MAX_BYTES;
  if (encoding === 'gzip') {
    return gzipSync(body, { level: isSmall ? 6 : 1 });
  }
  if (encoding === 'identity') {
    return body;
  }
  const { BROTLI_PARAM_MODE, BROTLI_MODE_TEXT, BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;
  return brotliCompressSync(body, {
    params: {
      [BROTLI_PARAM_MODE]: BROTLI_MODE_TEXT,
      [BROTLI_PARAM_QUALITY]: isSmall ? 5 : 1,
      [BROTLI_PARAM_SIZE_HINT]: body.byteLength,
    },
  });
};
