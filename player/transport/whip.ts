/**
 * One WHIP session (RFC 9725): a browser's own camera, screen and microphone to the server, in H.264 and Opus, always with the publisher's
 * key. A session is never revived; who wants another makes another, and with the same key it takes the old one's place at once.
 */
import type { PlayerClock } from '../clock.ts';
import { retryAfterMs, sessionUrl, withStereoOpus } from './whep-protocol.ts';
import { preferH264, readRefusal, withOpusNack, withStartBitrate } from './whip-protocol.ts';
import type { WhipStats } from './whip-stats.ts';
import { readWhipStats } from './whip-stats.ts';

/**
 * `idle` before `start`; `connecting`; `live`: media flows; `interrupted`: nothing comes through just now, which may mend itself; `ended`: for
 * good, with a problem, or by `close` without one.
 */
export type WhipState = 'idle' | 'connecting' | 'live' | 'interrupted' | 'ended';

export type WhipProblem =
  /** The server's answer: 401 wrong key, 406 nothing in common, 503 too many … `code` and `detail` in its own words. */
  | {
      readonly kind: 'refused';
      readonly status: number;
      readonly code: string | null;
      readonly detail: string;
      readonly retryAfterMs: number | null;
    }
  /** No answer to the offer. */
  | { readonly kind: 'unreachable' }
  /** This browser encodes no H.264, and the server takes nothing else. */
  | { readonly kind: 'no-h264' }
  /** The network: UDP and TCP are both blocked, or it went away. */
  | { readonly kind: 'path-lost' }
  /** Another publisher with the same key took over, or the server stopped. */
  | { readonly kind: 'ended-by-server' };

export type WhipView = { readonly state: WhipState; readonly problem: WhipProblem | null };

export type WhipSample = WhipStats & {
  /** Since the sample before; null in the first. */
  readonly sentBps: number | null;
};

export type WhipOptions = {
  /** `https://HOST/whip/NAME`. */
  readonly endpointUrl: string;
  /** The publisher's key of NAME. */
  readonly key: string;
  /** Its first picture track and its first sound track are sent; at least one. It is never stopped here: it belongs to the caller. */
  readonly stream: MediaStream;
  readonly clock: PlayerClock;
  /** What the picture may take at most; 2.5 Mbit/s when left out. */
  readonly videoMaxBps?: number;
  /** Told of each change; `ended` is the last. */
  onView(view: WhipView): void;
};

const VIDEO_MAX_BPS = 2_500_000;
const START_MAX_BPS = 1_000_000;
const AUDIO_MAX_BPS = 128_000;
const REQUEST_MS = 10_000;
/** No media though the server answered: neither UDP nor TCP gets through. */
const CONNECT_MS = 15_000;
const SESSION_GONE = 404;

export class WhipPublisher {
  readonly #options: WhipOptions;
  readonly #abort = new AbortController();
  #connection: RTCPeerConnection | undefined;
  #sessionUrl: string | null = null;
  #view: WhipView = { state: 'idle', problem: null };
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #sampled: { readonly sentBytes: number; readonly atMs: number } | undefined;

  constructor(options: WhipOptions) {
    this.#options = options;
  }

  get view(): WhipView {
    return this.#view;
  }

  /** Connects. Never rejects: what goes wrong is seen in the view. To be called once. */
  async start(): Promise<void> {
    this.#show({ state: 'connecting', problem: null });
    try {
      const connection = this.#connect();
      if (connection !== undefined) {
        await this.#exchange(connection);
      }
    } catch {
      this.#end({ kind: 'unreachable' });
    }
  }

  /** Another camera, the screen, another microphone: in place of the track of its kind, without a new session. Rejects when there was none. */
  async replaceTrack(track: MediaStreamTrack): Promise<void> {
    const sender = this.#senderOf(track.kind);
    if (sender === undefined) {
      throw new TypeError(`no ${track.kind} is being sent`);
    }
    await sender.replaceTrack(track);
  }

  /** What is being sent, to be asked about once a second. Null before media flows and after the end. */
  async sample(): Promise<WhipSample | null> {
    const connection = this.#connection;
    if (connection === undefined || (this.#view.state !== 'live' && this.#view.state !== 'interrupted')) {
      return null;
    }
    const stats = readWhipStats(await connection.getStats());
    const atMs = this.#options.clock.nowMs();
    const before = this.#sampled;
    this.#sampled = { sentBytes: stats.sentBytes, atMs };
    const sentBps =
      before === undefined || atMs <= before.atMs
        ? null
        : ((stats.sentBytes - before.sentBytes) * 8000) / (atMs - before.atMs);
    return { ...stats, sentBps };
  }

  /** Stops sending and frees the session here and at the server. May be called twice. The stream goes on. */
  close(): void {
    this.#end(null);
  }

  #connect(): RTCPeerConnection | undefined {
    const { stream } = this.#options;
    const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.#connection = connection;
    connection.addEventListener('connectionstatechange', () => this.#onConnectionState(connection));
    const [video] = stream.getVideoTracks();
    const [audio] = stream.getAudioTracks();
    if (video !== undefined) {
      const codecs = preferH264(RTCRtpSender.getCapabilities('video')?.codecs ?? []);
      if (codecs.length === 0) {
        this.#end({ kind: 'no-h264' });
        return undefined;
      }
      const maxBitrate = this.#options.videoMaxBps ?? VIDEO_MAX_BPS;
      const transceiver = connection.addTransceiver(video, {
        direction: 'sendonly',
        streams: [stream],
        sendEncodings: [{ maxBitrate }],
      });
      transceiver.setCodecPreferences(codecs);
    }
    if (audio !== undefined) {
      const sendEncodings = [{ maxBitrate: AUDIO_MAX_BPS }];
      connection.addTransceiver(audio, { direction: 'sendonly', streams: [stream], sendEncodings });
    }
    return connection;
  }

  async #exchange(connection: RTCPeerConnection): Promise<void> {
    const { endpointUrl, clock, videoMaxBps = VIDEO_MAX_BPS } = this.#options;
    const offer = await connection.createOffer();
    const sdp = withOpusNack(withStereoOpus(offer.sdp ?? ''));
    await connection.setLocalDescription({ type: 'offer', sdp });
    const response = await this.#request('POST', endpointUrl, sdp);
    const body = await response.text();
    if (response.status !== 201) {
      const pauseMs = retryAfterMs(response.headers.get('retry-after'), clock.wallMs());
      this.#end({ kind: 'refused', status: response.status, ...readRefusal(body), retryAfterMs: pauseMs });
      return;
    }
    this.#sessionUrl = sessionUrl(response.headers.get('location'), response.url);
    if (this.#view.state === 'ended') {
      this.#delete();
      return;
    }
    this.#connectTimer = setTimeout(() => this.#end({ kind: 'path-lost' }), CONNECT_MS);
    await this.#keepPictureSize();
    const answer = withStartBitrate(body, Math.min(START_MAX_BPS, videoMaxBps));
    await connection.setRemoteDescription({ type: 'answer', sdp: answer });
  }

  /** A narrow uplink costs sharpness and smoothness, not size: each other size is a break for who watches by HLS and for the recording. */
  async #keepPictureSize(): Promise<void> {
    const sender = this.#senderOf('video');
    if (sender !== undefined) {
      await sender.setParameters({ ...sender.getParameters(), degradationPreference: 'maintain-resolution' });
    }
  }

  #senderOf(kind: string): RTCRtpSender | undefined {
    return this.#connection?.getSenders().find(({ track }) => track?.kind === kind);
  }

  #onConnectionState({ connectionState }: RTCPeerConnection): void {
    if (connectionState === 'connected') {
      clearTimeout(this.#connectTimer);
      this.#show({ state: 'live', problem: null });
    } else if (connectionState === 'disconnected') {
      this.#show({ state: 'interrupted', problem: null });
      void this.#askWhetherEnded();
    } else if (connectionState === 'failed') {
      this.#end({ kind: 'path-lost' });
    }
  }

  /** A session that was taken over looks like a dead network from here; the server knows. */
  async #askWhetherEnded(): Promise<void> {
    if (this.#sessionUrl === null) {
      return;
    }
    try {
      const response = await this.#request('GET', this.#sessionUrl);
      if (response.status === SESSION_GONE) {
        this.#sessionUrl = null;
        this.#end({ kind: 'ended-by-server' });
      }
    } catch {
      // No network: the connection mends itself or fails.
    }
  }

  async #request(method: string, url: string, sdp?: string): Promise<Response> {
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(REQUEST_MS)]);
    const headers = {
      authorization: `Bearer ${this.#options.key}`,
      ...(sdp === undefined ? {} : { 'content-type': 'application/sdp', accept: 'application/sdp' }),
    };
    const body = sdp === undefined ? {} : { body: sdp };
    return fetch(url, { method, headers, ...body, signal, credentials: 'omit', cache: 'no-store' });
  }

  #end(problem: WhipProblem | null): void {
    if (this.#view.state === 'ended') {
      return;
    }
    clearTimeout(this.#connectTimer);
    this.#show({ state: 'ended', problem });
    this.#abort.abort();
    this.#connection?.close();
    this.#delete();
  }

  /** `keepalive`, so that it still goes out while the page is being left. Failing is no matter: liveness ends the session too. */
  #delete(): void {
    const url = this.#sessionUrl;
    this.#sessionUrl = null;
    if (url !== null) {
      const headers = { authorization: `Bearer ${this.#options.key}` };
      fetch(url, { method: 'DELETE', headers, keepalive: true, credentials: 'omit' }).catch(() => undefined);
    }
  }

  #show(view: WhipView): void {
    if (this.#view.state !== 'ended' && view.state !== this.#view.state) {
      this.#view = view;
      this.#options.onView(view);
    }
  }
}
