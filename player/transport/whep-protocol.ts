/** What WHEP says in headers and bodies, read and written without a browser (draft-ietf-wish-whep, RFC 8288). Pure. */
export type Link = { readonly url: string; readonly params: ReadonlyMap<string, string> };

/** Relation of the socket that is bound to a WHEP session. */
const SOCKET_RELATION = 'urn:sluice:socket';

/** Links of one or more `Link` headers joined by commas (RFC 8288, 3). What is not a link is skipped. */
export const parseLinks = (header: string | null): Link[] => {
  const links: Link[] = [];
  for (const match of (header ?? '').matchAll(
    /<([^>]*)>((?:\s*;\s*[\w!#$&+\-^`.|~*]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^",;\s]*))?)*)/g,
  )) {
    links.push({ url: match[1] ?? '', params: parseLinkParams(match[2] ?? '') });
  }
  return links;
};

const parseLinkParams = (text: string): Map<string, string> => {
  const params = new Map<string, string>();
  for (const match of text.matchAll(/;\s*([^=;\s]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^";\s]*)))?/g)) {
    const name = (match[1] ?? '').toLowerCase();
    const quoted = match[2]?.replaceAll(/\\(.)/g, '$1');
    if (!params.has(name)) {
      params.set(name, quoted ?? match[3] ?? '');
    }
  }
  return params;
};

/** Address of the session's socket (`ws:` or `wss:`), from the answer's `Link`; null when the server names none. */
export const sessionSocketUrl = (header: string | null, responseUrl: string): string | null => {
  const link = parseLinks(header).find(({ params }) =>
    (params.get('rel') ?? '').split(/\s+/).includes(SOCKET_RELATION),
  );
  if (link === undefined || !URL.canParse(link.url, responseUrl)) {
    return null;
  }
  const url = new URL(link.url, responseUrl);
  url.protocol = url.protocol === 'https:' || url.protocol === 'wss:' ? 'wss:' : 'ws:';
  return url.href;
};

/** Address of the session for PATCH and DELETE; null when there is no usable `Location`. */
export const sessionUrl = (location: string | null, responseUrl: string): string | null =>
  location !== null && URL.canParse(location, responseUrl) ? new URL(location, responseUrl).href : null;

/** `Retry-After` as a pause from now: seconds or an HTTP date. Null when missing or senseless; never more than an hour. */
export const retryAfterMs = (header: string | null, wallMs: number): number | null => {
  const text = (header ?? '').trim();
  const pauseMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - wallMs;
  return Number.isFinite(pauseMs) ? Math.min(3_600_000, Math.max(0, pauseMs)) : null;
};

/** A pause that many were told at once, spread over a quarter more, a second at least: `ratio` is a random number from 0 to 1. */
export const spreadMs = (pauseMs: number | null, ratio: number): number | null =>
  pauseMs === null ? null : pauseMs + ratio * Math.max(1000, pauseMs / 4);

/**
 * A 406 is a counter-offer only if it carries an offer: servers in the field answer 406 with plain text and mean "no"
 * (CONFORMANCE part 2, W15).
 */
export const isCounterOffer = (status: number, contentType: string | null, body: string): boolean =>
  status === 406 && (contentType ?? '').toLowerCase().startsWith('application/sdp') && body.startsWith('v=0');

/** Asks for both channels of Opus: without `stereo=1` Chrome plays one (W23). */
export const withStereoOpus = (sdp: string): string => {
  const payloadTypes = new Set([...sdp.matchAll(/^a=rtpmap:(\d+) opus\/48000/gim)].map((match) => match[1]));
  return sdp.replaceAll(/^(a=fmtp:(\d+) )(.*)$/gm, (line, head: string, payloadType: string, params: string) =>
    payloadTypes.has(payloadType) && !/(^|;\s*)stereo=/.test(params)
      ? `${head}${params.trimEnd()};stereo=1${line.endsWith('\r') ? '\r' : ''}`
      : line,
  );
};

/** Whether an answer sends any picture: a broadcast of sound alone plays, it just never shows a frame. */
export const answersVideo = (sdp: string): boolean =>
  sdp.split(/^(?=m=)/m).some((section) => /^m=video [1-9]/.test(section) && !/^a=(inactive|recvonly)/m.test(section));
