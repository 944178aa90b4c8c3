/**
 * The AV1 rung of one broadcast: a ladder of its own, with a child of its own, so that no trouble here takes the H.264 rungs along. Nothing is given
 * out before the first pictures were decoded by another library than the one that made them.
 */
import type { AccessUnit, VideoUnit } from '../../server/media/access-unit.ts';
import { isVideoUnit } from '../../server/media/access-unit.ts';
import type { AccessUnitSource } from '../../server/media/stream-source.ts';
import type { Track } from '../../server/media/track.ts';
import { av1Outputs } from './av1-args.ts';
import type { H264Ladder } from './av1-plan.ts';
import { planAv1 } from './av1-plan.ts';
import { BitrateCap } from './bitrate-cap.ts';
import type { DecodeCheck } from './decode-check.ts';
import { createDecodeCheck } from './decode-check.ts';
import type { LadderOutput, LadderSetup, LadderStatus } from '../ladder.ts';
import { Ladder } from '../ladder.ts';
import type { LadderPlan, LadderPlanInput, Rung } from '../ladder-plan.ts';
import { NO_LADDER } from '../ladder-plan.ts';

export type Av1LadderSetup = Omit<LadderSetup, 'recipe'> & {
  /** The other ladder of the same broadcast, as it is now. */
  readonly h264: () => H264Ladder;
  readonly checkDecodes?: DecodeCheck;
};

/** After the H.264 ladder, which has 10: where there is too little for both, this one goes. */
const NICENESS = 15;
/** So many pictures are looked at. */
const CHECKED_COUNT = 12;
/** So many may wait for the verdict, which takes 10 s at the most. */
const HELD_MAX_COUNT = 600;
const RETRY_AFTER_MS = 60_000;

/** The first pictures of an encoder. Those of the first one wait for the verdict; whoever watches a later one must not. */
type Trial = { readonly units: VideoUnit[]; readonly isHolding: boolean };

export class Av1Ladder {
  readonly #setup: Av1LadderSetup;
  readonly #output: LadderOutput;
  readonly #check: DecodeCheck;
  readonly #cap = new BitrateCap();
  readonly #ladder: Ladder;
  #rung: Rung | undefined;
  /** Each encoder has its own. */
  #track: Track | undefined;
  #trial: Trial | undefined;
  #hasPassed = false;
  #broken: { readonly why: string; readonly untilMs: number } | undefined;

  constructor(setup: Av1LadderSetup) {
    this.#setup = setup;
    this.#output = setup.output;
    this.#check = setup.checkDecodes ?? createDecodeCheck(setup.ffmpegPath);
    this.#ladder = new Ladder({
      ...setup,
      recipe: { name: 'av1', niceness: NICENESS, plan: (input) => this.#plan(input), outputs: av1Outputs },
      output: {
        onRung: (rung) => {
          this.#rung = rung;
          this.#output.onRung(rung);
        },
        onUnit: (rungId, unit) => this.#onUnit(rungId, unit),
        onEnd: (rungId, reason) => this.#onEnd(rungId, reason),
      },
    });
  }

  attach(source: AccessUnitSource): void {
    this.#ladder.attach(source);
  }

  status(): LadderStatus {
    return this.#ladder.status();
  }

  /** Of the child that runs now; for tests and the log. */
  get pid(): number | undefined {
    return this.#ladder.pid;
  }

  /** May be called twice. */
  close(reason: string): void {
    this.#ladder.close(reason);
  }

  #plan(input: LadderPlanInput): LadderPlan {
    const plan = planAv1({ ...input, h264: this.#setup.h264(), crfRise: this.#cap.crfRise });
    const why = this.#isBroken ? this.#broken?.why : undefined;
    return why === undefined ? plan : { ...NO_LADDER, leftOut: plan.rungs.map(({ id }) => ({ id, why })) };
  }

  get #isBroken(): boolean {
    return this.#broken !== undefined && this.#setup.clock.nowMs() < this.#broken.untilMs;
  }

  #onUnit(rungId: string, unit: AccessUnit): void {
    if (!isVideoUnit(unit) || this.#rung === undefined || this.#isBroken) {
      return;
    }
    this.#cap.add(unit.payload.byteLength, {
      nowMs: this.#setup.clock.nowMs(),
      bitrateMaxBps: this.#rung.bitrateMaxBps,
    });
    if (unit.track !== this.#track) {
      this.#track = unit.track;
      this.#trial = { units: [], isHolding: !this.#hasPassed };
    }
    const trial = this.#trial;
    if (trial === undefined || !trial.isHolding) {
      this.#output.onUnit(rungId, unit);
    }
    if (trial !== undefined) {
      this.#try(rungId, unit, trial);
    }
  }

  #try(rungId: string, unit: VideoUnit, trial: Trial): void {
    if (trial.isHolding || trial.units.length < CHECKED_COUNT) {
      trial.units.push(unit);
      if (trial.units.length === CHECKED_COUNT) {
        void this.#judge(rungId, trial);
      } else if (trial.units.length > HELD_MAX_COUNT) {
        this.#giveUp(rungId, `no verdict on ${HELD_MAX_COUNT} pictures`);
      }
    }
  }

  async #judge(rungId: string, trial: Trial): Promise<void> {
    const fault = await this.#check(trial.units.slice(0, CHECKED_COUNT));
    if (trial !== this.#trial) {
      return;
    }
    if (fault !== undefined) {
      this.#giveUp(rungId, fault);
      return;
    }
    this.#trial = undefined;
    this.#hasPassed = true;
    this.#setup.log.info('transcode.av1.checked', { rung: rungId, pictureCount: CHECKED_COUNT });
    if (trial.isHolding) {
      trial.units.forEach((unit) => this.#output.onUnit(rungId, unit));
    }
  }

  /** What still comes of this encoder is held back like what came before; the plan lets it go. */
  #giveUp(rungId: string, fault: string): void {
    this.#setup.log.error('transcode.av1.unproven', { rung: rungId, fault, retryAfterMs: RETRY_AFTER_MS });
    this.#track = undefined;
    this.#trial = undefined;
    this.#hasPassed = false;
    const why = `what the encoder makes was not shown to decode (${fault})`;
    this.#broken = { why, untilMs: this.#setup.clock.nowMs() + RETRY_AFTER_MS };
  }

  #onEnd(rungId: string, reason: string): void {
    this.#rung = undefined;
    this.#track = undefined;
    this.#trial = undefined;
    this.#hasPassed = false;
    this.#output.onEnd(rungId, reason);
  }
}
