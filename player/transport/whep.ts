/**
 * One WHEP session: offer, answer, picture, end. A session is never revived; who wants another makes another. It never touches
 * `jitterBufferTarget`: how long pictures wait is the server's decision (playout-delay extension).
 */
import type { PlayerClock } from '../clock.ts';
import { jitterRatio } from './backoff.ts';
import type { LatencyClocks, PlaybackSample } from './playback-sample.ts';
import {
  answersVideo,
  isCounterOffer,
  retryAfterMs,
  sessionSocketUrl,
  sessionUrl,
  spreadMs,
  withStereoOpus,
} from './whep-protocol.ts';
import { ReceivedRate } from './bit-rate.ts';
import { readWhepStats, type WhepStats } from './whep-stats.ts';

export type WhepEvent =
  /** `socketUrl`: the socket bound to this session, if the server names one. */
  | { readonly type: 'answered'; readonly socketUrl: string | null }
  | { readonly type: 'refused'; readonly status: number; readonly retryAfterMs: number | null }
  | { readonly type: 'unreachable' }
  | { readonly type: 'picture' }
  | { readonly type: 'stalled' }
  | { readonly type: 'path-lost'; readonly final: boolean };

export type WhepOptions = {
  readonly endpointUrl: string;
  readonly token: string | null;
  readonly video: HTMLVideoElement;
  readonly clock: PlayerClock;
  readonly latencyClocks: LatencyClocks;
  onEvent(event: WhepEvent): void;
};

/** Frames further apart than this are a stall in words; what counts as freeze is the browser's rule. */
const STALL_MS = 1000;
/** A request without an answer; the machine has gone to LL-HLS long before. */
const REQUEST_MS = 10_000;
/** RTP statistics of Chrome count from 1900 (NTP), the rest of the world from 1970. */
const NTP_TO_UNIX_MS = 2_208_988_800_000;

export class WhepSession {
  readonly #options: WhepOptions;
  readonly #abort = new AbortController();
  readonly #receivedRate = new ReceivedRate();
  #connection: RTCPeerConnection | undefined;
  #sessionUrl: string | null = null;
  #expectsVideo = true;
  #closed = false;
  #moving = false;
  #progressCount = 0;
  #progressAtMs: number | null = null;
  #frameCallback: number | undefined;
  #shownLatencyMs: number | null = null;

  constructor(options: WhepOptions) {
    this.#options = options;
  }

  /** Connects. Never rejects: what goes wrong is an event. */
  async start(): Promise<void> {
    try {
      const connection = this.#newConnection();
      connection.addTransceiver('video', { direction: 'recvonly' });
      connection.addTransceiver('audio', { direction: 'recvonly' });
      const offer = await connection.createOffer();
      const sdp = withStereoOpus(offer.sdp ?? '');
      await connection.setLocalDescription({ type: 'offer', sdp });
      await this.#exchange(sdp);
    } catch {
      this.#emit({ type: 'unreachable' });
    }
  }

  /** Frees the session here and at the server. */
  close(): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#abort.abort();
    if (this.#frameCallback !== undefined) {
      this.#options.video.cancelVideoFrameCallback(this.#frameCallback);
    }
    this.#connection?.close();
    this.#delete();
  }

  /** Reads the statistics, notes stalls and movement. Null once closed or before there are any. */
  async sample(): Promise<PlaybackSample | null> {
    const connection = this.#connection;
    if (this.#closed || connection === undefined) {
      return null;
    }
    const stats = readWhepStats(await connection.getStats());
    if (this.#isClosed()) {
      return null;
    }
    const nowMs = this.#options.clock.nowMs();
    this.#noteProgress(this.#expectsVideo ? stats.framesDecoded : stats.audioSamplesReceived, nowMs);
    if (!this.#moving && connection.connectionState === 'disconnected') {
      this.#emit({ type: 'path-lost', final: false });
    }
    return this.#toSample(stats, nowMs);
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  #newConnection(): RTCPeerConnection {
    this.#connection?.close();
    const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.#connection = connection;
    const stream = new MediaStream();
    connection.addEventListener('track', ({ track }) => {
      stream.addTrack(track);
      this.#options.video.srcObject = stream;
      this.#watchFrames();
    });
    connection.addEventListener('connectionstatechange', () => {
      if (connection === this.#connection && connection.connectionState === 'failed') {
        this.#emit({ type: 'path-lost', final: true });
      }
    });
    return connection;
  }

  async #exchange(offerSdp: string): Promise<void> {
    const { endpointUrl, clock } = this.#options;
    const response = await this.#send('POST', endpointUrl, offerSdp);
    const body = await response.text();
    this.#sessionUrl = sessionUrl(response.headers.get('location'), response.url);
    if (this.#closed) {
      this.#delete();
    } else if (response.status === 201 || isCounterOffer(response.status, response.headers.get('content-type'), body)) {
      await (response.status === 201 ? this.#accept(response, body) : this.#acceptCounterOffer(body));
    } else {
      const pauseMs = spreadMs(retryAfterMs(response.headers.get('retry-after'), clock.wallMs()), jitterRatio());
      this.#emit({ type: 'refused', status: response.status, retryAfterMs: pauseMs });
    }
  }

  #answered({ headers, url }: Response): void {
    this.#emit({ type: 'answered', socketUrl: sessionSocketUrl(headers.get('link'), url) });
  }

  async #accept(response: Response, answerSdp: string): Promise<void> {
    this.#answered(response);
    this.#expectsVideo = answersVideo(answerSdp);
    try {
      await this.#connection?.setRemoteDescription({ type: 'answer', sdp: answerSdp });
    } catch {
      this.#emit({ type: 'path-lost', final: true });
    }
  }

  /** The server would rather offer: a fresh connection answers it, by PATCH (draft-ietf-wish-whep, counter-offer). */
  async #acceptCounterOffer(offerSdp: string): Promise<void> {
    if (this.#sessionUrl === null) {
      this.#emit({ type: 'refused', status: 406, retryAfterMs: null });
      return;
    }
    const connection = this.#newConnection();
    await connection.setRemoteDescription({ type: 'offer', sdp: offerSdp });
    const answer = await connection.createAnswer();
    const sdp = withStereoOpus(answer.sdp ?? '');
    this.#expectsVideo = answersVideo(offerSdp);
    await connection.setLocalDescription({ type: 'answer', sdp });
    const response = await this.#send('PATCH', this.#sessionUrl, sdp);
    if (response.ok) {
      this.#answered(response);
    } else {
      this.#emit({ type: 'refused', status: response.status, retryAfterMs: null });
    }
  }

  #send(method: string, url: string, sdp: string): Promise<Response> {
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(REQUEST_MS)]);
    return fetch(url, { method, body: sdp, headers: this.#headers(), signal, credentials: 'omit', cache: 'no-store' });
  }

  #headers(): Record<string, string> {
    const { token } = this.#options;
    const sdpType = { 'content-type': 'application/sdp', accept: 'application/sdp' };
    return token === null ? sdpType : { ...sdpType, authorization: `Bearer ${token}` };
  }

  /** `keepalive`, so that it still goes out while the page is being left. Failing is no matter: liveness ends the session too. */
  #delete(): void {
    if (this.#sessionUrl === null) {
      return;
    }
    const { token } = this.#options;
    const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
    fetch(this.#sessionUrl, { method: 'DELETE', headers, keepalive: true, credentials: 'omit' }).catch(() => undefined);
    this.#sessionUrl = null;
  }

  /** Sees each frame as it is shown: the first one at once, and the age of all. */
  #watchFrames(): void {
    const { video, latencyClocks } = this.#options;
    if (this.#frameCallback !== undefined || !('requestVideoFrameCallback' in video)) {
      return;
    }
    const onFrame = (_nowMs: number, frame: VideoFrameCallbackMetadata): void => {
      if (this.#closed) {
        return;
      }
      const capturedWallMs = frame.rtpTimestamp === undefined ? null : latencyClocks.captureWallMs(frame.rtpTimestamp);
      const shownWallMs = latencyClocks.serverWallMsAt(frame.expectedDisplayTime);
      this.#shownLatencyMs = capturedWallMs === null || shownWallMs === null ? null : shownWallMs - capturedWallMs;
      this.#noteMovement(this.#options.clock.nowMs());
      this.#frameCallback = video.requestVideoFrameCallback(onFrame);
    };
    this.#frameCallback = video.requestVideoFrameCallback(onFrame);
  }

  /** Counted progress works where frame callbacks do not come: hidden tabs, paused elements, sound alone. */
  #noteProgress(count: number, nowMs: number): void {
    if (count > this.#progressCount) {
      this.#progressCount = count;
      if (this.#options.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) {
        this.#noteMovement(nowMs);
      }
    } else if (this.#moving && nowMs - (this.#progressAtMs ?? nowMs) > STALL_MS) {
      this.#moving = false;
      this.#emit({ type: 'stalled' });
    }
  }

  #noteMovement(nowMs: number): void {
    this.#progressAtMs = nowMs;
    if (!this.#moving) {
      this.#moving = true;
      this.#emit({ type: 'picture' });
    }
  }

  #toSample(stats: WhepStats, nowMs: number): PlaybackSample {
    return {
      transport: 'whep',
      latencyMs: this.#shownLatencyMs ?? this.#estimatedLatencyMs(stats, nowMs),
      stallCount: stats.freezeCount,
      stallMs: stats.freezeMs + stats.pauseMs,
      framesDecoded: stats.framesDecoded,
      framesDropped: stats.framesDropped,
      reception: {
        bufferDelayMs: stats.bufferDelayMs,
        bufferEmittedCount: stats.bufferEmittedCount,
        receivedBytes: stats.receivedBytes,
      },
      widthPx: stats.widthPx,
      heightPx: stats.heightPx,
      frameRateFps: stats.frameRateFps,
      bitrateBps: this.#receivedRate.note(stats.receivedBytes, nowMs),
      targetLatencyMs: null,
      playbackRate: 1,
    };
  }

  /** Without mappings: the browser's own reading of the sender reports. */
  #estimatedLatencyMs(stats: WhepStats, nowMs: number): number | null {
    const serverWallMs = this.#options.latencyClocks.serverWallMsAt(nowMs);
    return serverWallMs === null || stats.estimatedPlayoutNtpMs === null
      ? null
      : serverWallMs - (stats.estimatedPlayoutNtpMs - NTP_TO_UNIX_MS);
  }

  #emit(event: WhepEvent): void {
    if (!this.#closed) {
      this.#options.onEvent(event);
    }
  }
}
