/** Which rendition the GOP that begins gets: the highest that fits what the link is believed to carry, up slowly, down at once. Pure. */
import type { GopOffer, RenditionCost } from './controller.ts';
import type { Parameters } from './parameters.ts';

/** Sound and its heads. */
export const AUDIO_BPS = 96_000;
const STICK_MAX_MS = 60_000;
const FLAP_FORGET_MS = 60_000;

export type AllocatorInput = {
  readonly estimateBps: number;
  readonly queueMs: number;
  readonly backlogMs: number;
  /** Part of what is sent that is sent again. */
  readonly repairRatio: number;
};

export class Allocator {
  readonly #parameters: Parameters;
  #index = 0;
  #okSinceMs = Number.NaN;
  #downAtMs = Number.NEGATIVE_INFINITY;
  #upAtMs = Number.NEGATIVE_INFINITY;
  #stickMs: number;

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
    this.#stickMs = parameters.stickMs;
  }

  get index(): number {
    return this.#index;
  }

  /** When the rendition may rise again after it fell. */
  get upFromMs(): number {
    return this.#downAtMs + this.#stickMs;
  }

  /** What the estimate must be for a rendition to be chosen over a lower one. */
  wantedBps(rendition: RenditionCost | undefined, repairRatio: number): number {
    return (this.#parameters.upMarginRatio * needOf(rendition, repairRatio)) / this.#parameters.safetyRatio;
  }

  /** Before the first GOP. */
  begin(offer: GopOffer, estimateBps: number): number {
    this.#index = this.#highestFitting(offer, estimateBps, 0, 1);
    return this.#index;
  }

  onGop(offer: GopOffer, input: AllocatorInput, nowMs: number): number {
    const { upMarginRatio, queueEmergencyMs, cutBacklogMs, upHoldMs } = this.#parameters;
    this.#index = Math.min(this.#index, offer.renditions.length - 1);
    const best = this.#highestFitting(offer, input.estimateBps, input.repairRatio, 1);
    const isCongested = input.queueMs > queueEmergencyMs || input.backlogMs > cutBacklogMs;
    if (best < this.#index || isCongested) {
      this.#goDown(Math.max(0, Math.min(best, this.#index - (isCongested ? 1 : 0))), nowMs);
      return this.#index;
    }
    const wanted = this.#highestFitting(offer, input.estimateBps, input.repairRatio, upMarginRatio);
    if (wanted <= this.#index) {
      this.#okSinceMs = Number.NaN;
      return this.#index;
    }
    this.#okSinceMs = Number.isNaN(this.#okSinceMs) ? nowMs : this.#okSinceMs;
    // Until it has proved too high once, what was measured is believed.
    const isHeld = nowMs - this.#okSinceMs >= (this.#downAtMs === Number.NEGATIVE_INFINITY ? 0 : upHoldMs);
    if (isHeld && nowMs - this.#downAtMs > this.#stickMs) {
      this.#index = wanted;
      this.#upAtMs = nowMs;
      this.#okSinceMs = Number.NaN;
    }
    return this.#index;
  }

  #goDown(index: number, nowMs: number): void {
    this.#okSinceMs = Number.NaN;
    if (index >= this.#index) {
      return;
    }
    // Up and soon down again: the next time up waits longer.
    const isFlap = this.#upAtMs > this.#downAtMs && nowMs - this.#upAtMs < this.#stickMs;
    const isQuiet = nowMs - this.#downAtMs > FLAP_FORGET_MS;
    this.#stickMs = isFlap
      ? Math.min(STICK_MAX_MS, 2 * this.#stickMs)
      : isQuiet
        ? this.#parameters.stickMs
        : this.#stickMs;
    this.#index = index;
    this.#downAtMs = nowMs;
  }

  #highestFitting(offer: GopOffer, estimateBps: number, repairRatio: number, marginRatio: number): number {
    for (let index = offer.renditions.length - 1; index > 0; index -= 1) {
      const needBps = needOf(offer.renditions[index], repairRatio);
      if (this.#parameters.safetyRatio * estimateBps >= marginRatio * needBps) {
        return index;
      }
    }
    return 0;
  }
}

/** What a rendition asks of the link, sound included. */
export const needOf = (rendition: RenditionCost | undefined, repairRatio: number): number =>
  (rendition?.bitrateBps ?? Infinity) * (1 + Math.min(0.2, repairRatio)) + AUDIO_BPS;
