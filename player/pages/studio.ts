/** The host's page: how to go live, what viewers see, what could be better, and how it has been going. */
import type { BroadcastSummary } from '../../server/api/contract/socket.ts';
import type { BroadcastHealth, StudioFacts } from '../../server/api/contract/studio.ts';
import '../sluice-player.ts';
import type { SluicePlayer } from '../ui/element.ts';
import { latencyText } from '../ui/texts.ts';
import { fetchBroadcast, pollWhileVisible, sourceText } from './broadcasts.ts';
import { offerCopying } from './copying.ts';
import { byId, make, setText } from './elements.ts';
import type { TimeAxis } from './plots.ts';
import { plotFigure } from './plot-figure.ts';
import { findingItem } from './studio/findings.ts';
import type { Points } from './studio/health-history.ts';
import { healthPlots, joinPoints, newestWords, spanOf } from './studio/health-history.ts';
import { readKeyText } from './studio/key-text.ts';
import { CuePart } from './studio/cue-part.ts';
import { HerePart } from './studio/here-part.ts';
import { KeyPart } from './studio/key-part.ts';
import { keepKeyFor, Refused, StudioApi } from './studio/studio-api.ts';
import type { StudioText } from './studio/texts.ts';
import { fill, languageOf, textsOf } from './studio/texts.ts';

const POLL_EVERY_MS = 2_000;
const NONE = '–';

const language = languageOf(navigator.languages);
const texts = textsOf(language);
/** Empty at `/studio`, and for what is no name: the key then says whose studio it is. */
const name = /^\/studio\/([A-Za-z0-9_-]{1,64})\/?$/.exec(location.pathname)?.[1] ?? '';
const api = new StudioApi(name);
const player = byId('player') as SluicePlayer;
const door = byId('door') as HTMLFormElement;
const keyInput = byId('key') as HTMLInputElement;

let facts: StudioFacts | undefined;
let keyPart: KeyPart | undefined;
let cuePart: CuePart | undefined;
let herePart: HerePart | undefined;
let points: Points = [];

const showTrouble = (text: string): void => {
  byId('trouble').hidden = text === '';
  setText(byId('trouble'), text);
};

const askForKey = (why: string): void => {
  facts = undefined;
  player.removeAttribute('src');
  cuePart?.close();
  herePart?.stop();
  byId('content').hidden = true;
  door.hidden = false;
  showTrouble(why);
};

/** What stays as it is for as long as the key does. */
const open = (known: StudioFacts): void => {
  facts = known;
  door.hidden = true;
  byId('content').hidden = false;
  keyPart = new KeyPart({ api, facts: known, texts });
  herePart ??= new HerePart({ name, texts, secret: () => keyPart?.secret ?? null });
  cuePart = new CuePart({ api, texts, language, previewMediaMs, mayHaveDrops: known.mayHaveDrops });
  player.token = known.watchToken;
  player.src = name;
};

/** Rewound or standing it shows what the host has seen before. */
const previewMediaMs = (): number | null => {
  const isLive = player.view.transport === 'whep' || player.view.transport === 'll-hls';
  return isLive && player.view.status === 'playing' && !player.paused ? player.mediaMs : null;
};

const showHeading = ({ state, viewers }: BroadcastHealth): void => {
  byId('content').classList.toggle('absent', state === 'absent');
  byId('state').className = `state ${state}`;
  setText(byId('state'), texts[state]);
  const count = viewers.udpCount + viewers.tcpCount + viewers.hlsCount;
  setText(byId('viewers'), state === 'absent' ? '' : `${texts.viewers}: ${count}`);
};

const rowsOf = ({ state, viewers }: BroadcastHealth, broadcast: BroadcastSummary | null): [string, string][] => {
  const { udpCount, tcpCount, hlsCount } = viewers;
  const counts = { webRtc: udpCount + tcpCount, tcp: tcpCount, hls: hlsCount };
  const last = points.at(-1)?.[1];
  const median = last?.latencyMedianMs ?? null;
  const spread = { median: latencyText(median), p95: latencyText(last?.latencyP95Ms ?? null) };
  const { recording = null } = broadcast ?? {};
  const recorded: Readonly<Record<string, string>> = { recording: texts.recordingOn, paused: texts.recordingPaused };
  const isThere = state !== 'absent';
  const sent = broadcast?.video === null ? texts.soundOnly : broadcast === null ? NONE : sourceText(broadcast);
  return [
    [texts.seenCue, isThere ? cuePart?.onWords || texts.seenNoCue : NONE],
    [
      `${texts.viewers} (${texts.viewersWhy})`,
      isThere ? fill(tcpCount === 0 ? texts.pathsPlain : texts.paths, counts) : NONE,
    ],
    [
      texts.viewerLatency,
      isThere && median !== null
        ? spread.median === spread.p95
          ? spread.median
          : fill(texts.latencySpread, spread)
        : NONE,
    ],
    [texts.previewLatency, latencyText(player.sample?.latencyMs ?? null) || NONE],
    [texts.sent, sent],
    [texts.recording, recording === null ? texts.recordingOff : (recorded[recording.state] ?? texts.recordingOff)],
  ];
};

const showSeen = (health: BroadcastHealth, broadcast: BroadcastSummary | null): void => {
  const place = byId('seen');
  const rows = rowsOf(health, broadcast);
  if (place.childElementCount !== rows.length) {
    place.replaceChildren(...rows.map(([label]) => make('div', '', make('dt', '', label), make('dd', ''))));
  }
  rows.forEach(([, value], index) => setText(place.children[index]?.lastElementChild as HTMLElement, value));
};

let toldFindings = '';

/** Built anew only when something changed, so that it is not read out again and again. */
const showDoctor = ({ state, findings }: BroadcastHealth, broadcast: BroadcastSummary | null): void => {
  const isSoon = points.length < 3 && state !== 'absent';
  const calm = broadcast === null ? texts.doctorAbsent : isSoon ? texts.doctorSoon : texts.doctorNothing;
  setText(byId('doctor-words'), findings.length === 0 ? calm : '');
  const told = JSON.stringify(findings.map(({ code, severity }) => [code, severity]));
  if (told !== toldFindings) {
    toldFindings = told;
    byId('findings').replaceChildren(...findings.map((finding) => findingItem(finding, language, texts)));
  }
};

/** Of what has ended the curves stay, but nothing of it is now. */
const showHealth = ({ state, everyMs, history }: BroadcastHealth): void => {
  points = joinPoints(points, history);
  setText(byId('health-words'), points.length === 0 ? texts.healthNone : '');
  const place = byId('health');
  const columnPx = Number.parseFloat(getComputedStyle(place).gridTemplateColumns);
  const widthPx = Number.isFinite(columnPx) ? columnPx : place.clientWidth;
  const spanMs = spanOf(points);
  const axis: TimeAxis = {
    ...{
      atMs: Array.from({ length: Math.round(spanMs / everyMs) }, (_, index) => everyMs * (index + 1)),
      endMs: spanMs,
    },
    ...{ seconds: spanMs / 1_000, widthPx },
    ...{
      startWords: fill(texts.ago, { minutes: spanMs / 60_000 }),
      endWords: state === 'absent' ? texts.end : texts.now,
    },
  };
  const plots = points.length === 0 ? [] : healthPlots(points, { spanMs, everyMs, texts });
  const figures = plots.map((plot) => plotFigure(plot, axis, state === 'absent' ? '' : newestWords(plot)));
  place.replaceChildren(...figures);
};

const refresh = async (): Promise<void> => {
  if (name === '' || api.key === null) {
    return askForKey('');
  }
  try {
    if (facts === undefined) {
      open(await api.ask<StudioFacts>(`/api/studio/${name}`));
    }
    const after = points.at(-1)?.[0] ?? 0;
    const [health, broadcast] = await Promise.all([
      api.ask<BroadcastHealth>(`/api/broadcasts/${name}/health?after=${after}`),
      fetchBroadcast(name),
      cuePart?.refresh(),
    ]);
    showTrouble('');
    showHeading(health);
    showHealth(health);
    showSeen(health, broadcast);
    showDoctor(health, broadcast);
    keyPart?.onState(health.state);
  } catch (error) {
    if (error instanceof Refused) {
      api.forget();
      askForKey(fill(texts.keyWrong, { name }));
    } else {
      showTrouble(texts.noAnswer);
    }
  }
};

door.addEventListener('submit', (event) => {
  event.preventDefault();
  const given = readKeyText(keyInput.value);
  if (given === null) {
    return;
  }
  if (name === '') {
    if (given.name === null) {
      showTrouble(texts.keyNoName);
    } else {
      keepKeyFor(given.name, given.secret);
      location.assign(`/studio/${given.name}`);
    }
    return;
  }
  if (given.name !== null && given.name !== name) {
    showTrouble(fill(texts.keyOther, { other: given.name }));
    return;
  }
  api.keep(given.secret);
  keyInput.value = '';
  void refresh();
});

byId('forget').addEventListener('click', () => {
  api.forget();
  askForKey('');
  keyInput.focus();
});

document.documentElement.lang = language;
for (const element of document.querySelectorAll<HTMLElement>('[data-text]')) {
  setText(element, texts[element.dataset['text'] as StudioText]);
}
if (name !== '') {
  document.title = `${name} · ${texts.studio} · Sluice`;
  setText(byId('title'), name);
  const link = byId('watch-link') as HTMLAnchorElement;
  link.href = `/watch/${name}`;
  setText(link, link.href);
  offerCopying(byId('watch-copy'), () => link.href, { copied: texts.copied, failed: texts.copyFailed });
}
pollWhileVisible(POLL_EVERY_MS, refresh);
