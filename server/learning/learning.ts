/** The learner in a running server: gives each session its guide, keeps time for it and its state on disk, and answers what was learned. */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { replacePrivateFileAsync } from '../base/private-file.ts';
import type { Guides, SessionPlan } from '../congestion/learned/guided-controller.ts';
import type { NetworkClass } from '../congestion/learned/link-features.ts';
import type { LearningOptions } from '../congestion/learned/learning-options.ts';
import type { Policy } from '../congestion/learned/policy.ts';
import type { Log } from '../observability/log.ts';
import type { Comparison } from './holdout.ts';
import type { ClassReport } from './learner.ts';
import { Learner } from './learner.ts';
import { writeState } from './learner-state.ts';
import type { LearnerState, Refusals } from './learner-state.ts';
import type { LearnerNote, LearningMode } from './session-plans.ts';
import { SessionPlans, applyNote } from './session-plans.ts';
import { loadState } from './state-file.ts';

/** What another thread's sessions go by. */
export type LearningSnapshot = { readonly mode: LearningMode; readonly state: LearnerState };

export type LearningParts = {
  readonly policies: readonly Policy[];
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly nextRatio: () => number;
};

const FADE_EVERY_MS = 3_600_000;

export class Learning implements Guides {
  readonly #options: LearningOptions;
  readonly #learner: Learner;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  readonly #plans: SessionPlans;
  #revision = 0;
  #mode: LearningMode;
  #fadedAtMs: number;
  #savedText = '';
  #saving: Promise<void> | undefined;
  #isFailing = false;

  private constructor(options: LearningOptions, learner: Learner, { clock, log }: LearningParts) {
    this.#options = options;
    this.#learner = learner;
    this.#clock = clock;
    this.#log = log;
    this.#fadedAtMs = clock.nowMs();
    this.#mode = options.enabled ? { mode: 'on' } : { mode: 'off' };
    if (options.enabled && options.arm !== '' && !this.setMode({ mode: 'pinned', arm: options.arm })) {
      log.warn('congestion.learned.arm_unknown', { arm: options.arm, arms: learner.armNames });
    }
    const { holdoutRatio } = options;
    this.#plans = new SessionPlans({ learner, modeNow: () => this.#mode, holdoutRatio, log });
    this.#timer = setInterval(() => this.#tick(), options.saveEveryMs);
    this.#timer.unref();
  }

  /** `options.file` is a whole path. What it holds and cannot be used is a line in the log. */
  static async open(options: LearningOptions, parts: LearningParts): Promise<Learning> {
    const { policies, clock, log, nextRatio } = parts;
    const state = await loadState(options.file, clock.wallMs(), log);
    return new Learning(options, new Learner({ policies, state, nextRatio }), parts);
  }

  get mode(): LearningMode {
    return this.#mode;
  }

  get holdoutRatio(): number {
    return this.#options.holdoutRatio;
  }

  get sinceWallMs(): number {
    return this.#learner.state.sinceWallMs;
  }

  get refused(): Readonly<Refusals> {
    return this.#learner.state.refused;
  }

  get armNames(): readonly string[] {
    return this.#learner.armNames;
  }

  report(): readonly ClassReport[] {
    return this.#learner.report();
  }

  compareWith(against: Comparison['against'], name: NetworkClass | 'all' = 'all'): Comparison {
    return this.#learner.compareWith(against, name);
  }

  /** Until the next start. Sessions under way return to the defaults when it is off. False: there is no such arm. */
  setMode(mode: LearningMode): boolean {
    if (mode.mode === 'pinned' && !this.armNames.includes(mode.arm)) {
      return false;
    }
    this.#mode = mode;
    this.#revision += 1;
    this.#log.info('congestion.learned.mode', mode);
    return true;
  }

  planFor(viewer: Parameters<Guides['planFor']>[0]): SessionPlan | undefined {
    return this.#plans.planFor(viewer);
  }

  /** Rises with everything that was learned or set. */
  get revision(): number {
    return this.#revision;
  }

  /** To be copied before anything else happens. */
  snapshot(): LearningSnapshot {
    return { mode: this.#mode, state: this.#learner.state };
  }

  /** What a session in another thread has to tell. */
  note(note: LearnerNote): void {
    this.#revision += 1;
    applyNote(this.#learner, note);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#saving;
    await this.#save();
  }

  #tick(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#fadedAtMs >= FADE_EVERY_MS) {
      this.#fadedAtMs = nowMs;
      this.#revision += 1;
      this.#learner.tick(this.#clock.wallMs());
    }
    // A disk that is slower than this is asked less often.
    this.#saving ??= this.#save().finally(() => (this.#saving = undefined));
  }

  /** Never rejects: the next one may succeed, and what is not on disk is still learned. */
  async #save(): Promise<void> {
    const text = writeState(this.#learner.state, this.#learner.armIds);
    if (text === this.#savedText) {
      return;
    }
    try {
      await replacePrivateFileAsync(this.#options.file, text);
      this.#savedText = text;
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) {
        this.#log.warn('congestion.learned.save_failed', { file: this.#options.file, detail: messageOf(error) });
      }
      this.#isFailing = true;
    }
  }
}
