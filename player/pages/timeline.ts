/** The last minutes of one viewer, as lines over time: what was decided for it, or held by its player, and what it saw. */
import type { SessionDetail } from '../../server/api/contract/sessions.ts';
import { make } from './elements.ts';
import type { LinePlot, TimeAxis } from './plots.ts';
import { plotFigure } from './plot-figure.ts';
import { latencyWords } from './plots.ts';

const SPAN_MIN_S = 60;

export const timelineFigures = (detail: SessionDetail, widthPx: number): HTMLElement[] => {
  const axis = axisOf(detail, widthPx);
  const plots = detail.transport === 'whep' ? whepPlots(detail) : hlsPlots(detail);
  return [
    ...plots.map((plot) => plotFigure(plot, axis)),
    make('figure', 'plot', make('figcaption', '', 'Rendition'), renditionStrip(detail.timeline.renditionId, axis)),
  ];
};

const axisOf = ({ timeline: { atMs }, endedAtWallMs, durationMs }: SessionDetail, widthPx: number): TimeAxis => {
  const endMs = Math.max(durationMs, atMs.at(-1) ?? 0);
  const seconds = Math.max(SPAN_MIN_S, Math.ceil((endMs - (atMs[0] ?? endMs)) / 1_000));
  const isOver = endedAtWallMs !== null;
  const startWords = `${seconds} s ${isOver ? 'before' : 'ago'}`;
  return { atMs, endMs, seconds, startWords, endWords: isOver ? 'left' : 'now', widthPx };
};

const rateWords = (bps: number): string => `${bps / 1e6} Mbit/s`;

const whepPlots = ({ timeline }: SessionDetail): LinePlot[] => [
  {
    title: 'What the link is believed to carry, and what was sent',
    unitText: rateWords,
    lines: [
      { name: 'estimate', values: timeline.estimateBps, style: 'first' },
      { name: 'sent', values: timeline.sentBps, style: 'second' },
    ],
  },
  {
    title: 'How long pictures wait, how long they would have to, and what stands in queues',
    unitText: latencyWords,
    lines: [
      { name: 'playout delay', values: timeline.playoutDelayMs, style: 'first' },
      { name: 'need', values: timeline.needMs, style: 'third' },
      { name: 'queue', values: timeline.queueDelayMs, style: 'second' },
    ],
  },
  {
    title: 'From camera to glass, and time stood still',
    unitText: latencyWords,
    lines: [
      { name: 'latency', values: timeline.latencyMs, style: 'first' },
      { name: 'stood still', values: timeline.frozenMs, style: 'bars' },
    ],
  },
];

const hlsPlots = ({ timeline }: SessionDetail): LinePlot[] => [
  {
    title: 'What its player measures of the network',
    unitText: rateWords,
    lines: [{ name: 'bandwidth', values: timeline.estimateBps, style: 'first' }],
  },
  {
    title: 'From camera to glass, what the player aims at, and time stood still',
    unitText: latencyWords,
    lines: [
      { name: 'latency', values: timeline.latencyMs, style: 'first' },
      { name: 'target', values: timeline.targetLatencyMs, style: 'second' },
      { name: 'stood still', values: timeline.frozenMs, style: 'bars' },
    ],
  },
];

/** Runs of the same rendition, as one strip. */
const renditionStrip = (ids: readonly string[], { atMs, endMs, seconds }: TimeAxis): HTMLElement => {
  const runs: { id: string; fromMs: number }[] = [];
  ids.forEach((id, index) => {
    if (runs.at(-1)?.id !== id) {
      runs.push({ id, fromMs: atMs[index] ?? 0 });
    }
  });
  const blank = make('span', 'blank');
  blank.style.flexGrow = String(Math.max(0, 1_000 * seconds - endMs + (runs[0]?.fromMs ?? endMs)));
  const parts = runs.map(({ id, fromMs }, index) => {
    const lastedMs = (runs[index + 1]?.fromMs ?? endMs) - fromMs;
    const part = make('span', '', id === '' ? 'none' : id);
    part.style.flexGrow = String(lastedMs);
    part.title = `${id}, ${Math.round(lastedMs / 1_000)} s`;
    return part;
  });
  return make('div', 'strip', blank, ...parts);
};
