/**
 * The bar: shows where the picture is in all there is, and what is under the pointer; says where the viewer wants to go when he lets go. A slider to screen
 * readers (ARIA practices); its keys are the player's.
 */
import { behindMs, isSeekable, playedRatio, positionAt, ratioOf, type SeekTimeline } from '../playout/seek-timeline.ts';
import type { Thumbnail } from '../transport/storyboard.ts';
import { ENGLISH } from './texts.ts';
import { clockText, spokenTime } from './time-text.ts';

export type SeekBarOptions = {
  /** Holds `.seek`, `.preview`, `.thumbnail` and `.preview-time`. */
  readonly root: HTMLElement;
  onSeek(ratio: number): void;
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
  readonly #time: HTMLElement;
  #timeline: SeekTimeline | null = null;
  /** Where the pointer is on the bar, 0 to 1; null when it is not. */
  #hoverRatio: number | null = null;
  #isDragging = false;

  constructor(options: SeekBarOptions) {
    this.#options = options;
    this.#bar = partOf(options.root, '.seek');
    this.#preview = partOf(options.root, '.preview');
    this.#thumbnail = partOf(options.root, '.thumbnail');
    this.#time = partOf(options.root, '.preview-time');
    this.#bar.setAttribute('aria-label', ENGLISH.seek);
    this.#listen();
  }

  get isDragging(): boolean {
    return this.#isDragging;
  }

  get element(): HTMLElement {
    return this.#bar;
  }

  /** Null, or too short to be of use: no bar. */
  render(timeline: SeekTimeline | null): void {
    const isOn = isSeekable(timeline);
    this.#bar.classList.toggle('off', !isOn);
    this.#bar.tabIndex = isOn ? 0 : -1;
    this.#bar.setAttribute('aria-disabled', String(!isOn));
    this.#timeline = isOn ? timeline : null;
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
    setAttribute(this.#bar, 'aria-valuetext', spokenPlace(timeline));
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
    this.#time.textContent = placeText(timeline, positionMs);
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
export const placeText = (timeline: SeekTimeline, positionMs: number): string => {
  if (!timeline.isLive) {
    return clockText(positionMs - timeline.startMs);
  }
  const text = clockText(timeline.endMs - positionMs);
  return ratioOf(timeline, positionMs) >= 1 || text === '0:00' ? ENGLISH.live : `−${text}`;
};

export const spokenPlace = (timeline: SeekTimeline): string => {
  if (timeline.isAtEdge) {
    return ENGLISH.live;
  }
  return timeline.isLive
    ? `${spokenTime(behindMs(timeline))} ${ENGLISH.behindLive}`
    : `${spokenTime(timeline.positionMs - timeline.startMs)} ${ENGLISH.of} ${spokenTime(timeline.endMs - timeline.startMs)}`;
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
