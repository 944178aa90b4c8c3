/** The library: recordings as people look for them. */
import type { ReplayList, ReplaySummary } from '../api/contract/replays.ts';
import { WorldError } from '../base/errors.ts';
import type { Recordings, RecordingSummary } from './recording.ts';

export type LibraryQuery = {
  /** Words that name or title must all hold. Empty: all recordings. */
  readonly search: string;
  /** Only of this broadcast; empty: of all. */
  readonly name: string;
  readonly offset: number;
  readonly limit: number;
};

export class Library {
  readonly #recordings: Recordings;

  constructor(recordings: Recordings) {
    this.#recordings = recordings;
  }

  list(query: LibraryQuery): ReplayList {
    const words = foldCase(query.search)
      .split(/\s+/)
      .filter((word) => word !== '');
    const matching = this.#recordings.list().filter((one) => {
      const text = foldCase(`${one.name} ${one.title}`);
      return (query.name === '' || one.name === query.name) && words.every((word) => text.includes(word));
    });
    const page = matching.slice(query.offset, query.offset + query.limit);
    return { replays: page.map(toEntry), totalCount: matching.length };
  }

  find(id: string): ReplaySummary | undefined {
    const summary = this.#recordings.summaryOf(id);
    return summary === undefined ? undefined : toEntry(summary);
  }

  /** Undefined for an unknown id. */
  async rename(id: string, title: string): Promise<ReplaySummary | undefined> {
    return (await this.#recordings.rename(id, title)) ? this.find(id) : undefined;
  }

  async remove(id: string): Promise<'removed' | 'absent' | 'recording'> {
    try {
      return (await this.#recordings.remove(id)) ? 'removed' : 'absent';
    } catch (error) {
      if (error instanceof WorldError && error.code === 'REPLAY_RECORDING_LIVE') {
        return 'recording';
      }
      throw error;
    }
  }
}

/** Umlauts and accents are found without them. */
const foldCase = (text: string): string => text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();

/** As the API and the pages show it. */
export const toEntry = (summary: RecordingSummary): ReplaySummary => {
  const { id, name, title, startedAtWallMs, endedAtWallMs, mediaBytes } = summary;
  return {
    id,
    name,
    title,
    state: endedAtWallMs === undefined ? 'recording' : 'ended',
    startedAtWallMs,
    endedAtWallMs: endedAtWallMs ?? null,
    durationMs: Math.round(summary.durationMs),
    sizeBytes: mediaBytes,
    playlistUrl: `/replay/${id}/index.m3u8`,
    downloadUrl: `/replay/${id}.mp4`,
    posterUrl: `/replay/${id}/poster.jpg`,
    storyboardUrl: `/replay/${id}/storyboard.vtt`,
  };
};
