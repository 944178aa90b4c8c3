/** Going live from the host's page itself: a camera or the screen, with a microphone, by WHIP. */
import { playerClock } from '../../clock.ts';
import { Backoff, jitterRatio } from '../../transport/backoff.ts';
import type { WhipView } from '../../transport/whip.ts';
import { WhipPublisher } from '../../transport/whip.ts';
import { byId, make, setText } from '../elements.ts';
import { captureWords, isTriedAgain, viewWords } from './here-words.ts';
import type { StudioTexts } from './texts.ts';

export type HerePartOptions = {
  readonly name: string;
  readonly texts: StudioTexts;
  /** The publish key; null: only the server knows it. */
  readonly secret: () => string | null;
};

const PICTURE: MediaTrackConstraints = {
  ...{ width: { ideal: 1_280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } },
};
const SAMPLE_EVERY_MS = 1_000;

export class HerePart {
  readonly #options: HerePartOptions;
  readonly #video = byId('here-video') as HTMLVideoElement;
  readonly #go = byId('here-go') as HTMLButtonElement;
  readonly #cameras = byId('here-cameras') as HTMLSelectElement;
  readonly #microphones = byId('here-microphones') as HTMLSelectElement;
  readonly #backoff = new Backoff({ minMs: 500, maxMs: 10_000 });
  #stream: MediaStream | null = null;
  #publisher: WhipPublisher | null = null;
  #view: WhipView = { state: 'idle', problem: null };
  #sentBps: number | null = null;
  #isWanted = false;
  #wasLive = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: HerePartOptions) {
    this.#options = options;
    byId('here-camera').onclick = (): void => void this.#capture(async () => this.#fromCamera());
    byId('here-screen').onclick = (): void => void this.#capture(async () => this.#fromScreen());
    this.#cameras.onchange = (): void => void this.#capture(async () => this.#fromCamera());
    this.#microphones.onchange = (): void => void this.#capture(async () => this.#sound());
    this.#go.onclick = (): void => (this.#isWanted ? this.stop() : this.#start());
    byId('here-discard').onclick = (): void => this.#discard();
    this.#video.setAttribute('aria-label', options.texts.herePicture);
    (byId('here') as HTMLDetailsElement).ontoggle = (): void => this.#render();
    window.addEventListener('beforeunload', (event) => (this.#isWanted ? event.preventDefault() : undefined));
    window.addEventListener('pagehide', () => this.stop());
    setInterval(() => void this.#sample(), SAMPLE_EVERY_MS);
    this.#render();
  }

  /** The session ends, the camera stays. */
  stop(): void {
    this.#isWanted = false;
    clearTimeout(this.#retryTimer);
    this.#publisher?.close();
    this.#render();
  }

  // ---- what is sent

  async #capture(take: () => Promise<readonly MediaStreamTrack[]>): Promise<void> {
    try {
      const tracks = await take();
      await this.#use(tracks);
      await this.#offerDevices();
      this.#trouble('');
    } catch (error) {
      this.#trouble(captureWords(error, this.#options.texts));
    }
    this.#render();
  }

  async #fromCamera(): Promise<readonly MediaStreamTrack[]> {
    const deviceId = this.#cameras.value;
    const video = deviceId === '' ? PICTURE : { ...PICTURE, deviceId: { exact: deviceId } };
    if (this.#hasSound || this.#stream !== null) {
      return (await navigator.mediaDevices.getUserMedia({ video })).getTracks();
    }
    try {
      return (await navigator.mediaDevices.getUserMedia({ video, audio: true })).getTracks();
    } catch (error) {
      if (error instanceof DOMException && error.name === 'NotFoundError') {
        return (await navigator.mediaDevices.getUserMedia({ video })).getTracks();
      }
      throw error;
    }
  }

  /** With the microphone's sound: a host speaks. */
  async #fromScreen(): Promise<readonly MediaStreamTrack[]> {
    const screen = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30, max: 30 } } });
    const sound = this.#hasSound || this.#stream !== null ? [] : await this.#sound().catch(() => []);
    return [...screen.getTracks(), ...sound];
  }

  async #sound(): Promise<readonly MediaStreamTrack[]> {
    const deviceId = this.#microphones.value;
    const audio = deviceId === '' || deviceId === NO_SOUND ? true : { deviceId: { exact: deviceId } };
    if (deviceId === NO_SOUND) {
      this.#stream?.getAudioTracks().forEach((track) => (track.enabled = false));
      return [];
    }
    return (await navigator.mediaDevices.getUserMedia({ audio })).getTracks();
  }

  get #hasSound(): boolean {
    return (this.#stream?.getAudioTracks().length ?? 0) > 0;
  }

  /** In the places of those of the same kind, also while they are being sent. */
  async #use(tracks: readonly MediaStreamTrack[]): Promise<void> {
    const stream = this.#stream ?? new MediaStream();
    for (const track of tracks) {
      const before = stream.getTracks().filter(({ kind }) => kind === track.kind);
      stream.addTrack(track);
      // Who closes the screen from the browser's own bar has closed what viewers see.
      track.addEventListener('ended', () => this.#onTrackEnded(track));
      for (const old of before) {
        stream.removeTrack(old);
        old.stop();
      }
    }
    this.#stream = stream;
    this.#video.srcObject = stream;
    await this.#send(tracks, stream);
  }

  /** Sound that is new needs a session anew: with the same key it takes the place of the one before at once. */
  async #send(tracks: readonly MediaStreamTrack[], stream: MediaStream): Promise<void> {
    const publisher = this.#publisher;
    const key = this.#options.secret();
    if (publisher === null || key === null || !this.#isWanted) {
      return;
    }
    try {
      await Promise.all(tracks.map(async (track) => publisher.replaceTrack(track)));
    } catch {
      this.#connect(key, stream);
      publisher.close();
    }
  }

  #onTrackEnded(track: MediaStreamTrack): void {
    if (track.kind === 'video' && this.#stream?.getTracks().includes(track) === true) {
      this.#discard();
    }
  }

  #discard(): void {
    this.stop();
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.#video.srcObject = null;
    this.#render();
  }

  /** Their names are told only once access was given. */
  async #offerDevices(): Promise<void> {
    const { texts } = this.#options;
    const devices = await navigator.mediaDevices.enumerateDevices();
    const offer = (select: HTMLSelectElement, kind: 'video' | 'audio', none: readonly HTMLElement[]): void => {
      const inUse = this.#stream?.getTracks().find((track) => track.kind === kind && track.enabled);
      const known = devices.filter((device) => device.kind === `${kind}input`);
      const options = known.map(({ deviceId, label }, index) => option(deviceId, label || `${index + 1}`));
      select.replaceChildren(...options, ...none);
      const { deviceId = '' } = inUse?.getSettings() ?? {};
      select.value = known.some((device) => device.deviceId === deviceId) ? deviceId : none.length > 0 ? NO_SOUND : '';
    };
    offer(this.#cameras, 'video', []);
    offer(this.#microphones, 'audio', [option(NO_SOUND, texts.hereNoSound)]);
    const isScreen = this.#cameras.value === '';
    byId('here-cameras-part').hidden = isScreen;
  }

  // ---- the session

  #start(): void {
    const secret = this.#options.secret();
    if (secret === null || this.#stream === null) {
      return;
    }
    this.#isWanted = true;
    this.#wasLive = false;
    this.#backoff.reset();
    this.#connect(secret, this.#stream);
  }

  #connect(key: string, stream: MediaStream): void {
    const publisher = new WhipPublisher({
      ...{ key, stream, clock: playerClock },
      endpointUrl: new URL(`/whip/${this.#options.name}`, location.href).href,
      onView: (view) => this.#onView(publisher, view),
    });
    this.#publisher = publisher;
    void publisher.start();
  }

  #onView(publisher: WhipPublisher, view: WhipView): void {
    if (publisher !== this.#publisher) {
      return;
    }
    this.#view = view;
    if (view.state === 'live') {
      this.#wasLive = true;
      this.#backoff.reset();
    }
    if (view.state === 'ended') {
      this.#onEnded(view);
    }
    this.#render();
  }

  #onEnded({ problem }: WhipView): void {
    if (!this.#isWanted || !isTriedAgain(problem, this.#wasLive)) {
      this.#isWanted = false;
      return;
    }
    const askedMs = problem?.kind === 'refused' ? (problem.retryAfterMs ?? 0) : 0;
    const pauseMs = Math.max(askedMs, this.#backoff.nextMs(jitterRatio()));
    this.#retryTimer = setTimeout(() => {
      const secret = this.#options.secret();
      if (secret !== null && this.#stream !== null) {
        this.#connect(secret, this.#stream);
      }
    }, pauseMs);
  }

  async #sample(): Promise<void> {
    const sample = await this.#publisher?.sample().catch(() => null);
    this.#sentBps = sample?.sentBps ?? null;
    this.#render();
  }

  // ---- showing

  #render(): void {
    const { texts, secret } = this.#options;
    const isSecure = window.isSecureContext && 'mediaDevices' in navigator;
    const why = !isSecure ? texts.hereInsecure : secret() === null ? texts.hereNoKey : texts.hereWhy;
    setText(byId('here-why'), why);
    byId('here-desk').hidden = !isSecure || secret() === null;
    byId('here-picked').hidden = this.#stream === null;
    byId('here-screen').hidden = !isSecure || !('getDisplayMedia' in navigator.mediaDevices);
    const isWaiting = this.#isWanted && this.#view.state === 'ended';
    setText(byId('here-state'), isWaiting ? texts.hereAgain : viewWords(this.#view, this.#sentBps, texts));
    setText(this.#go, this.#isWanted ? texts.hereStop : texts.hereStart);
    this.#go.classList.toggle('on', this.#isWanted);
  }

  #trouble(text: string): void {
    byId('here-trouble').hidden = text === '';
    setText(byId('here-trouble'), text);
  }
}

const NO_SOUND = 'none';

const option = (value: string, text: string): HTMLOptionElement => {
  const made = make('option', '', text) as HTMLOptionElement;
  made.value = value;
  return made;
};
