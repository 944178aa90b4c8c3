/** Sessions for the learner's tests: networks, lessons, a twin and a guided session that the test tells what happens. */
import type { Decision } from '../../server/congestion/controller.ts';
import type { Features } from '../../server/congestion/learned/link-features.ts';
import { FEATURE_COUNT, LinkFeatures } from '../../server/congestion/learned/link-features.ts';
import { SessionMeter } from '../../server/congestion/learned/session-meter.ts';
import type { Prng } from '../../server/base/prng.ts';
import type { Lesson } from '../../server/learning/arm-sums.ts';
import { Learner } from '../../server/learning/learner.ts';
import { emptyState } from '../../server/learning/learner-state.ts';
import type { SessionGuideOptions } from '../../server/learning/session-guide.ts';
import { SessionGuide } from '../../server/learning/session-guide.ts';

export const MIDDLING: Features = Array.from({ length: FEATURE_COUNT }, (_, index) => (index === 0 ? 1 : 0));

export const someFeatures = (prng: Prng): Features =>
  MIDDLING.map((one, index) => (index === 0 ? one : 2 * prng.nextRatio() - 1));

export const lesson = (changes: Partial<Lesson> = {}): Lesson => ({
  features: MIDDLING,
  utility: 0.5,
  logStall: -5,
  seconds: 60,
  ...changes,
});

export const newLearner = (prng: Prng): Learner =>
  new Learner({ policies: [], state: emptyState(0), nextRatio: () => prng.nextRatio() });

const DECISION: Decision = {
  renditionIndex: 0,
  isGopCut: false,
  isBacklogDropped: false,
  paceBps: 1e6,
  burstBytes: 5_000,
  playoutDelayMs: 80,
  probe: undefined,
  estimateBps: 3_500_000,
  queueDelayMs: 5,
  rttMs: 50,
  nextAtMs: 0,
};
const OFFER = {
  renditions: [{ bitrateBps: 600_000, keyframeBytes: 12_000, qualityRatio: 0.5 }],
  gopMs: 1_000,
  frameIntervalMs: 1000 / 30,
};
const PACKETS = { baseSeqExt: 0, count: 100, arrivedMs: Array.from({ length: 100 }, (_, index) => index) };

/** A viewer of a calm link, second by second; stalls are what the test says, by the twin and by the player. */
export class ToldSession {
  readonly twin = { freezeMs: 0, freezeCount: 0, lastNeedMs: 40, shownAtMs: 0 };
  readonly meter = new SessionMeter(this.twin);
  readonly link = new LinkFeatures();
  readonly guide: SessionGuide;
  /** What the guide asked for, in order. */
  readonly retuned: object[] = [];
  nowMs = 0;

  constructor(options: Omit<SessionGuideOptions, 'smoothnessRatio'>) {
    this.guide = new SessionGuide({ smoothnessRatio: 0.5, ...options });
    this.guide.onJoined(0);
  }

  /** `stallMs`: by the twin, in each second; `reportedMs`: by the player; undefined: it says nothing. */
  run(seconds: number, { stallMs = 0, reportedMs }: { stallMs?: number; reportedMs?: number | undefined } = {}): void {
    for (let second = 0; second < seconds; second += 1) {
      this.nowMs += 1_000;
      this.twin.shownAtMs += 1_000;
      this.twin.freezeMs += stallMs;
      this.meter.onGop(OFFER, this.nowMs);
      this.meter.onPicture(
        { firstSeqExt: 0, packetCount: 1, isKeyframe: true, stampMs: 0, arrivedAtMs: this.nowMs, renditionIndex: 0 },
        this.nowMs,
      );
      this.link.onFeedback(PACKETS, this.nowMs - 500);
      this.link.onFeedback(PACKETS, this.nowMs);
      this.link.sample(DECISION);
      this.meter.look(DECISION, this.nowMs);
      if (reportedMs !== undefined) {
        this.meter.onPlayerReport(
          {
            intervalMs: 1_000,
            freezeCount: reportedMs > 0 ? 1 : 0,
            freezeMs: reportedMs,
            framesDecoded: 30,
            framesDropped: 0,
            bufferDelayMs: 40,
            receivedBps: 1e6,
          },
          this.nowMs,
        );
      }
      const parameters = this.guide.onLook(this, this.nowMs);
      if (parameters !== undefined) {
        this.retuned.push(parameters);
      }
    }
  }

  end(): void {
    this.guide.onEnded(this, this.nowMs);
  }
}
