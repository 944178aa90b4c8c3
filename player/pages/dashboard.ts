/** The engineer's page: latency against stutter of all viewers, what was learned, and the last minutes of whom one looks at. */
import type { LearningStatus } from '../../server/api/contract/learning.ts';
import type { SessionDetail, SessionSummary } from '../../server/api/contract/sessions.ts';
import { pollWhileVisible } from './broadcasts.ts';
import { byId, make, setText } from './elements.ts';
import { showFrontier, stallRatioOf } from './frontier.ts';
import { learnedParts, learningWords } from './learned.ts';
import { latencyWords, stallWords } from './plots.ts';
import { timelineFigures } from './timeline.ts';

const POLL_EVERY_MS = 2_000;
/** For as long as the tab is open. */
const KEY_PLACE = 'sluice-admin-key';
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
  const { endReason, latencyMs, estimateBps, transport } = session;
  const waitMs = transport === 'whep' ? session.playoutDelayMs : session.targetLatencyMs;
  const way = transport === 'll-hls' ? ' by LL-HLS' : session.path === 'tcp' ? ' by TCP' : '';
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
    make('td', '', wordsOr(estimateBps, rateWords) + way),
    make('td', '', wordsOr(waitMs, latencyWords)),
  );
};

const showViewers = (sessions: readonly SessionSummary[]): void => {
  const liveCount = sessions.filter(({ endedAtWallMs }) => endedAtWallMs === null).length;
  const gone = sessions.length - liveCount;
  setText(
    byId('viewers-words'),
    sessions.length === 0
      ? 'Nobody watches now, and nobody has since the server was started.'
      : `${liveCount} watching now${gone === 0 ? '' : `, and the last ${gone} who left`}. Choose one for its last five minutes.`,
  );
  byId('viewers').hidden = sessions.length === 0;
  byId('viewer-rows').replaceChildren(...sessions.map(rowOf));
};

const refreshTimeline = async (): Promise<void> => {
  const detail = pickedNumber === undefined ? undefined : await ask<SessionDetail>(`/api/sessions/${pickedNumber}`);
  byId('timeline-part').hidden = detail === undefined;
  if (detail === undefined) {
    return;
  }
  setText(byId('timeline-title'), `Viewer #${detail.number} of ${detail.broadcast}`);
  setText(
    byId('timeline-words'),
    `${detail.endedAtWallMs === null ? 'Watching' : 'Watched'} for ${durationWords(detail.durationMs)} over ${wayWords(detail)}`,
  );
  const place = byId('timeline');
  place.replaceChildren(...timelineFigures(detail, place.clientWidth));
};

/** Of what the server decides itself it can say more. */
const wayWords = ({ transport, smoothnessRatio, rttMs, networkClass }: SessionDetail): string => {
  if (transport === 'll-hls') {
    return 'LL-HLS, as its player reports every two seconds.';
  }
  const network = networkClass === null ? 'not known yet' : networkClass.replaceAll('|', ' or ');
  return `WebRTC; smoothness ${smoothnessRatio}, round trip ${wordsOr(rttMs, latencyWords)}, network ${network}.`;
};

const refresh = async (): Promise<void> => {
  try {
    const sessions = (await ask<{ sessions: SessionSummary[] }>('/api/sessions'))?.sessions ?? [];
    keyForm.hidden = true;
    byId('content').hidden = false;
    byId('trouble').hidden = true;
    const learning = await ask<LearningStatus>('/api/learning');
    showFrontier({ sessions, learning, onPick: pick });
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
