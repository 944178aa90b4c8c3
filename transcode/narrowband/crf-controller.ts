/**
 * Which CRF each rung has: follows what probes predict, slowly upwards, at once downwards, and goes back to the safe one when the scene is no longer
 * what was probed. Pure, told the time.
 */
import type { QualityLine } from './quality-model.ts';
import { crfFor, vmafAt } from './quality-model.ts';

export type CrfControllerOptions = {
  /** What nobody has looked at gets this one. */
  readonly crfSafe: number;
  readonly crfMin: number;
  readonly crfMax: number;
  readonly targetVmaf: number;
  /** Between two changes; only what protects the picture does not wait. */
  readonly changeEveryMs: number;
};

/** What a probe says of one rung. */
export type RungPrediction = { readonly rungId: string; readonly line: QualityLine };

export type CrfLook = {
  readonly nowMs: number;
  /** CPU to spare: nothing shed, no lag, no encoder starting. */
  readonly isCalm: boolean;
};

/** Why the CRFs changed. */
export type CrfChange = 'follows_content' | 'quality_low' | 'scene_changed';

/** Smaller differences are not worth a new encoder. */
const STEP_MIN_CRF = 0.75;
/** Set in steps of this. */
const CRF_GRAIN = 0.5;
/** Predicted quality so far below the target is not left for later. */
const LOW_MAX_VMAF = 2;
/** A scene change so soon after a rise makes the next rise wait twice as long, up to so many times. */
const SOON_MS = 60_000;
const WAIT_FACTOR_MAX = 8;

type Step = {
  readonly rungId: string;
  readonly from: number;
  readonly to: number;
  readonly isWorthIt: boolean;
  readonly isUrgent: boolean;
};

export class CrfController {
  readonly #options: CrfControllerOptions;
  readonly #crfs = new Map<string, number>();
  #lines: ReadonlyMap<string, QualityLine> = new Map();
  #hasSceneChanged = false;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #raisedAtMs = Number.NEGATIVE_INFINITY;
  #waitFactor = 1;

  constructor(options: CrfControllerOptions) {
    this.#options = options;
  }

  crfOf(rungId: string): number {
    return this.#crfs.get(rungId) ?? this.#options.crfSafe;
  }

  /** What the rung shows at the CRF it has; undefined when no probe has seen this scene. */
  vmafOf(rungId: string): number | undefined {
    const line = this.#lines.get(rungId);
    return line === undefined ? undefined : vmafAt(line, this.crfOf(rungId));
  }

  onProbe(predictions: readonly RungPrediction[]): void {
    this.#lines = new Map(predictions.map(({ rungId, line }) => [rungId, line]));
  }

  /** What was predicted was of another scene. */
  onSceneChange(): void {
    this.#lines = new Map();
    this.#hasSceneChanged = true;
  }

  /** Sets what `crfOf` answers; undefined when all stay as they are. */
  decide({ nowMs, isCalm }: CrfLook): CrfChange | undefined {
    if (this.#hasSceneChanged) {
      this.#hasSceneChanged = false;
      return this.#retreat(nowMs);
    }
    const steps = [...this.#lines].map(([rungId, line]) => this.#stepOf(rungId, line));
    const isLow = steps.some(({ isUrgent }) => isUrgent);
    const isWorthIt = steps.some((step) => step.isWorthIt);
    const mayChange = isCalm && nowMs - this.#changedAtMs >= this.#options.changeEveryMs * this.#waitFactor;
    if (!isLow && !(isWorthIt && mayChange)) {
      return undefined;
    }
    for (const { rungId, to } of steps) {
      this.#crfs.set(rungId, to);
    }
    this.#changedAtMs = nowMs;
    this.#raisedAtMs = steps.some(({ from, to }) => to > from) ? nowMs : this.#raisedAtMs;
    return isLow ? 'quality_low' : 'follows_content';
  }

  #stepOf(rungId: string, line: QualityLine): Step {
    const { targetVmaf } = this.#options;
    const from = this.crfOf(rungId);
    const wanted = this.#toRange(crfFor(line, targetVmaf));
    const isWorthIt = Math.abs(wanted - from) >= STEP_MIN_CRF;
    const to = Math.round(wanted / CRF_GRAIN) * CRF_GRAIN;
    const isUrgent = isWorthIt && to < from && vmafAt(line, from) < targetVmaf - LOW_MAX_VMAF;
    return { rungId, from, to, isWorthIt, isUrgent };
  }

  /** Only downwards: a CRF below the safe one was needed by something harder than most. */
  #retreat(nowMs: number): CrfChange | undefined {
    const { crfSafe } = this.#options;
    const above = [...this.#crfs].filter(([, crf]) => crf > crfSafe);
    for (const [rungId] of above) {
      this.#crfs.set(rungId, crfSafe);
    }
    if (above.length === 0) {
      return undefined;
    }
    const isSoon = nowMs - this.#raisedAtMs < SOON_MS;
    this.#waitFactor = isSoon ? Math.min(WAIT_FACTOR_MAX, this.#waitFactor * 2) : 1;
    this.#changedAtMs = nowMs;
    return 'scene_changed';
  }

  #toRange(crf: number): number {
    const { crfMin, crfMax } = this.#options;
    return Math.min(crfMax, Math.max(crfMin, crf));
  }
}
