/** What the person at the terminal sees while the lab runs: a line before and after each run, with the time that is left. */
import type { Progress } from './lab.ts';
import type { RunResult } from './results.ts';

/** `write` takes whole lines; `nowMs` is any monotonic clock. */
export const tellProgress = (write: (line: string) => void, nowMs: () => number): Progress => {
  const startedAtMs = nowMs();
  return {
    runStarts: (run, { doneCount, leftCount }) => {
      const left =
        doneCount === 0 ? '' : `, about ${leftWords(((nowMs() - startedAtMs) / doneCount) * leftCount)} left`;
      const place = `${doneCount + 1}/${doneCount + leftCount}${left}`;
      write(`[${place}] ${run.scenarioName} · ${run.targetName} · run ${run.repeatIndex + 1}`);
    },
    runEnded: (result, isRepeated) => write(`    ${outcomeWords(result)}${isRepeated ? '; once more' : ''}`),
  };
};

const leftWords = (leftMs: number): string => {
  const minutes = leftMs / 60_000;
  if (minutes < 1) {
    return `${Math.ceil(leftMs / 1_000)} s`;
  }
  return minutes < 90 ? `${Math.ceil(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
};

const outcomeWords = ({ error, viewer, isSourceLate, isViewerStarved, sourceLateMaxMs }: RunResult): string => {
  if (error !== null || viewer === null) {
    return `failed: ${(error ?? 'nothing was measured').split('\n')[0]}`;
  }
  const { latencyMs, joinMs } = viewer;
  if (joinMs === null || latencyMs === null) {
    return `no picture: ${viewer.failure ?? 'no stamp could be read'}`;
  }
  const lateness = sourceLateMaxMs === null ? 'very' : `${sourceLateMaxMs.toFixed(0)} ms`;
  const late = isSourceLate ? `; the source was ${lateness} late` : '';
  const starved = isViewerStarved ? '; the viewer lacked CPU' : '';
  const stalled = (viewer.stallRatio * 100).toFixed(1);
  return `latency ${latencyMs.p50.toFixed(0)} ms (95 %: ${latencyMs.p95.toFixed(0)} ms), stalled ${stalled} %, join ${joinMs.toFixed(0)} ms${late}${starved}`;
};
