/** Runs a scenario or a trace and keeps what a plot and a few sentences need. */
import type { LinkModelOptions } from '../latency/link/link-model.ts';
import { makeCheckers } from './checkers.ts';
import type { LadderOptions } from './ladder-source.ts';
import { LADDERS, LADDER_DEFAULT } from './ladder-source.ts';
import type { Policy } from './policies.ts';
import type { Scenario, Window } from './scenarios.ts';
import type { RunResult } from './sim-viewer.ts';
import { runViewer } from './viewer-run.ts';

export const SAMPLE_EVERY_MS = 100;
const RUNG_COUNT = 4;
const QUEUE_MIN_BYTES = 15_000;
const UP_LOSS_RATIO = 0.002;

/** Columns of one run, a row each tenth of a second. */
export type Series = {
  readonly capacityBps: number[];
  readonly estimateBps: number[];
  readonly rungIndex: number[];
  readonly playoutDelayMs: number[];
  readonly queueMs: number[];
};

export type Watched = {
  readonly result: RunResult;
  readonly ladder: LadderOptions;
  readonly series: Series;
  readonly faults: readonly string[];
};

export type LinkPair = {
  readonly down: LinkModelOptions;
  readonly up: LinkModelOptions;
  readonly feedbackEveryMs?: number;
};

export const watch = (
  link: LinkPair,
  policy: Policy,
  run: { seed: number; durationMs: number; ladder: LadderOptions },
): Watched => {
  const series: Series = { capacityBps: [], estimateBps: [], rungIndex: [], playoutDelayMs: [], queueMs: [] };
  const checkers = makeCheckers({ rungCount: RUNG_COUNT, isOurs: policy.name === 'ours' });
  const result = runViewer({
    ...link,
    ...run,
    sender: policy.sender,
    makeController: policy.makeController,
    sampleEveryMs: SAMPLE_EVERY_MS,
    onSample: (sample) => {
      checkers.onSample(sample);
      const { nowMs, sender, down } = sample;
      const capacityBps = down.capacityBps(nowMs, nowMs + SAMPLE_EVERY_MS) ?? Number.NaN;
      series.capacityBps.push(capacityBps);
      series.estimateBps.push(sender.decision?.estimateBps ?? 0);
      series.rungIndex.push(sender.rungIndex);
      series.playoutDelayMs.push(sender.decision?.playoutDelayMs ?? Number.NaN);
      series.queueMs.push((down.queueBytes(nowMs) * 8_000) / Math.max(capacityBps, 100_000));
    },
  });
  return { result, ladder: run.ladder, series, faults: checkers.faults };
};

export const ladderOf = ({ ladder }: Scenario): LadderOptions => LADDERS[ladder ?? 'busy'] ?? LADDER_DEFAULT;

export const durationOf = ({ steps }: Scenario): number => steps.reduce((sum, { forMs }) => sum + forMs, 0);

export const linkOfScenario = (scenario: Scenario): LinkPair => {
  const durationMs = durationOf(scenario);
  const bits = scenario.steps.reduce((sum, { forMs, rateBps }) => sum + forMs * rateBps, 0);
  const queueMaxBytes = Math.max(QUEUE_MIN_BYTES, Math.round(((bits / durationMs) * scenario.queueMs) / 8_000));
  const shared = {
    delayMs: scenario.rttMs / 2,
    reorderRatio: 0,
    reorderMaxCount: 3,
  };
  return {
    down: {
      ...shared,
      capacity: {
        steps: scenario.steps.map(({ forMs, rateBps }) => ({ durationMs: forMs, rateBps })),
        isLooped: false,
      },
      queueMaxBytes,
      jitterMs: scenario.jitterMs ?? 0,
      lossRatio: scenario.lossRatio ?? 0,
      lossBurstCount: scenario.lossBurstCount,
    },
    up: {
      ...shared,
      capacity: undefined,
      queueMaxBytes: Infinity,
      jitterMs: (scenario.jitterMs ?? 0) / 2,
      lossRatio: UP_LOSS_RATIO,
      lossBurstCount: undefined,
    },
  };
};

/** What was seen in each step. */
export const windowsOf = (scenario: Scenario, { result, series }: Watched): Window[] => {
  let fromMs = 0;
  return scenario.steps.map(({ forMs }) => {
    const toMs = fromMs + forMs;
    const lastIndex = Math.min(series.rungIndex.length, Math.floor(toMs / SAMPLE_EVERY_MS)) - 1;
    const halfIndex = Math.floor((fromMs + forMs / 2) / SAMPLE_EVERY_MS);
    const stallMs = result.stalls.reduce(
      (sum, stall) => sum + Math.max(0, Math.min(toMs, stall.toMs) - Math.max(fromMs, stall.fromMs)),
      0,
    );
    fromMs = toMs;
    const delayMs = series.playoutDelayMs[lastIndex];
    return {
      estimateBps: series.estimateBps[lastIndex] ?? 0,
      rungIndex: series.rungIndex[lastIndex] ?? 0,
      playoutDelayMs: delayMs === undefined || Number.isNaN(delayMs) ? undefined : delayMs,
      queueMs: Math.max(0, ...series.queueMs.slice(halfIndex, lastIndex + 1)),
      stallMs,
      latencyP50Ms: result.score.latencyP50Ms,
    };
  });
};
