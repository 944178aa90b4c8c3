/**
 * The chapters on the bar: a mark where each begins, with its title, to be pointed at, tapped, and gone through by keys (one stop of Tab, arrows from mark
 * to mark, Enter goes there). They stand over the bar, not in it: a slider has no parts to screen readers.
 */
import type { ChapterMark } from '../media-player.ts';
import { ratioOf, type SeekTimeline } from '../playout/seek-timeline.ts';
import type { Texts } from './texts.ts';

export type ChapterMarksOptions = {
  readonly root: HTMLElement;
  readonly texts: () => Texts;
  readonly onChoose: (mark: ChapterMark) => void;
  /** Pointed at, or reached by keys; null: no more. */
  readonly onLook: (mark: ChapterMark | null) => void;
};

/** The newest: more marks than this are no marks. */
const MARK_MAX_COUNT = 200;

export class ChapterMarks {
  readonly #options: ChapterMarksOptions;
  #marks: readonly ChapterMark[] = [];
  #buttons: HTMLButtonElement[] = [];
  #drawn = '';

  constructor(options: ChapterMarksOptions) {
    this.#options = options;
    options.root.addEventListener('keydown', (event) => this.#onKey(event));
  }

  get marks(): readonly ChapterMark[] {
    return this.#marks;
  }

  /** In the language of now. */
  label(): void {
    this.#options.root.setAttribute('aria-label', this.#options.texts().chapters);
    this.#drawn = '';
  }

  /** Null: there is no bar. Marks before its beginning are none. */
  render(timeline: SeekTimeline | null, chapters: readonly ChapterMark[]): void {
    const marks =
      timeline === null ? [] : chapters.filter(({ startMs }) => startMs >= timeline.startMs).slice(-MARK_MAX_COUNT);
    const drawn = JSON.stringify(marks);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#marks = marks;
      this.#draw(timeline?.startMs ?? 0);
    }
    if (timeline !== null) {
      marks.forEach(({ startMs }, place) => {
        const left = `${(100 * ratioOf(timeline, startMs)).toFixed(2)}%`;
        const button = this.#buttons[place];
        if (button !== undefined && button.style.left !== left) {
          button.style.left = left;
        }
      });
    }
  }

  /** Of the chapter that an instant lies in; empty before the first. */
  titleAt(positionMs: number): string {
    return this.#marks.findLast(({ startMs }) => startMs <= positionMs)?.title ?? '';
  }

  #draw(startMs: number): void {
    const { root, texts, onChoose, onLook } = this.#options;
    const focusedPlace = this.#focusedPlace;
    this.#buttons = this.#marks.map((mark) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'chapter';
      button.setAttribute('part', 'chapter-mark');
      button.setAttribute('aria-label', `${mark.title}, ${texts().spokenTime(mark.startMs - startMs)}`);
      button.addEventListener('click', () => onChoose(mark));
      button.addEventListener('pointerenter', () => onLook(mark));
      button.addEventListener('pointerleave', () => onLook(null));
      button.addEventListener('focus', () => button.matches(':focus-visible') && onLook(mark));
      button.addEventListener('blur', () => onLook(null));
      return button;
    });
    root.replaceChildren(...this.#buttons);
    this.#setStop(Math.max(0, focusedPlace));
    if (focusedPlace >= 0) {
      this.#buttons[focusedPlace]?.focus();
    }
  }

  get #focusedPlace(): number {
    return this.#buttons.findIndex((button) => button.matches(':focus'));
  }

  #setStop(place: number): void {
    this.#buttons.forEach((button, index) => (button.tabIndex = index === place ? 0 : -1));
  }

  #onKey(event: KeyboardEvent): void {
    const place = this.#focusedPlace;
    const last = this.#buttons.length - 1;
    const places: Readonly<Record<string, number>> = {
      ArrowRight: Math.min(last, place + 1),
      ArrowLeft: Math.max(0, place - 1),
      Home: 0,
      End: last,
    };
    const next = places[event.key];
    if (next !== undefined && place >= 0) {
      event.preventDefault();
      event.stopPropagation();
      this.#setStop(next);
      this.#buttons[next]?.focus();
    }
  }
}
