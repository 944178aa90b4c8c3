/** The controls of time and of what goes with it: seek bar, time, live button, speed, captions, small window. What they do is the player's. */
import type { MediaPlayer } from '../media-player.ts';
import {
  behindMs,
  isSeekable,
  seekBy,
  seekToRatio,
  type SeekTimeline,
  type SeekWish,
} from '../playout/seek-timeline.ts';
import { SeekBar, placeText } from './seek-bar.ts';
import type { Stage } from './stage.ts';
import { ENGLISH } from './texts.ts';
import { clockText } from './time-text.ts';

export type TimeControlsOptions = {
  /** Holds the template. */
  readonly root: ParentNode;
  readonly stage: Stage;
  player(): MediaPlayer | undefined;
  /** The viewer wants live, also when he had paused. */
  onGoLive(): void;
};

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
/** How far back the bar reaches is asked for when somebody looks; a wish from before the answer waits so long. */
const WISH_WAITS_MS = 5000;

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

  seekToRatio(ratio: number, nowMs: number): void {
    this.#wish((timeline) => seekToRatio(timeline, ratio), nowMs);
  }

  /** To be called a few times a second, and at each change. */
  render(state: { isSwitching: boolean; isPaused: boolean; nowMs: number }): void {
    const timeline = this.#options.player()?.timeline() ?? null;
    this.#timeline = timeline;
    this.#bar.render(timeline);
    this.#doWaiting(state.nowMs);
    this.#renderLive(timeline, state);
    setText(this.#time, timeline === null ? '' : timeText(timeline));
    this.#speed.hidden = timeline === null || timeline.isAtEdge;
    if (timeline?.isAtEdge === true) {
      this.#speed.value = '1';
    }
    this.#renderCaptions();
  }

  #build(): void {
    const { stage } = this.#options;
    this.#speed.append(...SPEEDS.map((ratio) => new Option(`${ratio}×`, String(ratio), ratio === 1, ratio === 1)));
    this.#speed.setAttribute('aria-label', ENGLISH.speed);
    this.#speed.addEventListener('change', () => this.#options.player()?.setRate(Number(this.#speed.value)));
    this.#liveButton.addEventListener('click', () => this.#options.onGoLive());
    this.#captions.addEventListener('click', () => this.#nextCaptions());
    const small = this.#find('.small-window');
    small.hidden = !stage.hasSmallWindow;
    small.title = ENGLISH.enterSmallWindow;
    small.setAttribute('aria-label', ENGLISH.enterSmallWindow);
    small.addEventListener('click', () => stage.toggleSmallWindow());
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
    setText(this.#liveText, ENGLISH.live);
    const label = isOn ? ENGLISH.live : ENGLISH.goLive;
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
    const what = shown === undefined ? ENGLISH.captionsOff : shown.label || shown.language || '1';
    this.#captions.hidden = tracks.length === 0;
    this.#captions.classList.toggle('on', shown !== undefined);
    const label = `${ENGLISH.captions}: ${what}`;
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
const timeText = (timeline: SeekTimeline): string => {
  if (timeline.isLive) {
    return timeline.isAtEdge || behindMs(timeline) < 1000 ? '' : placeText(timeline, timeline.positionMs);
  }
  const { startMs, endMs, positionMs } = timeline;
  return endMs <= startMs ? '' : `${clockText(positionMs - startMs)} / ${clockText(endMs - startMs)}`;
};

const setText = (element: HTMLElement, text: string): void => {
  if (element.textContent !== text) {
    element.textContent = text;
  }
};
