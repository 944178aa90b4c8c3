/**
 * Writes one elementary stream as NUT, for what ffmpeg's FLV reader does not know (HEVC, AV1, Opus). A syncpoint goes before a
 * frame only when the distance demands one: ffmpeg's reader remembers each of them for as long as it runs.
 */
import type { Track } from '../track.ts';
import * as nut from './nut-format.ts';

/** The most the specification allows, so syncpoints are as rare as they may be. */
const DISTANCE_MAX_BYTES = 65_536;
const PTS_SHIFT_BITS = 14;
/** One table entry for all frames: everything is coded in the frame header, with a checksum, which large frames must have. */
const FRAME_FLAGS = nut.FLAG_CODED | nut.FLAG_CODED_PTS | nut.FLAG_SIZE_MSB | nut.FLAG_CHECKSUM;

export class NutWriter {
  readonly #track: Track;
  readonly #reorderMaxCount: number;
  #positionBytes = 0;
  #syncpointAtBytes: number | undefined;

  /** `reorderMaxCount`: the most pictures by which decoding order may differ from showing order (0 without B-frames). */
  constructor(options: { track: Track; reorderMaxCount: number }) {
    this.#track = options.track;
    this.#reorderMaxCount = options.reorderMaxCount;
  }

  /** File id, main header and stream header: the first bytes of the file. */
  header(): Uint8Array {
    return this.#count(
      concat([
        Buffer.from(nut.NUT_FILE_ID, 'latin1'),
        packet(nut.START_MAIN, mainHeader(this.#track.timescaleHz)),
        packet(nut.START_STREAM, streamHeader(this.#track, this.#reorderMaxCount)),
      ]),
    );
  }

  /** One frame. `ptsTicks` is in the track's timescale and not below 0. */
  frame(options: { ptsTicks: number; isKeyframe: boolean; payload: Uint8Array }): Uint8Array {
    const { ptsTicks, isKeyframe, payload } = options;
    const head = frameHeader(ptsTicks, isKeyframe, payload.byteLength);
    const lastSyncpoint = this.#syncpointAtBytes;
    const isDue = lastSyncpoint === undefined || this.#positionBytes + 64 - lastSyncpoint > DISTANCE_MAX_BYTES;
    if (!isDue) {
      return this.#count(concat([head, payload]));
    }
    this.#syncpointAtBytes = this.#positionBytes;
    return this.#count(concat([packet(nut.START_SYNCPOINT, [...varint(ptsTicks), ...varint(0)]), head, payload]));
  }

  #count(bytes: Uint8Array): Uint8Array {
    this.#positionBytes += bytes.byteLength;
    return bytes;
  }
}

const concat = (parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

/** `v` of the specification. */
export const varint = (value: number): number[] => {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.unshift(0x80 | (rest % 128));
  }
  return bytes;
};

const block = (bytes: Uint8Array): number[] => [...varint(bytes.byteLength), ...bytes];

const u32 = (value: number): number[] => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];

const packet = (code: nut.StartCode, content: readonly number[]): Uint8Array => {
  const body = Uint8Array.from(content);
  const bodyBytes = body.byteLength + 4;
  const head = [...u32(code.high), ...u32(code.low), ...varint(bodyBytes)];
  const headCheck = bodyBytes > nut.LONG_PACKET_MIN_BYTES ? u32(nut.nutChecksum(Uint8Array.from(head))) : [];
  return Uint8Array.from([...head, ...headCheck, ...body, ...u32(nut.nutChecksum(body))]);
};

/** Code 0 is every frame; the rest is invalid (255 entries, as `N` counts for itself). */
const mainHeader = (timescaleHz: number): number[] => [
  ...varint(3),
  ...varint(1),
  ...varint(DISTANCE_MAX_BYTES),
  ...varint(1),
  ...varint(1),
  ...varint(timescaleHz),
  ...[...varint(nut.FLAG_INVALID), ...varint(6), 0, 1, 0, 0, 0, 1],
  ...[...varint(FRAME_FLAGS), ...varint(6), 0, 1, 0, 0, 0, 1],
  ...[...varint(nut.FLAG_INVALID), ...varint(6), 0, 1, 0, 0, 0, ...varint(253)],
  ...varint(0),
];

const FOUR_CC = { h264: 'H264', hevc: 'HEVC', av1: 'AV01', opus: 'Opus' } as const;
/** AAC has no four-character code in NUT but its WAVE tag, 0x00ff. */
const AAC_TAG = Uint8Array.from([0xff, 0x00]);

const streamHeader = (track: Track, reorderMaxCount: number): number[] => {
  const isVideo = track.kind === 'video';
  const tag = track.codec === 'aac' ? AAC_TAG : Buffer.from(FOUR_CC[track.codec], 'latin1');
  return [
    ...varint(0),
    ...varint(isVideo ? nut.STREAM_CLASS_VIDEO : nut.STREAM_CLASS_AUDIO),
    ...block(tag),
    ...varint(0),
    ...varint(PTS_SHIFT_BITS),
    ...varint(track.timescaleHz),
    ...varint(reorderMaxCount),
    ...varint(0),
    ...block(track.decoderConfig),
    ...(isVideo
      ? [...varint(track.widthPx), ...varint(track.heightPx), 0, 0, 0]
      : [...varint(track.timescaleHz), 1, ...varint(track.channelCount)]),
  ];
};

/** Time in full (an offset of 2^shift says so), so no frame depends on the one before it. */
const frameHeader = (ptsTicks: number, isKeyframe: boolean, payloadBytes: number): Uint8Array => {
  const head = Uint8Array.from([
    1,
    ...varint(isKeyframe ? nut.FLAG_KEY : 0),
    ...varint(ptsTicks + 2 ** PTS_SHIFT_BITS),
    ...varint(payloadBytes),
  ]);
  return concat([head, Uint8Array.from(u32(nut.nutChecksum(head)))]);
};
