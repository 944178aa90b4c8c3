/**
 * Plays one broadcast on a stage, live or rewound: owns the sessions, the socket and the timer, feeds the state machine and does what it
 * says. It knows nothing of buttons and words.
 */
import type { CueMessage } from '../server/api/contract/cues.ts';
import type { QualityReport, RenditionSummary, ServerMessage, WatchState } from '../server/api/contract/socket.ts';
import type { PlayerClock } from './clock.ts';
import { CueBoard, type CuePlace, type CueView } from './cues/cue-board.ts';
import { CueFollower, type ShownFrame } from './cues/cue-follower.ts';
import { readCueMessage } from './cues/read-cue.ts';
import type { ChapterMark, MediaPlayer, RenditionChoice } from './media-player.ts';
import { RtpClock } from './playout/rtp-clock.ts';
import { behindMs, type SeekTimeline } from './playout/seek-timeline.ts';
import { ServerClock } from './playout/server-clock.ts';
import { PlayerMachine, type MachineAction, type MachineEvent, type PlayerView } from './rewind-machine.ts';
import { RewindSeats } from './rewind-seats.ts';
import { smoothnessOf, whepUrl, type BroadcastAddresses } from './transport/addresses.ts';
import { findReplay, replayStoryboard } from './transport/find-replay.ts';
import { LlHlsPlayback, type LlHlsEvent } from './transport/ll-hls.ts';
import type { LatencyClocks, PlaybackSample } from './transport/playback-sample.ts';
import { ReportWindow, type ReceptionOfLate } from './transport/report-window.ts';
import { RewindWindow } from './transport/rewind-window.ts';
import { Storyboard, type Thumbnail } from './transport/storyboard.ts';
import { WatchSocket } from './transport/watch-socket.ts';
import { WhepSession, type WhepEvent } from './transport/whep.ts';
import type { PlayerStatus } from './state-machine.ts';
import type { Stage } from './ui/stage.ts';
import { viewerNumber } from './viewer-number.ts';

export type Audience = { readonly state: WatchState; readonly viewerCount: number };

export type PlaybackOptions = {
  readonly addresses: BroadcastAddresses;
  readonly token: string | null;
  readonly stage: Stage;
  readonly clock: PlayerClock;
  /** Between react (`0`) and smooth (`1`), for this viewer's WebRTC; null: as the broadcast says. */
  readonly smooth: string | null;
  /** False: LL-HLS from the start. */
  readonly whep: boolean;
  onView(view: PlayerView): void;
  /** Once a second while there is a picture. */
  onSample(sample: PlaybackSample): void;
  onAudience(audience: Audience): void;
  /** With each frame, and when something was told of cues. */
  onCues(view: CueView): void;
};

type Seat<Session> = { readonly session: Session; readonly video: HTMLVideoElement };

const TICK_MS = 250;
const SAMPLE_EVERY_MS = 1000;
const REPORT_EVERY_MS = 2000;
/** The first WHEP answer names the session's own socket; when the answer is this late, the open one is asked. */
const SOCKET_DELAY_MS = 700;

const AUTO = 'auto';

/** Nothing is played of a broadcast, nor will be. */
const OVER: readonly PlayerStatus[] = ['idle', 'ended', 'forbidden', 'waiting-for-host', 'gone'];

/** Played faster than live comes, the past runs into now; nearer than this it is live. */
const CAUGHT_UP_MS = 2500;

export class Playback implements MediaPlayer {
  readonly #options: PlaybackOptions;
  readonly #machine = new PlayerMachine();
  readonly #serverClock = new ServerClock();
  readonly #abort = new AbortController();
  readonly #socket: WatchSocket;
  readonly #latencyClocks: LatencyClocks;
  readonly #rewind: RewindSeats;
  readonly #window: RewindWindow;
  readonly #storyboard: Storyboard;
  readonly #cueBoard = new CueBoard();
  readonly #cues: CueFollower;
  #broadcastId: string | null = null;
  #barBroadcastId: string | null = null;
  #latencyMs: number | null = null;
  /** Of a broadcast that is over: the end of the bar. */
  #endedAtWallMs: number | null = null;
  #rateRatio = 1;
  /** What there is to choose among, by the server's last word. */
  #renditions: readonly RenditionSummary[] = [];
  #wantedId = AUTO;
  readonly #reportWindow = new ReportWindow();
  #rtpClock = new RtpClock();
  #whep: Seat<WhepSession> | undefined;
  #hls: Seat<LlHlsPlayback> | undefined;
  #hints: Extract<ServerMessage, { type: 'hints' }>['hints'] | undefined;
  #view: PlayerView;
  #timer: ReturnType<typeof setInterval> | undefined;
  #startedAtMs = 0;
  #sampling = false;
  #sampledAtMs = 0;
  #reportedAtMs = 0;
  #socketWanted = false;
  #socketLossCount = 0;
  #sessionSocketUrl: string | null = null;

  constructor(options: PlaybackOptions) {
    this.#options = options;
    this.#view = this.#machine.view;
    this.#latencyClocks = {
      nowMs: () => options.clock.nowMs(),
      serverWallMsAt: (nowMs) => this.#serverClock.wallMsAt(nowMs),
      captureWallMs: (rtpTimestamp) => this.#rtpClock.captureWallMs(rtpTimestamp),
    };
    this.#socket = new WatchSocket({
      url: options.addresses.socket,
      clock: options.clock,
      onMessage: (message) => this.#onMessage(message),
      onExchange: (exchange) => this.#serverClock.note(exchange),
      onOpen: () => (this.#wantedId === AUTO ? undefined : this.#socket.watch(this.#wantedId)),
      onLost: () => this.#onSocketLost(),
    });
    this.#window = new RewindWindow(options.addresses.rewindPlaylist);
    this.#rewind = new RewindSeats({
      ...{ addresses: options.addresses, stage: options.stage, clock: options.clock },
      startAtWallMs: () => this.#window.startAtWallMs,
      onCues: ({ cues, fromWallMs }) => this.#cueBoard.takeDated(cues, fromWallMs),
      onEvent: (event) => this.#feed(event),
    });
    this.#storyboard = new Storyboard({
      findUrl: async () => this.#findStoryboard(),
      endMs: () => this.#spanMs,
    });
    this.#cues = new CueFollower({
      ...{ stage: options.stage, clock: options.clock, board: this.#cueBoard },
      placeOf: (frame) => this.#placeOf(frame),
      momentNow: () => ({
        serverWallMs: this.#serverClock.wallMsAt(options.clock.nowMs()),
        isPast: this.#view.transport === 'rewind',
        isOver: OVER.includes(this.#view.status),
      }),
      onView: (view) => options.onCues(view),
    });
  }

  start(): void {
    const { signal } = this.#abort;
    this.#startedAtMs = this.#options.clock.nowMs();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    document.addEventListener('visibilitychange', () => this.#onVisibility(), { signal });
    addEventListener('pagehide', () => this.#whep?.session.close(), { signal });
    this.#feed({ type: 'visibility', visible: document.visibilityState === 'visible' });
    this.#feed({ type: 'start', whep: this.#options.whep && 'RTCPeerConnection' in globalThis });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#cues.close();
    this.#abort.abort();
    this.#socket.close();
    this.#window.close();
    this.#closeWhep();
    this.#closeHls();
    this.#rewind.close();
  }

  seek(positionMs: number): void {
    this.#feed({ type: 'rewind', atWallMs: positionMs });
    this.#options.stage.play();
  }

  goLive(): void {
    this.#feed({ type: 'go-live' });
  }

  /** What was missed at the live edge is not played; rewound, it goes on where it stood. */
  resume(): void {
    this.#hls?.session.seekToLive();
  }

  setRate(ratio: number): void {
    this.#rateRatio = ratio;
    this.#rewind.setRate(ratio);
  }

  step(frameCount: number): void {
    this.#rewind.step(frameCount);
  }

  timeline(): SeekTimeline | null {
    const serverWallMs = this.#serverClock.wallMsAt(this.#options.clock.nowMs());
    const endMs = this.#endedAtWallMs ?? serverWallMs;
    if (endMs === null) {
      return null;
    }
    this.#beginBarAnew();
    const isLive = this.#endedAtWallMs === null;
    const isAtEdge = this.#machine.wantsLive;
    const liveMs = endMs - (this.#latencyMs ?? 0);
    const positionMs = isAtEdge ? liveMs : Math.min(endMs, this.#rewind.positionWallMs ?? liveMs);
    return { startMs: this.#window.startAtWallMs ?? endMs, endMs, positionMs, isLive, isAtEdge };
  }

  showInterest(): void {
    const nowMs = this.#options.clock.nowMs();
    this.#beginBarAnew();
    if (this.#endedAtWallMs === null) {
      this.#window.want(nowMs);
    }
    if (this.#window.startAtWallMs !== null) {
      this.#storyboard.want(nowMs);
    }
  }

  /** The bar is one broadcast's; that of another one is taken when the viewer is live again. */
  #beginBarAnew(): void {
    const isAnother = this.#barBroadcastId !== null && this.#barBroadcastId !== this.#broadcastId;
    if (isAnother && this.#machine.wantsLive) {
      this.#window.forget();
      this.#storyboard.forget();
      this.#barBroadcastId = null;
    }
    this.#barBroadcastId ??= this.#broadcastId;
  }

  /** Right as long as the encoder was never away: storyboards leave gaps out. */
  thumbnailAt(positionMs: number): Thumbnail | null {
    const startAtWallMs = this.#window.startAtWallMs;
    return startAtWallMs === null ? null : this.#storyboard.at(positionMs - startAtWallMs);
  }

  /** Dates are placed on the media timeline by what cues tell of both. */
  mediaMs(): number | null {
    const place = this.#cues.place;
    const offsetMs = place?.kind === 'wall' ? this.#cueBoard.programOffsetMs : 0;
    return place === null || offsetMs === null ? null : place.atMs - offsetMs;
  }

  chapters(): readonly ChapterMark[] {
    return this.#cueBoard.fired.flatMap(({ title, programWallMs }) =>
      title === undefined ? [] : { startMs: programWallMs, title },
    );
  }

  /** Of the past only the main picture is kept. */
  renditions(): RenditionChoice | null {
    const canChoose = this.#renditions.length > 1 && this.#machine.wantsLive;
    const isOurs = this.#view.transport !== 'll-hls' || this.#hls?.session.canChoose !== false;
    return canChoose && isOurs ? { renditions: this.#renditions, wantedId: this.#wantedId } : null;
  }

  chooseRendition(id: string): void {
    this.#wantedId = id;
    this.#socket.watch(id);
    this.#hls?.session.watch(this.#obtainableId);
  }

  /** What the viewer wants, while it is there. */
  get #obtainableId(): string | null {
    return this.#renditions.some(({ id }) => id === this.#wantedId) ? this.#wantedId : null;
  }

  get #spanMs(): number {
    const timeline = this.timeline();
    return timeline === null ? 0 : timeline.endMs - timeline.startMs;
  }

  async #findStoryboard(): Promise<string | null> {
    const { name, replays } = this.#options.addresses;
    const atWallMs = this.#window.startAtWallMs;
    const replay = atWallMs === null ? null : await findReplay(replays, { name, atWallMs });
    return replay === null ? null : replayStoryboard(replays, replay.id);
  }

  #feed(event: MachineEvent): void {
    for (const action of this.#machine.handle(event, this.#options.clock.nowMs())) {
      this.#perform(action);
    }
    const view = this.#machine.view;
    const before = this.#view;
    this.#view = view;
    const changed =
      view.status !== before.status ||
      view.transport !== before.transport ||
      view.isSwitching !== before.isSwitching ||
      view.fallbackReason !== before.fallbackReason;
    if (changed) {
      this.#options.onView(view);
    }
  }

  #perform(action: MachineAction): void {
    switch (action.type) {
      case 'open-whep':
        return this.#openWhep();
      case 'close-whep':
        return this.#closeWhep();
      case 'open-hls':
        return this.#openHls();
      case 'close-hls':
        return this.#closeHls();
      case 'show':
        return this.#show(action.transport === 'whep' ? this.#whep : this.#hls);
      case 'seek-live':
        return this.#hls?.session.seekToLive();
      case 'open-rewind':
        return this.#rewind.open(action.atWallMs, action.source);
      case 'seek-rewind':
        return this.#rewind.seek(action.atWallMs);
      case 'continue-as-replay':
        return this.#rewind.continueAsReplay();
      case 'show-rewind':
        return this.#rewind.show();
      case 'close-rewind':
        return this.#closeRewind();
    }
  }

  #closeRewind(): void {
    this.#rewind.close();
    this.setRate(1);
  }

  #show(seat: Seat<unknown> | undefined): void {
    if (seat !== undefined) {
      this.#options.stage.show(seat.video);
    }
  }

  #openWhep(): void {
    this.#closeWhep();
    const { addresses, token, stage, clock } = this.#options;
    const video = stage.newVideo();
    this.#rtpClock = new RtpClock();
    const session: WhepSession = new WhepSession({
      endpointUrl: whepUrl(addresses.whep, {
        smooth: this.#options.smooth,
        rendition: this.#obtainableId,
        viewer: viewerNumber(() => localStorage, { wallMs: clock.wallMs(), draw }),
      }),
      token,
      video,
      clock,
      latencyClocks: this.#latencyClocks,
      onEvent: (event) => this.#whep?.session === session && this.#onWhep(event),
    });
    this.#whep = { session, video };
    void session.start();
  }

  #closeWhep(): void {
    const seat = this.#whep;
    this.#whep = undefined;
    if (seat !== undefined) {
      this.#options.stage.remove(seat.video);
      seat.session.close();
      this.#sessionSocketUrl = null;
    }
  }

  #onWhep(event: WhepEvent): void {
    switch (event.type) {
      case 'answered':
        this.#sessionSocketUrl = event.socketUrl;
        this.#socketWanted = true;
        this.#socket.retarget(event.socketUrl ?? this.#options.addresses.socket);
        return;
      case 'refused':
        this.#openSocket();
        return this.#feed({ type: 'whep-refused', status: event.status, retryAfterMs: event.retryAfterMs });
      case 'unreachable':
        this.#openSocket();
        return this.#feed({ type: 'whep-unreachable' });
      case 'path-lost':
        return this.#feed({ type: 'whep-path-lost', final: event.final });
      case 'picture':
      case 'stalled':
        return this.#feed({ type: event.type, transport: 'whep' });
    }
  }

  #openHls(): void {
    this.#closeHls();
    const { addresses, stage, clock } = this.#options;
    const video = stage.newVideo();
    const session: LlHlsPlayback = new LlHlsPlayback({
      playlistUrl: addresses.playlist,
      video,
      clock,
      latencyClocks: this.#latencyClocks,
      smoothnessRatio: smoothnessOf(this.#options.smooth),
      onCues: ({ cues, fromWallMs }) => this.#cueBoard.takeDated(cues, fromWallMs),
      onEvent: (event) => this.#hls?.session === session && this.#onHls(event, video),
    });
    this.#hls = { session, video };
    session.watch(this.#obtainableId);
    if (this.#hints !== undefined) {
      session.hint(this.#hints);
    }
    this.#openSocket();
    void session.start();
  }

  #onHls({ type }: LlHlsEvent, video: HTMLVideoElement): void {
    const { stage } = this.#options;
    if (type === 'rebuilding') {
      stage.hold(video);
      return;
    }
    if (type === 'picture' && stage.shown === video) {
      stage.show(video);
    }
    this.#feed({ type, transport: 'll-hls' });
  }

  #closeHls(): void {
    const seat = this.#hls;
    this.#hls = undefined;
    if (seat !== undefined) {
      this.#options.stage.remove(seat.video);
      seat.session.close();
    }
  }

  #openSocket(): void {
    this.#socketWanted = true;
    this.#socket.tick();
  }

  #onMessage(message: Exclude<ServerMessage, { type: 'pong' }>): void {
    this.#socketLossCount = 0;
    switch (message.type) {
      case 'state':
        this.#options.onAudience({ state: message.state, viewerCount: message.viewerCount });
        this.#noteState(message.state, message.broadcastId ?? null);
        return this.#feed({
          type: 'server-state',
          state: message.state,
          broadcastId: message.broadcastId ?? null,
        });
      case 'rtp-mapping':
        return this.#rtpClock.note(message);
      case 'renditions':
        this.#renditions = message.renditions.filter(isDecodable);
        return this.#hls?.session.watch(this.#obtainableId);
      case 'hints':
        this.#hints = message.hints;
        return this.#hls?.session.hint(message.hints);
      case 'cues':
      case 'cue-mark':
      case 'cue':
      case 'cue-withdrawn':
        return this.#onCueMessage(message);
      case 'closing':
        // Said before the socket or the session ends; either end is seen by itself, and a picture that goes on is kept. But here there is none.
        return message.reason === 'media_thread_died' ? this.#feed({ type: 'whep-session-lost' }) : undefined;
    }
  }

  #onCueMessage(message: CueMessage): void {
    const read = readCueMessage(message);
    if (read !== null) {
      this.#cueBoard.take(read);
      this.#cues.refresh();
    }
  }

  /** A frame's stamps tell exactly; where a browser keeps them to itself, the age of the picture does nearly. */
  #placeOf({ video, mediaTimeS, rtpTimestamp }: ShownFrame): CuePlace | null {
    if (video !== this.#whep?.video) {
      const wallMs =
        video === this.#hls?.video ? this.#hls.session.wallMsAt(mediaTimeS) : this.#rewind.wallMsOf(video, mediaTimeS);
      return wallMs === null ? null : { kind: 'wall', atMs: wallMs };
    }
    const mediaMs = rtpTimestamp === null ? null : this.#rtpClock.mediaMs(rtpTimestamp);
    if (mediaMs !== null) {
      return { kind: 'media', atMs: mediaMs };
    }
    const serverWallMs = this.#serverClock.wallMsAt(this.#options.clock.nowMs());
    return serverWallMs === null || this.#latencyMs === null
      ? null
      : { kind: 'wall', atMs: serverWallMs - this.#latencyMs };
  }

  /** At the end the bar stands still. */
  #noteState(state: WatchState, broadcastId: string | null): void {
    if (broadcastId !== null && this.#broadcastId !== null && broadcastId !== this.#broadcastId) {
      this.#cueBoard.forgetPlaylists();
      this.#cues.forgetPlace();
    }
    this.#broadcastId = broadcastId ?? this.#broadcastId;
    const isOver = state === 'ended' || (state === 'absent' && this.#broadcastId !== null);
    this.#cueBoard.noteLive({ isOver });
    const nowWallMs = this.#serverClock.wallMsAt(this.#options.clock.nowMs());
    this.#endedAtWallMs = isOver ? (this.#endedAtWallMs ?? nowWallMs) : null;
  }

  /** A server that was restarted does not know the session: every other attempt goes to the socket that needs none. */
  #onSocketLost(): void {
    this.#socketLossCount += 1;
    const bound = this.#socketLossCount % 2 === 1 ? this.#sessionSocketUrl : null;
    this.#socket.readdress(bound ?? this.#options.addresses.socket);
    this.#cueBoard.socketLost();
    this.#feed({ type: 'socket-lost' });
  }

  #onVisibility(): void {
    this.#feed({ type: 'visibility', visible: document.visibilityState === 'visible' });
  }

  #tick(): void {
    const nowMs = this.#options.clock.nowMs();
    if (this.#socketWanted || nowMs - this.#startedAtMs > SOCKET_DELAY_MS) {
      this.#socket.tick();
    }
    this.#feed({ type: 'tick' });
    this.#cues.tick();
    this.#goLiveIfCaughtUp();
    if (!this.#sampling) {
      this.#sampling = true;
      this.#sample()
        .finally(() => (this.#sampling = false))
        .catch(() => undefined);
    }
  }

  #goLiveIfCaughtUp(): void {
    const timeline = this.timeline();
    const isNear = timeline !== null && timeline.isLive && !timeline.isAtEdge && behindMs(timeline) < CAUGHT_UP_MS;
    if (isNear && this.#rateRatio > 1) {
      this.goLive();
    }
  }

  async #sample(): Promise<void> {
    const samples = {
      whep: await this.#whep?.session.sample(),
      'll-hls': this.#hls?.session.sample(),
      rewind: this.#rewind.sample(),
    };
    const { transport } = this.#view;
    const sample = (transport === null || transport === 'replay' ? null : samples[transport]) ?? null;
    this.#latencyMs = sample?.latencyMs ?? this.#latencyMs;
    const nowMs = this.#options.clock.nowMs();
    if (sample === null || this.#view.transport === null) {
      return;
    }
    if (nowMs - this.#sampledAtMs >= SAMPLE_EVERY_MS - TICK_MS / 2) {
      this.#sampledAtMs = nowMs;
      this.#options.onSample(sample);
    }
    if (nowMs - this.#reportedAtMs >= REPORT_EVERY_MS - TICK_MS / 2) {
      this.#reportedAtMs = nowMs;
      const report = toReport(sample, this.#reportWindow.take(sample.reception, nowMs));
      if (report !== null) {
        this.#socket.report(report);
      }
    }
  }
}

/** Within what the server takes: it drops a report with one number out of bounds. Who watches the past says nothing of the live path. */
const toReport = (
  { transport, latencyMs, stallCount, stallMs, framesDecoded, framesDropped, targetLatencyMs, loading }: PlaybackSample,
  { bufferDelayMs, receivedBps }: ReceptionOfLate,
): QualityReport | null =>
  transport === 'rewind' || transport === 'replay'
    ? null
    : {
        transport,
        latencyMs: latencyMs === null ? null : Math.min(600_000, Math.max(-10_000, latencyMs)),
        stallCount,
        stallMs,
        framesDecoded,
        framesDropped,
        bufferDelayMs: bufferDelayMs === null ? null : Math.min(600_000, Math.max(0, bufferDelayMs)),
        receivedBps,
        ...(loading === undefined
          ? {}
          : { targetLatencyMs, rendition: loading.renditionId, bandwidthBps: loading.bandwidthBps }),
      };

/** Below 65,536, evenly. */
const draw = (): number => crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;

/** AV1 is made for who decodes it; the main picture is H.264 wherever it matters. */
const isDecodable = ({ codec }: RenditionSummary): boolean =>
  codec !== 'av1' || ('MediaSource' in globalThis && MediaSource.isTypeSupported('video/mp4; codecs="av01.0.05M.08"'));
