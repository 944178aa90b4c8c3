/** The tracks of what ffmpeg made, from NUT's stream headers. Pure. */
import { ProtocolError } from '../server/base/errors.ts';
import { parseAacConfig } from '../server/media/aac/audio-specific-config.ts';
import { buildAv1Config, parseAv1Config } from '../server/media/av1/av1-config.ts';
import { joinTemporalUnit, splitObus } from '../server/media/av1/obu.ts';
import { avcCodecString, buildAvcConfig, parseAvcConfig } from '../server/media/h264/avc-config.ts';
import { splitAnnexB, startsWithStartCode } from '../server/media/h264/annex-b.ts';
import { NAL_AUD, NAL_PPS, NAL_SPS, joinNalUnits, nalTypeOf, splitNalUnits } from '../server/media/h264/nal-units.ts';
import type { NutStream } from '../server/media/nut/nut-headers.ts';
import type { AudioTrack, Track, VideoTrack } from '../server/media/track.ts';
import { VIDEO_TIMESCALE_HZ } from '../server/media/track.ts';

/** Throws `ProtocolError` `TRANSCODE_OUTPUT_UNKNOWN` for anything but H.264, AV1, Opus and AAC. `frameMs`: of one Opus packet. */
export const madeTrack = (stream: NutStream, firstPayload: Uint8Array, frameMs: number): Track => {
  if (stream.kind === 'video' && stream.fourCc === 'H264') {
    return h264Track(stream, firstPayload);
  }
  if (stream.kind === 'video' && stream.fourCc === 'AV01') {
    return av1Track(stream, firstPayload);
  }
  if (stream.kind === 'audio' && stream.fourCc === 'Opus') {
    return opusTrack(stream, frameMs);
  }
  if (stream.kind === 'audio' && stream.fourCc.startsWith(AAC_TAG)) {
    return aacTrack(stream);
  }
  throw new ProtocolError('TRANSCODE_OUTPUT_UNKNOWN', `ffmpeg made ${stream.kind} ${stream.fourCc}`);
};

/**
 * x264 is told to put lengths before NAL units: its set-up is SPS and PPS (and a comment) in that form. Hardware encoders put start codes there, and
 * some give the set-up with the first picture alone.
 */
const h264Track = (stream: NutStream, firstPayload: Uint8Array): VideoTrack => {
  const setUp = stream.codecSpecific.byteLength > 0 ? stream.codecSpecific : firstPayload;
  const nalUnits = isMadeInAnnexB(stream, firstPayload) ? splitAnnexB(setUp) : splitNalUnits(setUp);
  const ofType = (type: number): Uint8Array[] => nalUnits.filter((nalUnit) => nalTypeOf(nalUnit) === type);
  const decoderConfig = buildAvcConfig(ofType(NAL_SPS), ofType(NAL_PPS));
  return {
    kind: 'video',
    codec: 'h264',
    timescaleHz: VIDEO_TIMESCALE_HZ,
    decoderConfig,
    codecString: avcCodecString(parseAvcConfig(decoderConfig)),
    widthPx: stream.widthPx,
    heightPx: stream.heightPx,
  };
};

/** ffmpeg's NUT says nothing of its set-up; the first picture begins with it. */
const av1Track = (stream: NutStream, firstPayload: Uint8Array): VideoTrack => {
  const decoderConfig = buildAv1Config(firstPayload);
  const { codecString } = parseAv1Config(decoderConfig);
  const { widthPx, heightPx } = stream;
  return {
    kind: 'video',
    codec: 'av1',
    timescaleHz: VIDEO_TIMESCALE_HZ,
    decoderConfig,
    codecString,
    widthPx,
    heightPx,
  };
};

/** Whether the stream's NAL units come behind start codes. Where the set-up does not tell, the first payload does: x264 always gives a set-up. */
export const isMadeInAnnexB = (stream: NutStream, firstPayload: Uint8Array): boolean =>
  stream.fourCc === 'H264' &&
  startsWithStartCode(stream.codecSpecific.byteLength > 0 ? stream.codecSpecific : firstPayload);

/** In the track already. */
const LEFT_OUT: ReadonlySet<number> = new Set([NAL_SPS, NAL_PPS, NAL_AUD]);

/** What ffmpeg's encoder gave, as an access unit carries it. Throws `ProtocolError`. */
export const madePayload = (track: Track, payload: Uint8Array, isAnnexB: boolean): Uint8Array => {
  if (isAnnexB) {
    return joinNalUnits(splitAnnexB(payload).filter((nalUnit) => !LEFT_OUT.has(nalTypeOf(nalUnit))));
  }
  return track.codec === 'av1' ? joinTemporalUnit(splitObus(payload)) : payload;
};

const opusTrack = (stream: NutStream, frameMs: number): AudioTrack => ({
  kind: 'audio',
  codec: 'opus',
  timescaleHz: 48_000,
  decoderConfig: stream.codecSpecific,
  codecString: 'opus',
  channelCount: stream.channelCount,
  samplesPerUnit: frameMs * 48,
});

/** NUT knows AAC by its WAVE tag alone, 0x00ff. */
const AAC_TAG = '\u00ff\u0000';

const aacTrack = (stream: NutStream): AudioTrack => {
  const decoderConfig = stream.codecSpecific;
  const { sampleRateHz, channelCount, samplesPerUnit, codecString } = parseAacConfig(decoderConfig);
  return {
    kind: 'audio',
    codec: 'aac',
    timescaleHz: sampleRateHz,
    decoderConfig,
    codecString,
    channelCount,
    samplesPerUnit,
  };
};

/** Equal parameters mean the same track object, so that a restart of ffmpeg looks like no change to outputs. */
export const keepTrack = <T extends Track>(before: Track | undefined, now: T): Track | T =>
  before !== undefined &&
  before.codecString === now.codecString &&
  Buffer.compare(before.decoderConfig, now.decoderConfig) === 0
    ? before
    : now;
