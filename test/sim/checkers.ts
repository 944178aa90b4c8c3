/** What must hold at every moment of every run, whoever controls it: looked at after each step (STYLE 7). */
import { PARAMETER_RANGES } from '../../server/congestion/parameters.ts';
import { PICTURE_MAX_COUNT, REPAIR_MAX_COUNT } from '../../server/congestion/send-queue.ts';
import type { Sample } from './viewer-run.ts';

/** A playout delay grows by no more at once, nor sooner than a fifth of a second later (CONGESTION 4.6). */
const RISE_MAX_MS = 150;
/** Samples are a tenth of a second apart, so two rises may lie between three. */
const SAMPLE_EVERY_MS = 100;

export type Checkers = {
  /** Each fault once, with its time. */
  readonly faults: string[];
  onSample(sample: Sample): void;
};

export const makeCheckers = (options: { rungCount: number; isOurs: boolean }): Checkers => {
  const faults: string[] = [];
  let lastDelayMs: number | undefined;
  const check = (isTrue: boolean, text: string, nowMs: number): void => {
    if (!isTrue && !faults.some((fault) => fault.startsWith(text))) {
      faults.push(`${text} (at ${(nowMs / 1000).toFixed(1)} s)`);
    }
  };
  return {
    faults,
    onSample: ({ nowMs, sender, down }) => {
      const decision = sender.decision;
      if (decision === undefined) {
        return;
      }
      const { renditionIndex, paceBps, burstBytes, playoutDelayMs, estimateBps, nextAtMs } = decision;
      check(renditionIndex >= 0 && renditionIndex < options.rungCount, 'rendition out of the ladder', nowMs);
      check(paceBps > 0 && burstBytes >= 0 && estimateBps >= 0, 'a rate below nothing', nowMs);
      check(nextAtMs > nowMs - SAMPLE_EVERY_MS, 'deadline missed', nowMs);
      check(sender.queue.pictureCount <= PICTURE_MAX_COUNT, 'send queue above its cap', nowMs);
      check(sender.queue.backlogBytes >= 0, 'backlog below nothing', nowMs);
      check(sender.queue.repairCount <= REPAIR_MAX_COUNT, 'repairs above their cap', nowMs);
      const counts = down.counts();
      const underWay = counts.inCount - counts.deliveredCount - counts.droppedByQueueCount - counts.droppedByLossCount;
      check(underWay >= 0, 'more came out of the link than went in', nowMs);
      if (options.isOurs && playoutDelayMs !== undefined) {
        const { min } = PARAMETER_RANGES.playoutMinMs;
        const { max } = PARAMETER_RANGES.playoutMaxMs;
        check(playoutDelayMs >= min && playoutDelayMs <= max, 'playout delay out of its range', nowMs);
        check(playoutDelayMs - (lastDelayMs ?? playoutDelayMs) <= RISE_MAX_MS + 10, 'playout delay leapt', nowMs);
        lastDelayMs = playoutDelayMs;
      }
    },
  };
};
