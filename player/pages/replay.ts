/** One replay: plays, links to a second of it (`#t=`), loads the whole or a part, and lets its owner rename and remove it. */
import type { ReplaySummary } from '../../server/api/contract/replays.ts';
import '../sluice-player.ts';
import type { SluicePlayer } from '../ui/element.ts';
import { clockText, linkTime, linkedTime, parseTime } from '../ui/time-text.ts';
import { byId, setText } from './elements.ts';
import { productRows } from './replay-products.ts';
import { changeReplay, dateText, fetchReplay, sizeText, titleOf } from './replay-data.ts';

const COPIED_MS = 2000;

const player = byId('player') as SluicePlayer;
const id = decodeURIComponent(location.pathname.split('/').findLast((part) => part !== '') ?? '');
const token = new URLSearchParams(location.search).get('token');
/** A token is a segment of the path, so that all that the playlists name inherits it. */
const base = token === null ? '/replay' : `/replay/~${encodeURIComponent(token)}`;

const say = (text: string): void => {
  setText(byId('trouble'), text);
  byId('trouble').hidden = text === '';
};

const show = (replay: ReplaySummary): void => {
  const isLive = replay.state === 'recording';
  document.title = `${titleOf(replay)} · Sluice`;
  setText(byId('title'), titleOf(replay));
  const facts = [
    replay.name,
    dateText(replay.startedAtWallMs),
    clockText(replay.durationMs),
    sizeText(replay.sizeBytes),
  ];
  const shown = replay.title === '' ? facts.slice(1) : facts;
  setText(byId('facts'), [...shown, ...(isLive ? ['still being recorded'] : [])].join(' · '));
  const download = byId('download') as HTMLAnchorElement;
  download.href = `${base}/${id}.mp4`;
  (byId('new-title') as HTMLInputElement).value = replay.title;
  (byId('part-to') as HTMLInputElement).placeholder = clockText(replay.durationMs);
};

const share = async (): Promise<void> => {
  const atS = player.currentTime ?? 0;
  history.replaceState(null, '', `#t=${linkTime(atS)}`);
  const button = byId('share');
  const before = 'Copy link to this moment';
  try {
    await navigator.clipboard.writeText(location.href);
    setText(button, `Copied: ${clockText(atS * 1000)}`);
  } catch {
    setText(button, 'The link is in the address bar');
  }
  setTimeout(() => setText(button, before), COPIED_MS);
};

const downloadPart = (): void => {
  const [from, to] = ['part-from', 'part-to'].map((field) => parseTime((byId(field) as HTMLInputElement).value));
  const why = byId('part-why');
  const isRight = from !== null && to !== null && from !== undefined && to !== undefined && from < to;
  setText(why, isRight ? '' : 'From must lie before to. Write times as 1:30 or 1:02:03.');
  why.hidden = isRight;
  if (isRight) {
    location.href = `${base}/${id}.mp4?from=${from}&to=${to}`;
  }
};

const manage = async (change: { method: 'PATCH' | 'DELETE'; title?: string }): Promise<void> => {
  const word = byId('manage-word');
  try {
    await changeReplay(id, { ...change, key: (byId('key') as HTMLInputElement).value });
    if (change.method === 'DELETE') {
      location.href = '/replays';
      return;
    }
    setText(word, 'Saved.');
    await refresh();
  } catch (error) {
    setText(word, error instanceof Error ? error.message : 'That did not work.');
  }
};

const refresh = async (): Promise<boolean> => {
  const replay = await fetchReplay(id);
  if (replay === null) {
    say('There is no such replay, or none any more.');
    setText(byId('title'), 'Not here');
    byId('actions').hidden = true;
    document.querySelectorAll<HTMLElement>('details, sluice-player').forEach((part) => (part.hidden = true));
    return false;
  }
  show(replay);
  return true;
};

/** The viewer's language; the page around it speaks English. */
player.lang = navigator.language;
player.addEventListener('sluice-chapters', ({ detail: chapters }) => {
  const rows = productRows(chapters, (atMs) => {
    player.currentTime = atMs / 1000;
    player.play();
    player.scrollIntoView({ block: 'nearest' });
  });
  byId('products-part').hidden = rows.length === 0;
  byId('products').replaceChildren(...rows);
});
byId('share').addEventListener('click', () => void share());
byId('part-form').addEventListener('submit', (event) => {
  event.preventDefault();
  downloadPart();
});
byId('manage-form').addEventListener('submit', (event) => {
  event.preventDefault();
  void manage({ method: 'PATCH', title: (byId('new-title') as HTMLInputElement).value });
});
byId('remove').addEventListener('click', () => {
  const hasKey = (byId('manage-form') as HTMLFormElement).reportValidity();
  if (hasKey && confirm('Delete this replay for good?')) {
    void manage({ method: 'DELETE' });
  }
});
addEventListener('hashchange', () => {
  const atS = linkedTime(location.hash);
  if (atS !== null) {
    player.currentTime = atS;
  }
});
refresh()
  .then((isThere) => {
    if (isThere) {
      player.token = token;
      player.src = `/replay/${id}${location.hash}`;
    }
  })
  .catch(() => say('The server does not answer just now. Reload the page to try again.'));
