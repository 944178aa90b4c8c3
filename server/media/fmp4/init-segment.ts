/** A CMAF header (ISO/IEC 23000-19 7.3.1): `ftyp` and a `moov` of one track without samples. */
import type { Track } from '../track.ts';
import { ascii, box, concatBytes, fullBox, u16, u32 } from './box.ts';
import { mediaHandler, sampleEntry } from './sample-entry.ts';

/** Every file has one track, and it is this one. */
export const TRACK_ID = 1;

const PLAIN = { version: 0, flags: 0 };
const UNITY_MATRIX = u32(0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000);
/** `und`, packed as three letters of five bits. */
const LANGUAGE_UNDETERMINED = 0x55c4;

/** Throws `ProtocolError` when the track's decoder configuration cannot be turned into a box. */
export const writeInitSegment = (track: Track): Uint8Array =>
  concatBytes([
    box('ftyp', ascii('iso6'), u32(0), ascii('iso6cmfcmp41')),
    box('moov', movieHeader(), trackBox(track), box('mvex', fullBox('trex', PLAIN, u32(TRACK_ID, 1, 0, 0, 0)))),
  ]);

const movieHeader = (): Uint8Array =>
  fullBox(
    'mvhd',
    PLAIN,
    u32(0, 0, 1000, 0, 0x00010000),
    u16(0x0100, 0),
    u32(0, 0),
    UNITY_MATRIX,
    new Uint8Array(24),
    u32(TRACK_ID + 1),
  );

const trackBox = (track: Track): Uint8Array => {
  const { hdlr, header } = mediaHandler(track);
  const dataReference = fullBox('dref', PLAIN, u32(1), fullBox('url ', { version: 0, flags: 1 }));
  const mediaInformation = box('minf', header, box('dinf', dataReference), sampleTable(track));
  const mediaHeader = fullBox('mdhd', PLAIN, u32(0, 0, track.timescaleHz, 0), u16(LANGUAGE_UNDETERMINED, 0));
  return box('trak', trackHeader(track), box('mdia', mediaHeader, hdlr, mediaInformation));
};

/** Enabled, in the movie, in the preview; volume 1 for sound. */
const trackHeader = (track: Track): Uint8Array => {
  const isVideo = track.kind === 'video';
  const size = isVideo ? u32(track.widthPx * 0x10000, track.heightPx * 0x10000) : u32(0, 0);
  return fullBox(
    'tkhd',
    { version: 0, flags: 7 },
    u32(0, 0, TRACK_ID, 0, 0, 0, 0),
    u16(0, 0, isVideo ? 0 : 0x0100, 0),
    UNITY_MATRIX,
    size,
  );
};

const sampleTable = (track: Track): Uint8Array =>
  box(
    'stbl',
    fullBox('stsd', PLAIN, u32(1), sampleEntry(track)),
    fullBox('stts', PLAIN, u32(0)),
    fullBox('stsc', PLAIN, u32(0)),
    fullBox('stsz', PLAIN, u32(0, 0)),
    fullBox('stco', PLAIN, u32(0)),
  );
