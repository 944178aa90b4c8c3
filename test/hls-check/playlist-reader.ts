/** Reads playlists of any server (RFC 8216bis 4), for judging them: nothing is repaired, unknown tags are passed over. */

export type Attributes = Readonly<Record<string, string>>;

export type ReadPart = { readonly durationS: number; readonly uri: string; readonly isIndependent: boolean };

export type ReadSegment = {
  readonly msn: number;
  /** Undefined for the open segment at the end. */
  readonly durationS: number | undefined;
  readonly uri: string;
  readonly dateMs: number | undefined;
  readonly isDiscontinuity: boolean;
  readonly isGap: boolean;
  readonly mapUri: string | undefined;
  readonly parts: readonly ReadPart[];
};

export type MediaPlaylist = {
  readonly version: number;
  readonly targetDurationS: number;
  readonly control: Attributes;
  readonly partTargetS: number | undefined;
  readonly mediaSequence: number;
  readonly skippedCount: number;
  /** Undefined without EXT-X-SKIP, or without the attribute in it. */
  readonly removedIds: string | undefined;
  readonly isDelta: boolean;
  /** Those after the skipped ones. */
  readonly segments: readonly ReadSegment[];
  readonly hintUri: string | undefined;
  readonly reports: readonly { readonly uri: string; readonly lastMsn: number; readonly lastPart: number }[];
  readonly dateRanges: readonly { readonly line: string; readonly attributes: Attributes }[];
  readonly isEnded: boolean;
};

export type Multivariant = {
  readonly isIndependent: boolean;
  readonly variants: readonly { readonly attributes: Attributes; readonly uri: string }[];
  /** EXT-X-MEDIA with a URI. */
  readonly media: readonly { readonly attributes: Attributes; readonly uri: string }[];
};

/** `NAME=value` or `NAME="value"`, separated by commas; quotes are taken off. */
export const readAttributes = (text: string): Attributes =>
  Object.fromEntries(
    [...text.matchAll(/([A-Z0-9-]+)=(?:"([^"]*)"|([^",]*))/g)].map(([, name = '', quoted, plain]) => [
      name,
      quoted ?? plain ?? '',
    ]),
  );

const valueOf = (line: string): string => line.slice(line.indexOf(':') + 1);
const numberOf = (text: string | undefined): number => (text === undefined || text === '' ? Number.NaN : Number(text));

export const isMultivariant = (text: string): boolean => /^#EXT-X-STREAM-INF:/m.test(text);

export const readMultivariant = (text: string): Multivariant => {
  const lines = text.split(/\r?\n/);
  const variants = lines.flatMap((line, index) => {
    const uri = lines.slice(index + 1).find((next) => next !== '' && !next.startsWith('#')) ?? '';
    return line.startsWith('#EXT-X-STREAM-INF:') ? [{ attributes: readAttributes(valueOf(line)), uri }] : [];
  });
  const media = lines.flatMap((line) => {
    const attributes = line.startsWith('#EXT-X-MEDIA:') ? readAttributes(valueOf(line)) : {};
    return attributes['URI'] === undefined ? [] : [{ attributes, uri: attributes['URI'] }];
  });
  return { isIndependent: text.includes('#EXT-X-INDEPENDENT-SEGMENTS'), variants, media };
};

type Open = {
  durationS: number | undefined;
  dateMs: number | undefined;
  isDiscontinuity: boolean;
  isGap: boolean;
  parts: ReadPart[];
};

const emptyOpen = (): Open => ({
  ...{ durationS: undefined, dateMs: undefined, isDiscontinuity: false, isGap: false },
  parts: [],
});

export const readMediaPlaylist = (text: string): MediaPlaylist => {
  const lines = text.split(/\r?\n/);
  const find = (tag: string): string | undefined => {
    const line = lines.find((candidate) => candidate.startsWith(`#${tag}:`));
    return line === undefined ? undefined : valueOf(line);
  };
  const all = (tag: string): string[] => lines.filter((line) => line.startsWith(`#${tag}:`));
  const skip = readAttributes(find('EXT-X-SKIP') ?? '');
  const mediaSequence = numberOf(find('EXT-X-MEDIA-SEQUENCE') ?? '0');
  const skippedCount = Number(skip['SKIPPED-SEGMENTS'] ?? 0);
  const hint = all('EXT-X-PRELOAD-HINT')
    .map((line) => readAttributes(valueOf(line)))
    .find((attributes) => attributes['TYPE'] === 'PART');
  return {
    version: numberOf(find('EXT-X-VERSION') ?? '1'),
    targetDurationS: numberOf(find('EXT-X-TARGETDURATION')),
    control: readAttributes(find('EXT-X-SERVER-CONTROL') ?? ''),
    partTargetS: partTargetOf(find('EXT-X-PART-INF')),
    mediaSequence,
    skippedCount,
    removedIds: skip['RECENTLY-REMOVED-DATERANGES'],
    isDelta: find('EXT-X-SKIP') !== undefined,
    segments: readSegments(lines, mediaSequence + skippedCount),
    hintUri: hint?.['URI'],
    reports: all('EXT-X-RENDITION-REPORT').map((line) => {
      const attributes = readAttributes(valueOf(line));
      return {
        uri: attributes['URI'] ?? '',
        lastMsn: numberOf(attributes['LAST-MSN']),
        lastPart: numberOf(attributes['LAST-PART']),
      };
    }),
    dateRanges: all('EXT-X-DATERANGE').map((line) => ({ line, attributes: readAttributes(valueOf(line)) })),
    isEnded: lines.includes('#EXT-X-ENDLIST'),
  };
};

const partTargetOf = (value: string | undefined): number | undefined =>
  value === undefined ? undefined : numberOf(readAttributes(value)['PART-TARGET']);

const readSegments = (lines: readonly string[], firstMsn: number): ReadSegment[] => {
  const segments: ReadSegment[] = [];
  let open = emptyOpen();
  let mapUri: string | undefined;
  const close = (uri: string): void => {
    segments.push({ ...open, uri, mapUri, msn: firstMsn + segments.length });
    open = emptyOpen();
  };
  for (const line of lines) {
    if (line.startsWith('#EXTINF:')) {
      open.durationS = Number.parseFloat(valueOf(line));
    } else if (line.startsWith('#EXT-X-PART:')) {
      const { DURATION, URI, INDEPENDENT } = readAttributes(valueOf(line));
      open.parts.push({ durationS: numberOf(DURATION), uri: URI ?? '', isIndependent: INDEPENDENT === 'YES' });
    } else if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) {
      open.dateMs = Date.parse(valueOf(line));
    } else if (line.startsWith('#EXT-X-MAP:')) {
      mapUri = readAttributes(valueOf(line))['URI'];
    } else if (line === '#EXT-X-DISCONTINUITY') {
      open.isDiscontinuity = true;
    } else if (line === '#EXT-X-GAP') {
      open.isGap = true;
    } else if (line !== '' && !line.startsWith('#')) {
      close(line);
    }
  }
  if (open.parts.length > 0) {
    close('');
  }
  return segments;
};

export const completeOf = (playlist: MediaPlaylist): ReadSegment[] =>
  playlist.segments.filter((segment) => segment.durationS !== undefined);

/** Number of the last whole segment; one less than the first number when there is none. */
export const lastCompleteMsn = (playlist: MediaPlaylist): number =>
  completeOf(playlist).at(-1)?.msn ?? playlist.mediaSequence + playlist.skippedCount - 1;

/** Parts of the segment that is being made. */
export const openPartCount = (playlist: MediaPlaylist): number => {
  const last = playlist.segments.at(-1);
  return last === undefined || last.durationS !== undefined ? 0 : last.parts.length;
};

/** Whole seconds from the first listed segment to the end, parts of the open one included. */
export const lengthS = (playlist: MediaPlaylist): number =>
  playlist.segments.reduce(
    (sum, segment) => sum + (segment.durationS ?? segment.parts.reduce((parts, part) => parts + part.durationS, 0)),
    0,
  );
