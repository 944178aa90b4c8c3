/** One simulated session of the search: which link, which luck, how long, and what is kept of it. Plain data, so that it crosses threads. */
import type { Parameters } from '../../server/congestion/parameters.ts';
import type { Trace } from '../sim/corpus.ts';
import { linkOf } from '../sim/corpus.ts';
import { ours } from '../sim/policies.ts';
import { utilityOf } from '../sim/score.ts';
import { runViewer } from '../sim/viewer-run.ts';
import { randomise } from './randomise.ts';

export type Episode = {
  readonly traceIndex: number;
  readonly seed: number;
  readonly durationMs: number;
  /** Domain randomisation on top of what the trace's class adds. */
  readonly isRandomised: boolean;
};

/** No parameters: the defaults. */
export type EpisodeJob = {
  readonly episode: Episode;
  readonly parameters: Partial<Parameters>;
  readonly smoothnessRatio: number;
};

export type Outcome = {
  readonly utility: number;
  readonly stallRatio: number;
  readonly freezesPerMinute: number;
  readonly qualityRatio: number;
  readonly latencyP50Ms: number;
  readonly latencyP95Ms: number;
  /** Of all bytes but sound. */
  readonly probeRatio: number;
  /** Medians of the session after its first seconds: what a prior for the next one would have been. */
  readonly estimateBps: number;
  readonly playoutDelayMs: number;
};

const SAMPLE_EVERY_MS = 500;
const SETTLE_MS = 5_000;

export const playEpisode = (
  { episode, parameters, smoothnessRatio }: EpisodeJob,
  traces: readonly Trace[],
): Outcome => {
  const trace = traces[episode.traceIndex];
  if (trace === undefined) {
    throw new TypeError(`episode: no trace ${episode.traceIndex} among ${traces.length}`);
  }
  const { seed, durationMs } = episode;
  const world = episode.isRandomised ? randomise(trace, seed) : linkOf(trace, seed);
  const policy = ours(smoothnessRatio, { parameters });
  const estimates: number[] = [];
  const delays: number[] = [];
  const { score, bytes } = runViewer({
    seed,
    durationMs,
    ...world,
    sender: policy.sender,
    makeController: policy.makeController,
    sampleEveryMs: SAMPLE_EVERY_MS,
    onSample: ({ nowMs, sender }) => {
      if (nowMs >= SETTLE_MS && sender.decision !== undefined) {
        estimates.push(sender.decision.estimateBps);
        delays.push(sender.decision.playoutDelayMs ?? 0);
      }
    },
  });
  return {
    utility: utilityOf(score, smoothnessRatio),
    stallRatio: score.stallRatio,
    freezesPerMinute: score.freezesPerMinute,
    qualityRatio: score.qualityRatio,
    latencyP50Ms: score.latencyP50Ms,
    latencyP95Ms: score.latencyP95Ms,
    probeRatio: bytes.probe / Math.max(1, bytes.video + bytes.rtx + bytes.probe),
    estimateBps: medianOf(estimates),
    playoutDelayMs: medianOf(delays),
  };
};

/** 0 for a session that never settled. */
const medianOf = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
