/** Recordings that are nothing but their summaries: for what lists, renames and removes them. */
import type { ReplaysView } from '../../server/api/views.ts';
import { WorldError } from '../../server/base/errors.ts';
import { Library } from '../../server/replay/library.ts';
import type { OpenRecording, Recordings, RecordingSummary } from '../../server/replay/recording.ts';

export const recordingSummary = (place: number, over: Partial<RecordingSummary> = {}): RecordingSummary => ({
  id: place.toString(16).padStart(32, '0'),
  name: 'demo',
  title: '',
  startedAtWallMs: 1_700_000_000_000 + place * 3_600_000,
  endedAtWallMs: 1_700_000_000_000 + (place + 1) * 3_600_000,
  endReason: 'broadcast_ended',
  durationMs: 3_600_000,
  mediaBytes: 1_000,
  ...over,
});

export class MemoryRecordings implements Recordings {
  #summaries: RecordingSummary[];
  readonly #opened: ReadonlyMap<string, OpenRecording>;

  constructor(summaries: readonly RecordingSummary[], opened: ReadonlyMap<string, OpenRecording> = new Map()) {
    this.#summaries = [...summaries];
    this.#opened = opened;
  }

  list(): readonly RecordingSummary[] {
    return this.#summaries.toSorted((a, b) => b.startedAtWallMs - a.startedAtWallMs);
  }

  summaryOf(id: string): RecordingSummary | undefined {
    return this.#summaries.find((one) => one.id === id);
  }

  async open(id: string): Promise<OpenRecording | undefined> {
    return this.#opened.get(id);
  }

  async rename(id: string, title: string): Promise<boolean> {
    const found = this.summaryOf(id);
    this.#summaries = this.#summaries.map((one) => (one.id === id ? { ...one, title } : one));
    return found !== undefined;
  }

  async remove(id: string): Promise<boolean> {
    const found = this.summaryOf(id);
    if (found !== undefined && found.endedAtWallMs === undefined) {
      throw new WorldError('REPLAY_RECORDING_LIVE', 'still being made');
    }
    this.#summaries = this.#summaries.filter((one) => one.id !== id);
    return found !== undefined;
  }
}

/** The keys are `admin-key` and `NAME-key`. */
export const replaysViewOf = (recordings: Recordings): ReplaysView => {
  const library = new Library(recordings);
  return {
    list: (query) => library.list(query),
    find: (id) => library.find(id),
    rename: async (id, title) => library.rename(id, title),
    remove: async (id) => library.remove(id),
    mayChange: (bearer, name) => bearer === 'admin-key' || bearer === `${name}-key`,
  };
};
