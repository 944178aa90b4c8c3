/** Playlists as text (RFC 8216bis 4). Pure: what a playlist says depends only on what is handed in. */
import { TARGET_DURATION_S } from '../../media/segment-plan.ts';
import type { ListedRanges } from './date-ranges.ts';
import type { StoredPart, StoredSegment } from './part-store.ts';
import { PARTS_LISTED_S } from './part-store.ts';
import type { SegmentRates } from './segment-rate.ts';
import type { PlaylistPast } from './rewind-history.ts';

/** 9: delta updates; 10: delta updates that skip dates too (RFC 8216bis 8). */
const VERSION = 9;
const VERSION_SKIPPING_DATES = 10;
/** The least the specification allows (4.4.3.8). */
export const CAN_SKIP_UNTIL_S = 6 * TARGET_DURATION_S;

/** What a delta update leaves out (6.2.5.1): nothing, segments, or segments and dates. */
export type Skip = 'none' | 'segments' | 'segments-and-dates';

export type MediaPlaylistView = {
  /** First letter of the URLs: `v` or `a`. */
  readonly prefix: string;
  /** What came before `segments`, where the playlist reaches back further than memory. */
  readonly past: PlaylistPast | undefined;
  readonly segments: readonly StoredSegment[];
  readonly partTargetS: number;
  readonly partHoldBackS: number;
  /** The number of the part that is being made. */
  readonly nextPartNumber: number;
  readonly isEnded: boolean;
  /** The other renditions of the broadcast, as they stand. */
  readonly reports: readonly { readonly uri: string; readonly lastMsn: number; readonly lastPart: number }[];
  /** Undefined where nobody gives any: then delta updates that skip them are not offered. */
  readonly dates: ListedRanges | undefined;
};

/** Relative to the playlist. */
export const initUri = (prefix: string, index: number): string => `init-${prefix}${index}.mp4`;
export const partUri = (prefix: string, number: number): string => `part-${prefix}${number}.m4s`;
export const segmentUri = (prefix: string, msn: number): string => `segment-${prefix}${msn}.m4s`;

export const renderMediaPlaylist = (view: MediaPlaylistView, options: { skip: Skip }): string => {
  const { segments, past } = view;
  const untilEndS = secondsUntilEnd(segments);
  const maySkip = options.skip !== 'none' && !view.isEnded;
  const skippedCount = maySkip ? countSkipped(segments, untilEndS) : 0;
  const isSkipping = skippedCount > 0;
  const skipsDates = isSkipping && options.skip === 'segments-and-dates' && view.dates !== undefined;
  const lines = [...header(view), ...dateLines(view, skipsDates)];
  if (isSkipping) {
    lines.push(skipLine(view, { skippedCount: skippedCount + (past?.segmentCount ?? 0), skipsDates }));
  } else if (past !== undefined) {
    lines.push(past.text.slice(0, -1));
  }
  let initIndex = past?.initIndex ?? (isSkipping ? segments[0]?.initIndex : undefined);
  segments.forEach((segment, index) => {
    if (index >= skippedCount) {
      const hasParts = !view.isEnded && (untilEndS[index] ?? 0) + segment.durationS <= PARTS_LISTED_S + 1e-6;
      lines.push(
        ...segmentLines(segment, { prefix: view.prefix, hasNewInit: segment.initIndex !== initIndex, hasParts }),
      );
    }
    initIndex = segment.initIndex;
  });
  return `${[...lines, ...footer(view)].join('\n')}\n`;
};

const skipLine = (view: MediaPlaylistView, options: { skippedCount: number; skipsDates: boolean }): string => {
  const line = `#EXT-X-SKIP:SKIPPED-SEGMENTS=${options.skippedCount}`;
  return options.skipsDates ? `${line},RECENTLY-REMOVED-DATERANGES="${view.dates?.removedIds.join('\t') ?? ''}"` : line;
};

const dateLines = (view: MediaPlaylistView, skipsDates: boolean): readonly string[] => {
  const { dates } = view;
  return dates === undefined ? [] : skipsDates ? dates.recent : [...dates.settled, ...dates.recent];
};

/** For each segment: from its end to the end of the playlist. */
const secondsUntilEnd = (segments: readonly StoredSegment[]): number[] => {
  const result: number[] = [];
  let sumS = 0;
  for (let index = segments.length - 1; index >= 0; index -= 1) {
    result[index] = sumS;
    sumS += segments[index]?.durationS ?? 0;
  }
  return result;
};

/** Only segments that end before the skip boundary, and only when that saves at least one. */
const countSkipped = (segments: readonly StoredSegment[], untilEndS: readonly number[]): number =>
  segments.filter((segment, index) => segment.isComplete && (untilEndS[index] ?? 0) > CAN_SKIP_UNTIL_S).length;

const header = (view: MediaPlaylistView): string[] => {
  const first = view.segments[0];
  const before = (first?.discontinuitySequence ?? 0) - (first?.isDiscontinuity === true ? 1 : 0);
  const control = [
    'CAN-BLOCK-RELOAD=YES',
    `PART-HOLD-BACK=${view.partHoldBackS.toFixed(3)}`,
    `CAN-SKIP-UNTIL=${CAN_SKIP_UNTIL_S.toFixed(1)}`,
    ...(view.dates === undefined ? [] : ['CAN-SKIP-DATERANGES=YES']),
  ];
  return [
    '#EXTM3U',
    `#EXT-X-VERSION:${view.dates === undefined ? VERSION : VERSION_SKIPPING_DATES}`,
    `#EXT-X-TARGETDURATION:${TARGET_DURATION_S}`,
    `#EXT-X-SERVER-CONTROL:${control.join(',')}`,
    `#EXT-X-PART-INF:PART-TARGET=${view.partTargetS.toFixed(3)}`,
    `#EXT-X-MEDIA-SEQUENCE:${view.past?.firstMsn ?? first?.msn ?? 0}`,
    `#EXT-X-DISCONTINUITY-SEQUENCE:${view.past?.discontinuityCountBefore ?? before}`,
  ];
};

const segmentLines = (
  segment: StoredSegment,
  options: { prefix: string; hasNewInit: boolean; hasParts: boolean },
): string[] => {
  const { prefix } = options;
  if (segment.parts.length === 0 && !segment.isGap) {
    return [];
  }
  const lines: string[] = segment.isDiscontinuity ? ['#EXT-X-DISCONTINUITY'] : [];
  if (options.hasNewInit) {
    lines.push(`#EXT-X-MAP:URI="${initUri(prefix, segment.initIndex)}"`);
  }
  lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(Math.round(segment.startAtWallMs)).toISOString()}`);
  if (options.hasParts) {
    lines.push(...segment.parts.map((part) => partLine(prefix, part)));
  }
  if (segment.isGap) {
    lines.push('#EXT-X-GAP');
  }
  if (segment.isComplete) {
    lines.push(`#EXTINF:${segment.durationS.toFixed(5)},`, segmentUri(prefix, segment.msn));
  }
  return lines;
};

const partLine = (prefix: string, part: StoredPart): string =>
  `#EXT-X-PART:DURATION=${part.durationS.toFixed(5)},URI="${partUri(prefix, part.number)}"${part.isIndependent ? ',INDEPENDENT=YES' : ''}`;

const footer = (view: MediaPlaylistView): string[] => {
  if (view.isEnded) {
    return ['#EXT-X-ENDLIST'];
  }
  return [
    `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${partUri(view.prefix, view.nextPartNumber)}"`,
    ...view.reports.map(
      (report) => `#EXT-X-RENDITION-REPORT:URI="${report.uri}",LAST-MSN=${report.lastMsn},LAST-PART=${report.lastPart}`,
    ),
  ];
};

export type VariantView = SegmentRates & {
  readonly uri: string;
  readonly codecString: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frameRateFps: number | undefined;
};

export type MultivariantView = {
  /** The main video first: players begin with the first. */
  readonly videos: readonly VariantView[];
  readonly audio:
    (SegmentRates & { readonly uri: string; readonly codecString: string; readonly channelCount: number }) | undefined;
};

/** `query` is put behind the URL of each media playlist. */
export const renderMultivariantPlaylist = (view: MultivariantView, { query }: { query: string }): string => {
  const { videos, audio } = view;
  const lines = ['#EXTM3U', `#EXT-X-VERSION:${VERSION}`, '#EXT-X-INDEPENDENT-SEGMENTS'];
  if (videos.length > 0 && audio !== undefined) {
    lines.push(
      `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="main",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="${audio.channelCount}",URI="${audio.uri}${query}"`,
    );
  }
  const scoreOf = scoresOf(videos);
  for (const video of videos.length > 0 ? videos : [undefined]) {
    lines.push(variantLine(video, { audio, score: scoreOf(video) }), `${video?.uri ?? audio?.uri ?? ''}${query}`);
  }
  return `${lines.join('\n')}\n`;
};

/**
 * A player stays with the codec it begins with (hls.js, RFC 8216bis 6.3.1), so it should begin with the main video's, which has rungs to go down
 * to; what else it decodes can be chosen by hand. Without this hls.js would take the rung whose codec compresses best, and be stuck on it.
 */
const scoresOf = (videos: readonly VariantView[]): ((video: VariantView | undefined) => number | undefined) => {
  const formatOf = (video: VariantView | undefined): string | undefined => video?.codecString.slice(0, 4);
  const [main] = videos;
  const hasOthers = videos.some((video) => formatOf(video) !== formatOf(main));
  return (video) => (hasOthers ? (formatOf(video) === formatOf(main) ? 2 : 1) : undefined);
};

const variantLine = (
  video: VariantView | undefined,
  { audio, score }: { audio: MultivariantView['audio']; score: number | undefined },
): string => {
  // Of what plays together, as if all peaked at once (4.4.6.2).
  const peakBps = (video?.peakBps ?? 0) + (audio?.peakBps ?? 0);
  const averageBps = (video?.averageBps ?? 0) + (audio?.averageBps ?? 0);
  const codecs = [video?.codecString, audio?.codecString].filter((codec) => codec !== undefined).join(',');
  const attributes = [
    `BANDWIDTH=${peakBps}`,
    `AVERAGE-BANDWIDTH=${averageBps}`,
    `CODECS="${codecs}"`,
    ...(video === undefined ? [] : [`RESOLUTION=${video.widthPx}x${video.heightPx}`]),
    ...(video?.frameRateFps === undefined ? [] : [`FRAME-RATE=${video.frameRateFps.toFixed(3)}`]),
    ...(video !== undefined && audio !== undefined ? ['AUDIO="audio"'] : []),
    ...(score === undefined ? [] : [`SCORE=${score.toFixed(1)}`]),
  ];
  return `#EXT-X-STREAM-INF:${attributes.join(',')}`;
};
