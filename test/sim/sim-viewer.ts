/**
 * One viewer in virtual time: source, sender, the way back, Chrome. What it sends goes to whoever holds the link, which others may share; what
 * comes out of the link for it comes back as `onPacket`.
 */
import type { CongestionController } from '../../server/congestion/controller.ts';
import { LinkModel, type LinkModelOptions } from '../latency/link/link-model.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import { ChromeReceiver, type UpMessage } from './chrome-receiver.ts';
import { LADDER_DEFAULT, LadderSource, type FrameSource, type LadderOptions } from './ladder-source.ts';
import { PacketTable } from './packet-table.ts';
import { ScoreKeeper, type Score, type ShownPicture } from './score.ts';
import { SimSender, type ByteCounts, type SenderOptions } from './sim-sender.ts';

export type ViewerOptions = {
  readonly seed: number;
  /** Who has the same sees the same pictures; `seed` where nothing is said. */
  readonly broadcastSeed?: number;
  /** When it connects; the broadcast runs since 0. */
  readonly startMs?: number;
  readonly up: LinkModelOptions;
  readonly ladder?: LadderOptions;
  /** In place of a ladder drawn from the seed. */
  readonly stream?: StreamOptions;
  /** Without, there are neither packets of sound nor what they tell of the round trip. */
  readonly hasSound?: boolean;
  readonly hasPlayerReports?: boolean;
  /** Of the receiver's own luck (when it reports, its ticks, how long decoding takes); `seed` when left out. */
  readonly receiverSeed?: number;
  /** When the screen refreshes, on the run's clock; drawn from the seed when left out. */
  readonly refreshPhaseMs?: number;
  readonly onShown?: (picture: ShownPicture, atMs: number) => void;
  readonly feedbackEveryMs?: number;
  /** Median decode times by rung; a laptop's when left out. */
  readonly decodeMs?: readonly number[];
  readonly sender: Omit<SenderOptions, 'controller'>;
  readonly makeController: () => CongestionController;
};

/** A source, and the viewer's place in it. */
export type StreamOptions = {
  readonly source: FrameSource;
  /** When the viewer is connected, on the link's clock. */
  readonly joinAtMs: number;
  /** The first picture after that, and when it is due. */
  readonly nextFrame: number;
  readonly nextFrameAtMs: number;
  /** How much later than that a picture comes to the server; never before the one in front of it. */
  readonly lateMs?: (frame: number) => number;
};

export type RunResult = {
  readonly score: Score;
  readonly bytes: ByteCounts;
  readonly stalls: readonly { fromMs: number; toMs: number }[];
  readonly nackCount: number;
};

/** Puts a packet on the link. */
export type Transmit = (handle: number, bytes: number, nowMs: number) => void;

const AUDIO_EVERY_MS = 20;
const MESSAGE_RING = 1 << 12;

/** Median decode times by rung: a laptop. */
const DECODE_MS: readonly number[] = [2, 3, 4, 6];

export class SimViewer {
  readonly sender: SimSender;
  readonly #startMs: number;
  readonly #source: FrameSource;
  readonly #up: LinkModel;
  readonly #score: ScoreKeeper;
  readonly #receiver: ChromeReceiver;
  readonly #messages: (UpMessage | undefined)[] = Array.from({ length: MESSAGE_RING }, () => undefined);
  readonly #lateMs: (frame: number) => number;
  #hasJoined = false;
  #nextMessage = 0;
  #nextFrame: number;
  #nextCaptureMs: number;
  #nextFrameAtMs: number;
  #nextAudioAtMs: number;

  constructor(options: ViewerOptions, transmit: Transmit) {
    const { seed, broadcastSeed = seed, stream, hasSound = true } = options;
    const ladder = options.ladder ?? LADDER_DEFAULT;
    const startMs = stream?.joinAtMs ?? options.startMs ?? 0;
    this.#startMs = startMs;
    this.#source = stream?.source ?? new LadderSource(ladder, broadcastSeed);
    this.#score = new ScoreKeeper(options.onShown);
    this.#up = new LinkModel(options.up, { seed, name: 'up' });
    const packets = new PacketTable();
    this.#receiver = new ChromeReceiver(
      {
        feedbackEveryMs: options.feedbackEveryMs ?? 100,
        decodeMs: options.decodeMs ?? DECODE_MS,
        qualityRatios: ladder.rungs.map(({ qualityRatio }) => qualityRatio),
        rejectsOutliers: true,
        hasPlayerReports: options.hasPlayerReports ?? true,
        knowsRtt: false,
        refreshPhaseMs: options.refreshPhaseMs,
      },
      { packets, score: this.#score, seed: options.receiverSeed ?? seed, startMs },
    );
    this.sender = new SimSender(
      { ...options.sender, controller: options.makeController() },
      { source: this.#source, packets, transmit },
    );
    // The broadcast has run for a while; the viewer comes at any phase of a GOP.
    const { framesPerGop, frameIntervalMs } = this.#source;
    const phase = new RandomStream(broadcastSeed, 'join').ratio(0);
    const partMs = new RandomStream(broadcastSeed, 'join').ratio(1) * frameIntervalMs;
    const framesSince = Math.floor((startMs + partMs) / frameIntervalMs);
    this.#nextFrame = stream?.nextFrame ?? framesPerGop + Math.floor(phase * framesPerGop) + framesSince + 1;
    this.#nextCaptureMs = stream?.nextFrameAtMs ?? (framesSince + 1) * frameIntervalMs - partMs;
    this.#lateMs = stream?.lateMs ?? (() => 0);
    this.#nextFrameAtMs = this.#nextCaptureMs + this.#lateMs(this.#nextFrame);
    this.#nextAudioAtMs = hasSound ? startMs + new RandomStream(seed, 'join').ratio(2) * AUDIO_EVERY_MS : Infinity;
  }

  get nextAtMs(): number {
    if (!this.#hasJoined) {
      return this.#startMs;
    }
    return Math.min(
      this.#nextFrameAtMs,
      this.#nextAudioAtMs,
      this.sender.nextAtMs,
      this.#up.nextAtMs,
      this.#receiver.nextAtMs,
    );
  }

  onPacket(handle: number, nowMs: number): void {
    this.#receiver.onPacket(handle, nowMs);
  }

  step(nowMs: number): void {
    if (!this.#hasJoined) {
      this.#hasJoined = true;
      const joinCaptureMs = this.#nextCaptureMs - this.#source.frameIntervalMs;
      this.sender.join(this.#nextFrame - 1, joinCaptureMs, nowMs);
    }
    this.#receiver.step(nowMs);
    this.#sendUp(nowMs);
    for (let handle = this.#up.take(nowMs); handle >= 0; handle = this.#up.take(nowMs)) {
      const message = this.#messages[handle];
      const rttMs = message === undefined ? undefined : this.sender.onMessage(message, nowMs);
      if (rttMs !== undefined) {
        this.#receiver.setRtt(rttMs);
      }
    }
    if (nowMs >= this.#nextFrameAtMs) {
      this.sender.onFrame(this.#nextFrame, this.#nextCaptureMs, nowMs);
      this.#nextFrame += 1;
      this.#nextCaptureMs += this.#source.frameIntervalMs;
      this.#nextFrameAtMs = Math.max(nowMs, this.#nextCaptureMs + this.#lateMs(this.#nextFrame));
    }
    if (nowMs >= this.#nextAudioAtMs) {
      this.sender.onAudio(nowMs);
      this.#nextAudioAtMs += AUDIO_EVERY_MS;
    }
    if (nowMs >= this.sender.nextAtMs) {
      this.sender.step(nowMs);
    }
  }

  finish(endMs: number): RunResult {
    this.#receiver.finish();
    return {
      score: this.#score.finish(this.#startMs, endMs, this.#receiver.openGapMs(endMs)),
      bytes: this.sender.counts,
      stalls: this.#score.stalls,
      nackCount: this.sender.nackCount,
    };
  }

  #sendUp(nowMs: number): void {
    const { out } = this.#receiver;
    for (const message of out) {
      const handle = this.#nextMessage % MESSAGE_RING;
      this.#nextMessage += 1;
      this.#messages[handle] = message;
      this.#up.send(handle, message.bytes, nowMs);
    }
    out.length = 0;
  }
}
