/**
 * Playlists of a recording as text (RFC 8216bis 4), from the index alone: not a byte of media is read. Whole media files are named
 * by numbers and asked for in byte ranges. A recording that still grows is an EVENT playlist without an end.
 */
import { ticksToMs } from '../media/access-unit.ts';
import { TARGET_DURATION_S } from '../media/segment-plan.ts';
import { cueDateLines } from './chapters.ts';
import type { RecordedSegment, RecordedTrack, RecordingIndex } from './recording.ts';
import type { Stretch, VodTimeline } from './vod-timeline.ts';
import { segmentsOf } from './vod-timeline.ts';

/** 8: EXT-X-GAP (RFC 8216bis 8). */
const VERSION = 8;
/** Dates drift by less than a frame in so many segments; one in each would make long playlists a third longer. */
const DATE_EVERY_COUNT = 30;
/** `BANDWIDTH` is the peak (4.4.6.2); segments with a scene cut are about this much above the mean. */
const PEAK_RATIO = 1.5;
/** Names a place where sound is missing; never asked for. */
const GAP_URI = 'gap.m4s';

/** Relative to the playlist. */
export const vodPlaylistUri = (trackId: number): string => `track-${trackId}.m3u8`;
export const vodInitUri = (trackId: number, initIndex: number): string => `init-${trackId}-${initIndex}.mp4`;
export const vodMediaUri = (trackId: number, fileIndex: number): string => `media-${trackId}-${fileIndex}.m4s`;

export const renderVodPlaylist = (index: RecordingIndex, timeline: VodTimeline, track: RecordedTrack): string => {
  const isEnded = index.endReason !== undefined;
  const body = new VodBody(index, timeline, track);
  const lines = body.render();
  return [
    '#EXTM3U',
    `#EXT-X-VERSION:${VERSION}`,
    `#EXT-X-TARGETDURATION:${Math.max(TARGET_DURATION_S, body.targetDurationS)}`,
    '#EXT-X-MEDIA-SEQUENCE:0',
    `#EXT-X-PLAYLIST-TYPE:${isEnded ? 'VOD' : 'EVENT'}`,
    // Without an end players take it for live, and would begin at its edge.
    ...(isEnded ? [] : ['#EXT-X-START:TIME-OFFSET=0']),
    // What a playlist of type EVENT has told must not change (6.2.1); cues may, until the end.
    ...(isEnded ? cueDateLines(index, timeline) : []),
    ...lines,
    ...(isEnded ? ['#EXT-X-ENDLIST'] : []),
    '',
  ].join('\n');
};

class VodBody {
  readonly #index: RecordingIndex;
  readonly #timeline: VodTimeline;
  readonly #track: RecordedTrack;
  readonly #lines: string[] = [];
  #initIndex: number | undefined;
  #listedCount = 0;
  #lastDurationS = -1;
  #lastDurationText = '';
  targetDurationS = 0;

  constructor(index: RecordingIndex, timeline: VodTimeline, track: RecordedTrack) {
    this.#index = index;
    this.#timeline = timeline;
    this.#track = track;
  }

  render(): readonly string[] {
    this.#timeline.stretches.forEach((stretch, place) => {
      if (place > 0) {
        this.#lines.push('#EXT-X-DISCONTINUITY');
      }
      if (this.#track.trackId === this.#timeline.leading.trackId) {
        this.#addLeading(stretch);
      } else {
        this.#addFollowing(stretch);
      }
    });
    return this.#lines;
  }

  #addLeading(stretch: Stretch): void {
    for (const segment of segmentsOf(this.#index, {
      timeline: this.#timeline,
      trackId: this.#track.trackId,
      stretch,
    })) {
      this.#addSegment(segment, { durationS: segment.durationTicks / segment.timescaleHz, stretch });
    }
  }

  /**
   * Sound may end a little before or after the pictures of its stretch. What is said of its last segment makes up for that, so that players, who add
   * durations up, do not lose their place after many reconnects. Segments that are missing are said to be.
   */
  #addFollowing(stretch: Stretch): void {
    const { leading } = this.#timeline;
    const byMsn = new Map(
      segmentsOf(this.#index, { timeline: this.#timeline, trackId: this.#track.trackId, stretch }).map((segment) => [
        segment.msn,
        segment,
      ]),
    );
    let saidMs = stretch.startMs;
    for (let position = stretch.startPosition; position < stretch.endPosition; position += 1) {
      const endMs = this.#index.elapsedMsAt(leading.trackId, position + 1);
      const leader = this.#index.segmentAt(leading.trackId, position);
      const segment = leader === undefined ? undefined : byMsn.get(leader.msn);
      const isLast = position + 1 === stretch.endPosition || segment === undefined || !this.#has(byMsn, position + 1);
      const ownMs = segment === undefined ? 0 : ticksToMs(segment.durationTicks, segment.timescaleHz);
      const durationMs = isLast ? Math.max(1, endMs - saidMs) : ownMs;
      saidMs += durationMs;
      if (segment === undefined) {
        this.#addGap(durationMs / 1000);
      } else {
        this.#addSegment(segment, { durationS: durationMs / 1000, stretch });
      }
    }
  }

  #has(byMsn: ReadonlyMap<number, RecordedSegment>, position: number): boolean {
    const leader = this.#index.segmentAt(this.#timeline.leading.trackId, position);
    return leader !== undefined && byMsn.has(leader.msn);
  }

  #addGap(durationS: number): void {
    this.#noteDuration(durationS);
    this.#lines.push('#EXT-X-GAP', `#EXTINF:${durationS.toFixed(5)},`, GAP_URI);
  }

  #addSegment(segment: RecordedSegment, options: { readonly durationS: number; readonly stretch: Stretch }): void {
    const { stretch, durationS } = options;
    const { trackId } = this.#track;
    if (segment.initIndex !== this.#initIndex) {
      this.#initIndex = segment.initIndex;
      // ffmpeg's player asks for a whole init segment with the range of the segment before it, unless it is told one.
      const bytes = this.#track.inits[segment.initIndex]?.bytes.byteLength ?? 0;
      this.#lines.push(`#EXT-X-MAP:URI="${vodInitUri(trackId, segment.initIndex)}",BYTERANGE="${bytes}@0"`);
    }
    if (segment.msn === stretch.firstMsn || this.#listedCount % DATE_EVERY_COUNT === 0) {
      // The same mapping for all tracks, so that players may place one against the other by dates.
      const wallMs = stretch.wallStartMs + ticksToMs(segment.startTicks, segment.timescaleHz) - stretch.mediaStartMs;
      this.#lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(Math.round(wallMs)).toISOString()}`);
    }
    this.#listedCount += 1;
    this.#noteDuration(durationS);
    this.#lines.push(
      `#EXTINF:${this.#textOf(durationS)},\n#EXT-X-BYTERANGE:${segment.byteLength}@${segment.byteOffset}\n${vodMediaUri(trackId, segment.fileIndex)}`,
    );
  }

  /** Most segments last as long as the one before, and writing a number takes longer than all the rest. */
  #textOf(durationS: number): string {
    if (durationS !== this.#lastDurationS) {
      this.#lastDurationS = durationS;
      this.#lastDurationText = durationS.toFixed(5);
    }
    return this.#lastDurationText;
  }

  #noteDuration(durationS: number): void {
    this.targetDurationS = Math.max(this.targetDurationS, Math.round(durationS));
  }
}

/** All tracks: each picture a variant, sound as their common group. */
export const renderVodMultivariant = (index: RecordingIndex): string => {
  const tracks = index.tracks.filter((track) => index.segmentCount(track.trackId) > 0);
  const videos = tracks.filter((track) => track.kind === 'video');
  const audios = tracks.filter((track) => track.kind === 'audio');
  const lines = ['#EXTM3U', `#EXT-X-VERSION:${VERSION}`, '#EXT-X-INDEPENDENT-SEGMENTS'];
  if (videos.length > 0) {
    lines.push(...audios.map(mediaLine));
  }
  const audio = audios[0];
  for (const track of videos.length > 0 ? videos : audios.slice(0, 1)) {
    lines.push(...variantLines(index, track, track.kind === 'video' ? audio : undefined));
  }
  return `${lines.join('\n')}\n`;
};

const mediaLine = (track: RecordedTrack, place: number): string => {
  const channelCount = track.inits.at(-1)?.channelCount ?? 2;
  const choice = place === 0 ? 'DEFAULT=YES,AUTOSELECT=YES' : 'DEFAULT=NO,AUTOSELECT=NO';
  return `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="${track.renditionId.replaceAll(/[^\w-]/g, '')}",${choice},CHANNELS="${channelCount}",URI="${vodPlaylistUri(track.trackId)}"`;
};

const variantLines = (index: RecordingIndex, track: RecordedTrack, audio: RecordedTrack | undefined): string[] => {
  const averageBps = Math.max(1, Math.round(meanBps(index, track) + (audio === undefined ? 0 : meanBps(index, audio))));
  const codecs = new Set([...track.inits, ...(audio?.inits ?? [])].map((init) => init.codecString));
  const widest = track.inits.toSorted((a, b) => b.widthPx - a.widthPx)[0];
  const attributes = [
    `BANDWIDTH=${Math.ceil(averageBps * PEAK_RATIO)}`,
    `AVERAGE-BANDWIDTH=${averageBps}`,
    `CODECS="${[...codecs].join(',')}"`,
    ...(widest === undefined || widest.widthPx === 0 ? [] : [`RESOLUTION=${widest.widthPx}x${widest.heightPx}`]),
    ...(audio === undefined ? [] : ['AUDIO="audio"']),
  ];
  return [`#EXT-X-STREAM-INF:${attributes.join(',')}`, vodPlaylistUri(track.trackId)];
};

/** Over at most this many segments spread over the recording: the mean needs no more. */
const SAMPLED_MAX_COUNT = 200;

const meanBps = (index: RecordingIndex, track: RecordedTrack): number => {
  const count = index.segmentCount(track.trackId);
  const step = Math.max(1, Math.floor(count / SAMPLED_MAX_COUNT));
  let bytes = 0;
  let durationMs = 0;
  for (let position = 0; position < count; position += step) {
    const segment = index.segmentAt(track.trackId, position);
    bytes += segment?.byteLength ?? 0;
    durationMs += segment === undefined ? 0 : ticksToMs(segment.durationTicks, segment.timescaleHz);
  }
  return durationMs === 0 ? 0 : (bytes * 8000) / durationMs;
};
