/** A learner as it is after some thousand sessions: production's own, over links of the search part, one session after the other. */
import { writeState } from '../../../server/learning/learner-state.ts';
import type { ClassReport } from '../../../server/learning/learner.ts';
import { RandomStream } from '../../latency/link/random-streams.ts';
import type { Trace } from '../../sim/corpus.ts';
import { drawEpisodes, sourceOf } from '../episode-source.ts';
import { playSession } from '../month-session.ts';
import { randomise } from '../randomise.ts';
import type { Knowledge } from './sessions.ts';
import { learnerWith } from './sessions.ts';

export type WarmOptions = {
  readonly policies: Knowledge['policies'];
  readonly sessionCount: number;
  readonly durationMs: number;
  readonly seed: number;
  readonly onProgress?: (doneRatio: number) => void;
};

export type Warmed = {
  readonly knowledge: Knowledge;
  readonly classes: readonly ClassReport[];
  readonly sessionCount: number;
};

/** More links than the search has: 64 kinds of luck a recording. */
const SEEDS = Array.from({ length: 64 }, (_, index) => 1 + index);
const SYNTHETIC_RATIO = 1 / 3;

/** Synchronous: each session begins with what the one before has taught. */
export const warmUp = (traces: readonly Trace[], options: WarmOptions): Warmed => {
  const { policies, sessionCount, durationMs, seed, onProgress } = options;
  const luck = new RandomStream(seed, 'report/warm');
  const learner = learnerWith({ stateText: undefined, policies }, (counter) => luck.ratio(counter));
  const source = sourceOf(traces, { networkClass: 'all', split: 'search', seeds: SEEDS, isRandomised: true });
  const isEmpty = source.real.length + source.synthetic.length === 0;
  const episodes = isEmpty
    ? []
    : drawEpisodes(source, {
        ...{ count: sessionCount, durationMs, syntheticRatio: SYNTHETIC_RATIO },
        stream: new RandomStream(seed, 'report/warm-links'),
      });
  shuffled(episodes, new RandomStream(seed, 'report/warm-order')).forEach(({ traceIndex, seed: luckOfLink }, index) => {
    const world = randomise(traces[traceIndex]!, luckOfLink);
    playSession({ world, seed: luckOfLink, durationMs, group: 'learning', learner });
    onProgress?.((index + 1) / episodes.length);
  });
  return {
    knowledge: { stateText: writeState(learner.state, learner.armIds), policies },
    classes: learner.report(),
    sessionCount: episodes.length,
  };
};

/** Real and synthetic links mixed. */
const shuffled = <Item>(items: readonly Item[], stream: RandomStream): Item[] =>
  items
    .map((item, index) => ({ item, order: stream.ratio(index) }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
