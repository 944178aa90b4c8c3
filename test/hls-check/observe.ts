/**
 * Watches a live stream as a player would for a while (blocking reloads and hinted parts of every rendition), and asks what a rude client would
 * ask. Nothing is judged here.
 */
import type { Answer } from './http-probe.ts';
import { HttpProbe, negotiatedProtocol } from './http-probe.ts';
import type { MediaPlaylist, Multivariant } from './playlist-reader.ts';
import {
  completeOf,
  isMultivariant,
  lastCompleteMsn,
  openPartCount,
  readMediaPlaylist,
  readMultivariant,
} from './playlist-reader.ts';

export type Reload = {
  readonly answer: Answer;
  readonly playlist: MediaPlaylist;
  /** What was asked; undefined for a plain reload. */
  readonly msn: number | undefined;
  readonly part: number | undefined;
};

export type HintedPart = {
  readonly uri: string;
  readonly url: string;
  readonly answer: Answer;
};

export type RenditionObservation = {
  readonly url: string;
  readonly kind: 'variant' | 'media';
  readonly first: Reload;
  /** In order; `first` is not among them. */
  readonly reloads: readonly Reload[];
  /** Reloads that were not answered with a playlist. */
  readonly failures: readonly Answer[];
  readonly hinted: readonly HintedPart[];
};

/** What a rude or special request got; each with the playlist that was current just before. */
export type Probe = { readonly before: MediaPlaylist; readonly answer: Answer };

export type ProbeName =
  | 'part-alone'
  | 'msn-not-a-number'
  | 'msn-far'
  | 'part-far'
  | 'part-past-end'
  | 'msn-stale'
  | 'skip-yes'
  | 'skip-v2'
  | 'gzip'
  | 'brotli'
  | 'plain'
  | 'segment'
  | 'init'
  | 'ended';

export type Observation = {
  readonly url: string;
  readonly index: Answer;
  readonly multivariant: Multivariant | undefined;
  readonly renditions: readonly RenditionObservation[];
  /** Of the first variant. */
  readonly probes: ReadonlyMap<ProbeName, Probe>;
  /** The same blocked request, sent many times at once. */
  readonly crowd: readonly Answer[];
  /** `h2`, `http/1.1`, an error; undefined for plain HTTP. */
  readonly tlsProtocol: string | undefined;
  /** Requests that had nothing to wait for. */
  readonly roundTripsMs: readonly number[];
};

const CROWD_COUNT = 20;
const RENDITION_MAX_COUNT = 8;

/** Throws with a sentence when there is no playlist to check. */
export const observe = async (url: string, options: { seconds: number }): Promise<Observation> => {
  const probe = new HttpProbe();
  try {
    const index = await probe.get(url);
    if (index.status !== 200 || !index.text.startsWith('#EXTM3U')) {
      throw new Error(`${url} is no playlist: ${index.failure ?? `status ${index.status}`}`);
    }
    const multivariant = isMultivariant(index.text) ? readMultivariant(index.text) : undefined;
    const urls = renditionUrls(index, multivariant).slice(0, RENDITION_MAX_COUNT);
    const main = urls[0]?.url ?? url;
    const watching = urls.map(async (rendition) => watch(probe, { ...rendition, seconds: options.seconds }));
    const [renditions, probes] = await Promise.all([Promise.all(watching), runProbes(probe, main)]);
    return {
      ...{ url, index, multivariant, renditions, ...probes },
      tlsProtocol: await negotiatedProtocol(url),
    };
  } finally {
    probe.close();
  }
};

const renditionUrls = (
  index: Answer,
  multivariant: Multivariant | undefined,
): { url: string; kind: 'variant' | 'media' }[] => {
  if (multivariant === undefined) {
    return [{ url: index.url, kind: 'variant' }];
  }
  const resolve = (uri: string): string => new URL(uri, index.url).href;
  const variants = multivariant.variants.map(({ uri }) => ({ url: resolve(uri), kind: 'variant' as const }));
  const media = multivariant.media.map(({ uri }) => ({ url: resolve(uri), kind: 'media' as const }));
  const seen = new Set<string>();
  return [...variants, ...media].filter(({ url }) => !seen.has(url) && seen.add(url));
};

const withQuery = (url: string, query: Record<string, string | number>): string => {
  const target = new URL(url);
  for (const [name, value] of Object.entries(query)) {
    target.searchParams.set(name, String(value));
  }
  return target.href;
};

const blockMaxMs = (playlist: MediaPlaylist): number => (playlist.targetDurationS || 6) * 3_000 + 3_000;

const watch = async (
  probe: HttpProbe,
  options: { url: string; kind: 'variant' | 'media'; seconds: number },
): Promise<RenditionObservation> => {
  const { url, kind } = options;
  const answer = await probe.get(url);
  const first: Reload = { answer, playlist: readMediaPlaylist(answer.text), msn: undefined, part: undefined };
  const reloads: Reload[] = [];
  const failures: Answer[] = answer.status === 200 ? [] : [answer];
  const hints = new HintFollower(probe, url);
  const untilMs = performance.now() + options.seconds * 1000;
  let { playlist } = first;
  while (performance.now() < untilMs && !playlist.isEnded && failures.length < 5) {
    hints.follow(playlist.hintUri);
    const next = await reload(probe, url, playlist);
    if (next.answer.status === 200) {
      reloads.push(next);
      ({ playlist } = next);
    } else {
      failures.push(next.answer);
      await pass(500);
    }
  }
  return { ...{ url, kind, first, reloads, failures }, hinted: await hints.finish(blockMaxMs(playlist)) };
};

/** With directives where they are offered, else after half a target duration. */
const reload = async (probe: HttpProbe, url: string, playlist: MediaPlaylist): Promise<Reload> => {
  if (playlist.control['CAN-BLOCK-RELOAD'] !== 'YES') {
    await pass((playlist.targetDurationS || 2) * 500);
    const answer = await probe.get(url);
    return { answer, playlist: readMediaPlaylist(answer.text), msn: undefined, part: undefined };
  }
  const msn = lastCompleteMsn(playlist) + 1;
  const part = playlist.partTargetS === undefined ? undefined : openPartCount(playlist);
  const query = { _HLS_msn: msn, ...(part === undefined ? {} : { _HLS_part: part }) };
  const answer = await probe.get(withQuery(url, query), { timeoutMs: blockMaxMs(playlist) });
  return { answer, playlist: readMediaPlaylist(answer.text), msn, part };
};

/** Fetches each hinted part as soon as it is hinted. */
class HintFollower {
  readonly #probe: HttpProbe;
  readonly #base: string;
  readonly #seen = new Set<string>();
  readonly #fetches: Promise<void>[] = [];
  readonly #parts: HintedPart[] = [];

  constructor(probe: HttpProbe, base: string) {
    this.#probe = probe;
    this.#base = base;
  }

  follow(uri: string | undefined): void {
    if (uri === undefined || this.#seen.has(uri)) {
      return;
    }
    this.#seen.add(uri);
    const url = new URL(uri, this.#base).href;
    const fetched = this.#probe.get(url, { timeoutMs: 20_000 }).then((answer) => {
      this.#parts.push({ uri, url, answer });
    });
    this.#fetches.push(fetched);
  }

  async finish(maxMs: number): Promise<readonly HintedPart[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, maxMs);
    });
    await Promise.race([Promise.all(this.#fetches), late]);
    clearTimeout(timer);
    return [...this.#parts];
  }
}

const runProbes = async (
  probe: HttpProbe,
  url: string,
): Promise<Pick<Observation, 'probes' | 'crowd' | 'roundTripsMs'>> => {
  const probes = new Map<ProbeName, Probe>();
  const roundTripsMs: number[] = [];
  const current = async (): Promise<MediaPlaylist> => readMediaPlaylist((await probe.get(url)).text);
  const ask = async (
    name: ProbeName,
    query: (before: MediaPlaylist) => Record<string, string | number>,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const before = await current();
    const answer = await probe.get(withQuery(url, query(before)), { headers, timeoutMs: blockMaxMs(before) });
    probes.set(name, { before, answer });
    return answer;
  };
  const before = await current();
  if (before.isEnded) {
    await ask('ended', () => ({ _HLS_msn: 9_999_999, _HLS_part: 'x' }));
    return { probes, crowd: [], roundTripsMs };
  }
  for (let count = 0; count < 5; count += 1) {
    const answer = await ask('plain', () => ({}));
    roundTripsMs.push(answer.firstByteAtMs - answer.sentAtMs);
  }
  await ask('gzip', () => ({}), { 'accept-encoding': 'gzip' });
  await ask('brotli', () => ({}), { 'accept-encoding': 'br' });
  await ask('skip-yes', () => ({ _HLS_skip: 'YES' }));
  await ask('skip-v2', () => ({ _HLS_skip: 'v2' }));
  await askMedia(probe, { url, before: await current(), probes });
  if (before.control['CAN-BLOCK-RELOAD'] !== 'YES') {
    return { probes, crowd: [], roundTripsMs };
  }
  await ask('part-alone', () => ({ _HLS_part: 0 }));
  await ask('msn-not-a-number', () => ({ _HLS_msn: 'abc' }));
  await ask('msn-far', (playlist) => ({ _HLS_msn: lastCompleteMsn(playlist) + 50 }));
  await ask('part-far', (playlist) => ({ _HLS_msn: lastCompleteMsn(playlist) + 1, _HLS_part: 1_000 }));
  await ask('part-past-end', (playlist) => ({
    _HLS_msn: lastCompleteMsn(playlist),
    _HLS_part: completeOf(playlist).at(-1)?.parts.length ?? 0,
  }));
  await ask('msn-stale', (playlist) => ({ _HLS_msn: playlist.mediaSequence, _HLS_part: 0 }));
  return { probes, crowd: await askTogether(probe, url, await current()), roundTripsMs };
};

const askMedia = async (
  probe: HttpProbe,
  { url, before, probes }: { url: string; before: MediaPlaylist; probes: Map<ProbeName, Probe> },
): Promise<void> => {
  const segment = completeOf(before).at(-1);
  if (segment !== undefined) {
    probes.set('segment', { before, answer: await probe.get(new URL(segment.uri, url).href) });
    if (segment.mapUri !== undefined) {
      probes.set('init', { before, answer: await probe.get(new URL(segment.mapUri, url).href) });
    }
  }
};

const askTogether = async (probe: HttpProbe, url: string, playlist: MediaPlaylist): Promise<Answer[]> => {
  // The part after the next one, so that all are waiting by the time it comes.
  const query = { _HLS_msn: lastCompleteMsn(playlist) + 1, _HLS_part: openPartCount(playlist) + 1 };
  const options = { timeoutMs: blockMaxMs(playlist) };
  return Promise.all(Array.from({ length: CROWD_COUNT }, async () => probe.get(withQuery(url, query), options)));
};

const pass = async (durationMs: number): Promise<void> => {
  await new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
};
