/** Cues of a recording at the replay's positions: chapters as JSON and WebVTT, and dates for playlists. Gaps are left out as the replay leaves them out. Pure. */
import type { Chapter, Cue } from '../api/contract/cues.ts';
import { dateRangeLine } from '../media/date-range.ts';
import type { RecordingIndex } from './recording.ts';
import { vttTime } from './storyboard-plan.ts';
import type { VodTimeline } from './vod-timeline.ts';
import { placeOfMedia } from './vod-timeline.ts';

/** A cue that the replay shows, and from when to when. */
type PlacedCue = { readonly cue: Cue; readonly startMs: number; readonly endMs: number; readonly wallMs: number };

/** By time. Each ends where the next begins. What lies in media that was not recorded has no place, and is not among them. */
export const chaptersOf = (index: RecordingIndex, timeline: VodTimeline | undefined): readonly Chapter[] => {
  const placed = timeline === undefined ? [] : placeCues(index, timeline);
  return placed.map(({ cue, startMs }) => ({
    startMs,
    endMs: placed.find((next) => next.startMs > startMs)?.startMs ?? timeline?.durationMs ?? startMs,
    title: cue.title ?? cue.kind,
    cue,
  }));
};

export const renderChaptersVtt = (chapters: readonly Chapter[]): string => {
  const blocks = chapters.map(
    ({ startMs, endMs, title }) => `${vttTime(startMs)} --> ${vttTime(endMs)}\n${escapeVtt(title)}\n`,
  );
  return ['WEBVTT\n', ...blocks].join('\n');
};

const CLASS = 'live.sluice.cue';

/** `EXT-X-DATERANGE` of each, oldest first. */
export const cueDateLines = (index: RecordingIndex, timeline: VodTimeline): readonly string[] => {
  const counts = new Map<string, number>();
  return placeCues(index, timeline).map(({ cue, wallMs, startMs, endMs }) => {
    const count = (counts.get(cue.id) ?? 0) + 1;
    counts.set(cue.id, count);
    return dateRangeLine({
      ...{ id: count === 1 ? cue.id : `${cue.id}~${count}`, class: CLASS, startAtWallMs: wallMs },
      durationMs: endMs - startMs,
      attributes: { 'X-SLUICE-CUE': JSON.stringify(cue) },
    });
  });
};

const placeCues = (index: RecordingIndex, timeline: VodTimeline): readonly PlacedCue[] =>
  index.cues.flatMap((cue) => {
    const place = placeOfMedia(timeline, cue.mediaMs);
    if (place === undefined) {
      return [];
    }
    const end = cue.durationMs === null ? undefined : placeOfMedia(timeline, cue.mediaMs + cue.durationMs);
    const endMs = end?.positionMs ?? timeline.durationMs;
    const { positionMs: startMs, wallMs } = place;
    return endMs > startMs ? { startMs, endMs, wallMs, cue: { ...cue, programWallMs: wallMs } } : [];
  });

const escapeVtt = (text: string): string =>
  text.replaceAll(/\s+/gu, ' ').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
