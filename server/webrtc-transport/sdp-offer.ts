/** Reads an SDP offer (RFC 8866, RFC 8829 5.8) as a browser or an encoder makes it. Strict about what we need, blind to the rest. */
import { ProtocolError } from '../base/errors.ts';
import type { DtlsFingerprint } from './dtls.ts';

export type SdpDirection = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

export type SdpCodec = {
  readonly payloadType: number;
  /** Lower case: `h264`, `rtx`, `opus`. */
  readonly name: string;
  readonly clockHz: number;
  readonly channelCount: number;
  /** Of `a=fmtp`, names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Of `a=rtcp-fb`: `nack`, `nack pli`, `transport-cc`. */
  readonly feedback: readonly string[];
};

export type SdpMedia = {
  /** `audio`, `video` or whatever stands there. */
  readonly kind: string;
  readonly protocol: string;
  /** The formats as they stand, to be repeated where the section is refused. */
  readonly formats: string;
  readonly mid: string;
  readonly direction: SdpDirection;
  readonly hasRtcpMux: boolean;
  readonly codecs: readonly SdpCodec[];
  /** Negotiable header extensions, id by URI. */
  readonly extensions: ReadonlyMap<string, number>;
};

export type IceCredentials = { readonly ufrag: string; readonly password: string };

export type SdpOffer = {
  readonly ice: IceCredentials;
  readonly fingerprints: readonly DtlsFingerprint[];
  readonly setup: string;
  /** Sections that may share one transport, by mid. */
  readonly bundleMids: ReadonlySet<string>;
  readonly media: readonly SdpMedia[];
};

export const SDP_MAX_BYTES = 65_536;
const MEDIA_MAX_COUNT = 4;
const LINE_MAX_COUNT = 2_000;
const FINGERPRINT_MAX_COUNT = 8;
/** One-byte header extensions have ids 1 to 14 (RFC 8285 4.2). */
const EXTENSION_ID_MAX = 14;
const INVALID = 'SDP_INVALID';

const invalid = (detail: string): ProtocolError => new ProtocolError(INVALID, detail);

/** Throws `ProtocolError`: `SDP_TOO_LARGE` (above 64 KiB or 4 media sections), `SDP_INVALID`. */
export const parseSdpOffer = (text: string): SdpOffer => {
  if (text.length > SDP_MAX_BYTES) {
    throw new ProtocolError('SDP_TOO_LARGE', `${text.length} characters, at most ${SDP_MAX_BYTES}`);
  }
  const lines = text.split(/\r\n|\n/u).filter((line) => line !== '');
  if (lines[0] !== 'v=0' || lines.length > LINE_MAX_COUNT) {
    throw invalid(lines[0] === 'v=0' ? `more than ${LINE_MAX_COUNT} lines` : 'does not begin with v=0');
  }
  const sections = splitSections(lines);
  const [session = [], ...mediaSections] = sections;
  if (mediaSections.length === 0) {
    throw invalid('has no media section');
  }
  const first = mediaSections[0] ?? [];
  // With BUNDLE the first section's transport is everybody's; a browser repeats it in each.
  const transport = [...session, ...first];
  return {
    ice: readIce(transport),
    fingerprints: readFingerprints(transport),
    setup: valueOf(transport, 'setup') ?? 'actpass',
    bundleMids: readBundle(session),
    media: mediaSections.map(readMedia),
  };
};

const splitSections = (lines: readonly string[]): string[][] => {
  const sections: string[][] = [[]];
  for (const line of lines) {
    if (line.startsWith('m=')) {
      if (sections.length > MEDIA_MAX_COUNT) {
        throw new ProtocolError('SDP_TOO_LARGE', `more than ${MEDIA_MAX_COUNT} media sections`);
      }
      sections.push([]);
    }
    sections.at(-1)?.push(line);
  }
  return sections;
};

/** The value of the first `a=name:value`. */
const valueOf = (lines: readonly string[], name: string): string | undefined => valuesOf(lines, name)[0];

const valuesOf = (lines: readonly string[], name: string): string[] => {
  const prefix = `a=${name}:`;
  return lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length).trim());
};

/** Throws `SDP_INVALID` unless both are there and of the form that RFC 8839 5.4 gives them. */
export const readIce = (lines: readonly string[]): IceCredentials => {
  const ufrag = valueOf(lines, 'ice-ufrag') ?? '';
  const password = valueOf(lines, 'ice-pwd') ?? '';
  if (!/^[A-Za-z0-9+/=_-]{4,256}$/u.test(ufrag) || !/^[A-Za-z0-9+/=_-]{22,256}$/u.test(password)) {
    throw invalid('expected a=ice-ufrag of at least 4 and a=ice-pwd of at least 22 characters');
  }
  return { ufrag, password };
};

const readFingerprints = (lines: readonly string[]): DtlsFingerprint[] => {
  const fingerprints = valuesOf(lines, 'fingerprint')
    .slice(0, FINGERPRINT_MAX_COUNT)
    .map((value) => {
      const [algorithm = '', hash = ''] = value.split(/\s+/u);
      return { algorithm: algorithm.toLowerCase(), value: hash.toUpperCase() };
    })
    .filter(({ value }) => /^[0-9A-F]{2}(?::[0-9A-F]{2})+$/u.test(value));
  if (fingerprints.length === 0) {
    throw invalid('expected a=fingerprint');
  }
  return fingerprints;
};

const readBundle = (session: readonly string[]): Set<string> => {
  const groups = valuesOf(session, 'group').map((value) => value.split(/\s+/u));
  return new Set(groups.find(([semantics]) => semantics === 'BUNDLE')?.slice(1) ?? []);
};

const DIRECTIONS: readonly SdpDirection[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];

const readMedia = (lines: readonly string[], index: number): SdpMedia => {
  const parts = /^m=(\S{1,32}) (\d{1,5})(?:\/\d+)? (\S{1,64}) (.{1,1024})$/u.exec(lines[0] ?? '');
  if (parts === null) {
    throw invalid(`media line ${index + 1} is not "m=KIND PORT PROTOCOL FORMATS"`);
  }
  const [, kind = '', port = '', protocol = '', formats = ''] = parts;
  // RFC 8843 6: with `bundle-only` port zero says nothing; else the section is refused (RFC 3264 6).
  const isRefused = Number(port) === 0 && !lines.includes('a=bundle-only');
  const mid = valueOf(lines, 'mid') ?? String(index);
  if (!/^[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}$/u.test(mid)) {
    throw invalid(`a=mid of media section ${index + 1} is not a token of at most 32 characters`);
  }
  return {
    kind,
    protocol,
    formats,
    mid,
    direction: isRefused
      ? 'inactive'
      : (DIRECTIONS.find((direction) => lines.includes(`a=${direction}`)) ?? 'sendrecv'),
    hasRtcpMux: lines.includes('a=rtcp-mux'),
    codecs: readCodecs(lines, formats),
    extensions: readExtensions(lines),
  };
};

const readCodecs = (lines: readonly string[], formats: string): SdpCodec[] => {
  const names = byPayloadType(valuesOf(lines, 'rtpmap'));
  const parameters = byPayloadType(valuesOf(lines, 'fmtp'));
  const feedback = valuesOf(lines, 'rtcp-fb');
  return formats
    .split(' ')
    .map(Number)
    .filter((payloadType) => Number.isInteger(payloadType) && payloadType >= 0 && payloadType <= 127)
    .flatMap((payloadType) => {
      const parts = /^([^/\s]{1,32})\/(\d{1,7})(?:\/(\d{1,2}))?$/u.exec(names.get(payloadType) ?? '');
      return parts === null
        ? []
        : [
            {
              payloadType,
              name: (parts[1] ?? '').toLowerCase(),
              clockHz: Number(parts[2]),
              channelCount: Number(parts[3] ?? 1),
              parameters: readParameters(parameters.get(payloadType) ?? ''),
              feedback: readFeedback(feedback, payloadType),
            },
          ];
    });
};

const byPayloadType = (values: readonly string[]): Map<number, string> => {
  const map = new Map<number, string>();
  for (const value of values) {
    const at = value.indexOf(' ');
    if (at > 0) {
      map.set(Number(value.slice(0, at)), value.slice(at + 1).trim());
    }
  }
  return map;
};

const readParameters = (text: string): Map<string, string> =>
  new Map(
    text
      .split(';')
      .map((pair) => pair.trim().split('='))
      .filter(([name]) => name !== undefined && name !== '')
      .map(([name = '', ...value]) => [name.toLowerCase(), value.join('=')]),
  );

const readFeedback = (values: readonly string[], payloadType: number): string[] =>
  values
    .filter((value) => value.startsWith(`${payloadType} `) || value.startsWith('* '))
    .map((value) => value.slice(value.indexOf(' ') + 1).trim());

const readExtensions = (lines: readonly string[]): Map<string, number> => {
  const extensions = new Map<string, number>();
  for (const value of valuesOf(lines, 'extmap')) {
    const parts = /^(\d{1,3})(?:\/[a-z]+)? (\S{1,200})/u.exec(value);
    const id = Number(parts?.[1]);
    if (parts !== null && id >= 1 && id <= EXTENSION_ID_MAX) {
      extensions.set(parts[2] ?? '', id);
    }
  }
  return extensions;
};
