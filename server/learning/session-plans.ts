/**
 * Gives each session its guide. The learner may be another thread's: what is asked of it (`choose`) is answered here from a copy, what is told to
 * it goes where it is.
 */
import { messageOf } from '../base/errors.ts';
import type { Guide, Guides, SessionPlan, Watched } from '../congestion/learned/guided-controller.ts';
import type { Parameters as Tuned } from '../congestion/parameters.ts';
import { parametersWith } from '../congestion/parameters.ts';
import type { Log } from '../observability/log.ts';
import { DEFAULTS_NAME } from './arms.ts';
import { groupOf } from './holdout.ts';
import type { SessionLearner } from './session-guide.ts';
import { SessionGuide } from './session-guide.ts';

/** `off`: everybody has the own defaults. `pinned`: everybody but the holdout has one arm. */
export type LearningMode =
  { readonly mode: 'on' } | { readonly mode: 'off' } | { readonly mode: 'pinned'; readonly arm: string };

/** What a session tells the learner. */
type Notes = Omit<SessionLearner, 'armsOf' | 'choose'>;

/** The same as a message. */
export type LearnerNote = {
  [Name in keyof Notes]: { readonly name: Name; readonly values: Parameters<Notes[Name]> };
}[keyof Notes];

export const applyNote = (learner: Notes, note: LearnerNote): void => {
  switch (note.name) {
    case 'learn':
      learner.learn(...note.values);
      break;
    case 'noteAbort':
      learner.noteAbort(...note.values);
      break;
    case 'noteRefused':
      learner.noteRefused(...note.values);
      break;
    case 'noteSession':
      learner.noteSession(...note.values);
      break;
  }
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

  onLook(watched: Watched, nowMs: number): Tuned | undefined {
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

export class SessionPlans implements Guides {
  readonly #learner: SessionLearner;
  readonly #modeNow: () => LearningMode;
  readonly #holdoutRatio: number;
  readonly #log: Log;

  constructor(options: { learner: SessionLearner; modeNow: () => LearningMode; holdoutRatio: number; log: Log }) {
    this.#learner = options.learner;
    this.#modeNow = options.modeNow;
    this.#holdoutRatio = options.holdoutRatio;
    this.#log = options.log;
  }

  /** Who keeps no number cannot be held out for good, so nothing is tried on it and nothing learned of it. */
  planFor(viewer: { viewerId: string | undefined; smoothnessRatio: number }): SessionPlan | undefined {
    const { viewerId, smoothnessRatio } = viewer;
    if (viewerId === undefined || this.#modeNow().mode === 'off') {
      return undefined;
    }
    const group = groupOf(viewerId, this.#holdoutRatio);
    const session = new SessionGuide({ learner: this.#learner, group, smoothnessRatio, pinned: () => this.#pinned });
    return { kind: group === 'gcc' ? 'gcc' : 'adaptive', guide: new GuardedGuide(session, this.#log) };
  }

  get #pinned(): string | undefined {
    const mode = this.#modeNow();
    if (mode.mode === 'pinned') {
      return mode.arm;
    }
    return mode.mode === 'off' ? DEFAULTS_NAME : undefined;
  }
}
