/**
 * The head of a progressive MP4 (ISO/IEC 14496-12): `ftyp`, a `moov` with whole sample tables and an edit list for each track, and the
 * `mdat`'s own header; the media follows as it lies on disk. All fields that may grow are written with 64 bits, so that the head's size is known before its
 * contents.
 */
import { ascii, box, concatBytes, fullBox, u16, u32 } from './box.ts';
import type { SampleTable } from './sample-table.ts';

export type ProgressiveTrack = {
  readonly kind: 'video' | 'audio';
  readonly timescaleHz: number;
  readonly widthPx: number;
  readonly heightPx: number;
  /** Entries of `stsd`, in the order the table's chunks count them. */
  readonly sampleEntries: readonly Uint8Array[];
  /** Finished. */
  readonly table: SampleTable;
  /** What is shown: so long nothing, then the media from `startTicks` (composition time, the first sample's decoding time being 0) on. */
  readonly edit: { readonly emptyTicks: number; readonly startTicks: number; readonly durationTicks: number };
};

/** Fine enough for every frame rate; edit lists are written in it. */
export const MOVIE_TIMESCALE_HZ = 90_000;
const UNITY_MATRIX = u32(0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000);
const LANGUAGE_UNDETERMINED = 0x55c4;
const V1 = { version: 1, flags: 0 };
const PLAIN = { version: 0, flags: 0 };
const MDAT_HEAD_BYTES = 16;

/** `mediaBytes`: how much follows the head. */
export const writeProgressiveHead = (tracks: readonly ProgressiveTrack[], mediaBytes: number): Uint8Array => {
  const fileType = box('ftyp', ascii('isom'), u32(0x200), ascii('isomiso2avc1mp41'));
  const bodies = tracks.map((track) => ({ track, fixed: track.table.boxes(track.kind === 'video') }));
  const withOffsets = (mediaStartBytes: number): Uint8Array =>
    box(
      'moov',
      movieHeader(tracks),
      ...bodies.map(({ track, fixed }, index) => trackBox({ track, id: index + 1, fixed, mediaStartBytes })),
    );
  // Offsets have a fixed width: a first look gives the size, the second the contents.
  const moovBytes = withOffsets(0).byteLength;
  const moov = withOffsets(fileType.byteLength + moovBytes + MDAT_HEAD_BYTES);
  return concatBytes([fileType, moov, u32(1), ascii('mdat'), u64(mediaBytes + MDAT_HEAD_BYTES)]);
};

/** Throws `RangeError` for what is not a whole number. */
const u64 = (...values: number[]): Uint8Array => {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setBigInt64(index * 8, BigInt(value)));
  return bytes;
};

const toMovieTicks = (ticks: number, timescaleHz: number): number =>
  Math.round((ticks * MOVIE_TIMESCALE_HZ) / timescaleHz);

const shownTicks = ({ edit, timescaleHz }: ProgressiveTrack): number =>
  toMovieTicks(edit.emptyTicks, timescaleHz) + toMovieTicks(edit.durationTicks, timescaleHz);

const movieHeader = (tracks: readonly ProgressiveTrack[]): Uint8Array =>
  fullBox(
    'mvhd',
    V1,
    u64(0, 0),
    u32(MOVIE_TIMESCALE_HZ),
    u64(Math.max(0, ...tracks.map(shownTicks))),
    u32(0x00010000),
    u16(0x0100, 0),
    u32(0, 0),
    UNITY_MATRIX,
    new Uint8Array(24),
    u32(tracks.length + 1),
  );

type TrackParts = {
  readonly track: ProgressiveTrack;
  readonly id: number;
  readonly fixed: readonly Uint8Array[];
  readonly mediaStartBytes: number;
};

const trackBox = ({ track, id, fixed, mediaStartBytes }: TrackParts): Uint8Array => {
  const isVideo = track.kind === 'video';
  const mediaHeader = fullBox(
    'mdhd',
    V1,
    u64(0, 0),
    u32(track.timescaleHz),
    u64(track.table.durationTicks),
    u16(LANGUAGE_UNDETERMINED, 0),
  );
  const kindHeader = isVideo
    ? fullBox('vmhd', { version: 0, flags: 1 }, new Uint8Array(8))
    : fullBox('smhd', PLAIN, new Uint8Array(4));
  const handler = fullBox(
    'hdlr',
    PLAIN,
    u32(0),
    ascii(isVideo ? 'vide' : 'soun'),
    new Uint8Array(12),
    ascii('Sluice\0'),
  );
  const dataReference = fullBox('dref', PLAIN, u32(1), fullBox('url ', { version: 0, flags: 1 }));
  const sampleTable = box(
    'stbl',
    fullBox('stsd', PLAIN, u32(track.sampleEntries.length), ...track.sampleEntries),
    ...fixed,
    track.table.chunkOffsets(mediaStartBytes),
  );
  const mediaInformation = box('minf', kindHeader, box('dinf', dataReference), sampleTable);
  return box('trak', trackHeader(track, id), editBox(track), box('mdia', mediaHeader, handler, mediaInformation));
};

const trackHeader = (track: ProgressiveTrack, id: number): Uint8Array => {
  const isVideo = track.kind === 'video';
  return fullBox(
    'tkhd',
    { version: 1, flags: 7 },
    u64(0, 0),
    u32(id, 0),
    u64(shownTicks(track)),
    u32(0, 0),
    u16(0, 0, isVideo ? 0 : 0x0100, 0),
    UNITY_MATRIX,
    u32(track.widthPx * 0x10000, track.heightPx * 0x10000),
  );
};

/** `elst` (8.6.6), version 1: duration in movie ticks, time in the track's; −1 is an empty edit. */
const editBox = ({ edit, timescaleHz }: ProgressiveTrack): Uint8Array => {
  const entries = [
    ...(edit.emptyTicks > 0 ? [{ durationTicks: edit.emptyTicks, startTicks: -1 }] : []),
    { durationTicks: edit.durationTicks, startTicks: edit.startTicks },
  ];
  const bytes = entries.map(({ durationTicks, startTicks }) =>
    concatBytes([u64(toMovieTicks(durationTicks, timescaleHz), startTicks), u16(1, 0)]),
  );
  return box('edts', fullBox('elst', V1, u32(entries.length), ...bytes));
};
