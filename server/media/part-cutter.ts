/**
 * Groups the units of one track into parts whose durations are always legal: at most PART-TARGET, and at least 85 % of it
 * unless the part ends its segment.
 *
 * A unit's duration is only known when the next one comes, and a part that waited for it would cost every viewer a frame of
 * latency. So a part's end is predicted (last unit + the usual distance, less what whole-millisecond stamps may be off) and cut to
 * the legal range; the first unit of the next part begins exactly there on the *decoding* clock, while its presentation time stays what
 * the publisher said, through the composition offset. Decoding times are therefore contiguous and never drift: each prediction starts from a
 * true stamp.
 *
 *     true dts      |0    |33   |67   |100       |133
 *     in the file   |0    |33   |67   .99.3|     |133      part 2 starts at 99.3; its first picture is still shown at 100
 *
 * Rather too short than too long: a player may append a part before the one in front of it (hls.js does when it changes its rendition), and one
 * that reached a fraction of a millisecond into the next would throw away that one's keyframe, and all up to the next keyframe with it.
 */
import type { AccessUnit } from './access-unit.ts';
import type { PartPlan } from './segment-plan.ts';

/** One unit as it goes into a fragment (`trun`). */
export type FragmentSample = {
  readonly payload: Uint8Array;
  readonly durationTicks: number;
  /** Presentation minus decoding time in the file; may be negative. */
  readonly compositionOffsetTicks: number;
  readonly isKeyframe: boolean;
};

export type CutPart = {
  /** `tfdt`. */
  readonly startTicks: number;
  readonly durationTicks: number;
  /** Starts with a keyframe. */
  readonly isIndependent: boolean;
  readonly samples: readonly FragmentSample[];
};

/** A unit with the decoding time it should have in the file. */
export type CutterUnit = { readonly unit: AccessUnit; readonly dtsTicks: number; readonly ptsTicks: number };

type Pending = CutterUnit & { readonly fileDtsTicks: number };

type CutterOptions = {
  readonly bridgeMaxTicks: number;
  /** Units have no fixed length, the usual distance is learnt. */
  readonly followsRate: boolean;
  /** By how much two stamps may be nearer to each other than they should. */
  readonly stampErrorTicks: number;
};

/** RTMP's stamps are whole milliseconds: two of them may be one nearer to each other than their pictures are. */
const STAMPS_HZ = 1_000;
/** The distance between units is followed this slowly, so that whole-millisecond stamps average out. */
const NOMINAL_SHARE = 1 / 32;

export class PartCutter {
  readonly #plan: PartPlan;
  /** A gap up to this many ticks at a part's start is bridged by decoding the unit early; a longer one stays a hole. */
  readonly #bridgeMaxTicks: number;
  readonly #followsRate: boolean;
  readonly #stampErrorTicks: number;
  #unitTicks: number;
  #pending: Pending[] = [];
  #startTicks = 0;
  #endTicks: number | undefined;
  #lastDtsTicks: number | undefined;

  private constructor(plan: PartPlan, options: CutterOptions) {
    this.#plan = plan;
    this.#followsRate = options.followsRate;
    this.#stampErrorTicks = options.stampErrorTicks;
    this.#bridgeMaxTicks = options.bridgeMaxTicks;
    this.#unitTicks = plan.unitNominalTicks;
  }

  /** At one part's length a picture may be decoded early without anyone seeing it; beyond that the hole is told as it is. */
  static forVideo(plan: PartPlan, timescaleHz: number): PartCutter {
    const stampErrorTicks = timescaleHz / STAMPS_HZ;
    return new PartCutter(plan, { bridgeMaxTicks: plan.partMaxTicks, followsRate: true, stampErrorTicks });
  }

  /** Sound cannot be decoded early without being heard early: any gap at a part's start stays a hole. */
  static forSound(plan: PartPlan): PartCutter {
    return new PartCutter(plan, { bridgeMaxTicks: 0, followsRate: false, stampErrorTicks: 0 });
  }

  /** Where the last closed part ended; undefined before the first. */
  get endTicks(): number | undefined {
    return this.#endTicks;
  }

  get unitTicks(): number {
    return this.#unitTicks;
  }

  /** What would be added to the closed parts if a part, the open one or one that `dtsTicks` begins, reached `dtsTicks`. */
  openTicksUntil(dtsTicks: number): number {
    if (this.#pending.length === 0) {
      return Math.max(0, dtsTicks - this.#startFor(dtsTicks));
    }
    const { partMaxTicks } = this.#plan;
    const beyondTicks = Math.max(0, dtsTicks - this.#startTicks - partMaxTicks);
    const bridgedTicks = beyondTicks > this.#bridgeMaxTicks ? 0 : beyondTicks;
    return Math.max(0, Math.min(dtsTicks - this.#startTicks, partMaxTicks)) + bridgedTicks;
  }

  /** Takes the next unit and returns the parts it completed: none, one, or two after a gap. */
  add(next: CutterUnit): CutPart[] {
    this.#followRate(next.dtsTicks);
    const parts: CutPart[] = [];
    if (this.#pending.length > 0 && next.dtsTicks >= this.#startTicks + this.#plan.partMaxTicks) {
      parts.push(...this.flush(next.dtsTicks));
    }
    this.#append(next);
    const usualEndTicks = (this.#pending.at(-1)?.fileDtsTicks ?? 0) + this.#unitTicks;
    if (usualEndTicks + this.#unitTicks / 2 > this.#startTicks + this.#plan.partMaxTicks) {
      const floorTicks = this.#startTicks + this.#plan.partMinTicks;
      parts.push(...this.#close(Math.max(this.#predictedEndTicks - this.#stampErrorTicks, floorTicks)));
    }
    return parts;
  }

  /** Closes the open part, if any, at `endTicks` or where its length allows: the last part of a segment may be short. */
  flush(endTicks: number): CutPart[] {
    return this.#close(endTicks);
  }

  /** Closes the open part, if any, at the predicted end of its last unit. */
  flushPredicted(): CutPart[] {
    return this.#close(this.#predictedEndTicks);
  }

  /** Of the last unit, by its true stamp. */
  get #predictedEndTicks(): number {
    return Math.round((this.#pending.at(-1)?.dtsTicks ?? 0) + this.#unitTicks);
  }

  /** What comes next does not join: the next part starts where its first unit says, but never before the end of the last. */
  breakTimeline(): void {
    this.#lastDtsTicks = undefined;
  }

  #append(next: CutterUnit): void {
    const last = this.#pending.at(-1);
    if (last === undefined) {
      this.#startTicks = this.#startFor(next.dtsTicks);
      this.#pending.push({ ...next, fileDtsTicks: this.#startTicks });
      return;
    }
    this.#pending.push({ ...next, fileDtsTicks: Math.max(next.dtsTicks, last.fileDtsTicks + 1) });
  }

  #startFor(dtsTicks: number): number {
    const endTicks = this.#endTicks;
    if (endTicks === undefined) {
      return dtsTicks;
    }
    return dtsTicks - endTicks > this.#bridgeMaxTicks ? dtsTicks : endTicks;
  }

  #close(wantedEndTicks: number): CutPart[] {
    const last = this.#pending.at(-1);
    const first = this.#pending[0];
    if (last === undefined || first === undefined) {
      return [];
    }
    const latestTicks = Math.max(this.#startTicks + this.#plan.partMaxTicks, last.fileDtsTicks + 1);
    const endTicks = Math.min(Math.max(wantedEndTicks, last.fileDtsTicks + 1), latestTicks);
    const samples = this.#pending.map((pending, index) => ({
      payload: pending.unit.payload,
      durationTicks: (this.#pending[index + 1]?.fileDtsTicks ?? endTicks) - pending.fileDtsTicks,
      compositionOffsetTicks: pending.ptsTicks - pending.fileDtsTicks,
      isKeyframe: pending.unit.isKeyframe,
    }));
    this.#pending = [];
    this.#endTicks = endTicks;
    return [
      {
        startTicks: this.#startTicks,
        durationTicks: endTicks - this.#startTicks,
        isIndependent: first.unit.isKeyframe,
        samples,
      },
    ];
  }

  /** Gaps and bursts are not the rate: only distances between half and double the usual one count. */
  #followRate(dtsTicks: number): void {
    const gapTicks = this.#lastDtsTicks === undefined ? undefined : dtsTicks - this.#lastDtsTicks;
    this.#lastDtsTicks = dtsTicks;
    if (
      this.#followsRate &&
      gapTicks !== undefined &&
      gapTicks > this.#unitTicks / 2.5 &&
      gapTicks < this.#unitTicks * 2.5
    ) {
      this.#unitTicks += (gapTicks - this.#unitTicks) * NOMINAL_SHARE;
    }
  }
}
