/** One viewer's session in virtual time: source, sender, two directions of the lab's link, Chrome. The earliest event is next; nothing sleeps. */
import type { CongestionController } from '../../server/congestion/controller.ts';
import { LinkModel, type LinkModelOptions } from '../latency/link/link-model.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import { ChromeReceiver, type UpMessage } from './chrome-receiver.ts';
import { LADDER_DEFAULT, LadderSource, type FrameSource, type LadderOptions } from './ladder-source.ts';
import { PacketTable } from './packet-table.ts';
import { ScoreKeeper, type Score, type ShownPicture } from './score.ts';
import { SimSender, type ByteCounts, type SenderOptions } from './sim-sender.ts';

export type RunOptions = {
  readonly seed: number;
  readonly durationMs: number;
  readonly down: LinkModelOptions;
  readonly up: LinkModelOptions;
  readonly ladder?: LadderOptions;
  /** In place of a ladder drawn from the seed. */
  readonly stream?: StreamOptions;
  /** Without, there are neither packets of sound nor what they tell of the round trip. */
  readonly hasSound?: boolean;
  readonly hasPlayerReports?: boolean;
  /** When the screen refreshes, on the run's clock; drawn from the seed when left out. */
  readonly refreshPhaseMs?: number;
  readonly onShown?: (picture: ShownPicture, atMs: number) => void;
  readonly feedbackEveryMs?: number;
  /** Median decode times by rung; a laptop's when left out. */
  readonly decodeMs?: readonly number[];
  readonly sender: Omit<SenderOptions, 'controller'>;
  readonly makeController: () => CongestionController;
  /** Looks at the run each `sampleEveryMs`. */
  readonly onSample?: (sample: Sample) => void;
  readonly sampleEveryMs?: number;
};

/** A source, and the viewer's place in it. */
export type StreamOptions = {
  readonly source: FrameSource;
  /** When the viewer is connected, on the link's clock. */
  readonly joinAtMs: number;
  /** The first picture after that, and when it comes. */
  readonly nextFrame: number;
  readonly nextFrameAtMs: number;
};

export type Sample = {
  readonly nowMs: number;
  readonly sender: SimSender;
  readonly down: LinkModel;
};

export type RunResult = {
  readonly score: Score;
  readonly bytes: ByteCounts;
  readonly stalls: readonly { fromMs: number; toMs: number }[];
  readonly nackCount: number;
};

const AUDIO_EVERY_MS = 20;
const MESSAGE_RING = 1 << 12;

/** Median decode times by rung: a laptop. */
const DECODE_MS: readonly number[] = [2, 3, 4, 6];

export const runViewer = (options: RunOptions): RunResult => new ViewerRun(options).run();

class ViewerRun {
  readonly #options: RunOptions;
  readonly #source: FrameSource;
  readonly #down: LinkModel;
  readonly #up: LinkModel;
  readonly #score: ScoreKeeper;
  readonly #receiver: ChromeReceiver;
  readonly #sender: SimSender;
  readonly #messages: (UpMessage | undefined)[] = Array.from({ length: MESSAGE_RING }, () => undefined);
  readonly #startMs: number;
  #nextMessage = 0;
  #nextFrame: number;
  #nextFrameAtMs: number;
  #nextAudioAtMs: number;
  #nextSampleAtMs: number;

  constructor(options: RunOptions) {
    this.#options = options;
    const { seed, stream, hasSound = true } = options;
    const ladder = options.ladder ?? LADDER_DEFAULT;
    this.#source = stream?.source ?? new LadderSource(ladder, seed);
    this.#startMs = stream?.joinAtMs ?? 0;
    this.#score = new ScoreKeeper(options.onShown);
    this.#down = new LinkModel(options.down, { seed, name: 'down' });
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
      { packets, score: this.#score, seed, startMs: this.#startMs },
    );
    this.#sender = new SimSender(
      { ...options.sender, controller: options.makeController() },
      {
        source: this.#source,
        packets,
        transmit: (handle, bytes, nowMs) => {
          this.#down.send(handle, bytes, nowMs);
        },
      },
    );
    // The broadcast has run for a while; the viewer comes at any phase of a GOP.
    const phase = new RandomStream(seed, 'join').ratio(0);
    const framesBefore = this.#source.framesPerGop + Math.floor(phase * this.#source.framesPerGop);
    const partMs = new RandomStream(seed, 'join').ratio(1) * this.#source.frameIntervalMs;
    this.#nextFrame = stream?.nextFrame ?? framesBefore + 1;
    this.#nextFrameAtMs = stream?.nextFrameAtMs ?? this.#source.frameIntervalMs - partMs;
    this.#nextAudioAtMs = hasSound ? new RandomStream(seed, 'join').ratio(2) * AUDIO_EVERY_MS : Infinity;
    this.#nextSampleAtMs = options.onSample === undefined ? Infinity : 0;
  }

  run(): RunResult {
    const { durationMs } = this.#options;
    const joinCaptureMs = this.#nextFrameAtMs - this.#source.frameIntervalMs;
    this.#sender.join(this.#nextFrame - 1, joinCaptureMs, this.#startMs);
    for (;;) {
      const nowMs = Math.min(
        this.#nextFrameAtMs,
        this.#nextAudioAtMs,
        this.#sender.nextAtMs,
        this.#down.nextAtMs,
        this.#up.nextAtMs,
        this.#receiver.nextAtMs,
        this.#nextSampleAtMs,
      );
      if (nowMs > durationMs) {
        break;
      }
      this.#step(nowMs);
    }
    this.#receiver.finish();
    return {
      score: this.#score.finish(this.#startMs, durationMs, this.#receiver.openGapMs(durationMs)),
      bytes: this.#sender.counts,
      stalls: this.#score.stalls,
      nackCount: this.#sender.nackCount,
    };
  }

  #step(nowMs: number): void {
    for (let handle = this.#down.take(nowMs); handle >= 0; handle = this.#down.take(nowMs)) {
      this.#receiver.onPacket(handle, nowMs);
    }
    this.#receiver.step(nowMs);
    this.#sendUp(nowMs);
    for (let handle = this.#up.take(nowMs); handle >= 0; handle = this.#up.take(nowMs)) {
      const message = this.#messages[handle];
      const rttMs = message === undefined ? undefined : this.#sender.onMessage(message, nowMs);
      if (rttMs !== undefined) {
        this.#receiver.setRtt(rttMs);
      }
    }
    if (nowMs >= this.#nextFrameAtMs) {
      this.#sender.onFrame(this.#nextFrame, this.#nextFrameAtMs, nowMs);
      this.#nextFrame += 1;
      this.#nextFrameAtMs += this.#source.frameIntervalMs;
    }
    if (nowMs >= this.#nextAudioAtMs) {
      this.#sender.onAudio(nowMs);
      this.#nextAudioAtMs += AUDIO_EVERY_MS;
    }
    if (nowMs >= this.#sender.nextAtMs) {
      this.#sender.step(nowMs);
    }
    if (nowMs >= this.#nextSampleAtMs) {
      this.#options.onSample?.({ nowMs, sender: this.#sender, down: this.#down });
      this.#nextSampleAtMs += this.#options.sampleEveryMs ?? 100;
    }
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
