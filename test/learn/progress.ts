/** One line about where a search stands: redrawn on a terminal, a line a generation elsewhere. */

export type Standing = {
  readonly restartIndex: number;
  readonly restartMaxCount: number;
  readonly generation: number;
  readonly generationMaxCount: number;
  readonly bestValue: number | undefined;
  readonly spread: number;
  /** Part of the time or of the generations that is over, whichever ends first. */
  readonly doneRatio: number;
  readonly leftMs: number | undefined;
};

const BAR_WIDTH = 24;

export const progressLine = (standing: Standing): string => {
  const filled = Math.round(BAR_WIDTH * Math.min(1, Math.max(0, standing.doneRatio)));
  const bar = `${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}`;
  const best = standing.bestValue === undefined ? '–' : signed(standing.bestValue);
  const left = standing.leftMs === undefined ? '…' : timeText(standing.leftMs);
  return (
    `[${bar}] start ${standing.restartIndex + 1}/${standing.restartMaxCount}, ` +
    `generation ${standing.generation}/${standing.generationMaxCount}, best ${best}, spread ${standing.spread.toFixed(3)}, ${left} left`
  );
};

const signed = (value: number): string => `${value >= 0 ? '+' : ''}${value.toFixed(4)}`;

const timeText = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
};
