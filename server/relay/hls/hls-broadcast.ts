/**
 * One broadcast as LL-HLS: chooses the renditions, leads the audio's segments along the video's, and says when there is
 * something to play. It subscribes to the hub and never holds it up.
 */
import type { Clock } from '../../base/clock.ts';
import type { AccessUnit, AudioUnit, VideoUnit } from '../../media/access-unit.ts';
import { dtsMsOf, isAudioUnit, isVideoUnit } from '../../media/access-unit.ts';
import type { SegmentBoundary } from '../../media/boundary-queue.ts';
import { isShownByBrowsers } from '../../media/h264/avc-config.ts';
import { AudioSegmenter } from '../../media/audio-segmenter.ts';
import { GOP_MAX_MS } from '../../media/segment-plan.ts';
import type { SegmenterEvent } from '../../media/segmenter.ts';
import { VideoSegmenter, isSameTrack } from '../../media/segmenter.ts';
import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../observability/log.ts';
import type { Broadcast } from '../broadcast.ts';
import { SOURCE_AUDIO, SOURCE_VIDEO, isRungId } from '../broadcast.ts';
import type { Rendition } from '../rendition.ts';
import type { HlsMetrics } from './hls-metrics.ts';
import type { DateRange, DateRangeSource } from './date-ranges.ts';
import { HlsRendition } from './hls-rendition.ts';
import type { StoredSegment } from './part-store.ts';
import { PartStore, RenditionWindow } from './part-store.ts';
import type { MultivariantView } from './playlist.ts';
import { initUri, segmentUri } from './playlist.ts';
import { ProgramClock } from './program-clock.ts';
import { RewindHistory } from './rewind-history.ts';
import type { RewindKey, RewindSource } from './rewind-source.ts';
import { Rungs } from './rungs.ts';
import { SoundChoice } from './sound-choice.ts';
import { SourceRhythm } from './source-rhythm.ts';

export type HlsBroadcastOptions = {
  /** Length that parts should have, 200 to 1000. */
  readonly partTargetMs: number;
  /** Complete segments in a live playlist. */
  readonly segmentMaxCount: number;
  /** Memory for parts and segments of one broadcast. */
  readonly storeMaxBytes: number;
  /** The rendition without long GOPs. */
  readonly repairedVideoId: string;
  /** The sound in AAC, where the source's is Opus. */
  readonly aacAudioId: string;
  /** So long the repaired rendition, or AAC, is waited for, before a source with long GOPs, or in Opus, is served as it is. */
  readonly repairWaitMs: number;
};

export const HLS_BROADCAST_DEFAULTS: HlsBroadcastOptions = {
  partTargetMs: 333,
  segmentMaxCount: 10,
  storeMaxBytes: 64 * 2 ** 20,
  repairedVideoId: 'repaired-video',
  aacAudioId: 'aac-audio',
  repairWaitMs: 8_000,
};

/** Fetchable after leaving the playlist: as long as a client may still play from an old copy of it. */
const SEGMENT_GRACE_COUNT = 3;
/** Init segments (under 1 KB each) of what is only in the rewind any more. */
const REWIND_INIT_MAX_COUNT = 256;
/** Audio kept until the video is chosen; more than a GOP, so that sound begins with the picture. */
const WAITING_AUDIO_MAX_COUNT = 512;
/** Pictures kept meanwhile; with more than this the first keyframe's are given up. */
const WAITING_VIDEO_MAX_COUNT = 512;
const WAITING_VIDEO_MAX_BYTES = 16 * 2 ** 20;
const WAITING_BOUNDARY_MAX_COUNT = 16;
/** So much audio without any video means there will be none. */
const AUDIO_ONLY_AFTER_MS = 2_500;
/** So long a picture is held back for a sound that was announced but does not come. */
const AUDIO_WAIT_MAX_MS = 3_000;
/** So long a picture is held back for rungs that were planned but do not come: who has read the list of renditions does not read it again. */
const RUNGS_WAIT_MAX_MS = 3_000;
/** Added to three parts: what a request and the prediction of a frame may cost. */
const HOLD_BACK_MARGIN_S = 0.1;

type VideoOutput = { readonly segmenter: VideoSegmenter; readonly output: HlsRendition };
type AudioOutput = { readonly segmenter: AudioSegmenter; readonly output: HlsRendition };

export class HlsBroadcast {
  readonly name: string;
  /** In every URL but the multivariant playlist's, so that no broadcast of a name meets the caches of another. */
  readonly urlId: string;
  readonly store: PartStore;
  readonly #broadcast: Broadcast;
  readonly #options: HlsBroadcastOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: HlsMetrics;
  readonly #onChange: () => void;
  readonly #rewind: RewindSource | undefined;
  readonly #dates: DateRangeSource | undefined;
  readonly #programClock: ProgramClock;
  readonly #stops: (() => void)[] = [];
  readonly #rhythm = new SourceRhythm();
  readonly #sound: SoundChoice;
  readonly #rungs: Rungs;
  #chosen: Rendition | undefined;
  #video: VideoOutput | undefined;
  #audio: AudioOutput | undefined;
  /** The video's segments so far, until there is audio to be led along them. */
  #boundaries: SegmentBoundary[] = [];
  #waitingAudio: AudioUnit[] = [];
  /** The source's pictures since its first keyframe, until it is known whether they can be served as they are. */
  #waitingVideo: VideoUnit[] = [];
  #waitingVideoBytes = 0;
  #lastAudioUnit: AudioUnit | undefined;
  #videoSinceMs: number | undefined;
  #videoReadyAtMs: number | undefined;
  #partHoldBackS: number | undefined;
  #isEnded = false;

  /** `onChange`: a playlist changed, or the broadcast became ready or ended; called synchronously, must not throw. */
  constructor(options: {
    broadcast: Broadcast;
    settings: HlsBroadcastOptions;
    clock: Clock;
    log: Log;
    metrics: HlsMetrics;
    onChange: () => void;
    rewind?: RewindSource | undefined;
    dates?: DateRangeSource | undefined;
  }) {
    this.#broadcast = options.broadcast;
    this.#programClock = new ProgramClock((mediaMs) => this.#broadcast.timeline.wallMsAt(mediaMs));
    this.#options = options.settings;
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#onChange = options.onChange;
    this.#rewind = options.rewind;
    this.#dates = options.dates;
    this.name = options.broadcast.name;
    this.urlId = options.broadcast.id.slice(0, 16);
    this.#log = options.log.child({ broadcast: this.name, broadcastId: options.broadcast.id });
    this.#sound = new SoundChoice({
      sourceId: SOURCE_AUDIO,
      aacId: options.settings.aacAudioId,
      waitMaxMs: options.settings.repairWaitMs,
    });
    this.#rungs = new Rungs({
      partTargetMs: this.#options.partTargetMs,
      epochAt: (mediaMs) => this.#broadcast.timeline.epochAt(mediaMs),
      createOutput: (rungId, { plan, msn }) =>
        this.#createOutput({ prefix: `${rungId}-`, uri: `${rungId}.m3u8`, kind: 'video', plan, ...this.#countAt(msn) }),
      publish: (output, events) => this.#publish(output, events),
    });
    this.store = new PartStore({ storeMaxBytes: options.settings.storeMaxBytes });
    this.#stops.push(
      this.#broadcast.listen({
        onRenditionAdded: (rendition) => this.#watch(rendition),
        onRenditionRemoved: (rendition) => this.#lose(rendition),
        onStateChanged: (state) => {
          if (state === 'ended') {
            this.#end();
          }
        },
      }),
    );
    for (const rendition of this.#broadcast.renditions.values()) {
      this.#watch(rendition);
    }
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get isReconnecting(): boolean {
    return this.#broadcast.state === 'reconnecting';
  }

  /** There is a first segment of everything that will be announced. */
  get isReady(): boolean {
    if (this.#video?.output.hasSegment === true) {
      const isAudioExpected = this.#broadcast.renditions.get(SOURCE_AUDIO)?.track !== undefined;
      const waitedMs = this.#clock.nowMs() - (this.#videoReadyAtMs ?? this.#clock.nowMs());
      const waitMaxMs = AUDIO_WAIT_MAX_MS + (this.#sound.isUndecided ? this.#options.repairWaitMs : 0);
      const hasSound = !isAudioExpected || this.#audio?.output.hasSegment === true || waitedMs > waitMaxMs;
      return hasSound && (this.#rungs.isReady || waitedMs > RUNGS_WAIT_MAX_MS);
    }
    return this.#broadcast.renditions.get(SOURCE_VIDEO) === undefined && this.#audio?.output.hasSegment === true;
  }

  /** `video.m3u8`, the rungs and `audio.m3u8`, as far as they exist. */
  get outputs(): readonly HlsRendition[] {
    const rungs = this.#rungs.outputs.map(({ output }) => output);
    return [this.#video?.output, ...rungs, this.#audio?.output].filter((output) => output !== undefined);
  }

  /** For all renditions alike, and fixed from the first playlist on: three of the longest parts and a margin. */
  get partHoldBackS(): number {
    this.#partHoldBackS ??= 3 * Math.max(...this.outputs.map((output) => output.partTargetS)) + HOLD_BACK_MARGIN_S;
    return this.#partHoldBackS;
  }

  /** Where the other renditions stand. */
  reportsFor(output: HlsRendition): { uri: string; lastMsn: number; lastPart: number }[] {
    return this.outputs.flatMap((other) => {
      const position = other === output ? undefined : other.lastPosition;
      return position === undefined ? [] : [{ uri: other.uri, ...position }];
    });
  }

  /** What its playlists add to media time for program dates, as of the latest segment; undefined before the first. */
  get programOffsetMs(): number | undefined {
    return this.#programClock.latestOffsetMs;
  }

  get hasDates(): boolean {
    return this.#dates !== undefined;
  }

  /** Spans to be listed now; undefined where nobody gives any. */
  dateRanges(): readonly DateRange[] | undefined {
    return this.#dates?.rangesOf(this.#broadcast.id);
  }

  /** Only the main video and the sound are kept, so only they can be rewound. */
  multivariant({ isRewind }: { isRewind: boolean }): MultivariantView {
    const uriOf = (output: HlsRendition): string => `${this.urlId}/${output.uri}`;
    const audioTrack = this.#audio?.output.track;
    const main = this.#video === undefined ? [] : [{ rendition: this.#chosen, output: this.#video.output }];
    const videos = isRewind ? main : [...main, ...this.#rungs.outputs.filter(({ output }) => output.hasSegment)];
    return {
      videos: videos.flatMap(({ rendition, output }) => {
        const { track } = output;
        const facts = rendition?.facts;
        return track?.kind === 'video'
          ? { ...track, uri: uriOf(output), frameRateFps: facts?.frameRateFps, ...output.rates }
          : [];
      }),
      audio:
        this.#audio === undefined || audioTrack?.kind !== 'audio' || !this.#audio.output.hasSegment
          ? undefined
          : { ...audioTrack, uri: uriOf(this.#audio.output), ...this.#audio.output.rates },
    };
  }

  /** Forgets everything. Playlists of an ended broadcast are served until this is called. */
  close(): void {
    this.#end();
    this.store.clear();
  }

  #watch(rendition: Rendition): void {
    if (isRungId(rendition.id)) {
      this.#rungs.add(rendition);
    } else if (!this.#isUsed(rendition.id)) {
      return;
    }
    this.#stops.push(rendition.subscribe({ onUnit: (unit) => this.#onUnit(rendition, unit) }));
  }

  #isUsed(id: string): boolean {
    const { repairedVideoId, aacAudioId } = this.#options;
    return [SOURCE_VIDEO, SOURCE_AUDIO, repairedVideoId, aacAudioId].includes(id);
  }

  #lose(rendition: Rendition): void {
    this.#rungs.lose(rendition);
    if (rendition === this.#chosen) {
      this.#chosen = undefined;
      this.#videoSinceMs = undefined;
      this.#video?.segmenter.breakStream();
    }
  }

  /** What we cannot package must not hurt the other outputs of the broadcast: it ends LL-HLS for this broadcast, aloud. */
  #onUnit(rendition: Rendition, unit: AccessUnit): void {
    if (this.#isEnded) {
      return;
    }
    try {
      if (isAudioUnit(unit)) {
        this.#sound.note(rendition.id, unit);
        if (this.#sound.isServed(rendition.id)) {
          this.#onAudioUnit(unit);
        }
      } else if (isVideoUnit(unit) && isRungId(rendition.id)) {
        this.#rungs.push(rendition, unit);
      } else if (isVideoUnit(unit)) {
        this.#onVideoUnit(rendition, unit);
      }
    } catch (error) {
      this.#log.error('hls.broadcast.failed', { rendition: rendition.id, error: messageOf(error) });
      this.#end();
    }
  }

  #onVideoUnit(rendition: Rendition, unit: VideoUnit): void {
    this.#videoSinceMs ??= unit.arrivedAtMs;
    if (rendition.id === SOURCE_VIDEO) {
      this.#rhythm.add(unit);
    }
    if (this.#chosen === undefined && rendition.id === SOURCE_VIDEO) {
      this.#keepWaiting(unit);
    }
    if (this.#chosen === undefined || (unit.isKeyframe && this.#chosen.id === SOURCE_VIDEO)) {
      const choice = this.#choose(unit.arrivedAtMs - this.#videoSinceMs);
      if (choice !== undefined && choice !== this.#chosen) {
        this.#switchTo(choice);
        return;
      }
    }
    if (rendition === this.#chosen) {
      this.#feedVideo([unit]);
    }
  }

  #keepWaiting(unit: VideoUnit): void {
    this.#waitingVideo.push(unit);
    this.#waitingVideoBytes += unit.payload.byteLength;
    const isTooMuch =
      this.#waitingVideo.length > WAITING_VIDEO_MAX_COUNT || this.#waitingVideoBytes > WAITING_VIDEO_MAX_BYTES;
    if (isTooMuch || unit.isDiscontinuity) {
      this.#metrics.unitsDropped.inc(this.#waitingVideo.length);
      this.#forgetWaitingVideo();
    }
  }

  #forgetWaitingVideo(): void {
    this.#waitingVideo = [];
    this.#waitingVideoBytes = 0;
  }

  /** All that was kept if the source is served; else, or if it was too much, from the last keyframe. */
  #backlogOf(choice: Rendition): readonly VideoUnit[] {
    const kept = choice.id === SOURCE_VIDEO ? this.#waitingVideo : [];
    this.#forgetWaitingVideo();
    const cached = choice.cachedGop().filter(isVideoUnit);
    const reachesBack =
      (kept[0]?.dtsTicks ?? Number.POSITIVE_INFINITY) < (cached[0]?.dtsTicks ?? Number.POSITIVE_INFINITY);
    return reachesBack ? kept : cached;
  }

  /** The source if its GOPs fit into segments and browsers show its profile, else what repairs it; after a long wait the source as it is. */
  #choose(waitedMs: number): Rendition | undefined {
    const source = this.#broadcast.renditions.get(SOURCE_VIDEO);
    const repaired = this.#broadcast.renditions.get(this.#options.repairedVideoId);
    const sourceFacts = source?.facts;
    if (sourceFacts?.isGopKnown !== true || sourceFacts.frameRateFps === undefined) {
      return this.#chosen;
    }
    const isDoubtful = this.#rhythm.isDoubtful(sourceFacts.frameRateFps);
    const isShown = source?.track?.codec !== 'h264' || isShownByBrowsers(source.track.codecString);
    if (isShown && sourceFacts.gopMaxMs <= GOP_MAX_MS && !(isDoubtful && this.#chosen === undefined)) {
      return source;
    }
    if (repaired?.facts.frameRateFps !== undefined) {
      return repaired;
    }
    return this.#chosen ?? (waitedMs > this.#options.repairWaitMs ? source : undefined);
  }

  #switchTo(choice: Rendition): void {
    this.#log.info('hls.rendition.chosen', { rendition: choice.id, before: this.#chosen?.id ?? null });
    this.#chosen = choice;
    if (this.#video === undefined) {
      this.#video = this.#createVideo(choice);
    } else {
      this.#video.segmenter.breakStream();
    }
    this.#feedVideo(this.#backlogOf(choice));
  }

  #createVideo(choice: Rendition): VideoOutput {
    const firstMsn = this.#audio === undefined ? 0 : this.#audio.segmenter.msn + 1;
    const segmenter = new VideoSegmenter({
      partTargetMs: this.#options.partTargetMs,
      frameRateFps: choice.facts.frameRateFps ?? 30,
      timescaleHz: choice.track?.timescaleHz ?? 90_000,
      firstMsn,
    });
    const discontinuityCount = this.#audio?.output.window.last?.discontinuitySequence ?? 0;
    const shape = { prefix: 'v', uri: 'video.m3u8', kind: 'video' } as const;
    return { segmenter, output: this.#createOutput({ ...shape, plan: segmenter.plan, discontinuityCount }) };
  }

  #createOutput(
    options: Pick<HlsRendition, 'prefix' | 'uri' | 'kind'> & {
      plan: VideoSegmenter['plan'];
      discontinuityCount: number;
    },
  ): HlsRendition {
    const window = new RenditionWindow({
      segmentMaxCount: this.#options.segmentMaxCount,
      segmentGraceCount: SEGMENT_GRACE_COUNT,
      discontinuityCount: options.discontinuityCount,
      initGraceCount: this.#rewind === undefined ? 0 : REWIND_INIT_MAX_COUNT,
    });
    this.store.add(window);
    return new HlsRendition({
      ...options,
      window,
      metrics: this.#metrics,
      programClock: this.#programClock,
      history: this.#createHistory(options.prefix),
    });
  }

  #createHistory(prefix: string): RewindHistory | undefined {
    const rewind = this.#rewind;
    if (rewind === undefined || !isKept(prefix)) {
      return undefined;
    }
    return new RewindHistory({
      segmentUri: (msn) => segmentUri(prefix, msn),
      initUri: (index) => initUri(prefix, index),
      keyOf: (segment) => this.#rewindKeyOf(prefix, segment),
      has: (key) => rewind.has(key),
    });
  }

  #rewindKeyOf(prefix: string, segment: Pick<StoredSegment, 'msn' | 'startPtsMs' | 'durationS'>): RewindKey {
    return {
      broadcastId: this.#broadcast.id,
      renditionId: prefix === 'v' ? 'video' : 'audio',
      msn: segment.msn,
      startPtsMs: segment.startPtsMs,
      durationMs: segment.durationS * 1000,
    };
  }

  #handOver(output: HlsRendition): void {
    for (const segment of output.takeCompleted()) {
      const init = output.window.init(segment.initIndex);
      if (segment.body !== undefined && init !== undefined && isKept(output.prefix)) {
        const { track, durationTicks, startAtWallMs, isDiscontinuity, isIndependent, initIndex, body } = segment;
        this.#rewind?.onSegment({
          ...this.#rewindKeyOf(output.prefix, segment),
          ...{ track, durationTicks, startAtWallMs, isDiscontinuity, isIndependent, initIndex, body, init },
          broadcastName: this.name,
          timescaleHz: track.timescaleHz,
        });
      }
    }
  }

  #feedVideo(units: readonly VideoUnit[]): void {
    const video = this.#video;
    if (video === undefined) {
      return;
    }
    for (const unit of units) {
      const droppedBefore = video.segmenter.droppedCount;
      const events = video.segmenter.push(unit);
      this.#metrics.unitsDropped.inc(video.segmenter.droppedCount - droppedBefore);
      this.#tellBoundaries(events);
      this.#publish(video.output, events);
    }
    const last = units.at(-1);
    if (last !== undefined) {
      this.#advanceAudio(dtsMsOf(last));
      this.#rungs.onMainTime(dtsMsOf(last));
    }
  }

  #tellBoundaries(events: readonly SegmenterEvent[]): void {
    for (const event of events) {
      if (event.type === 'segment-start') {
        this.#rungs.onBoundary({ atMs: event.startPtsMs, msn: event.msn, isDiscontinuity: event.isDiscontinuity });
        this.#tellBoundary({ atMs: event.startPtsMs, msn: event.msn, isDiscontinuity: event.isDiscontinuity });
      }
    }
  }

  #tellBoundary(boundary: SegmentBoundary): void {
    if (this.#audio !== undefined) {
      this.#audio.segmenter.onBoundary(boundary);
      return;
    }
    this.#boundaries.push(boundary);
    if (this.#boundaries.length > WAITING_BOUNDARY_MAX_COUNT) {
      this.#boundaries.shift();
    }
  }

  #advanceAudio(videoDtsMs: number): void {
    if (this.#audio === undefined) {
      this.#startAudio(videoDtsMs);
    } else {
      this.#publish(this.#audio.output, this.#audio.segmenter.onVideoTime(videoDtsMs));
    }
  }

  #onAudioUnit(unit: AudioUnit): void {
    const last = this.#lastAudioUnit;
    this.#lastAudioUnit = unit;
    if (this.#audio === undefined) {
      this.#waitingAudio.push(unit);
      if (this.#waitingAudio.length > WAITING_AUDIO_MAX_COUNT) {
        this.#waitingAudio.shift();
      }
      this.#startAudioAlone();
      return;
    }
    if (
      last !== undefined &&
      !unit.isDiscontinuity &&
      last.track !== unit.track &&
      !isSameTrack(last.track, unit.track)
    ) {
      // Discontinuities must be the same in all renditions, so the video's next segment carries this one.
      this.#video?.segmenter.markDiscontinuity();
    }
    this.#feedAudio(unit);
  }

  #feedAudio(unit: AudioUnit): void {
    const audio = this.#audio;
    if (audio !== undefined) {
      const droppedBefore = audio.segmenter.droppedCount;
      this.#publish(audio.output, audio.segmenter.push(unit));
      this.#metrics.unitsDropped.inc(audio.segmenter.droppedCount - droppedBefore);
    }
  }

  #startAudioAlone(): void {
    const first = this.#waitingAudio[0];
    const last = this.#waitingAudio.at(-1);
    const hasVideo = this.#broadcast.renditions.has(SOURCE_VIDEO);
    if (
      first !== undefined &&
      last !== undefined &&
      !hasVideo &&
      dtsMsOf(last) - dtsMsOf(first) > AUDIO_ONLY_AFTER_MS
    ) {
      this.#startAudio(undefined);
    }
  }

  /** Along the segments of the video so far, or alone when there is no video. */
  #startAudio(videoDtsMs: number | undefined): void {
    const track = this.#waitingAudio.at(-1)?.track;
    if (track === undefined) {
      return;
    }
    const boundaries = this.#boundariesFor(this.#waitingAudio[0]);
    const segmenter = new AudioSegmenter({
      partTargetMs: this.#options.partTargetMs,
      track,
      firstMsn: boundaries[0]?.msn ?? 0,
      followsVideo: boundaries.length > 0,
      epochAt: (mediaMs) => this.#broadcast.timeline.epochAt(mediaMs),
    });
    const { discontinuityCount } = this.#countAt(boundaries[0]?.msn);
    const shape = { prefix: 'a', uri: 'audio.m3u8', kind: 'audio' } as const;
    this.#audio = { segmenter, output: this.#createOutput({ ...shape, plan: segmenter.plan, discontinuityCount }) };
    boundaries.forEach((boundary, index) =>
      segmenter.onBoundary(index === 0 ? { ...boundary, isDiscontinuity: false } : boundary),
    );
    segmenter.onVideoTime(videoDtsMs ?? Number.NEGATIVE_INFINITY);
    const waiting = this.#waitingAudio;
    this.#waitingAudio = [];
    for (const unit of waiting) {
      this.#feedAudio(unit);
    }
  }

  /** From the segment in which the first frame lies. */
  #boundariesFor(first: AudioUnit | undefined): SegmentBoundary[] {
    const boundaries = this.#boundaries;
    this.#boundaries = [];
    const firstMs = first === undefined ? 0 : dtsMsOf(first);
    const index = boundaries.findLastIndex((boundary) => boundary.atMs <= firstMs);
    return boundaries.slice(Math.max(0, index));
  }

  /** What the video has counted by the end of this segment. */
  #countAt(msn: number | undefined): { discontinuityCount: number } {
    const window = this.#video?.output.window;
    const segment = msn === undefined ? undefined : window?.segment(msn);
    return { discontinuityCount: (segment ?? window?.last)?.discontinuitySequence ?? 0 };
  }

  #publish(output: HlsRendition, events: readonly SegmenterEvent[]): void {
    if (output === this.#audio?.output) {
      this.#keepNumbersAlike(events);
    }
    const hasChanged = output.apply(events, this.#clock.nowMs());
    this.#handOver(output);
    if (!hasChanged) {
      return;
    }
    if (this.#video?.output.hasSegment === true) {
      this.#videoReadyAtMs ??= this.#clock.nowMs();
    }
    const evictedBefore = this.store.evictedCount;
    this.store.trim();
    this.#metrics.evicted.inc(this.store.evictedCount - evictedBefore);
    this.#onChange();
  }

  /** Sound that outlasts its pictures (a publisher that dies, an encoder that hangs) cuts a segment of its own: the pictures have none of that number. */
  #keepNumbersAlike(events: readonly SegmenterEvent[]): void {
    const video = this.#video;
    for (const event of events) {
      if (event.type === 'segment-start' && video !== undefined && event.msn > video.segmenter.msn) {
        video.segmenter.skipTo(event.msn + 1);
      }
    }
  }

  #end(): void {
    if (this.#isEnded) {
      return;
    }
    this.#isEnded = true;
    for (const stop of this.#stops.splice(0)) {
      stop();
    }
    const nowMs = this.#clock.nowMs();
    for (const part of [this.#video, this.#audio]) {
      if (part !== undefined) {
        part.output.apply(part.segmenter.end(), nowMs);
        this.#handOver(part.output);
        part.output.end();
      }
    }
    this.#rungs.end();
    this.#waitingAudio = [];
    this.#forgetWaitingVideo();
    this.#onChange();
  }
}

/** The recorder's own rungs are for the replay to make. */
const isKept = (prefix: string): boolean => prefix === 'v' || prefix === 'a';
