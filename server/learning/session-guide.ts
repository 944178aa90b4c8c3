/**
 * What the learner does in one session: ten seconds under the own defaults, by which the network is known; then an arm, judged from three seconds
 * later on; back to the defaults if the picture stalls too much under it. Pure.
 */
import type { Guide, Watched } from '../congestion/learned/guided-controller.ts';
import type { Features, NetworkClass } from '../congestion/learned/link-features.ts';
import type { Parameters } from '../congestion/parameters.ts';
import { utilityOf } from '../congestion/learned/session-meter.ts';
import { logStallOf } from './arm-sums.ts';
import type { Arm } from './arms.ts';
import { DEFAULTS_NAME } from './arms.ts';
import type { Group } from './holdout.ts';
import type { Learner } from './learner.ts';

/** The learner, as sessions see it: what they ask of it, and what they tell it. */
export type SessionLearner = Pick<Learner, 'armsOf' | 'choose' | 'learn' | 'noteAbort' | 'noteRefused' | 'noteSession'>;

export type SessionGuideOptions = {
  readonly learner: SessionLearner;
  readonly group: Group;
  readonly smoothnessRatio: number;
  /** Asked again and again, since somebody may turn it off: `undefined`: the learner chooses; else the name of an arm. */
  readonly pinned: () => string | undefined;
};

/** The same start for everybody: what an arm does must not colour what the network is thought to be. */
const KNOWN_AFTER_MS = 10_000;
/** An arm that has just come into force answers for nothing yet. */
const JUDGED_AFTER_MS = 3_000;
const JUDGED_MIN_S = 10;
/**
 * The abort (CONGESTION 4.4): stalled more than this within the window. Three times what the defaults stall in the simulator, at least 5 %; a network that
 * is constrained or breaks off is expected to stall.
 */
const ABORT_WINDOW_MS = 20_000;
const ABORT_STALL_RATIO: Readonly<Record<NetworkClass, number>> = {
  'constrained|outage': 0.15,
  'lossy|long|volatile': 0.05,
  'stable|jittery': 0.05,
};

type Choice = {
  readonly networkClass: NetworkClass;
  readonly features: Features;
  readonly arm: Arm;
  readonly atMs: number;
};

/**
 * `waiting`: the network is not known yet. `settling`: the arm has just come into force. `judged`: what is seen counts for it. `over`: it has been
 * learned from, or is no longer what was chosen; the player's reports go on counting for the comparison of groups.
 */
type Stage = 'waiting' | 'settling' | 'judged' | 'over';

export class SessionGuide implements Guide {
  readonly #options: SessionGuideOptions;
  readonly #window: { readonly atMs: number; readonly stalledMs: number }[] = [];
  #stage: Stage = 'waiting';
  #joinedAtMs = 0;
  #choice: Choice | undefined;
  #isBad = false;
  /** To the defaults, for good. */
  #hasReturned = false;

  constructor(options: SessionGuideOptions) {
    this.#options = options;
  }

  /** What was chosen; undefined before the network is known. */
  get armName(): string | undefined {
    return this.#choice?.arm.name;
  }

  onJoined(nowMs: number): void {
    this.#joinedAtMs = nowMs;
  }

  onLook(watched: Watched, nowMs: number): Parameters | undefined {
    const choice = this.#choice;
    if (choice === undefined) {
      return this.#stage === 'waiting' && nowMs - this.#joinedAtMs >= KNOWN_AFTER_MS
        ? this.#choose(watched, nowMs)
        : undefined;
    }
    if (this.#stage === 'settling' && nowMs - choice.atMs >= JUDGED_AFTER_MS) {
      this.#stage = 'judged';
      watched.meter.begin(nowMs);
    }
    const isBad = this.#countIfBad(choice, watched, nowMs);
    const isUnwanted = this.#stage === 'over' || this.#options.pinned() === DEFAULTS_NAME;
    if (choice.arm === this.#defaults || this.#hasReturned || (!isBad && !isUnwanted)) {
      return undefined;
    }
    this.#hasReturned = true;
    if (isUnwanted) {
      this.#learn(watched, nowMs);
      this.#stage = 'over';
    }
    return this.#defaults?.parametersFor(this.#options.smoothnessRatio);
  }

  /** From here on it is another session, of which nobody knows how it would have begun: under the defaults, and nothing is learned of it. */
  onSmoothness(): void {
    this.#stage = 'over';
  }

  onEnded(watched: Watched, nowMs: number): void {
    const { learner, group, smoothnessRatio } = this.#options;
    const reported = watched.meter.reportedOutcome(nowMs);
    if (reported !== undefined && reported.seconds >= JUDGED_MIN_S) {
      const { networkClass, features } = this.#choice ?? {};
      learner.noteSession(group, { networkClass, features, outcome: reported, smoothnessRatio });
    }
    this.#learn(watched, nowMs);
    this.#stage = 'over';
  }

  get #defaults(): Arm | undefined {
    const choice = this.#choice;
    return choice === undefined ? undefined : this.#options.learner.armsOf(choice.networkClass)[0];
  }

  #choose({ link, meter }: Watched, nowMs: number): Parameters | undefined {
    const { learner, group, smoothnessRatio, pinned } = this.#options;
    const features = link.features(smoothnessRatio);
    const networkClass = link.networkClass(meter.lowestBps);
    if (features === undefined || networkClass === undefined) {
      return undefined;
    }
    const arms = learner.armsOf(networkClass);
    const name = group === 'learning' ? pinned() : DEFAULTS_NAME;
    const arm =
      name === undefined
        ? learner.choose(networkClass, features)
        : (arms.find((candidate) => candidate.name === name) ?? arms[0]);
    if (arm === undefined) {
      return undefined;
    }
    this.#choice = { networkClass, features, arm, atMs: nowMs };
    this.#stage = 'settling';
    return arm === arms[0] ? undefined : arm.parametersFor(smoothnessRatio);
  }

  /**
   * Once a session. Under the defaults too: that is what other arms' aborts are held against. The arm goes on answering for what follows: judged up to
   * its worst moment alone it would be worse than it is, and an arm with its abort is what viewers get.
   */
  #countIfBad({ networkClass, arm }: Choice, { meter }: Watched, nowMs: number): boolean {
    if (this.#stage !== 'judged' || this.#isBad || this.#options.group === 'gcc') {
      return false;
    }
    const stalledMs = meter.stalledMs(nowMs);
    this.#window.push({ atMs: nowMs, stalledMs });
    while ((this.#window[0]?.atMs ?? nowMs) < nowMs - ABORT_WINDOW_MS) {
      this.#window.shift();
    }
    const ofLateMs = stalledMs - (this.#window[0]?.stalledMs ?? stalledMs);
    this.#isBad = ofLateMs > ABORT_STALL_RATIO[networkClass] * ABORT_WINDOW_MS;
    if (this.#isBad) {
      this.#options.learner.noteAbort(networkClass, arm.id);
    }
    return this.#isBad;
  }

  /** What the twin has seen of the arm, if the player has seen the same. */
  #learn({ meter }: Watched, nowMs: number): void {
    const { learner, group, smoothnessRatio } = this.#options;
    const choice = this.#choice;
    if (this.#stage !== 'judged' || choice === undefined || group === 'gcc') {
      return;
    }
    const outcome = meter.outcome(nowMs);
    if (outcome === undefined || outcome.seconds < JUDGED_MIN_S) {
      learner.noteRefused('short');
    } else if (!meter.isReported(nowMs)) {
      learner.noteRefused('unreported');
    } else if (meter.isContradicted) {
      learner.noteRefused('contradicted');
    } else {
      const { networkClass, features, arm } = choice;
      const { seconds, stallRatio } = outcome;
      const utility = utilityOf(outcome, smoothnessRatio);
      learner.learn(networkClass, arm.id, { features, utility, logStall: logStallOf(stallRatio), seconds });
    }
  }
}
