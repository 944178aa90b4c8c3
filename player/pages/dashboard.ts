/** The engineer's page: latency against stutter of all viewers, what was learned, and the last minutes of whom one looks at. */
import type { LearningStatus } from '../../server/api/contract/learning.ts';
import type { SessionDetail, SessionSummary } from '../../server/api/contract/sessions.ts';
import { pollWhileVisible } from './broadcasts.ts';
import { byId, make, setText } from './elements.ts';
import { groupEllipses, learnedParts, learningWords } from './learned.ts';
import type { LinePlot } from './plots.ts';
import { latencyWords, linePlot, scatter, stallWords } from './plots.ts';

const POLL_EVERY_MS = 2_000;
/** For as long as the tab is open. */
const KEY_PLACE = 'sluice-admin-key';
/** Who has hardly begun has no latency and no share of anything. */
const SEEN_MIN_MS = 5_000;
const TIMELINE_MIN_S = 60;
const NONE = '–';

const keyForm = byId('key-form') as HTMLFormElement;
const keyInput = byId('key') as HTMLInputElement;
let pickedNumber: number | undefined;

class Refused extends Error {}

/** Throws `Refused` where the key is not the right one. */
const ask = async <Answer>(path: string): Promise<Answer | undefined> => {
  const key = sessionStorage.getItem(KEY_PLACE);
  if (key === null) {
    throw new Refused();
  }
  const answer = await fetch(path, { headers: { authorization: `Bearer ${key}` } });
  if (answer.status === 401) {
    throw new Refused();
  }
  return answer.ok ? ((await answer.json()) as Answer) : undefined;
};

const stallRatioOf = (session: SessionSummary): number | null =>
  session.stallMs === null ? null : Math.min(1, session.stallMs / Math.max(1, session.durationMs));

const durationWords = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
};

const rateWords = (bps: number): string =>
  bps < 1e6 ? `${Math.round(bps / 1e3)} kbit/s` : `${(bps / 1e6).toFixed(1)} Mbit/s`;

const wordsOr = (value: number | null, words: (value: number) => string): string =>
  value === null ? NONE : words(value);

const pick = (number: number): void => {
  pickedNumber = number;
  void refreshTimeline()
    .then(() => byId('timeline-part').scrollIntoView({ behavior: 'smooth' }))
    .catch(() => undefined);
};

const showFrontier = (sessions: readonly SessionSummary[], learning: LearningStatus | undefined): void => {
  const points = sessions.flatMap((session) => {
    const stallRatio = stallRatioOf(session);
    const { latencyMs, number } = session;
    return latencyMs === null || stallRatio === null || session.durationMs < SEEN_MIN_MS
      ? []
      : [
          {
            ...{ latencyMs, stallRatio, label: `Viewer ${number} of ${session.broadcast}` },
            isLive: session.endedAtWallMs === null,
            onPick: () => pick(number),
          },
        ];
  });
  const place = byId('frontier');
  place.replaceChildren(
    scatter({ points, groups: learning === undefined ? [] : groupEllipses(learning) }, place.clientWidth),
  );
};

/** What somebody has opened stays open. */
const showLearned = (learning: LearningStatus | undefined): void => {
  byId('learned-part').hidden = learning === undefined;
  if (learning === undefined) {
    return;
  }
  const place = byId('learned');
  const wereOpen = [...place.children].map((part) => part instanceof HTMLDetailsElement && part.open);
  setText(byId('learned-words'), learningWords(learning));
  const parts = learnedParts(learning);
  parts.forEach((part, index) => {
    (part as HTMLDetailsElement).open = wereOpen[index] === true;
  });
  place.replaceChildren(...parts);
};

const rowOf = (session: SessionSummary): HTMLElement => {
  const button = make('button', 'pick', `#${session.number}`);
  button.setAttribute('type', 'button');
  button.setAttribute('aria-pressed', String(session.number === pickedNumber));
  button.addEventListener('click', () => pick(session.number));
  const { endReason, latencyMs, estimateBps, playoutDelayMs } = session;
  const ended = endReason === null ? '' : ` (${endReason.replaceAll('_', ' ')})`;
  return make(
    'tr',
    session.endedAtWallMs === null ? '' : 'over',
    make('td', '', button),
    make('td', '', session.broadcast),
    make('td', '', durationWords(session.durationMs) + ended),
    make('td', '', session.renditionId ?? NONE),
    make('td', '', wordsOr(latencyMs, latencyWords)),
    make('td', '', wordsOr(stallRatioOf(session), stallWords)),
    make('td', '', `${wordsOr(estimateBps, rateWords)}${session.path === 'tcp' ? ' by TCP' : ''}`),
    make('td', '', wordsOr(playoutDelayMs, latencyWords)),
  );
};

const showViewers = (sessions: readonly SessionSummary[]): void => {
  const liveCount = sessions.filter(({ endedAtWallMs }) => endedAtWallMs === null).length;
  const gone = sessions.length - liveCount;
  setText(
    byId('viewers-words'),
    sessions.length === 0
      ? 'Nobody watches over WebRTC now, and nobody has since the server was started.'
      : `${liveCount} watching now${gone === 0 ? '' : `, and the last ${gone} who left`}. Choose one for its last five minutes.`,
  );
  byId('viewers').hidden = sessions.length === 0;
  byId('viewer-rows').replaceChildren(...sessions.map(rowOf));
};

const plotsOf = ({ timeline }: SessionDetail): LinePlot[] => [
  {
    title: 'What the link is believed to carry, and what was sent',
    unitText: (bps) => `${bps / 1e6} Mbit/s`,
    lines: [
      { name: 'estimate', values: timeline.estimateBps, style: 'first' },
      { name: 'sent', values: timeline.sentBps, style: 'second' },
    ],
  },
  {
    title: 'How long pictures wait, and what stands in queues',
    unitText: latencyWords,
    lines: [
      { name: 'playout delay', values: timeline.playoutDelayMs, style: 'first' },
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

/** Runs of the same rendition, as one strip. */
const renditionStrip = (ids: readonly string[], seconds: number): HTMLElement => {
  const strip = make('div', 'strip');
  const runs: { id: string; count: number }[] = [];
  for (const id of ids) {
    const last = runs.at(-1);
    if (last?.id === id) {
      last.count += 1;
    } else {
      runs.push({ id, count: 1 });
    }
  }
  const blank = make('span', 'blank');
  blank.style.flexGrow = String(Math.max(0, seconds - ids.length));
  strip.append(blank);
  for (const { id, count } of runs) {
    const part = make('span', '', id);
    part.style.flexGrow = String(count);
    part.title = `${id}, ${count} s`;
    strip.append(part);
  }
  return strip;
};

const refreshTimeline = async (): Promise<void> => {
  const detail = pickedNumber === undefined ? undefined : await ask<SessionDetail>(`/api/sessions/${pickedNumber}`);
  byId('timeline-part').hidden = detail === undefined;
  if (detail === undefined) {
    return;
  }
  const { timeline } = detail;
  const seconds = Math.max(TIMELINE_MIN_S, timeline.atMs.length);
  setText(byId('timeline-title'), `Viewer #${detail.number} of ${detail.broadcast}`);
  setText(
    byId('timeline-words'),
    `${detail.endedAtWallMs === null ? 'Watching' : 'Watched'} for ${durationWords(detail.durationMs)}; smoothness ${detail.smoothnessRatio}; round trip ${wordsOr(detail.rttMs, latencyWords)}.`,
  );
  const widthPx = byId('timeline').clientWidth;
  byId('timeline').replaceChildren(
    ...plotsOf(detail).map((plot) =>
      make(
        'figure',
        'plot',
        make(
          'figcaption',
          '',
          plot.title,
          make('span', 'legend', ...plot.lines.map(({ name, style }) => make('span', style, name))),
        ),
        linePlot(plot, { seconds, widthPx }),
      ),
    ),
    make('figure', 'plot', make('figcaption', '', 'Rendition'), renditionStrip(timeline.renditionId, seconds)),
  );
};

const refresh = async (): Promise<void> => {
  try {
    const sessions = (await ask<{ sessions: SessionSummary[] }>('/api/sessions'))?.sessions ?? [];
    keyForm.hidden = true;
    byId('content').hidden = false;
    byId('trouble').hidden = true;
    const learning = await ask<LearningStatus>('/api/learning');
    showFrontier(sessions, learning);
    showLearned(learning);
    showViewers(sessions);
    await refreshTimeline();
  } catch (error) {
    const isRefused = error instanceof Refused;
    const hadKey = sessionStorage.getItem(KEY_PLACE) !== null;
    keyForm.hidden = !isRefused;
    byId('content').hidden = isRefused;
    byId('trouble').hidden = isRefused && !hadKey;
    setText(
      byId('trouble'),
      isRefused
        ? 'That is not the admin key of this server.'
        : 'The server does not answer just now. This page keeps asking.',
    );
    if (isRefused) {
      sessionStorage.removeItem(KEY_PLACE);
    }
  }
};

keyForm.addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY_PLACE, keyInput.value.trim());
  keyInput.value = '';
  void refresh();
});
pollWhileVisible(POLL_EVERY_MS, refresh);
