/**
 * What Sluice had to send in a run, so that the controller's simulator can send the same: the size of each picture of each rendition, from
 * the playlists of LL-HLS, and the decision trace of the viewer's session.
 */
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { WorldError } from '../../../server/base/errors.ts';
import { readFragmentHead } from '../../../server/media/fmp4/fragment-reader.ts';
import { parsePlaylist, type MediaPlaylist } from '../load/hls-playlist.ts';

/** Columns, one entry a picture. */
export type RenditionRecord = {
  /** The playlist's name without its extension: `video` is the publisher's picture. */
  readonly id: string;
  readonly mediaMs: readonly number[];
  /** Of the encoded picture, without packets. */
  readonly bytes: readonly number[];
  /** Places of keyframes. */
  readonly keyframes: readonly number[];
};

export type StreamRecord = {
  /** Unix time of media time 0, by the server's clock: a picture's time and this are when it came, or a little before. */
  readonly wallOffsetMs: number;
  readonly renditions: readonly RenditionRecord[];
  /** The trace's file, beside results.json; null: the server wrote none. */
  readonly decisionsFile: string | null;
};

export type RecordOrder = {
  /** Of the multivariant playlist. */
  readonly playlistUrl: string;
  /** Where the server writes decision traces, one session so far. */
  readonly tracesFolder: string;
  readonly outDir: string;
  readonly streamName: string;
};

const REQUEST_MAX_MS = 5_000;
/** Of Sluice's video tracks. */
const TIMESCALE_HZ = 90_000;
/** In the data folder (`congestion.trace.folder`) and beside results.json. */
export const DECISIONS_FOLDER = 'decisions';

/** Rejects with `WorldError` `LAB_NOT_RECORDED` when the playlists cannot be read. */
export const recordStream = async (order: RecordOrder): Promise<StreamRecord> => {
  const multivariant = parsePlaylist(await textOf(order.playlistUrl));
  if (multivariant.kind !== 'multivariant') {
    throw new WorldError('LAB_NOT_RECORDED', `${order.playlistUrl}: expected a multivariant playlist`);
  }
  const uris = [...new Set(multivariant.variants.map(({ uri }) => uri))];
  const read = await Promise.all(uris.map((uri) => readRendition(new URL(uri, order.playlistUrl))));
  return {
    wallOffsetMs: Math.min(...read.map(({ wallOffsetMs }) => wallOffsetMs)),
    renditions: read.map(({ rendition }) => rendition),
    decisionsFile: await keepDecisions(order),
  };
};

const readRendition = async (url: URL): Promise<{ rendition: RenditionRecord; wallOffsetMs: number }> => {
  const playlist = parsePlaylist(await textOf(url.href));
  if (playlist.kind !== 'media') {
    throw new WorldError('LAB_NOT_RECORDED', `${url.href}: expected a media playlist`);
  }
  const mediaMs: number[] = [];
  const bytes: number[] = [];
  const keyframes: number[] = [];
  let wallOffsetMs = Infinity;
  for (const { uri, programAtWallMs } of piecesOf(playlist)) {
    const startsAtIndex = mediaMs.length;
    for (const picture of picturesOf(await bytesOf(new URL(uri, url).href))) {
      if (picture.isKeyframe) {
        keyframes.push(mediaMs.length);
      }
      mediaMs.push(Math.round(picture.mediaMs * 10) / 10);
      bytes.push(picture.bytes);
    }
    wallOffsetMs = Math.min(wallOffsetMs, (programAtWallMs ?? Infinity) - (mediaMs[startsAtIndex] ?? 0));
  }
  return { rendition: { id: path.basename(url.pathname, '.m3u8'), mediaMs, bytes, keyframes }, wallOffsetMs };
};

/** Whole segments, and the parts of the one that is still open. */
const piecesOf = ({ segments }: MediaPlaylist): { uri: string; programAtWallMs: number | undefined }[] =>
  segments.flatMap(({ uri, parts, programAtWallMs }) =>
    uri === undefined
      ? parts.map((part) => ({ uri: part.uri, programAtWallMs: undefined }))
      : [{ uri, programAtWallMs }],
  );

type RecordedPicture = { readonly mediaMs: number; readonly bytes: number; readonly isKeyframe: boolean };

/** Of fragments one behind the other. */
export const picturesOf = (fragments: Uint8Array): RecordedPicture[] => {
  const pictures: RecordedPicture[] = [];
  let rest = fragments;
  while (rest.byteLength > 8) {
    const head = readFragmentHead(rest);
    if (head === undefined) {
      throw new WorldError('LAB_NOT_RECORDED', 'a fragment ends in the middle of its head');
    }
    let ticks = head.startTicks;
    for (const [index, bytes] of head.sizesBytes.entries()) {
      const ptsTicks = ticks + (head.compositionOffsetsTicks[index] ?? 0);
      pictures.push({ mediaMs: (ptsTicks * 1000) / TIMESCALE_HZ, bytes, isKeyframe: head.keyframes[index] === 1 });
      ticks += head.durationsTicks[index] ?? 0;
    }
    rest = rest.subarray(head.fragmentBytes);
  }
  return pictures;
};

const keepDecisions = async ({ tracesFolder, outDir, streamName }: RecordOrder): Promise<string | null> => {
  const files = (await readdir(tracesFolder).catch(() => [])).filter((file) => file.endsWith('.ndjson'));
  const [file] = files;
  if (file === undefined) {
    return null;
  }
  const name = path.join(DECISIONS_FOLDER, `${streamName}.ndjson`);
  await mkdir(path.join(outDir, DECISIONS_FOLDER), { recursive: true });
  await copyFile(path.join(tracesFolder, file), path.join(outDir, name));
  return name;
};

const accepted = (response: Response): Response => {
  if (!response.ok) {
    throw new WorldError('LAB_NOT_RECORDED', `${response.url} answered ${response.status}`);
  }
  return response;
};

const textOf = async (url: string): Promise<string> =>
  accepted(await fetch(url, { signal: AbortSignal.timeout(REQUEST_MAX_MS) })).text();

/** Empty for a segment that the playlist calls a gap: a rung that could not keep up left its pictures out. */
const bytesOf = async (url: string): Promise<Uint8Array> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_MAX_MS) });
  if (response.status === 404) {
    return new Uint8Array(0);
  }
  return new Uint8Array(await accepted(response).arrayBuffer());
};
