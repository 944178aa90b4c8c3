/** Successive halving within a generation: many candidates on little, the best of them on more. Pure. */

export type Rung = {
  readonly candidateCount: number;
  readonly episodeCount: number;
  readonly durationMs: number;
};

/**
 * Longer sessions than CONGESTION 4.3 has (30, 60, 120 s), which the simulator's speed pays for: in short ones the start outweighs everything else.
 * A vector that they had chosen gained 0.042 of utility in 30 s, 0.021 in 120 s, 0.002 in 300 s.
 */
export const RUNGS: readonly Rung[] = [
  { candidateCount: 16, episodeCount: 12, durationMs: 60_000 },
  { candidateCount: 4, episodeCount: 16, durationMs: 150_000 },
  { candidateCount: 1, episodeCount: 32, durationMs: 300_000 },
];

/** The same candidates on so many times the episodes: less noise for more time. */
export const widened = (rungs: readonly Rung[], factor: number): Rung[] =>
  rungs.map((rung) => ({ ...rung, episodeCount: Math.round(factor * rung.episodeCount) }));

/** Values of each candidate, one a rung it reached. */
export type Climb = readonly (readonly number[])[];

/** Candidates, best first: by the highest rung reached, then by the value there (what is no number last), then by their place. */
export const rankingOf = (climb: Climb): number[] =>
  climb
    .map((values, candidate) => ({ candidate, height: values.length, value: comparable(values.at(-1)) }))
    .sort((a, b) => b.height - a.height || b.value - a.value || a.candidate - b.candidate)
    .map(({ candidate }) => candidate);

/** Finite, since a comparison of two infinities is none. */
const comparable = (value = Number.NaN): number => (Number.isNaN(value) ? -Number.MAX_VALUE : value);

/** Who goes on to rung `rungIndex`, best first. On the first one everybody does. */
export const climbersOf = (climb: Climb, rungIndex: number, rungs: readonly Rung[] = RUNGS): number[] =>
  rankingOf(climb)
    .filter((candidate) => climb[candidate]?.length === rungIndex)
    .slice(0, rungs[rungIndex]?.candidateCount ?? 0);
