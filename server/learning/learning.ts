/** The learner in a running server: gives each session its guide, keeps time for it and its state on disk, and answers what was learned. */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { replacePrivateFileAsync } from '../base/private-file.ts';
import type { Guide, Guides, SessionPlan, Watched } from '../congestion/learned/guided-controller.ts';
import type { NetworkClass } from '../congestion/learned/link-features.ts';
import type { LearningOptions } from '../congestion/learned/learning-options.ts';
import type { Policy } from '../congestion/learned/policy.ts';
import type { Parameters } from '../congestion/parameters.ts';
import { parametersWith } from '../congestion/parameters.ts';
import type { Log } from '../observability/log.ts';
import { DEFAULTS_NAME } from './arms.ts';
import type { Comparison } from './holdout.ts';
import { groupOf } from './holdout.ts';
import type { ClassReport } from './learner.ts';
import { Learner } from './learner.ts';
import { writeState } from './learner-state.ts';
import type { Refusals } from './learner-state.ts';
import { SessionGuide } from './session-guide.ts';
import { loadState } from './state-file.ts';

/** `off`: everybody has the own defaults. `pinned`: everybody but the holdout has one arm. */
export type LearningMode =
  { readonly mode: 'on' } | { readonly mode: 'off' } | { readonly mode: 'pinned'; readonly arm: string };

export type LearningParts = {
  readonly policies: readonly Policy[];
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly nextRatio: () => number;
};

/** CONGESTION 4.6: what goes wrong in the learner sends its session back to the defaults, and nobody's picture stops for it. */
class GuardedGuide implements Guide {
  readonly #guide: Guide;
  readonly #log: Log;
  #hasFailed = false;

  constructor(guide: Guide, log: Log) {
    this.#guide = guide;
    this.#log = log;
  }

  onJoined(nowMs: number): void {
    this.#guide.onJoined(nowMs);
  }

  onLook(watched: Watched, nowMs: number): Parameters | undefined {
    return this.#try(() => this.#guide.onLook(watched, nowMs), parametersWith());
  }

  onSmoothness(): void {
    this.#guide.onSmoothness();
  }

  onEnded(watched: Watched, nowMs: number): void {
    this.#try(() => this.#guide.onEnded(watched, nowMs), undefined);
  }

  #try<Answer>(ask: () => Answer, otherwise: Answer): Answer | undefined {
    if (this.#hasFailed) {
      return undefined;
    }
    try {
      return ask();
    } catch (error) {
      this.#hasFailed = true;
      this.#log.error('congestion.learned.failed', { detail: error instanceof Error ? error.stack : messageOf(error) });
      return otherwise;
    }
  }
}

const FADE_EVERY_MS = 3_600_000;

export class Learning implements Guides {
  readonly #options: LearningOptions;
  readonly #learner: Learner;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
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
    this.#log.info('congestion.learned.mode', mode);
    return true;
  }

  /** Who keeps no number cannot be held out for good, so nothing is tried on it and nothing learned of it. */
  planFor({
    viewerId,
    smoothnessRatio,
  }: {
    viewerId: string | undefined;
    smoothnessRatio: number;
  }): SessionPlan | undefined {
    if (viewerId === undefined || this.#mode.mode === 'off') {
      return undefined;
    }
    const group = groupOf(viewerId, this.#options.holdoutRatio);
    const session = new SessionGuide({ learner: this.#learner, group, smoothnessRatio, pinned: () => this.#pinned });
    const guide = new GuardedGuide(session, this.#log);
    return { kind: group === 'gcc' ? 'gcc' : 'adaptive', guide };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#saving;
    await this.#save();
  }

  get #pinned(): string | undefined {
    if (this.#mode.mode === 'pinned') {
      return this.#mode.arm;
    }
    return this.#mode.mode === 'off' ? DEFAULTS_NAME : undefined;
  }

  #tick(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#fadedAtMs >= FADE_EVERY_MS) {
      this.#fadedAtMs = nowMs;
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
