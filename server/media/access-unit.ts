/**
 * The currency of the server: one encoded picture, or one audio frame. Everything that comes in becomes access units,
 * everything that goes out is made from them. The payload is never written to after construction, so it is shared, not copied.
 */
import type { AudioTrack, Track, VideoTrack } from './track.ts';

/**
 * Payload by codec: H.264 and HEVC: NAL units each behind a 4-byte length, without parameter sets repeated from the track
 * (if the encoder sent them in-band they stay); AV1: a temporal unit's OBUs with sizes, no temporal delimiter; AAC: a raw
 * frame without ADTS; Opus: one packet.
 */
export type AccessUnit<T extends Track = Track> = {
  readonly track: T;
  /** Decoding time on the broadcast's media timeline, integer, in `track.timescaleHz`. Strictly rises within a rendition. */
  readonly dtsTicks: number;
  /** Presentation time, same clock. May be below `dtsTicks` where an encoder used negative composition offsets. */
  readonly ptsTicks: number;
  /** An IDR (or the codec's equal): decoding can start here. Always true for audio. */
  readonly isKeyframe: boolean;
  readonly payload: Uint8Array;
  /** When its last byte reached this server: monotonic clock. */
  readonly arrivedAtMs: number;
  /** The same instant on the Unix clock. */
  readonly arrivedAtWallMs: number;
  /** True on the first unit after a gap of the source (reconnect, timestamp jump): what follows does not join what came before. */
  readonly isDiscontinuity: boolean;
};

export type VideoUnit = AccessUnit<VideoTrack>;
export type AudioUnit = AccessUnit<AudioTrack>;

/** An access unit as a publisher stamped it, before the broadcast's timeline places it. Times may wrap no more, but may jump or restart. */
export type SourceUnit<T extends Track = Track> = Omit<AccessUnit<T>, 'isDiscontinuity'>;

export const isVideoUnit = (unit: AccessUnit): unit is VideoUnit => unit.track.kind === 'video';
export const isAudioUnit = (unit: AccessUnit): unit is AudioUnit => unit.track.kind === 'audio';

/** Milliseconds (with a fraction) of a tick count. */
export const ticksToMs = (ticks: number, timescaleHz: number): number => (ticks * 1000) / timescaleHz;

/** The nearest tick to `ms`. */
export const msToTicks = (ms: number, timescaleHz: number): number => Math.round((ms * timescaleHz) / 1000);

/** Decoding time in milliseconds on the media timeline. */
export const dtsMsOf = (unit: SourceUnit): number => ticksToMs(unit.dtsTicks, unit.track.timescaleHz);

/** Presentation time in milliseconds on the media timeline. */
export const ptsMsOf = (unit: SourceUnit): number => ticksToMs(unit.ptsTicks, unit.track.timescaleHz);
