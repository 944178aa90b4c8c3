/** A ladder of renditions as an encoder makes it: aligned keyframes several times as large as the mean picture, sizes that vary. Drawn by counters. */
import type { GopOffer, RenditionCost } from '../../server/congestion/controller.ts';
import { RandomStream } from '../latency/link/random-streams.ts';

export type Rung = {
  readonly bitrateBps: number;
  readonly qualityRatio: number;
  /** Keyframe over mean picture. */
  readonly keyframeFactor: number;
};

export type LadderOptions = {
  /** From the lowest up; rates of IP packets. */
  readonly rungs: readonly Rung[];
  readonly frameRateHz: number;
  readonly gopMs: number;
};

const GOPS = { frameRateHz: 30, gopMs: 1_000 };
/** The publisher's picture has its bitrate whatever it shows. */
const MAIN: Rung = { bitrateBps: 4_500_000, qualityRatio: 1, keyframeFactor: 5 };

export const LADDER_DEFAULT: LadderOptions = {
  rungs: [
    { bitrateBps: 600_000, qualityRatio: 0.45, keyframeFactor: 5 },
    { bitrateBps: 1_200_000, qualityRatio: 0.65, keyframeFactor: 5 },
    { bitrateBps: 2_500_000, qualityRatio: 0.85, keyframeFactor: 5 },
    MAIN,
  ],
  ...GOPS,
};

/**
 * `quiet`: the default configuration's rungs (360, 480, 720 lines) of somebody who stands and talks, whose keyframes are 7, 10 and 17 packets; `tiny`: 144 and
 * 240 lines of the same, 3 and 5 packets. Measured 2026-11-25 on the corpus's signing clips with x264 veryfast zerolatency at CRF 28, a keyframe a second.
 */
export const LADDERS: Readonly<Record<string, LadderOptions>> = {
  busy: LADDER_DEFAULT,
  quiet: {
    rungs: [
      { bitrateBps: 264_000, qualityRatio: 0.45, keyframeFactor: 7.9 },
      { bitrateBps: 497_000, qualityRatio: 0.65, keyframeFactor: 6.1 },
      { bitrateBps: 911_000, qualityRatio: 0.85, keyframeFactor: 5.4 },
      MAIN,
    ],
    ...GOPS,
  },
  tiny: {
    rungs: [
      { bitrateBps: 66_000, qualityRatio: 0.18, keyframeFactor: 9.7 },
      { bitrateBps: 142_000, qualityRatio: 0.3, keyframeFactor: 8.8 },
      { bitrateBps: 497_000, qualityRatio: 0.65, keyframeFactor: 6.1 },
      { bitrateBps: 2_500_000, qualityRatio: 1, keyframeFactor: 5 },
    ],
    ...GOPS,
  },
};

/** Spread of the logarithm of sizes: what all rungs share, what each has alone, and that of whole GOPs. Together about 0.22 a picture. */
const SHARED_SIGMA = 0.15;
const OWN_SIGMA = 0.1;
const GOP_SIGMA = 0.13;

/** Pictures by their number, of every rung; a keyframe each `framesPerGop`, aligned. */
export type FrameSource = {
  readonly framesPerGop: number;
  readonly frameIntervalMs: number;
  isKeyframe(frame: number): boolean;
  /** As IP packets; 0: the rung has no such picture. */
  bytes(frame: number, rungIndex: number): number;
  /** What a controller is told at this keyframe. */
  offer(keyframe: number): GopOffer;
};

export class LadderSource implements FrameSource {
  readonly options: LadderOptions;
  readonly framesPerGop: number;
  readonly frameIntervalMs: number;
  readonly #shared: RandomStream;
  readonly #own: readonly RandomStream[];
  readonly #gops: RandomStream;

  constructor(options: LadderOptions, seed: number) {
    this.options = options;
    this.frameIntervalMs = 1000 / options.frameRateHz;
    this.framesPerGop = Math.round(options.gopMs / this.frameIntervalMs);
    this.#shared = new RandomStream(seed, 'source/shared');
    this.#gops = new RandomStream(seed, 'source/gop');
    this.#own = options.rungs.map((_, index) => new RandomStream(seed, `source/rung-${index}`));
  }

  isKeyframe(frame: number): boolean {
    return frame % this.framesPerGop === 0;
  }

  /** Bytes as IP packets. */
  bytes(frame: number, rungIndex: number): number {
    const { bitrateBps, keyframeFactor } = this.options.rungs[rungIndex] ?? MAIN;
    const gopBytes = (bitrateBps / 8_000) * this.options.gopMs;
    const keyframeUnits = keyframeFactor * this.#keyframeShare(keyframeFactor);
    const unit = gopBytes / (this.framesPerGop - 1 + keyframeUnits);
    const base = this.isKeyframe(frame) ? keyframeUnits * unit : unit;
    const gop = Math.floor(frame / this.framesPerGop);
    const logarithm =
      SHARED_SIGMA * this.#shared.normal(frame) +
      OWN_SIGMA * (this.#own[rungIndex]?.normal(frame) ?? 0) +
      GOP_SIGMA * this.#gops.normal(gop);
    const spread = SHARED_SIGMA ** 2 + OWN_SIGMA ** 2 + GOP_SIGMA ** 2;
    return Math.max(100, Math.round(base * Math.exp(logarithm - spread / 2)));
  }

  /** What a controller is told at this keyframe: rates of the last GOPs, this one's keyframe. */
  offer(keyframe: number): GopOffer {
    const renditions: RenditionCost[] = this.options.rungs.map(({ bitrateBps, qualityRatio }, index) => ({
      bitrateBps,
      qualityRatio,
      keyframeBytes: this.bytes(keyframe, index),
    }));
    return { renditions, gopMs: this.options.gopMs, frameIntervalMs: this.frameIntervalMs };
  }

  /** A keyframe of `keyframeFactor` means, when the mean includes it: n·f / (n + f) … solved for the unit picture. */
  #keyframeShare(keyframeFactor: number): number {
    const count = this.framesPerGop;
    return (count - 1) / (count - keyframeFactor);
  }
}
