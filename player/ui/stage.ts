/**
 * The layer of video elements. Each session plays in an element of its own; one is shown, the rest are hidden and silent until
 * their turn. When a session ends, its last picture is copied to a canvas beneath, so that the screen never turns black.
 */
const LAST_PICTURE_WIDTH_MAX_PX = 1920;

export class Stage {
  readonly root: HTMLElement;
  readonly #lastPicture = document.createElement('canvas');
  #shown: HTMLVideoElement | undefined;
  #muted = true;
  #volume = 1;
  #paused = false;
  #onShown: ((video: HTMLVideoElement) => void) | null = null;
  /** The browser will not play with sound before a tap. */
  readonly #onSoundRefused: () => void;
  /** The viewer paused or went on from outside: media keys, the small window of picture-in-picture. */
  readonly #onPausedOutside: (paused: boolean) => void;

  constructor(options: { root: HTMLElement; onSoundRefused: () => void; onPausedOutside: (paused: boolean) => void }) {
    this.root = options.root;
    this.#onSoundRefused = options.onSoundRefused;
    this.#onPausedOutside = options.onPausedOutside;
    this.#lastPicture.className = 'last-picture';
    this.#lastPicture.hidden = true;
    this.root.append(this.#lastPicture);
  }

  get shown(): HTMLVideoElement | undefined {
    return this.#shown;
  }

  /** Told which element is in front, now and whenever another is; null ends it. */
  followShown(listener: ((video: HTMLVideoElement) => void) | null): void {
    this.#onShown = listener;
    if (this.#shown !== undefined) {
      listener?.(this.#shown);
    }
  }

  /**
   * A hidden, silent element for a new session. It plays as soon as it can: muted play is always allowed. `isViewers`: pausing it from outside (media
   * keys) pauses the player; a live one goes on at the edge instead.
   */
  newVideo(options: { isViewers?: boolean } = {}): HTMLVideoElement {
    const video = document.createElement('video');
    video.playsInline = true;
    video.autoplay = !this.#paused;
    video.muted = true;
    video.disableRemotePlayback = true;
    video.tabIndex = -1;
    if (options.isViewers === true) {
      for (const type of ['pause', 'play'] as const) {
        video.addEventListener(type, () => this.#onPauseEvent(video));
      }
    }
    this.root.append(video);
    return video;
  }

  /** Puts an element in front, with the sound; the one before is left to its owner to remove. */
  show(video: HTMLVideoElement): void {
    const before = this.#shown;
    this.#shown = video;
    video.classList.add('shown');
    this.#applySound();
    if (before !== undefined && before !== video) {
      before.classList.remove('shown');
      before.muted = true;
      this.#moveSmallWindow(before, video);
    }
    this.#lastPicture.hidden = true;
    if (this.#paused) {
      video.pause();
    }
    this.#onShown?.(video);
  }

  /** The small window shows an element, not the player: it is handed on, where the browser lets us without a click. */
  #moveSmallWindow(before: HTMLVideoElement, video: HTMLVideoElement): void {
    if (isInSmallWindow(before)) {
      video.requestPictureInPicture().catch(() => document.exitPictureInPicture().catch(() => undefined));
    }
  }

  /** Whether this browser has a small window for video. */
  get hasSmallWindow(): boolean {
    return document.pictureInPictureEnabled;
  }

  /** Rejects never: a browser that refuses leaves things as they are. */
  toggleSmallWindow(): void {
    const video = this.#shown;
    if (document.pictureInPictureElement !== null && video !== undefined && isInSmallWindow(video)) {
      document.exitPictureInPicture().catch(() => undefined);
    } else if (this.hasSmallWindow) {
      video?.requestPictureInPicture().catch(() => undefined);
    }
  }

  #onPauseEvent(video: HTMLVideoElement): void {
    if (video === this.#shown && !video.ended && video.paused !== this.#paused && video.isConnected) {
      this.#paused = video.paused;
      this.#onPausedOutside(video.paused);
    }
  }

  /** An element is about to be emptied: its last picture stands until it is shown again. */
  hold(video: HTMLVideoElement): void {
    if (video === this.#shown) {
      this.#keepPicture(video);
      video.classList.remove('shown');
    }
  }

  /** Removes an element, keeping its last picture if it was the shown one. */
  remove(video: HTMLVideoElement): void {
    if (video === this.#shown) {
      this.#keepPicture(video);
      this.#shown = undefined;
    }
    video.srcObject = null;
    video.removeAttribute('src');
    video.load();
    video.remove();
  }

  /** After the end: a seek alone does not play. */
  play(): void {
    if (!this.#paused) {
      this.#shown?.play().catch(() => undefined);
    }
  }

  setSound(sound: { muted: boolean; volume: number }): void {
    this.#muted = sound.muted;
    this.#volume = sound.volume;
    this.#applySound();
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    for (const video of this.root.querySelectorAll('video')) {
      video.autoplay = !paused;
    }
    if (paused) {
      this.#shown?.pause();
    } else {
      this.#play();
    }
  }

  #applySound(): void {
    if (this.#shown !== undefined) {
      this.#shown.volume = this.#volume;
      this.#shown.muted = this.#muted;
      if (!this.#paused) {
        this.#play();
      }
    }
  }

  #play(): void {
    const video = this.#shown;
    if (video?.ended === true) {
      return;
    }
    video?.play().catch((error: unknown) => {
      const refused = error instanceof DOMException && error.name === 'NotAllowedError';
      if (refused && !video.muted && video === this.#shown) {
        this.#muted = true;
        video.muted = true;
        this.#onSoundRefused();
        video.play().catch(() => undefined);
      }
    });
  }

  #keepPicture(video: HTMLVideoElement): void {
    const context = this.#lastPicture.getContext('2d');
    if (context === null || video.videoWidth === 0) {
      return;
    }
    const scale = Math.min(1, LAST_PICTURE_WIDTH_MAX_PX / video.videoWidth);
    this.#lastPicture.width = Math.round(video.videoWidth * scale);
    this.#lastPicture.height = Math.round(video.videoHeight * scale);
    context.drawImage(video, 0, 0, this.#lastPicture.width, this.#lastPicture.height);
    this.#lastPicture.hidden = false;
  }
}

/** From outside a shadow root only its host is seen as the element in the small window. */
const isInSmallWindow = (video: HTMLVideoElement): boolean => {
  const root = video.getRootNode();
  return root instanceof ShadowRoot
    ? root.pictureInPictureElement === video
    : document.pictureInPictureElement === video;
};
