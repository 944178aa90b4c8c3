/**
 * The bar: shows where the picture is in all there is, and what is under the pointer; says where the viewer wants to go when he lets go. A slider to screen
 * readers (ARIA practices); its keys are the player's.
 */
import { behindMs, isSeekable, playedRatio, positionAt, ratioOf, type SeekTimeline } from '../playout/seek-timeline.ts';
import type { ChapterMark } from '../media-player.ts';
import type { Thumbnail } from '../transport/storyboard.ts';
import { ChapterMarks } from './chapter-marks.ts';
import type { Texts } from './texts.ts';
import { clockText } from './time-text.ts';

export type SeekBarOptions = {
  /** Holds `.seek`, `.chapters`, `.preview`, `.thumbnail`, `.preview-title` and `.preview-time`. */
  readonly root: HTMLElement;
  readonly texts: () => Texts;
  onSeek(ratio: number): void;
  onSeekTo(positionMs: number): void;
  /** Looked at: what it shows may be fetched now. */
  onInterest(): void;
  thumbnailAt(positionMs: number): Thumbnail | null;
};

/** The preview is shown this much larger than its picture is. */
const THUMBNAIL_SCALE = 1;

export class SeekBar {
  readonly #options: SeekBarOptions;
  readonly #bar: HTMLElement;
  readonly #preview: HTMLElement;
  readonly #thumbnail: HTMLElement;
  readonly #title: HTMLElement;
  readonly #time: HTMLElement;
  readonly #chapters: ChapterMarks;
  #timeline: SeekTimeline | null = null;
  /** Where the pointer is on the bar, 0 to 1; null when it is not. */
  #hoverRatio: number | null = null;
  #isDragging = false;

  constructor(options: SeekBarOptions) {
    this.#options = options;
    this.#bar = partOf(options.root, '.seek');
    this.#preview = partOf(options.root, '.preview');
    this.#thumbnail = partOf(options.root, '.thumbnail');
    this.#title = partOf(options.root, '.preview-title');
    this.#time = partOf(options.root, '.preview-time');
    this.#chapters = new ChapterMarks({
      root: partOf(options.root, '.chapters'),
      texts: options.texts,
      onChoose: ({ startMs }) => options.onSeekTo(startMs),
      onLook: (mark) => {
        this.#hoverRatio = mark === null || this.#timeline === null ? null : ratioOf(this.#timeline, mark.startMs);
        this.render(this.#timeline);
      },
    });
    this.label();
    this.#listen();
  }

  /** In the language of now. */
  label(): void {
    this.#bar.setAttribute('aria-label', this.#options.texts().seek);
    this.#chapters.label();
  }

  get isDragging(): boolean {
    return this.#isDragging;
  }

  get element(): HTMLElement {
    return this.#bar;
  }

  /** Null, or too short to be of use: no bar. */
  render(timeline: SeekTimeline | null, chapters: readonly ChapterMark[] = this.#chapters.marks): void {
    const isOn = isSeekable(timeline);
    this.#bar.classList.toggle('off', !isOn);
    this.#bar.tabIndex = isOn ? 0 : -1;
    this.#bar.setAttribute('aria-disabled', String(!isOn));
    this.#timeline = isOn ? timeline : null;
    this.#chapters.render(this.#timeline, chapters);
    if (isOn) {
      this.#renderPlace(timeline);
      this.#say(timeline);
    }
    this.#renderPreview();
  }

  #renderPlace(timeline: SeekTimeline): void {
    const ratio = this.#isDragging && this.#hoverRatio !== null ? this.#hoverRatio : playedRatio(timeline);
    this.#bar.style.setProperty('--played', String(ratio));
  }

  #say(timeline: SeekTimeline): void {
    const spanS = Math.round((timeline.endMs - timeline.startMs) / 1000);
    const nowS = Math.round(playedRatio(timeline) * spanS);
    setAttribute(this.#bar, 'aria-valuemin', '0');
    setAttribute(this.#bar, 'aria-valuemax', String(spanS));
    setAttribute(this.#bar, 'aria-valuenow', String(nowS));
    setAttribute(this.#bar, 'aria-valuetext', spokenPlace(timeline, this.#options.texts()));
  }

  #renderPreview(): void {
    const timeline = this.#timeline;
    const isShown = timeline !== null && this.#hoverRatio !== null;
    this.#preview.hidden = !isShown;
    if (!isShown || this.#hoverRatio === null) {
      return;
    }
    const positionMs = positionAt(timeline, this.#hoverRatio);
    this.#bar.style.setProperty('--hover', String(this.#hoverRatio));
    this.#time.textContent = placeText(timeline, positionMs, this.#options.texts());
    // A chapter's own mark is rounded to a place on the bar, and may be a little before it.
    const title = this.#chapters.titleAt(positionMs + 1);
    this.#title.textContent = title;
    this.#title.hidden = title === '';
    this.#renderThumbnail(this.#options.thumbnailAt(positionMs));
    this.#keepInside();
  }

  #renderThumbnail(thumbnail: Thumbnail | null): void {
    this.#thumbnail.hidden = thumbnail === null;
    if (thumbnail !== null) {
      const { imageUrl, xPx, yPx, widthPx, heightPx } = thumbnail;
      this.#thumbnail.style.width = `${widthPx * THUMBNAIL_SCALE}px`;
      this.#thumbnail.style.height = `${heightPx * THUMBNAIL_SCALE}px`;
      this.#thumbnail.style.background = `url(${JSON.stringify(imageUrl)}) -${xPx}px -${yPx}px no-repeat`;
    }
  }

  /** The preview follows the pointer, but not out of the player. */
  #keepInside(): void {
    const barPx = this.#bar.clientWidth;
    const halfPx = this.#preview.offsetWidth / 2;
    const atPx = Math.min(Math.max((this.#hoverRatio ?? 0) * barPx, halfPx), Math.max(halfPx, barPx - halfPx));
    this.#preview.style.left = `${atPx}px`;
  }

  // ---- pointer

  #listen(): void {
    this.#bar.addEventListener('pointerdown', (event) => this.#onDown(event));
    this.#bar.addEventListener('pointermove', (event) => this.#onMove(event));
    this.#bar.addEventListener('pointerup', (event) => this.#onUp(event));
    this.#bar.addEventListener('pointercancel', () => this.#leave());
    this.#bar.addEventListener('pointerleave', () => !this.#isDragging && this.#leave());
  }

  #onDown(event: PointerEvent): void {
    if (event.button !== 0 || this.#timeline === null) {
      return;
    }
    this.#bar.setPointerCapture(event.pointerId);
    this.#isDragging = true;
    this.#bar.classList.add('dragging');
    this.#onMove(event);
  }

  #onMove(event: PointerEvent): void {
    const { left, width } = this.#bar.getBoundingClientRect();
    this.#hoverRatio = width > 0 ? Math.min(1, Math.max(0, (event.clientX - left) / width)) : null;
    this.#options.onInterest();
    this.render(this.#timeline);
  }

  #onUp(event: PointerEvent): void {
    if (!this.#isDragging) {
      return;
    }
    const ratio = this.#hoverRatio;
    this.#isDragging = false;
    this.#bar.classList.remove('dragging');
    if (event.pointerType !== 'mouse') {
      this.#hoverRatio = null;
    }
    if (ratio !== null && this.#timeline !== null) {
      this.#options.onSeek(ratio);
    }
  }

  #leave(): void {
    this.#isDragging = false;
    this.#bar.classList.remove('dragging');
    this.#hoverRatio = null;
    this.render(this.#timeline);
  }
}

/** Live: how far behind, since nobody knows how long it will be; else the time from the beginning. */
export const placeText = (timeline: SeekTimeline, positionMs: number, texts: Texts): string => {
  if (!timeline.isLive) {
    return clockText(positionMs - timeline.startMs);
  }
  const text = clockText(timeline.endMs - positionMs);
  return ratioOf(timeline, positionMs) >= 1 || text === '0:00' ? texts.live : `−${text}`;
};

export const spokenPlace = (timeline: SeekTimeline, texts: Texts): string => {
  const { startMs, endMs, positionMs } = timeline;
  if (timeline.isAtEdge) {
    return texts.live;
  }
  return timeline.isLive
    ? texts.behind(texts.spokenTime(behindMs(timeline)))
    : texts.placeOf(texts.spokenTime(positionMs - startMs), texts.spokenTime(endMs - startMs));
};

const partOf = (root: HTMLElement, selector: string): HTMLElement => {
  const found = root.querySelector<HTMLElement>(selector);
  if (found === null) {
    throw new Error(`the template has no ${selector}`);
  }
  return found;
};

const setAttribute = (element: HTMLElement, name: string, value: string): void => {
  if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
};
