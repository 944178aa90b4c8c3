/** A thread's copy of what was learned: sessions choose by it, some seconds old; what they have to tell goes to the learner itself. */
import { randomInt } from 'node:crypto';
import { Prng } from '../base/prng.ts';
import type { Guides, SessionPlan } from '../congestion/learned/guided-controller.ts';
import type { Policy } from '../congestion/learned/policy.ts';
import { Learner } from '../learning/learner.ts';
import type { LearningSnapshot } from '../learning/learning.ts';
import type { LearnerNote, LearningMode } from '../learning/session-plans.ts';
import { SessionPlans } from '../learning/session-plans.ts';
import type { Log } from '../observability/log.ts';

export class LearnerCopy implements Guides {
  readonly #policies: readonly Policy[];
  readonly #log: Log;
  readonly #post: (note: LearnerNote) => void;
  readonly #prng = new Prng(randomInt(2 ** 32));
  #mode: LearningMode = { mode: 'off' };
  #learner: Learner | undefined;
  #plans: SessionPlans | undefined;

  constructor(options: { policies: readonly Policy[]; log: Log; post: (note: LearnerNote) => void }) {
    this.#policies = options.policies;
    this.#log = options.log;
    this.#post = options.post;
  }

  /** From now on; sessions under way go by it too. */
  take({ mode, state }: LearningSnapshot, holdoutRatio: number): void {
    this.#mode = mode;
    this.#learner = new Learner({ policies: this.#policies, state, nextRatio: () => this.#prng.nextRatio() });
    this.#plans ??= this.#createPlans(this.#learner, holdoutRatio);
  }

  /** Nobody is guided before anything was told. */
  planFor(viewer: Parameters<Guides['planFor']>[0]): SessionPlan | undefined {
    return this.#plans?.planFor(viewer);
  }

  #createPlans(first: Learner, holdoutRatio: number): SessionPlans {
    const current = (): Learner => this.#learner ?? first;
    const post = this.#post;
    return new SessionPlans({
      learner: {
        armsOf: (networkClass) => current().armsOf(networkClass),
        choose: (networkClass, features) => current().choose(networkClass, features),
        learn: (...values) => post({ name: 'learn', values }),
        noteAbort: (...values) => post({ name: 'noteAbort', values }),
        noteRefused: (...values) => post({ name: 'noteRefused', values }),
        noteSession: (...values) => post({ name: 'noteSession', values }),
      },
      modeNow: () => this.#mode,
      holdoutRatio,
      log: this.#log,
    });
  }
}
