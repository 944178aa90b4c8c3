/** Reads HLS playlists as a player does (RFC 8216bis): strict about what it needs, blind to the rest. Pure. */
import { ProtocolError } from '../../../server/base/errors.ts';

const INVALID = 'PLAYLIST_UNREADABLE';
const LINE_MAX_COUNT = 100_000;

export type MultivariantPlaylist = {
  readonly kind: 'multivariant';
  /** As listed. `audioUri`: the default audio rendition of the variant's group, where it is one of its own. */
  readonly variants: readonly { readonly uri: string; readonly bandwidthBps: number; readonly audioUri?: string }[];
};

export type PlaylistPart = { readonly uri: string; readonly durationS: number; readonly isIndependent: boolean };

export type PlaylistSegment = {
  readonly msn: number;
  /** undefined: still open, only parts are there. */
  readonly uri: string | undefined;
  readonly durationS: number;
  /** Of its beginning: as tagged, or by the durations since the last tag; undefined without any. */
  readonly programAtWallMs: number | undefined;
  readonly parts: readonly PlaylistPart[];
};

export type MediaPlaylist = {
  readonly kind: 'media';
  readonly targetDurationS: number;
  readonly partTargetS: number | undefined;
  readonly canBlockReload: boolean;
  readonly partHoldBackS: number | undefined;
  readonly holdBackS: number | undefined;
  readonly canSkipUntilS: number | undefined;
  readonly skippedCount: number;
  readonly mapUri: string | undefined;
  /** Without the skipped ones. */
  readonly segments: readonly PlaylistSegment[];
  readonly hintUri: string | undefined;
  readonly isEnded: boolean;
};

/** Throws `ProtocolError` `PLAYLIST_UNREADABLE`. */
export const parsePlaylist = (text: string): MultivariantPlaylist | MediaPlaylist => {
  const lines = text.split(/\r?\n/u);
  if (!text.startsWith('#EXTM3U') || lines.length > LINE_MAX_COUNT) {
    throw new ProtocolError(INVALID, 'does not begin with #EXTM3U, or is endless');
  }
  return text.includes('#EXT-X-STREAM-INF:') ? readMultivariant(lines) : readMedia(lines);
};

/** `NAME=value,NAME="quoted, value"`; quotes are taken off. */
const readAttributes = (text: string): Map<string, string> =>
  new Map(
    [...text.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^,]*)/gu)].map(([, name = '', value = '']) => [
      name,
      value.replaceAll('"', ''),
    ]),
  );

const readMultivariant = (lines: readonly string[]): MultivariantPlaylist => {
  const audioUris = new Map<string, string>();
  const variants: MultivariantPlaylist['variants'][number][] = [];
  for (const [index, line] of lines.entries()) {
    const attributes = readAttributes(line);
    if (line.startsWith('#EXT-X-MEDIA:') && attributes.get('TYPE') === 'AUDIO') {
      const group = attributes.get('GROUP-ID') ?? '';
      const uri = attributes.get('URI');
      if (uri !== undefined && (!audioUris.has(group) || attributes.get('DEFAULT') === 'YES')) {
        audioUris.set(group, uri);
      }
    } else if (line.startsWith('#EXT-X-STREAM-INF:')) {
      const uri = lines.slice(index + 1).find((next) => next !== '' && !next.startsWith('#'));
      if (uri === undefined) {
        throw new ProtocolError(INVALID, 'a variant has no URI');
      }
      const audioUri = audioUris.get(attributes.get('AUDIO') ?? '');
      variants.push({
        ...{ uri, bandwidthBps: Number(attributes.get('BANDWIDTH') ?? 0) },
        ...(audioUri === undefined ? {} : { audioUri }),
      });
    }
  }
  return { kind: 'multivariant', variants };
};

type OpenSegment = { durationS: number | undefined; programAtWallMs: number | undefined; parts: PlaylistPart[] };

type Head = { -readonly [Key in keyof Omit<MediaPlaylist, 'segments'>]: MediaPlaylist[Key] };

const readMedia = (lines: readonly string[]): MediaPlaylist => {
  const head: Head = {
    ...{ kind: 'media', targetDurationS: 0, partTargetS: undefined, canBlockReload: false, partHoldBackS: undefined },
    ...{ holdBackS: undefined, canSkipUntilS: undefined, skippedCount: 0, mapUri: undefined, hintUri: undefined },
    isEnded: false,
  };
  const segments: PlaylistSegment[] = [];
  let msn = 0;
  let open: OpenSegment = { durationS: undefined, programAtWallMs: undefined, parts: [] };
  const close = (uri: string | undefined): void => {
    const partsS = open.parts.reduce((sum, part) => sum + part.durationS, 0);
    const durationS = open.durationS ?? partsS;
    const { programAtWallMs, parts } = open;
    segments.push({ msn: msn + head.skippedCount, uri, durationS, programAtWallMs, parts });
    msn += 1;
    const nextAtWallMs = programAtWallMs === undefined ? undefined : programAtWallMs + durationS * 1000;
    open = { durationS: undefined, programAtWallMs: nextAtWallMs, parts: [] };
  };
  for (const line of lines) {
    if (line.startsWith('#EXT-X-MEDIA-SEQUENCE:')) {
      msn = Number(valueOf(line));
    } else if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) {
      open.programAtWallMs = Date.parse(valueOf(line));
    } else if (line.startsWith('#EXTINF:')) {
      open.durationS = Number.parseFloat(valueOf(line));
    } else if (line.startsWith('#EXT-X-PART:')) {
      open.parts.push(readPart(readAttributes(line)));
    } else if (line.startsWith('#')) {
      readHead(head, line);
    } else if (line !== '') {
      close(line);
    }
  }
  if (open.parts.length > 0) {
    close(undefined);
  }
  if (!(head.targetDurationS > 0) || !Number.isInteger(msn)) {
    throw new ProtocolError(INVALID, 'has no EXT-X-TARGETDURATION, or a media sequence that is no number');
  }
  return { ...head, segments };
};

const readPart = (attributes: ReadonlyMap<string, string>): PlaylistPart => ({
  uri: attributes.get('URI') ?? '',
  durationS: Number(attributes.get('DURATION') ?? 0),
  isIndependent: attributes.get('INDEPENDENT') === 'YES',
});

const readHead = (head: Head, line: string): void => {
  const attributes = readAttributes(line);
  if (line.startsWith('#EXT-X-TARGETDURATION:')) {
    head.targetDurationS = Number(valueOf(line));
  } else if (line.startsWith('#EXT-X-PART-INF:')) {
    head.partTargetS = numberOf(attributes, 'PART-TARGET');
  } else if (line.startsWith('#EXT-X-SERVER-CONTROL:')) {
    head.canBlockReload = attributes.get('CAN-BLOCK-RELOAD') === 'YES';
    head.partHoldBackS = numberOf(attributes, 'PART-HOLD-BACK');
    head.holdBackS = numberOf(attributes, 'HOLD-BACK');
    head.canSkipUntilS = numberOf(attributes, 'CAN-SKIP-UNTIL');
  } else if (line.startsWith('#EXT-X-SKIP:')) {
    head.skippedCount = numberOf(attributes, 'SKIPPED-SEGMENTS') ?? 0;
  } else if (line.startsWith('#EXT-X-MAP:')) {
    head.mapUri = attributes.get('URI');
  } else if (line.startsWith('#EXT-X-PRELOAD-HINT:') && attributes.get('TYPE') === 'PART') {
    head.hintUri = attributes.get('URI');
  } else if (line.startsWith('#EXT-X-ENDLIST')) {
    head.isEnded = true;
  }
};

const valueOf = (line: string): string => line.slice(line.indexOf(':') + 1).trim();

const numberOf = (attributes: ReadonlyMap<string, string>, name: string): number | undefined => {
  const value = Number(attributes.get(name) ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
};
