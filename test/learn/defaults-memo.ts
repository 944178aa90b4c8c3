/** Sessions of the defaults are asked for again and again: by each generation on the highest rung, by the final. Played once, kept, bounded. */
import type { EpisodeJob, Outcome } from './episode.ts';

export class DefaultsMemo {
  readonly #play: (jobs: readonly EpisodeJob[]) => Promise<Outcome[]>;
  readonly #maxCount: number;
  readonly #known = new Map<string, Outcome>();

  /** `maxCount`: with more, those known longest are forgotten. */
  constructor(play: (jobs: readonly EpisodeJob[]) => Promise<Outcome[]>, maxCount: number) {
    this.#play = play;
    this.#maxCount = maxCount;
  }

  /** Outcomes in the order of the jobs. */
  async play(jobs: readonly EpisodeJob[]): Promise<Outcome[]> {
    const keys = jobs.map(keyOf);
    const known = keys.map((key) => (key === undefined ? undefined : this.#known.get(key)));
    const fresh = jobs.flatMap((job, index) => (known[index] === undefined ? [{ job, index }] : []));
    const played = await this.#play(fresh.map(({ job }) => job));
    const outcomes = [...known];
    fresh.forEach(({ index }, place) => {
      outcomes[index] = played[place]!;
      this.#keep(keys[index], played[place]!);
    });
    return outcomes as Outcome[];
  }

  #keep(key: string | undefined, outcome: Outcome): void {
    if (key === undefined) {
      return;
    }
    this.#known.set(key, outcome);
    if (this.#known.size > this.#maxCount) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest!);
    }
  }
}

/** Undefined: not of the defaults. */
const keyOf = ({ episode, parameters, smoothnessRatio }: EpisodeJob): string | undefined =>
  Object.keys(parameters).length === 0 ? JSON.stringify([episode, smoothnessRatio]) : undefined;
