/** How much each parameter alone moves the utility of a session, to both sides of its default: which are worth a search. */
import { decode, encode } from '../../server/congestion/learned/coding.ts';
import type { Parameters } from '../../server/congestion/parameters.ts';
import { PARAMETER_RANGES } from '../../server/congestion/parameters.ts';
import type { Episode, EpisodeJob, Outcome } from './episode.ts';

const STEPS = [-0.3, -0.15, 0.15, 0.3];

export type Sensitivity = {
  readonly name: keyof Parameters;
  /** Mean over episodes of |utility − utility of the defaults|, of the step that moves it most. */
  readonly moved: number;
  /** The best of the steps, and its mean gain. */
  readonly bestValue: number;
  readonly bestGain: number;
};

/** Most sensitive first. */
export const sensitivities = async (
  episodes: readonly Episode[],
  smoothnessRatio: number,
  play: (jobs: EpisodeJob[]) => Promise<Outcome[]>,
): Promise<Sensitivity[]> => {
  const utilities = async (parameters: Partial<Parameters>): Promise<number[]> => {
    const outcomes = await play(episodes.map((episode) => ({ episode, parameters, smoothnessRatio })));
    return outcomes.map(({ utility }) => utility);
  };
  const defaults = await utilities({});
  const found: Sensitivity[] = [];
  for (const name of Object.keys(PARAMETER_RANGES) as (keyof Parameters)[]) {
    const start = encode(name, PARAMETER_RANGES[name].default);
    let most: Sensitivity = { name, moved: 0, bestValue: PARAMETER_RANGES[name].default, bestGain: 0 };
    for (const step of STEPS.filter((length) => start + length >= 0 && start + length <= 1)) {
      const value = decode(name, start + step);
      const gains = (await utilities({ [name]: value })).map((utility, index) => utility - defaults[index]!);
      const gain = meanOf(gains);
      most = {
        name,
        moved: Math.max(most.moved, meanOf(gains.map(Math.abs))),
        bestValue: gain > most.bestGain ? value : most.bestValue,
        bestGain: Math.max(most.bestGain, gain),
      };
    }
    found.push(most);
  }
  return found.sort((a, b) => b.moved - a.moved);
};

export const tellSensitivity = ({ name, moved, bestValue, bestGain }: Sensitivity): string =>
  `${name.padEnd(22)} ${(1000 * moved).toFixed(1).padStart(6)} ‰   best alone ${bestValue} ${PARAMETER_RANGES[name].unit} (${(1000 * bestGain).toFixed(1)} ‰)`;

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
