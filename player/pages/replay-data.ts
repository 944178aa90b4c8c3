/** Recordings from the API, in words. */
import type { ReplayList, ReplaySummary } from '../../server/api/contract/replays.ts';
import type { WatchState } from '../../server/api/contract/socket.ts';
import { clockText } from '../ui/time-text.ts';
import { STATE_TEXTS } from './broadcasts.ts';

const ASK_MAX_MS = 8000;

export const fetchReplays = async (query: { search: string; offset: number; limit: number }): Promise<ReplayList> => {
  const { search, offset, limit } = query;
  const params = new URLSearchParams({ search, offset: String(offset), limit: String(limit) });
  const response = await ask(`/api/replays?${params}`);
  return (await response.json()) as ReplayList;
};

/** Null when there is none of that id. */
export const fetchReplay = async (id: string): Promise<ReplaySummary | null> => {
  const response = await ask(`/api/replays/${encodeURIComponent(id)}`, {}, [404]);
  return response.status === 404 ? null : ((await response.json()) as ReplaySummary);
};

/** Rejects with a sentence for whoever tries. */
export const changeReplay = async (
  id: string,
  change: { method: 'PATCH' | 'DELETE'; key: string; title?: string },
): Promise<void> => {
  const { method, key, title } = change;
  const body = title === undefined ? {} : { body: JSON.stringify({ title }) };
  const json = title === undefined ? {} : { 'content-type': 'application/json' };
  await ask(`/api/replays/${encodeURIComponent(id)}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...json },
    ...body,
  });
};

const ask = async (path: string, init: RequestInit = {}, accepted: readonly number[] = []): Promise<Response> => {
  const response = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(ASK_MAX_MS), ...init });
  if (response.ok || accepted.includes(response.status)) {
    return response;
  }
  const refusal = (await response.json().catch(() => null)) as { detail?: string } | null;
  throw new Error(refusal?.detail ?? `the server answered ${response.status}`);
};

export const titleOf = ({ title, name }: ReplaySummary): string => (title === '' ? name : title);

/** On its card: how long it is, or what becomes of a recording that still goes on. `state`: of the broadcast of its name, absent where nobody is live. */
export const lengthBadge = (
  { state: recording, durationMs }: Pick<ReplaySummary, 'state' | 'durationMs'>,
  state: WatchState,
): { readonly text: string; readonly isLive: boolean } => {
  if (recording === 'ended') {
    return { text: clockText(durationMs), isLive: false };
  }
  const isLive = state === 'live';
  // Nobody is live any more: its last pieces are on their way to the disk.
  return {
    text: isLive ? 'Live now' : state === 'reconnecting' ? STATE_TEXTS.reconnecting : STATE_TEXTS.ended,
    isLive,
  };
};

export const dateText = (atWallMs: number): string =>
  new Date(atWallMs).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' });

export const sizeText = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
