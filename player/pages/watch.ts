/** The watch page around the player: name, state, viewers, and the numbers for who wants them. */
import type { DoctorFinding } from '../../server/api/contract/socket.ts';
import '../sluice-player.ts';
import type { PlayerView } from '../rewind-machine.ts';
import type { PlaybackSample } from '../transport/playback-sample.ts';
import type { SluicePlayer } from '../ui/element.ts';
import { ENGLISH, latencyText } from '../ui/texts.ts';
import { fetchBroadcast, pollWhileVisible, sourceText, STATE_TEXTS, viewersText } from './broadcasts.ts';
import { byId, make, setText } from './elements.ts';

const POLL_EVERY_MS = 5000;
const NONE = '–';

const player = byId('player') as SluicePlayer;
const details = byId('details') as HTMLDetailsElement;
const query = new URLSearchParams(location.search);
const name = decodeURIComponent(location.pathname.split('/').findLast((part) => part !== '') ?? '');

const showSample = (sample: PlaybackSample): void => {
  const { latencyMs, targetLatencyMs, widthPx, heightPx, frameRateFps, stallCount, stallMs } = sample;
  const held = targetLatencyMs === null ? '' : ` (holding ${latencyText(targetLatencyMs)})`;
  setText(byId('latency'), latencyMs === null ? NONE : `${latencyText(latencyMs)}${held}`);
  setText(byId('resolution'), widthPx > 0 ? `${widthPx} × ${heightPx}` : NONE);
  setText(byId('frame-rate'), frameRateFps === null ? NONE : `${Math.round(frameRateFps)} fps`);
  setText(byId('stalls'), stallCount === 0 ? 'none' : `${stallCount}, ${(stallMs / 1000).toFixed(1)} s in all`);
};

const showView = ({ status, transport, fallbackReason }: PlayerView): void => {
  // What the server said last is not news any more once it is gone.
  byId('facts').hidden = status === 'server-reconnecting';
  setText(byId('transport'), transport === null ? NONE : ENGLISH.transport[transport]);
  const why = byId('transport-why');
  why.hidden = fallbackReason === null;
  setText(why, fallbackReason === null ? '' : ENGLISH.fallback[fallbackReason]);
};

const showFindings = (findings: readonly DoctorFinding[]): void => {
  byId('findings-part').hidden = findings.length === 0;
  byId('findings').replaceChildren(
    ...findings.map(({ severity, advice, costMs }) => {
      const cost = costMs === null ? [] : [make('small', '', `costs about ${latencyText(costMs)}`)];
      return make('li', severity, make('span', '', advice), ...cost);
    }),
  );
};

const refreshDetails = async (): Promise<void> => {
  if (!details.open) {
    return;
  }
  const broadcast = await fetchBroadcast(name);
  setText(byId('source'), broadcast === null ? NONE : sourceText(broadcast));
  showFindings(broadcast?.findings ?? []);
};

player.addEventListener('sluice-sample', ({ detail }) => showSample(detail));
player.addEventListener('sluice-view', ({ detail }) => showView(detail));
player.addEventListener('sluice-audience', ({ detail: { state, viewerCount } }) => {
  byId('state').className = `state ${state}`;
  setText(byId('state'), STATE_TEXTS[state]);
  setText(byId('viewers'), state === 'absent' ? '' : viewersText(viewerCount));
});

/** The viewer's language; the page around it speaks English. */
player.lang = navigator.language;
document.title = `${name} · Sluice`;
setText(byId('title'), name);
if (query.get('transport') === 'll-hls') {
  player.setAttribute('transport', 'll-hls');
}
const smooth = query.get('smooth');
if (smooth !== null) {
  player.setAttribute('smooth', smooth);
}
// After `#` it is in nobody's log.
player.token = new URLSearchParams(location.hash.slice(1)).get('token') ?? query.get('token');
player.src = name;
details.addEventListener('toggle', () => void refreshDetails().catch(() => undefined));
pollWhileVisible(POLL_EVERY_MS, refreshDetails);
