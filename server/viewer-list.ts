/** Who watches, and the last of those who did, by numbers for the API. Whatever the way out, each viewer tells by itself how it fares. */
import type { SessionDetail, SessionSummary } from './api/contract/sessions.ts';
import type { ViewersView } from './api/views.ts';
import type { Clock } from './base/clock.ts';

/** All that is no matter of the list. */
export type ViewerFacts = Omit<SessionSummary, 'number' | 'startedAtWallMs' | 'durationMs' | 'endedAtWallMs'>;

export type ListedViewer = {
  facts(): ViewerFacts;
  /** Asked once more when it has left. Never rejects. */
  timeline(): Timeline | Promise<Timeline>;
};

type Timeline = SessionDetail['timeline'];
type Ended = { readonly summary: SessionSummary; readonly timeline: Timeline | Promise<Timeline> };

type Entry = { readonly number: number; readonly viewer: ListedViewer; readonly startedAtWallMs: number };

/** About 12 kB each. */
const ENDED_MAX_COUNT = 50;

export class ViewerList implements ViewersView {
  readonly #clock: Clock;
  readonly #watching = new Map<number, Entry>();
  readonly #ended: Ended[] = [];
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The returned function takes the viewer off the list of those who watch; `isRemembered`: it watched indeed. */
  add(viewer: ListedViewer): (isRemembered: boolean) => void {
    this.#count += 1;
    const entry = { number: this.#count, viewer, startedAtWallMs: this.#clock.wallMs() };
    this.#watching.set(entry.number, entry);
    return (isRemembered) => {
      if (this.#watching.delete(entry.number) && isRemembered) {
        this.#ended.unshift({ summary: this.#summaryOf(entry, { isOver: true }), timeline: viewer.timeline() });
        this.#ended.splice(ENDED_MAX_COUNT);
      }
    };
  }

  /** Newest first, those who watch before those who left. */
  list(): SessionSummary[] {
    return [
      ...[...this.#watching.values()].map((entry) => this.#summaryOf(entry, { isOver: false })).toReversed(),
      ...this.#ended.map(({ summary }) => summary),
    ];
  }

  async find(number: number): Promise<SessionDetail | undefined> {
    const entry = this.#watching.get(number);
    const ended = this.#ended.find(({ summary }) => summary.number === number);
    if (entry !== undefined) {
      return { ...this.#summaryOf(entry, { isOver: false }), timeline: await entry.viewer.timeline() };
    }
    return ended === undefined ? undefined : { ...ended.summary, timeline: await ended.timeline };
  }

  #summaryOf({ number, viewer, startedAtWallMs }: Entry, { isOver }: { isOver: boolean }): SessionSummary {
    const nowWallMs = this.#clock.wallMs();
    const ended = { endedAtWallMs: isOver ? nowWallMs : null };
    return { number, ...viewer.facts(), startedAtWallMs, durationMs: nowWallMs - startedAtWallMs, ...ended };
  }
}

/** Numbers of a timeline as the API has them: a tenth is enough, and what is not known is null. */
export const toColumn = (values: readonly number[]): (number | null)[] =>
  values.map((value) => (Number.isFinite(value) ? Math.round(10 * value) / 10 : null));
