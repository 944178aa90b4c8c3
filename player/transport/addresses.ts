/** From the `src` attribute to the addresses of one broadcast's, or one replay's, doors. Pure. */
import { linkedTime } from '../ui/time-text.ts';

export type BroadcastAddresses = {
  readonly name: string;
  readonly whep: string;
  readonly playlist: string;
  /** The same back to the start of the broadcast. */
  readonly rewindPlaylist: string;
  /** The library, and where its replays lie. */
  readonly replays: ReplayDoors;
  readonly socket: string;
  /** Below it are the broadcast's drops; ends with a slash. */
  readonly drops: string;
  /** The playback token; WHEP takes it as a bearer. */
  readonly token: string | null;
};

/** The WHEP endpoint with what a viewer wishes; a wish the server would refuse is left out. */
export const whepUrl = (
  endpoint: string,
  wishes: {
    readonly smooth: string | null;
    readonly rendition: string | null;
    /** The number that this browser keeps. */
    readonly viewer: string | null;
  },
): string => {
  const url = new URL(endpoint);
  const smoothnessRatio = smoothnessOf(wishes.smooth);
  if (smoothnessRatio !== null) {
    url.searchParams.set('smooth', smoothnessRatio.toFixed(3));
  }
  if (wishes.rendition !== null) {
    url.searchParams.set('rendition', wishes.rendition);
  }
  if (wishes.viewer !== null) {
    url.searchParams.set('viewer', wishes.viewer);
  }
  return url.href;
};

/** λ as somebody wrote it; null where it is none. */
export const smoothnessOf = (text: string | null): number | null => {
  const ratio = text === null || text.trim() === '' ? Number.NaN : Number(text);
  return ratio >= 0 && ratio <= 1 ? ratio : null;
};

export type ReplayDoors = {
  /** `GET …/api/replays`. */
  readonly api: string;
  /** Ends with a slash; with the token, which all that playlists name then inherits. */
  readonly folder: string;
};

export type ReplayAddresses = {
  readonly id: string;
  readonly doors: ReplayDoors;
  /** What `#t=` asks for. */
  readonly startS: number;
};

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const RECORDING_ID = /^[0-9a-f]{32}$/;
const DOORS = ['whep', 'watch', 'hls', 'ws'];

/**
 * `src` is a broadcast's name, or an address of it: `/whep/NAME`, `https://HOST/watch/NAME`, with any path before the door (a
 * reverse proxy's) and a token after it (`/hls/~TOKEN/NAME/…`). A relative one is taken against `pageUrl`, a bare name against
 * `serverUrl`. A token goes into the socket's address, where no header can, and into the playlist's path: what playlists name
 * relatively inherits it, in every player.
 * @throws TypeError when `src` names no broadcast
 */
export const broadcastAddresses = (options: {
  src: string;
  pageUrl: string;
  serverUrl: string;
  token: string | null;
}): BroadcastAddresses => {
  const { base, name, ownToken } = NAME.test(options.src)
    ? { base: new URL('/', options.serverUrl), name: options.src, ownToken: null }
    : splitAddress(options.src, options.pageUrl);
  const token = options.token ?? ownToken;
  const socket = new URL(`ws/${name}`, base);
  socket.protocol = base.protocol === 'https:' ? 'wss:' : 'ws:';
  if (token !== null) {
    socket.searchParams.set('token', token);
  }
  const playlist = new URL(`hls/${tokenPart(token)}${name}/index.m3u8`, base).href;
  return {
    name,
    whep: new URL(`whep/${name}`, base).href,
    playlist,
    rewindPlaylist: `${playlist}?dvr=1`,
    replays: replayDoors(base, token),
    socket: socket.href,
    drops: new URL(`api/broadcasts/${name}/drops/`, base).href,
    token,
  };
};

/**
 * Null when `src` is no replay's address: `/replay/ID`, `https://HOST/replay/~TOKEN/ID/index.m3u8`, with `#t=` for where to begin. `replayId`, where given,
 * lies on `serverUrl`.
 */
export const replayAddresses = (options: {
  src: string;
  replayId: string | null;
  pageUrl: string;
  serverUrl: string;
  token: string | null;
}): ReplayAddresses | null => {
  const { src, replayId, pageUrl, serverUrl, token } = options;
  const startS = linkedTime(/#.*$/.exec(src)?.[0] ?? '') ?? 0;
  if (replayId !== null && RECORDING_ID.test(replayId)) {
    return { id: replayId, doors: replayDoors(new URL('/', serverUrl), token), startS };
  }
  const found = URL.canParse(src, pageUrl) ? splitAt(src, pageUrl, ['replay']) : null;
  return found !== null && RECORDING_ID.test(found.name)
    ? { id: found.name, doors: replayDoors(found.base, token ?? found.ownToken), startS }
    : null;
};

const tokenPart = (token: string | null): string => (token === null ? '' : `~${encodeURIComponent(token)}/`);

const replayDoors = (base: URL, token: string | null): ReplayDoors => ({
  api: new URL('api/replays', base).href,
  folder: new URL(`replay/${tokenPart(token)}`, base).href,
});

type Split = { readonly base: URL; readonly name: string; readonly ownToken: string | null };

const splitAddress = (src: string, pageUrl: string): Split => {
  const split = splitAt(src, pageUrl, DOORS);
  if (split === null || !NAME.test(split.name)) {
    throw new TypeError(`src "${src}" names no broadcast: expected NAME, /whep/NAME or https://HOST/whep/NAME`);
  }
  return split;
};

/** What lies before and after the last of `doors` in a path; null when none is in it. */
const splitAt = (src: string, pageUrl: string, doors: readonly string[]): Split | null => {
  const url = new URL(src, pageUrl);
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const doorIndex = parts.findLastIndex((part) => doors.includes(part));
  const after = parts.slice(doorIndex + 1);
  const ownToken = after[0]?.startsWith('~') === true ? decodeURIComponent(after.shift()?.slice(1) ?? '') : null;
  const before = parts.slice(0, doorIndex);
  const base = new URL(before.length === 0 ? '/' : `/${before.join('/')}/`, url.origin);
  return doorIndex < 0 ? null : { base, name: after[0] ?? '', ownToken };
};
