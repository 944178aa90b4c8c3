/** The controls of time and of what goes with it: seek bar, time, live button, speed, captions, small window. What they do is the player's. */
import type { MediaPlayer } from '../media-player.ts';
import {
  behindMs,
  isSeekable,
  seekBy,
  seekTo,
  seekToRatio,
  type SeekTimeline,
  type SeekWish,
} from '../playout/seek-timeline.ts';
import { SeekBar, placeText } from './seek-bar.ts';
import type { Stage } from './stage.ts';
import type { Texts } from './texts.ts';
import { clockText } from './time-text.ts';

export type TimeControlsOptions = {
  /** Holds the template. */
  readonly root: ParentNode;
  readonly stage: Stage;
  readonly texts: () => Texts;
  player(): MediaPlayer | undefined;
  /** The viewer wants live, also when he had paused. */
  onGoLive(): void;
};

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
/** How far back the bar reaches is asked for when somebody looks; a wish from before the answer waits so long. */
const WISH_WAITS_MS = 5000;
const CHAPTER_JUST_BEGUN_MS = 3000;

export class TimeControls {
  readonly #options: TimeControlsOptions;
  readonly #bar: SeekBar;
  readonly #liveButton: HTMLElement;
  readonly #liveText: HTMLElement;
  readonly #time: HTMLElement;
  readonly #speed: HTMLSelectElement;
  readonly #captions: HTMLElement;
  #timeline: SeekTimeline | null = null;
  #waiting: { readonly wish: (timeline: SeekTimeline) => SeekWish; readonly untilMs: number } | null = null;

  constructor(options: TimeControlsOptions) {
    this.#options = options;
    this.#liveButton = this.#find('.go-live');
    this.#liveText = this.#find('.go-live-text');
    this.#time = this.#find('.time');
    this.#captions = this.#find('.captions');
    const speed = this.#find('.speed');
    if (!(speed instanceof HTMLSelectElement)) {
      throw new Error('the template has no speed to choose');
    }
    this.#speed = speed;
    this.#bar = new SeekBar({
      root: this.#find('.controls'),
      texts: options.texts,
      onSeekTo: (positionMs) => this.#wish((timeline) => seekTo(timeline, positionMs)),
      onSeek: (ratio) => this.#wish((timeline) => seekToRatio(timeline, ratio)),
      onInterest: () => options.player()?.showInterest(),
      thumbnailAt: (positionMs) => options.player()?.thumbnailAt(positionMs) ?? null,
    });
    this.#build();
  }

  get isDragging(): boolean {
    return this.#bar.isDragging;
  }

  get barElement(): HTMLElement {
    return this.#bar.element;
  }

  /** A replay, or the past of what is live: speed and steps have a meaning. */
  get isInPast(): boolean {
    return this.#timeline !== null && !this.#timeline.isAtEdge;
  }

  seekBy(byMs: number, nowMs: number): void {
    this.#wish((timeline) => seekBy(timeline, byMs), nowMs);
  }

  /** To the next chapter, or back: to the beginning of this one first, unless it has just begun. */
  seekChapter(direction: 1 | -1, nowMs: number): void {
    const chapters = this.#options.player()?.chapters() ?? [];
    this.#wish((timeline) => {
      const { positionMs } = timeline;
      const target =
        direction > 0
          ? chapters.find(({ startMs }) => startMs > positionMs)
          : chapters.findLast(({ startMs }) => startMs < positionMs - CHAPTER_JUST_BEGUN_MS);
      return seekTo(timeline, target?.startMs ?? (direction > 0 ? positionMs : timeline.startMs));
    }, nowMs);
  }

  seekToRatio(ratio: number, nowMs: number): void {
    this.#wish((timeline) => seekToRatio(timeline, ratio), nowMs);
  }

  /** To be called a few times a second, and at each change. */
  render(state: { isSwitching: boolean; isPaused: boolean; nowMs: number }): void {
    const timeline = this.#options.player()?.timeline() ?? null;
    this.#timeline = timeline;
    this.#bar.render(timeline, this.#options.player()?.chapters() ?? []);
    this.#doWaiting(state.nowMs);
    this.#renderLive(timeline, state);
    setText(this.#time, timeline === null ? '' : timeText(timeline, this.#options.texts()));
    this.#speed.hidden = timeline === null || timeline.isAtEdge;
    if (timeline?.isAtEdge === true) {
      this.#speed.value = '1';
    }
    this.#renderCaptions();
  }

  #build(): void {
    const { stage } = this.#options;
    this.#speed.append(...SPEEDS.map((ratio) => new Option(`${ratio}×`, String(ratio), ratio === 1, ratio === 1)));
    this.#speed.addEventListener('change', () => this.#options.player()?.setRate(Number(this.#speed.value)));
    this.#liveButton.addEventListener('click', () => this.#options.onGoLive());
    this.#captions.addEventListener('click', () => this.#nextCaptions());
    const small = this.#find('.small-window');
    small.hidden = !stage.hasSmallWindow;
    small.addEventListener('click', () => stage.toggleSmallWindow());
    this.label();
  }

  /** In the language of now. */
  label(): void {
    const texts = this.#options.texts();
    this.#bar.label();
    this.#speed.setAttribute('aria-label', texts.speed);
    const small = this.#find('.small-window');
    small.title = texts.enterSmallWindow;
    small.setAttribute('aria-label', texts.enterSmallWindow);
  }

  #wish(wish: (timeline: SeekTimeline) => SeekWish, nowMs: number | null = null): void {
    const player = this.#options.player();
    const timeline = player?.timeline() ?? null;
    if (player !== undefined && isSeekable(timeline)) {
      this.#fulfil(player, wish(timeline));
    } else if (nowMs !== null) {
      this.#waiting = { wish, untilMs: nowMs + WISH_WAITS_MS };
    }
  }

  #doWaiting(nowMs: number): void {
    const waiting = this.#waiting;
    const player = this.#options.player();
    if (waiting === null || player === undefined) {
      return;
    }
    if (isSeekable(this.#timeline) || nowMs > waiting.untilMs) {
      this.#waiting = null;
    }
    if (isSeekable(this.#timeline) && nowMs <= waiting.untilMs) {
      this.#fulfil(player, waiting.wish(this.#timeline));
    }
  }

  #fulfil(player: MediaPlayer, wish: SeekWish): void {
    if (wish.type === 'go-live') {
      this.#options.onGoLive();
    } else {
      player.seek(wish.positionMs);
    }
  }

  #renderLive(
    timeline: SeekTimeline | null,
    { isSwitching, isPaused }: { isSwitching: boolean; isPaused: boolean },
  ): void {
    const isOn = timeline?.isAtEdge === true && !isSwitching && !isPaused;
    this.#liveButton.hidden = timeline?.isLive !== true;
    this.#liveButton.classList.toggle('on', isOn);
    this.#liveButton.classList.toggle('switching', isSwitching);
    const texts = this.#options.texts();
    setText(this.#liveText, texts.live);
    const label = isOn ? texts.live : texts.goLive;
    if (this.#liveButton.title !== label) {
      this.#liveButton.title = label;
      this.#liveButton.setAttribute('aria-label', label);
    }
  }

  // ---- captions: whatever tracks the shown element has, one after the other, then none

  get #tracks(): readonly TextTrack[] {
    return [...(this.#options.stage.shown?.textTracks ?? [])].filter(
      ({ kind }) => kind === 'captions' || kind === 'subtitles',
    );
  }

  #renderCaptions(): void {
    const tracks = this.#tracks;
    const shown = tracks.find(({ mode }) => mode === 'showing');
    const what = shown === undefined ? this.#options.texts().captionsOff : shown.label || shown.language || '1';
    this.#captions.hidden = tracks.length === 0;
    this.#captions.classList.toggle('on', shown !== undefined);
    const label = `${this.#options.texts().captions}: ${what}`;
    if (this.#captions.title !== label) {
      this.#captions.title = label;
      this.#captions.setAttribute('aria-label', label);
    }
  }

  #nextCaptions(): void {
    const tracks = this.#tracks;
    const next = tracks.findIndex(({ mode }) => mode === 'showing') + 1;
    tracks.forEach((track, index) => (track.mode = index === next ? 'showing' : 'disabled'));
    this.#renderCaptions();
  }

  #find(selector: string): HTMLElement {
    const found = this.#options.root.querySelector<HTMLElement>(selector);
    if (found === null) {
      throw new Error(`the template has no ${selector}`);
    }
    return found;
  }
}

/** Nothing at the live edge; how far behind when rewound; else where in how much. */
const timeText = (timeline: SeekTimeline, texts: Texts): string => {
  if (timeline.isLive) {
    return timeline.isAtEdge || behindMs(timeline) < 1000 ? '' : placeText(timeline, timeline.positionMs, texts);
  }
  const { startMs, endMs, positionMs } = timeline;
  return endMs <= startMs ? '' : `${clockText(positionMs - startMs)} / ${clockText(endMs - startMs)}`;
};

const setText = (element: HTMLElement, text: string): void => {
  if (element.textContent !== text) {
    element.textContent = text;
  }
};
