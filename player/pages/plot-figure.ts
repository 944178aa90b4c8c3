/** Curves with what they are above them. */
import { make } from './elements.ts';
import type { LinePlot, TimeAxis } from './plots.ts';
import { linePlot } from './plots.ts';

/** `newestWords`: what they say now, beside the title and to screen readers. */
export const plotFigure = (plot: LinePlot, axis: TimeAxis, newestWords = ''): HTMLElement => {
  const named = plot.lines.filter(({ name }) => name !== '');
  const legend = named.map(({ name, style }) => make('span', style, name));
  const caption = make(
    'figcaption',
    '',
    plot.title,
    ...(newestWords === '' ? [] : [make('strong', '', newestWords)]),
    ...(legend.length === 0 ? [] : [make('span', 'legend', ...legend)]),
  );
  const title = newestWords === '' ? plot.title : `${plot.title}: ${newestWords}`;
  return make('figure', 'plot', caption, linePlot({ ...plot, title }, axis));
};
