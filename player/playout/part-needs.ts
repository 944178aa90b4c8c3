/**
 * What latency the network asks for, from when parts were there: a part is shown at its media time plus the latency, so it has to be appended before
 * that. The worst need of each two seconds is a sample; wanted is the need that is exceeded no more often than a stall is worth (CONGESTION 8.3). Pure.
 */
import { STALL_WEIGHT, latencyWeightOf } from '../../server/congestion/parameters.ts';

const BLOCK_MS = 2_000;
const BLOCK_MAX_COUNT = 64;
const HALF_LIFE_MS = 60_000;
/** Fewer say nothing of a tail. */
const BLOCK_MIN_COUNT = 3;
/** From there to the screen. */
const MARGIN_MS = 100;
/** Stalls that one second of latency is worth, for each block that asks for it. */
const BLOCKS_PER_S = 1_000 / BLOCK_MS;
const LEARNING_RATE = 0.01;
const TAIL_RATIO: readonly [number, number] = [0.01, 0.5];
/** What is later than this was an outage, which no latency covers. */
const NEED_MAX_MS = 6_000;

/** A network that carries so many times what is watched needs no more than the playlist asks for; one that carries less, so much more. */
const AMPLE_RATIO = 4;
const ENOUGH_RATIO = 2;
const ENOUGH_MORE_MS = 1_000;
const SCARCE_MORE_MS = 2_000;
/** Fewer bits say nothing of a network. */
const TELLING_BITS = 200_000;

export type FirstLoads = { readonly bits: number; readonly loadMs: number; readonly mediaMs: number };

/** Latency to begin with, before anything is known of parts: by how much faster than it plays the media came that was loaded first. */
export const startLatencyMs = (holdBackMs: number, { bits, loadMs, mediaMs }: FirstLoads): number => {
  const ratio = bits < TELLING_BITS ? Infinity : mediaMs / Math.max(1, loadMs);
  if (ratio >= AMPLE_RATIO) {
    return holdBackMs;
  }
  return holdBackMs + (ratio >= ENOUGH_RATIO ? ENOUGH_MORE_MS : SCARCE_MORE_MS);
};

export type PartArrival = {
  /** All of them by one clock: when its first picture was captured, … */
  readonly capturedAtMs: number;
  readonly durationMs: number;
  /** … when it was asked for, and when all of it was there. */
  readonly askedAtMs: number;
  readonly appendedAtMs: number;
};

export class PartNeeds {
  #tailRatio: number;
  #theta = 0;
  #isAtEdge = false;
  readonly #blocks: { readonly atMs: number; readonly needMs: number }[] = [];
  #blockAtMs = Number.NaN;
  #blockNeedMs = 0;
  #wantedMs: number | undefined;

  /** λ: 0 reacts, 1 is smooth. */
  constructor(smoothnessRatio: number) {
    this.#tailRatio = tailRatioOf(smoothnessRatio);
  }

  /** Latency that the last minutes ask for; undefined while too little is known. */
  get wantedMs(): number | undefined {
    return this.#wantedMs;
  }

  setSmoothness(smoothnessRatio: number): void {
    this.#tailRatio = tailRatioOf(smoothnessRatio);
  }

  /** Playback begins anew, or jumped: what is loaded now is loaded late because of that. What was learned stays. */
  leaveEdge(): void {
    this.#isAtEdge = false;
  }

  /** A part of the pictures was appended. */
  note({ capturedAtMs, durationMs, askedAtMs, appendedAtMs }: PartArrival): void {
    // Once one was asked for before it was there, all that follow come as soon as the network lets them.
    this.#isAtEdge ||= askedAtMs <= capturedAtMs + durationMs;
    const needMs = appendedAtMs - capturedAtMs;
    if (!this.#isAtEdge || !(needMs > 0)) {
      return;
    }
    if (Number.isNaN(this.#blockAtMs)) {
      this.#blockAtMs = appendedAtMs;
    }
    if (appendedAtMs - this.#blockAtMs >= BLOCK_MS) {
      this.#endBlock(appendedAtMs);
    }
    this.#blockNeedMs = Math.max(this.#blockNeedMs, needMs);
  }

  #endBlock(nowMs: number): void {
    const needMs = this.#blockNeedMs;
    this.#blockAtMs = nowMs;
    this.#blockNeedMs = 0;
    if (needMs > NEED_MAX_MS) {
      return;
    }
    if (this.#wantedMs !== undefined) {
      const hasMissed = needMs > this.#wantedMs - MARGIN_MS;
      this.#theta += LEARNING_RATE * ((hasMissed ? 1 : 0) - this.#tailRatio);
    }
    this.#blocks.push({ atMs: nowMs, needMs });
    if (this.#blocks.length > BLOCK_MAX_COUNT) {
      this.#blocks.shift();
    }
    if (this.#blocks.length >= BLOCK_MIN_COUNT) {
      this.#wantedMs = this.#quantileMs(nowMs) + MARGIN_MS;
    }
  }

  #quantileMs(nowMs: number): number {
    const tailRatio = clip(this.#tailRatio - this.#theta, TAIL_RATIO);
    const weighted = this.#blocks
      .map(({ atMs, needMs }) => ({ needMs, weight: 2 ** ((atMs - nowMs) / HALF_LIFE_MS) }))
      .toSorted((a, b) => b.needMs - a.needMs);
    const total = weighted.reduce((sum, { weight }) => sum + weight, 0);
    let weight = 0;
    for (const block of weighted) {
      weight += block.weight;
      if (weight > tailRatio * total) {
        return block.needMs;
      }
    }
    return weighted.at(-1)?.needMs ?? 0;
  }
}

/** Of blocks, that may need more: what a second of latency costs over what a second of stall does (6 % at λ = 0.5). */
const tailRatioOf = (smoothnessRatio: number): number =>
  clip(latencyWeightOf(smoothnessRatio) / (STALL_WEIGHT * BLOCKS_PER_S), TAIL_RATIO);

const clip = (value: number, [min, max]: readonly [number, number]): number => Math.min(max, Math.max(min, value));
