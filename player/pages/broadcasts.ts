/** What is live, from the API, in words. */
import type { BroadcastSummary, WatchState } from '../../server/api/contract/socket.ts';

export const STATE_TEXTS: Readonly<Record<WatchState, string>> = {
  absent: 'Not live',
  waiting: 'About to start',
  live: 'Live',
  reconnecting: 'Host is reconnecting',
  ended: 'Ended',
};

/** Everything now on this server. Rejects when it cannot be asked. */
export const fetchBroadcasts = async (): Promise<readonly BroadcastSummary[]> => {
  const body = (await fetchJson('/api/broadcasts')) as { broadcasts?: readonly BroadcastSummary[] } | null;
  return body?.broadcasts ?? [];
};

/** One broadcast, or null when there is none of that name. */
export const fetchBroadcast = async (name: string): Promise<BroadcastSummary | null> =>
  (await fetchJson(`/api/broadcasts/${name}`)) as BroadcastSummary | null;

const fetchJson = async (path: string): Promise<unknown> => {
  const response = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
  if (response.status === 404) {
    return null;
  }
  if (!response.ok) {
    throw new Error(`the server answered ${response.status}`);
  }
  return response.json();
};

export const viewersText = (viewerCount: number): string =>
  viewerCount === 1 ? '1 viewer' : `${viewerCount.toLocaleString('en')} viewers`;

/** For example `1920 × 1080, 30 fps, 4.5 Mbit/s`. */
export const sourceText = ({ video, bitrateBps }: BroadcastSummary): string => {
  const parts = video === null ? ['sound only'] : [`${video.widthPx} × ${video.heightPx}`];
  if (video !== null && video.frameRateFps !== null) {
    parts.push(`${Math.round(video.frameRateFps)} fps`);
  }
  if (bitrateBps > 0) {
    parts.push(`${(bitrateBps / 1e6).toFixed(1)} Mbit/s`);
  }
  return parts.join(', ');
};

/** Calls at once and then every so often while the page can be seen; one call at a time. */
export const pollWhileVisible = (everyMs: number, ask: () => Promise<void>): void => {
  let asking = false;
  const askOnce = (): void => {
    if (asking || document.visibilityState !== 'visible') {
      return;
    }
    asking = true;
    ask()
      .catch(() => undefined)
      .finally(() => (asking = false))
      .catch(() => undefined);
  };
  askOnce();
  setInterval(askOnce, everyMs);
  document.addEventListener('visibilitychange', askOnce);
};
