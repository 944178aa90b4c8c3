/** `<sluice-player>`: one broadcast or one replay, its picture, its words and its buttons. Attributes, events and parts: README. */
import type { Chapter, Cue } from '../../server/api/contract/cues.ts';
import { ClaimDesk, mayClaim, type ClaimState } from '../claims/claim-desk.ts';
import type { ClaimOutcome } from '../claims/claim-answer.ts';
import { sendClaim } from '../claims/send-claim.ts';
import { playerClock } from '../clock.ts';
import type { CueEvent, CueView } from '../cues/cue-board.ts';
import type { MediaPlayer } from '../media-player.ts';
import { Playback, type Audience } from '../playback.ts';
import { ReplayPlayback } from '../replay-playback.ts';
import type { PlayerView } from '../rewind-machine.ts';
import {
  broadcastAddresses,
  replayAddresses,
  type BroadcastAddresses,
  type ReplayAddresses,
} from '../transport/addresses.ts';
import type { PlaybackSample } from '../transport/playback-sample.ts';
import { CueLayer } from './cue-layer.ts';
import { HealthPanel } from './health-panel.ts';
import { deedOf, type KeyDeed, type KeyPlace } from './keys.ts';
import { RenditionMenu } from './rendition-menu.ts';
import { Stage } from './stage.ts';
import { MARKUP, STYLE } from './template.ts';
import { textsOf } from './language.ts';
import { ENGLISH, latencyText, type Texts } from './texts.ts';
import { TimeControls } from './time-controls.ts';

export type SluicePlayerEventMap = {
  /** What the viewer is told, or whose picture is shown, changed. */
  'sluice-view': CustomEvent<PlayerView>;
  /** Once a second while there is a picture. */
  'sluice-sample': CustomEvent<PlaybackSample>;
  /** The server's state of the broadcast and the number of viewers. */
  'sluice-audience': CustomEvent<Audience>;
  /** A cue is announced, shown, changed or hidden, with the frame that it belongs to. `preventDefault()` on `shown`: the page draws it itself. */
  'sluice-cue': CustomEvent<CueEvent>;
  /** The button of a product with a stock. `preventDefault()` on `pressed`: nothing is claimed, the page does it itself. */
  'sluice-claim': CustomEvent<ClaimEvent>;
  /** Of a replay, once: what was shown in it. */
  'sluice-chapters': CustomEvent<readonly Chapter[]>;
  /** It cannot go on by itself. */
  'sluice-error': CustomEvent<PlayerError>;
};

/** `bad-source`: `src` names nothing. `forbidden`: a token is wanted, or another one. `gone`: there is no such replay. */
export type PlayerError = { readonly code: 'bad-source' | 'forbidden' | 'gone'; readonly message: string };

export type ClaimEvent = { readonly cue: Cue } & ({ readonly type: 'pressed' } | ClaimOutcome);

/** Says who the viewer is, by a token that the shop has signed: itself, or what to ask when a claim is made; null: there is none. */
export type ViewerToken = string | null | ((cue: Cue) => string | null | Promise<string | null>);

type ApplePhoneVideo = HTMLVideoElement & { webkitEnterFullscreen?: () => void };

/** Buttons hide after this much stillness over a moving picture. */
const REST_AFTER_MS = 3000;
/** Why it is not WebRTC is said this long; the details panel of a page may say it for ever. */
const NOTE_MS = 8000;
const TOKEN_ATTRIBUTE = 'viewer-token';
const NO_CUES = { on: [], counts: [] };
const IDLE: PlayerView = { status: 'idle', transport: null, fallbackReason: null, isSwitching: false };
/** Time runs on: so often is it shown. */
const RENDER_TIME_EVERY_MS = 250;

export class SluicePlayer extends HTMLElement {
  static readonly observedAttributes = [
    'src',
    'replay',
    'server',
    'token',
    'transport',
    'smooth',
    'lang',
    TOKEN_ATTRIBUTE,
  ];

  readonly #root: ShadowRoot;
  readonly #frame: HTMLElement;
  readonly #stage: Stage;
  readonly #time: TimeControls;
  readonly #renditionMenu: RenditionMenu;
  readonly #cueLayer: CueLayer;
  readonly #health: HealthPanel;
  #viewerToken: ViewerToken = null;
  /** Nothing is for sale in a replay. */
  #claims: ClaimDesk | undefined;
  #texts: Texts = ENGLISH;
  #cues: readonly Cue[] = [];
  #chapters: readonly Chapter[] = [];
  #playback: MediaPlayer | undefined;
  #isReplay = false;
  #timeTimer: ReturnType<typeof setInterval> | undefined;
  #view = IDLE;
  #sample: PlaybackSample | null = null;
  #muted = true;
  #volume = 1;
  #paused = false;
  #restTimer: ReturnType<typeof setTimeout> | undefined;
  #noteTimer: ReturnType<typeof setTimeout> | undefined;
  #restartQueued = false;
  #abort = new AbortController();

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.innerHTML = MARKUP;
    this.#frame = this.#find('.frame');
    this.#stage = new Stage({
      root: this.#find('.stage'),
      onSoundRefused: () => {
        this.#muted = true;
        this.#render();
      },
      onPausedOutside: (paused) => {
        this.#paused = paused;
        this.#render();
      },
    });
    this.#time = new TimeControls({
      ...{ root: this.#root, stage: this.#stage, texts: () => this.#texts },
      player: () => this.#playback,
      onGoLive: () => this.goLive(),
    });
    this.#renditionMenu = new RenditionMenu({
      ...{ frame: this.#frame, button: this.#find('.rendition'), list: this.#find('.menu'), texts: () => this.#texts },
      onChoose: (renditionId) => (this.rendition = renditionId),
    });
    this.#cueLayer = new CueLayer({
      ...{ root: this.#root, texts: () => this.#texts },
      onFocusLost: () => this.#frame.focus(),
      claimOf: (cue) => this.#claims?.stateOf(cue) ?? null,
      onClaim: (cue) => this.#onClaim(cue),
    });
    this.#health = new HealthPanel({
      ...{ panel: this.#find('.health'), texts: () => this.#texts },
      buttons: [this.#find('.health-button'), this.#find('.latency')],
    });
    this.#label();
    this.#listen();
  }

  /** What to play: NAME, `/whep/NAME`, `/replay/ID#t=1m30s`, or an absolute address of it. */
  get src(): string {
    return this.getAttribute('src') ?? '';
  }

  set src(src: string) {
    this.setAttribute('src', src);
  }

  /** Bearer token for broadcasts that are not open to all. Setting it starts anew. */
  get token(): string | null {
    return this.getAttribute('token');
  }

  set token(token: string | null) {
    if (token === null) {
      this.removeAttribute('token');
    } else {
      this.setAttribute('token', token);
    }
  }

  /** For claims. Setting it forgets what another viewer has claimed. */
  get viewerToken(): ViewerToken {
    return this.#viewerToken;
  }

  set viewerToken(viewerToken: ViewerToken) {
    this.#viewerToken = viewerToken;
    if (this.#claims !== undefined) {
      this.#claims.close();
      this.#claims = this.#newClaims();
      this.#cueLayer.label();
    }
  }

  get view(): PlayerView {
    return this.#view;
  }

  /** The newest sample, null before the first picture. */
  get sample(): PlaybackSample | null {
    return this.#sample;
  }

  /** True at first: browsers play only silent pictures before the viewer has touched the page. */
  get muted(): boolean {
    return this.#muted;
  }

  set muted(muted: boolean) {
    this.#muted = muted;
    this.#applySound();
  }

  /** 0 to 1. */
  get volume(): number {
    return this.#volume;
  }

  set volume(volume: number) {
    this.#volume = Math.min(1, Math.max(0, volume));
    this.#muted = this.#volume === 0;
    this.#applySound();
  }

  /** Ids of what can be chosen now, largest first; empty while there is no choice. */
  get renditions(): readonly string[] {
    return this.#playback?.renditions()?.renditions.map(({ id }) => id) ?? [];
  }

  /** `auto`, or the id of what the viewer wants to see whenever it is there. */
  get rendition(): string {
    return this.#playback?.renditions()?.wantedId ?? 'auto';
  }

  set rendition(renditionId: string) {
    this.#playback?.chooseRendition(renditionId);
    this.#renderRenditions();
  }

  /** Of the picture on screen, on the broadcast's media timeline: what `sawMediaMs` of a cue wants. Null while unknown; over LL-HLS before the first cue too. */
  get mediaMs(): number | null {
    return this.#playback?.mediaMs() ?? null;
  }

  /** What is on with the picture on screen, oldest first. */
  get cues(): readonly Cue[] {
    return this.#cues;
  }

  /** Of a replay, by time; empty while unknown. */
  get chapters(): readonly Chapter[] {
    return this.#chapters;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Goes on at the live edge: what was missed meanwhile is not played. Rewound, and in a replay, where it stood. */
  play(): void {
    this.#paused = false;
    this.#stage.setPaused(false);
    this.#playback?.resume();
    this.#render();
  }

  pause(): void {
    this.#paused = true;
    this.#stage.setPaused(true);
    this.#render();
  }

  /** Seconds into a replay, or into the broadcast as far back as it reaches; null while unknown. */
  get currentTime(): number | null {
    const timeline = this.#playback?.timeline() ?? null;
    return timeline === null || timeline.endMs <= timeline.startMs
      ? null
      : (timeline.positionMs - timeline.startMs) / 1000;
  }

  set currentTime(seconds: number) {
    const timeline = this.#playback?.timeline() ?? null;
    this.#playback?.seek((timeline?.startMs ?? 0) + seconds * 1000);
  }

  /** Back to what is live now, playing; in a replay to its end. */
  goLive(): void {
    if (this.#paused && !this.#isReplay) {
      this.play();
    }
    this.#playback?.goLive();
  }

  connectedCallback(): void {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#takeEarlyToken();
    this.#speak();
    document.addEventListener('fullscreenchange', () => this.#render(), { signal });
    this.#timeTimer = setInterval(() => this.#renderTime(), RENDER_TIME_EVERY_MS);
    this.#queueRestart();
  }

  disconnectedCallback(): void {
    this.#abort.abort();
    clearTimeout(this.#restTimer);
    clearTimeout(this.#noteTimer);
    clearInterval(this.#timeTimer);
    this.#stop();
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (name === 'lang') {
      this.#speak();
    } else if (name === TOKEN_ATTRIBUTE) {
      this.viewerToken = after;
    } else if (before !== after && this.isConnected) {
      this.#queueRestart();
    }
  }

  // ---- playing

  /** Several attributes set in a row start one playback, not several. */
  #queueRestart(): void {
    if (this.#restartQueued) {
      return;
    }
    this.#restartQueued = true;
    queueMicrotask(() => {
      this.#restartQueued = false;
      if (this.isConnected) {
        this.#restart();
      }
    });
  }

  #restart(): void {
    this.#stop();
    if (this.src === '' && !this.hasAttribute('replay')) {
      return;
    }
    try {
      const replay = this.#replayAddresses();
      this.#setKind(replay !== null);
      this.#claims = replay === null ? this.#newClaims() : undefined;
      this.#playback = replay === null ? this.#newPlayback() : this.#newReplay(replay);
      this.#playback.start();
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      this.#words(this.#texts.badSource, message);
      this.#say('sluice-error', { code: 'bad-source', message });
    }
  }

  get #serverUrl(): string {
    return new URL(this.getAttribute('server') ?? import.meta.url, document.baseURI).href;
  }

  #replayAddresses(): ReplayAddresses | null {
    const { src, token } = this;
    const replayId = this.getAttribute('replay');
    return replayAddresses({ src, replayId, pageUrl: document.baseURI, serverUrl: this.#serverUrl, token });
  }

  /** What is live plays by itself, silently; a replay waits for a tap, and then may be heard. */
  #setKind(isReplay: boolean): void {
    if (isReplay !== this.#isReplay || isReplay) {
      this.#isReplay = isReplay;
      this.#paused = isReplay && !this.hasAttribute('autoplay');
      this.#muted = !this.#paused;
      this.#stage.setPaused(this.#paused);
      this.#applySound();
    }
    this.#frame.classList.toggle('replay', isReplay);
  }

  #newReplay(addresses: ReplayAddresses): MediaPlayer {
    return new ReplayPlayback({
      ...{ addresses, stage: this.#stage, clock: playerClock },
      onView: (view) => this.#onView(view),
      onSample: (sample) => this.#onSample(sample),
      onCues: (view) => this.#onCues(view),
      onChapters: (chapters) => {
        this.#chapters = chapters;
        this.#say('sluice-chapters', chapters);
      },
    });
  }

  get #addresses(): BroadcastAddresses {
    const { src, token } = this;
    return broadcastAddresses({ src, pageUrl: document.baseURI, serverUrl: this.#serverUrl, token });
  }

  #newPlayback(): MediaPlayer {
    const addresses = this.#addresses;
    return new Playback({
      addresses,
      token: addresses.token,
      stage: this.#stage,
      clock: playerClock,
      smooth: this.getAttribute('smooth'),
      whep: this.getAttribute('transport') !== 'll-hls',
      onView: (view) => this.#onView(view),
      onSample: (sample) => this.#onSample(sample),
      onAudience: (audience) => this.#say('sluice-audience', audience),
      onCues: (view) => this.#onCues(view),
    });
  }

  #stop(): void {
    this.#playback?.close();
    this.#playback = undefined;
    this.#claims?.close();
    this.#claims = undefined;
    this.#sample = null;
    this.#chapters = [];
    this.#onCues({ ...NO_CUES, events: this.#cues.map((cue) => ({ type: 'hidden', cue })) });
    this.#onView(IDLE);
  }

  #onView(view: PlayerView): void {
    const before = this.#view.status;
    this.#view = view;
    if (view.status !== before && (view.status === 'forbidden' || view.status === 'gone')) {
      this.#say('sluice-error', { code: view.status, message: this.#texts.status[view.status]?.headline ?? '' });
    }
    if (view.status !== 'playing') {
      this.#wake();
    }
    this.#render();
    this.#say('sluice-view', view);
  }

  #onSample(sample: PlaybackSample): void {
    this.#sample = sample;
    this.#renderLatency();
    this.#renderHealth();
    this.#say('sluice-sample', sample);
  }

  #onCues(view: Pick<CueView, 'on' | 'counts' | 'events'>): void {
    this.#cues = view.on;
    for (const event of view.events) {
      if (!this.#say('sluice-cue', event) && event.type === 'shown') {
        this.#cueLayer.leave(event.cue.id);
      }
    }
    this.#cueLayer.render(view);
  }

  // ---- claims

  #newClaims(): ClaimDesk {
    return new ClaimDesk({
      tokenOf: async (cue) => (typeof this.#viewerToken === 'function' ? this.#viewerToken(cue) : this.#viewerToken),
      send: sendClaim(this.#addresses.drops),
      onChange: (cue, state) => this.#onClaimState(cue, state),
    });
  }

  #onClaim(cue: Cue): void {
    const state = this.#claims?.stateOf(cue);
    if (state !== undefined && mayClaim(state) && this.#say('sluice-claim', { type: 'pressed', cue })) {
      void this.#claims?.claim(cue);
    }
  }

  #onClaimState(cue: Cue, state: ClaimState): void {
    this.#cueLayer.showClaim(cue, state);
    if (state.type === 'granted' || state.type === 'refused') {
      this.#say('sluice-claim', { cue, ...state });
    }
  }

  /** Pages that set it before the script was there have put a plain property in the way of ours. */
  #takeEarlyToken(): void {
    const early = Object.getOwnPropertyDescriptor(this, 'viewerToken');
    if (early !== undefined) {
      Reflect.deleteProperty(this, 'viewerToken');
      this.viewerToken = early.value as ViewerToken;
    }
  }

  /** False when a listener wants nothing more to be done about it. */
  #say<Name extends keyof SluicePlayerEventMap>(name: Name, detail: SluicePlayerEventMap[Name]['detail']): boolean {
    return this.dispatchEvent(new CustomEvent(name, { detail, cancelable: true }));
  }

  /** In the language of the element, of what it stands in, or of the viewer. */
  #speak(): void {
    const written = this.closest('[lang]')?.getAttribute('lang') ?? '';
    this.#texts = textsOf(written === '' ? navigator.languages : [written, ...navigator.languages]);
    [this.#time, this.#renditionMenu, this.#cueLayer, this.#health].forEach((part) => part.label());
    this.#label();
    this.#render();
  }

  // ---- buttons

  #listen(): void {
    this.#find('.play').addEventListener('click', () => this.#togglePlay());
    this.#find('.mute').addEventListener('click', () => (this.muted = !this.muted));
    this.#find('.sound').addEventListener('click', () => (this.muted = false));
    this.#find('.full').addEventListener('click', () => this.#toggleFullscreen());
    this.#find('.volume').addEventListener('input', ({ target }) => {
      this.volume = target instanceof HTMLInputElement ? target.valueAsNumber : this.volume;
    });
    this.#find('.big-play').addEventListener('click', () => this.play());
    this.#find('.stage').addEventListener('dblclick', () => this.#toggleFullscreen());
    this.#find('.stage').addEventListener('click', (event) => this.#onStageClick(event));
    for (const type of ['pointermove', 'pointerdown', 'focusin'] as const) {
      this.#frame.addEventListener(type, () => this.#onAttention());
    }
    this.#frame.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** Somebody is at the controls: only then is asked how far back the bar reaches. */
  #onAttention(): void {
    this.#wake();
    this.#playback?.showInterest();
  }

  /** A finger on the picture asks for the controls; a mouse has them already. */
  #onStageClick(event: MouseEvent): void {
    if (this.#isReplay && (!(event instanceof PointerEvent) || event.pointerType === 'mouse')) {
      this.#togglePlay();
    }
  }

  #onKey(event: KeyboardEvent): void {
    const withModifier = event.ctrlKey || event.altKey || event.metaKey;
    const deed = withModifier ? undefined : deedOf(event.key, this.#placeOf(event.target));
    if (deed === undefined) {
      return;
    }
    event.preventDefault();
    this.#onAttention();
    this.#do(deed);
  }

  #placeOf(target: EventTarget | null): KeyPlace {
    if (target === this.#time.barElement) {
      return 'seek-bar';
    }
    if (target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement) {
      return 'button';
    }
    return target instanceof HTMLInputElement || target instanceof HTMLSelectElement ? 'input' : 'frame';
  }

  #do(deed: KeyDeed): void {
    const nowMs = playerClock.nowMs();
    switch (deed.type) {
      case 'toggle-play':
        return this.#togglePlay();
      case 'toggle-sound':
        this.muted = !this.muted;
        return undefined;
      case 'toggle-fullscreen':
        return this.#toggleFullscreen();
      case 'toggle-picture-in-picture':
        return this.#stage.toggleSmallWindow();
      case 'louder':
        this.volume += deed.byRatio;
        return undefined;
      case 'seek-by':
        return this.#time.seekBy(deed.byMs, nowMs);
      case 'seek-chapter':
        return this.#time.seekChapter(deed.direction, nowMs);
      case 'toggle-health':
        this.#renderHealth();
        return this.#health.toggle();
      case 'seek-to-ratio':
        return this.#time.seekToRatio(deed.ratio, nowMs);
      case 'go-live-or-end':
        return this.goLive();
      case 'step':
        return this.#paused && this.#time.isInPast ? this.#playback?.step(deed.frameCount) : undefined;
    }
  }

  #togglePlay(): void {
    if (this.#paused || this.#isAtEnd) {
      this.play();
    } else {
      this.pause();
    }
  }

  /** Phones of Apple let only the video itself fill the screen. */
  #toggleFullscreen(): void {
    const video: ApplePhoneVideo | undefined = this.#stage.shown;
    if (document.fullscreenElement === this) {
      document.exitFullscreen().catch(() => undefined);
    } else if (document.fullscreenEnabled) {
      this.requestFullscreen().catch(() => undefined);
    } else {
      video?.webkitEnterFullscreen?.();
    }
  }

  #wake(): void {
    this.#frame.classList.remove('resting');
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      const isBusy = this.#paused || this.#time.isDragging || this.#renditionMenu.isOpen;
      this.#frame.classList.toggle('resting', this.#view.status === 'playing' && !isBusy);
    }, REST_AFTER_MS);
  }

  #applySound(): void {
    this.#stage.setSound({ muted: this.#muted, volume: this.#volume });
    this.#render();
  }

  // ---- showing

  #render(): void {
    const isFull = document.fullscreenElement === this;
    const isStanding = this.#paused || this.#isAtEnd;
    this.#frame.classList.toggle('paused', isStanding);
    this.#frame.classList.toggle('muted', this.#muted);
    this.#frame.classList.toggle('full', isFull);
    setLabel(this.#find('.play'), isStanding ? this.#texts.play : this.#texts.pause);
    setLabel(this.#find('.mute'), this.#muted ? this.#texts.unmute : this.#texts.mute);
    setLabel(this.#find('.full'), isFull ? this.#texts.leaveFullscreen : this.#texts.enterFullscreen);
    this.#showVolume(this.#find('.volume'));
    this.#find('.sound').hidden = !(this.#muted && this.#view.status === 'playing' && !this.#paused);
    this.#find('.big-play').hidden = !(this.#isReplay && this.#paused && this.#isAtStart);
    this.#renderWords();
    this.#renderBadges();
    this.#renderTime();
    this.#renderHealth();
  }

  #renderHealth(): void {
    this.#health.render({ view: this.#view, sample: this.#sample, rendition: this.#renditionMenu.chosenText });
  }

  /** Never played so far. */
  get #isAtStart(): boolean {
    return (
      this.#view.transport === 'replay' && this.#view.status === 'playing' && this.#stage.shown?.played.length === 0
    );
  }

  /** Nothing follows: play begins again. */
  get #isAtEnd(): boolean {
    return this.#isReplay && this.#view.status === 'ended';
  }

  #renderTime(): void {
    const isSwitching = this.#view.isSwitching;
    this.#time.render({ isSwitching, isPaused: this.#paused, nowMs: playerClock.nowMs() });
    this.#renderRenditions();
  }

  #renderRenditions(): void {
    const { widthPx = 0, heightPx = 0 } = this.#sample ?? {};
    const lines = Math.min(widthPx, heightPx);
    this.#renditionMenu.render(this.#playback?.renditions() ?? null, lines > 0 ? lines : null);
  }

  #showVolume(slider: HTMLElement): void {
    if (slider instanceof HTMLInputElement) {
      slider.value = String(this.#muted ? 0 : this.#volume);
    }
  }

  #renderWords(): void {
    // The end of a replay is nothing to be told of: its last picture stands, and the bar says the rest.
    const isSilent = this.#view.status === 'idle' || (this.#view.status === 'ended' && this.#isReplay);
    const words = isSilent ? null : this.#texts.status[this.#view.status];
    this.#words(words?.headline ?? '', words?.detail ?? '');
    const calm = ['ended', 'forbidden', 'waiting-for-host', 'gone'].includes(this.#view.status);
    this.#find('.words').classList.toggle('calm', calm);
    this.#find('.words').classList.toggle('over-picture', this.#view.transport !== null);
  }

  #words(headline: string, detail: string): void {
    this.#find('.words').hidden = headline === '';
    setText(this.#find('.headline'), headline);
    setText(this.#find('.detail'), detail);
  }

  #renderBadges(): void {
    const { status, transport, fallbackReason } = this.#view;
    const isPlaying = status === 'playing';
    const isLive = transport === 'whep' || transport === 'll-hls';
    this.#find('.badges').hidden = !isLive || !(isPlaying || status === 'buffering');
    setText(this.#find('.live'), this.#paused ? this.#texts.paused : this.#texts.live);
    this.#find('.live').classList.toggle('stale', this.#paused || !isPlaying);
    this.#renderNote(fallbackReason === null ? '' : this.#texts.fallback[fallbackReason]);
    this.#renderLatency();
  }

  #renderNote(text: string): void {
    const note = this.#find('.note');
    if (note.textContent === text) {
      return;
    }
    setText(note, text);
    note.hidden = text === '';
    clearTimeout(this.#noteTimer);
    this.#noteTimer = setTimeout(() => (note.hidden = true), NOTE_MS);
  }

  #renderLatency(): void {
    const isLive = this.#view.transport === 'whep' || this.#view.transport === 'll-hls';
    const text = this.#paused || !isLive ? '' : latencyText(this.#sample?.latencyMs ?? null);
    const badge = this.#find('.latency');
    badge.hidden = text === '';
    setText(badge, text);
  }

  #label(): void {
    this.#frame.setAttribute('aria-label', this.#texts.player);
    setLabel(this.#find('.big-play'), this.#texts.play);
    this.#find('.volume').setAttribute('aria-label', this.#texts.volume);
    setText(this.#find('.sound span'), this.#texts.tapForSound);
  }

  #find(selector: string): HTMLElement {
    const found = this.#root.querySelector<HTMLElement>(selector);
    if (found === null) {
      throw new Error(`the template has no ${selector}`);
    }
    return found;
  }
}

/** Writing the same text again would make screen readers say it again. */
const setText = (element: HTMLElement, text: string): void => {
  if (element.textContent !== text) {
    element.textContent = text;
  }
};

const setLabel = (element: HTMLElement, label: string): void => {
  element.setAttribute('aria-label', label);
  element.title = label;
};
