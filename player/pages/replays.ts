/** The library: all replays, newest first, found by name or title. */
import type { ReplaySummary } from '../../server/api/contract/replays.ts';
import type { WatchState } from '../../server/api/contract/socket.ts';
import { clockText } from '../ui/time-text.ts';
import { fetchBroadcasts } from './broadcasts.ts';
import { byId, make, setText } from './elements.ts';
import { dateText, fetchReplays, lengthBadge, sizeText, titleOf } from './replay-data.ts';

const PAGE_COUNT = 24;
/** After the last key. */
const SEARCH_AFTER_MS = 250;

const cards = byId('cards');
const more = byId('more');
const search = byId('search') as HTMLInputElement;
let shownCount = 0;
/** Answers to questions that were followed by others are not shown. */
let askedCount = 0;

/** Made soon after a recording's end. */
const posterOf = (replay: ReplaySummary): HTMLImageElement => {
  const poster = document.createElement('img');
  poster.alt = '';
  poster.loading = 'lazy';
  poster.src = replay.posterUrl;
  poster.addEventListener('error', () => poster.remove());
  return poster;
};

const card = (replay: ReplaySummary, state: WatchState): HTMLElement => {
  const isRunning = replay.state === 'recording';
  const { text, isLive } = lengthBadge(replay, state);
  const length = make('span', isLive ? 'length live' : 'length', text);
  const link = make(
    'a',
    'card replay',
    make('span', 'poster', ...(isRunning ? [] : [posterOf(replay)]), length),
    make('strong', '', titleOf(replay)),
    make('span', 'line', ...(replay.title === '' ? [] : [replay.name]), dateText(replay.startedAtWallMs)),
    make('span', 'line', isRunning ? `${clockText(replay.durationMs)} so far` : sizeText(replay.sizeBytes)),
  );
  link.setAttribute('href', `/replay/${replay.id}`);
  return make('li', '', link);
};

const countText = (count: number, words: string): string => {
  const replays = count === 1 ? '1 replay' : `${count.toLocaleString('en')} replays`;
  return words === '' ? replays : `${replays} for “${words}”`;
};

const showEmpty = (words: string): void => {
  byId('empty').hidden = false;
  setText(byId('empty-title'), words === '' ? 'Nothing has been recorded yet' : 'No replay matches');
  const text = words === '' ? 'Broadcasts appear here while they run, and stay.' : 'Try fewer or other words.';
  setText(byId('empty-text'), text);
};

const load = async (options: { isMore: boolean }): Promise<void> => {
  askedCount += 1;
  const asked = askedCount;
  const words = search.value.trim();
  try {
    const offset = options.isMore ? shownCount : 0;
    const [{ replays, totalCount }, broadcasts] = await Promise.all([
      fetchReplays({ search: words, offset, limit: PAGE_COUNT }),
      fetchBroadcasts(),
    ]);
    const states = new Map(broadcasts.map(({ name, state }) => [name, state]));
    if (asked !== askedCount) {
      return;
    }
    if (!options.isMore) {
      cards.replaceChildren();
    }
    cards.append(...replays.map((replay) => card(replay, states.get(replay.name) ?? 'absent')));
    shownCount = cards.childElementCount;
    more.hidden = shownCount >= totalCount || replays.length === 0;
    byId('trouble').hidden = true;
    byId('empty').hidden = true;
    setText(byId('count'), totalCount === 0 ? '' : countText(totalCount, words));
    if (totalCount === 0) {
      showEmpty(words);
    }
  } catch {
    setText(byId('trouble'), 'The server does not answer just now. Reload the page to try again.');
    byId('trouble').hidden = false;
  }
};

let searchTimer: ReturnType<typeof setTimeout> | undefined;
search.addEventListener('input', () => {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(() => {
    history.replaceState(
      null,
      '',
      search.value.trim() === '' ? '/replays' : `?search=${encodeURIComponent(search.value.trim())}`,
    );
    void load({ isMore: false });
  }, SEARCH_AFTER_MS);
});
byId('search-form').addEventListener('submit', (event) => event.preventDefault());
more.addEventListener('click', () => void load({ isMore: true }));
search.value = new URLSearchParams(location.search).get('search') ?? '';
void load({ isMore: false });
