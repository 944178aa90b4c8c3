/**
 * Session descriptions that pass the link: the viewer's candidates go out, so that a server with full ICE cannot find a way around it,
 * and the server's candidates become ports of the emulator. Pure: who opens the ports is told by the caller.
 */

export type CandidateAddress = { readonly transport: 'udp' | 'tcp'; readonly address: string; readonly port: number };

/** Where the emulator stands in for a server's address. */
export type CandidatePort = (candidate: CandidateAddress) => Promise<number>;

const EMULATOR_ADDRESS = '127.0.0.1';
const CANDIDATE = /^a=candidate:/iu;
const IP = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:.]*:[0-9a-f:.]*)$/iu;

/** Without candidates, and without the word that no more will come: the server waits for ours to show up by themselves. */
export const withoutCandidates = (sdp: string): string =>
  splitLines(sdp)
    .filter(({ line }) => !CANDIDATE.test(line) && line !== 'a=end-of-candidates')
    .map(({ line, ending }) => withoutDefaultAddress(line) + ending)
    .join('');

/** Each candidate that the emulator can stand in for, at the emulator; those it cannot (names, active TCP) are left out. */
export const withEmulatorCandidates = async (sdp: string, portOf: CandidatePort): Promise<string> => {
  const lines = splitLines(sdp).map(async ({ line, ending }) => {
    const rewritten = CANDIDATE.test(line) ? await rewriteCandidate(line, portOf) : withoutDefaultAddress(line);
    return rewritten === undefined ? '' : rewritten + ending;
  });
  return (await Promise.all(lines)).join('');
};

/** Session descriptions in JSON wherever a member is named `sdp`; everything else as it was. */
export const rewriteJson = async (
  text: string,
  rewrite: (sdp: string) => string | Promise<string>,
): Promise<string> => {
  const value: unknown = JSON.parse(text);
  return JSON.stringify(await rewriteValue(value, rewrite, 0));
};

const JSON_MAX_DEPTH = 8;

const rewriteValue = async (
  value: unknown,
  rewrite: (sdp: string) => string | Promise<string>,
  depth: number,
): Promise<unknown> => {
  if (depth > JSON_MAX_DEPTH || typeof value !== 'object' || value === null) {
    return value;
  }
  if (Array.isArray(value)) {
    return Promise.all(value.map((item) => rewriteValue(item, rewrite, depth + 1)));
  }
  const entries = Object.entries(value).map(async ([key, member]: [string, unknown]) => {
    const isDescription = key === 'sdp' && typeof member === 'string';
    return [key, isDescription ? await rewrite(member) : await rewriteValue(member, rewrite, depth + 1)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
};

/** Whether a body is worth looking at as a session description or a fragment of one. */
export const isSdp = (text: string): boolean => /^(?:v=0|a=|m=)/u.test(text);

/** Each line keeps its own ending. */
const splitLines = (sdp: string): { line: string; ending: string }[] =>
  (sdp.match(/[^\r\n]+[\r\n]*/gu) ?? []).map((whole) => {
    const line = whole.replace(/[\r\n]+$/u, '');
    return { line, ending: whole.slice(line.length) };
  });

/** The default address (RFC 8829 5.2.1: port 9, 0.0.0.0 says "see the candidates"). A refused section keeps its port 0. */
const withoutDefaultAddress = (line: string): string => {
  if (/^m=\S+ [1-9]\d* /u.test(line)) {
    return line.replace(/^(m=\S+) \d+ /u, '$1 9 ');
  }
  if (line.startsWith('c=IN ')) {
    return 'c=IN IP4 0.0.0.0';
  }
  return /^a=rtcp:\d+/u.test(line) ? 'a=rtcp:9 IN IP4 0.0.0.0' : line;
};

/** `candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE …` (RFC 8839 5.1, RFC 6544 4.5). */
const rewriteCandidate = async (line: string, portOf: CandidatePort): Promise<string | undefined> => {
  const fields = line.trim().split(/\s+/u);
  const transport = fields[2]?.toLowerCase();
  const address = fields[4] ?? '';
  const port = Number(fields[5]);
  const isReachable = transport === 'udp' || (transport === 'tcp' && line.toLowerCase().includes('tcptype passive'));
  if (!isReachable || !IP.test(address) || !(port > 0 && port < 65_536)) {
    return undefined;
  }
  fields[4] = EMULATOR_ADDRESS;
  fields[5] = String(await portOf({ transport, address, port }));
  blank(fields, 'raddr', '0.0.0.0');
  blank(fields, 'rport', '0');
  return fields.join(' ');
};

const blank = (fields: string[], name: string, value: string): void => {
  const index = fields.indexOf(name);
  if (index > 0 && index + 1 < fields.length) {
    fields[index + 1] = value;
  }
};
