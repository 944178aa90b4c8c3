/** The front page: what is live now, and how to go live. */
import type { BroadcastSummary } from '../../server/api/contract/socket.ts';
import { fetchBroadcasts, pollWhileVisible, sourceText, STATE_TEXTS, viewersText } from './broadcasts.ts';
import { offerCopying } from './copying.ts';
import { byId, make, setText } from './elements.ts';

const POLL_EVERY_MS = 3000;

const cards = byId('cards');
const trouble = byId('trouble');
let shownJson = '';

const card = (broadcast: BroadcastSummary): HTMLElement => {
  const link = make(
    'a',
    'card',
    make(
      'span',
      'line',
      make('span', `state ${broadcast.state}`, STATE_TEXTS[broadcast.state]),
      make('span', '', viewersText(broadcast.viewerCount)),
    ),
    make('strong', '', broadcast.name),
    make('span', 'line', broadcast.state === 'waiting' ? 'No picture yet' : sourceText(broadcast)),
    make('span', 'go', 'Watch'),
  );
  link.setAttribute('href', `/watch/${broadcast.name}`);
  return make('li', '', link);
};

/** Rebuilds only on change, so that focus and hover survive the polling. */
const show = (broadcasts: readonly BroadcastSummary[]): void => {
  const listed = broadcasts.filter(({ state }) => state !== 'absent' && state !== 'ended');
  const json = JSON.stringify(listed.map((one) => [one.name, one.state, one.viewerCount, sourceText(one)]));
  byId('empty').hidden = listed.length > 0;
  if (json !== shownJson) {
    shownJson = json;
    cards.replaceChildren(...listed.map(card));
  }
};

const refresh = async (): Promise<void> => {
  try {
    show(await fetchBroadcasts());
    trouble.hidden = true;
  } catch {
    setText(trouble, 'The server does not answer just now. Trying again…');
    trouble.hidden = false;
  }
};

setText(byId('rtmp-server'), `rtmp://${location.hostname}:1935/live`);
document
  .querySelectorAll<HTMLButtonElement>('button.copy')
  .forEach((button) => offerCopying(button, () => byId(button.dataset['copies'] ?? '').textContent ?? ''));
pollWhileVisible(POLL_EVERY_MS, refresh);
