/** One publisher's FLV tags into access units. Pure: tags and arrival times go in, units come out. Lives as long as the publish. */

import { ProtocolError } from '../../base/errors.ts';
import { Unwrapper } from '../../base/wrap.ts';
import type { SourceUnit } from '../access-unit.ts';
import { msToTicks } from '../access-unit.ts';
import { isAv1Keyframe, joinTemporalUnit, splitObus } from '../av1/obu.ts';
import { NAL_IDR, joinNalUnits, nalTypeOf, splitNalUnits } from '../h264/nal-units.ts';
import { isHevcKeyframeNal } from '../hevc/hevc-config.ts';
import { opusPacketSamples } from '../opus/opus-config.ts';
import type { AudioCodec, AudioTrack, Track, VideoCodec } from '../track.ts';
import type { AmfObject } from './amf0.ts';
import { AudioClock } from './audio-clock.ts';
import type { FlvEvent, FlvIgnoredReason, FlvTagType } from './flv-tag.ts';
import { parseFlvTag } from './flv-tag.ts';
import type { VideoSetup } from './publisher-tracks.ts';
import { sameBytes, setupAudio, setupFromInBand, setupVideo } from './publisher-tracks.ts';

export type FlvTag = {
  readonly type: FlvTagType;
  /** Milliseconds modulo 2^32, as RTMP carries them. */
  readonly timestampTs32: number;
  /** May be a reused buffer: whatever is kept is copied. */
  readonly body: Uint8Array;
  readonly arrivedAtMs: number;
  readonly arrivedAtWallMs: number;
};

/** `broken`: it cannot be cut into its units. `after_broken`: it may refer to one that was. */
export type FlvDropReason = FlvIgnoredReason | 'before_config' | 'empty_unit' | 'broken' | 'after_broken';

export type Demuxed =
  | { readonly type: 'unit'; readonly unit: SourceUnit }
  /** A sequence header: `isNew` when it changed the parameters. */
  | { readonly type: 'track'; readonly track: Track; readonly isNew: boolean }
  | { readonly type: 'metadata'; readonly values: AmfObject }
  /** `fault`: of a broken one. */
  | { readonly type: 'dropped'; readonly reason: FlvDropReason; readonly fault?: ProtocolError };

type VideoFrame = Extract<FlvEvent, { type: 'video-frame' }>;
type AudioFrame = Extract<FlvEvent, { type: 'audio-frame' }>;
/** A payload of ours (copied; empty when there is nothing in it), and what was learnt while looking at it. */
type Picture = {
  readonly payload: Uint8Array;
  readonly isKeyframe: boolean;
  /** Views of the tag. */
  readonly nalUnits: readonly Uint8Array[];
};

/** Pictures left out from a broken one on, until the publisher is given up: more than lie between keyframes (x264: 250 unless told otherwise). */
const LEFT_OUT_MAX_COUNT = 600;

export class FlvDemuxer {
  readonly #unwrapper = new Unwrapper(32);
  #video: VideoSetup | undefined;
  #audio: AudioTrack | undefined;
  #audioClock: AudioClock | undefined;
  /** Why the next keyframe is waited for; undefined: it is not. */
  #fault: ProtocolError | undefined;
  #leftOutCount = 0;

  get videoTrack(): Track | undefined {
    return this.#video?.track;
  }

  get audioTrack(): AudioTrack | undefined {
    return this.#audio;
  }

  /**
   * A broken picture is dropped, with those up to the next keyframe. Throws `ProtocolError`: `NAL_LENGTH_INVALID` and `AV1_OBU_INVALID` only when
   * too many are dropped for it; at once the codes of `parseFlvTag`, `OPUS_PACKET_INVALID`, and those of the codecs' configuration records. After one of
   * them the demuxer must not be used any further.
   */
  push(tag: FlvTag): Demuxed {
    const stampMs = this.#unwrapper.unwrap(tag.timestampTs32);
    const event = parseFlvTag(tag.type, tag.body);
    switch (event.type) {
      case 'video-config':
        return this.#setVideo(event.codec, event.config);
      case 'audio-config':
        return this.#setAudio(event.codec, event.config);
      case 'video-frame':
        return this.#videoUnit(event, stampMs, tag);
      case 'audio-frame':
        return this.#audioUnit(event, stampMs, tag);
      case 'metadata':
        return event;
      case 'ignored':
        return { type: 'dropped', reason: event.reason };
      default:
        return event satisfies never;
    }
  }

  #setVideo(codec: VideoCodec, config: Uint8Array): Demuxed {
    const current = this.#video;
    if (current !== undefined && current.track.codec === codec && sameBytes(current.sentConfig, config)) {
      return { type: 'track', track: current.track, isNew: false };
    }
    this.#video = setupVideo(codec, config);
    return { type: 'track', track: this.#video.track, isNew: true };
  }

  #setAudio(codec: AudioCodec, config: Uint8Array): Demuxed {
    const current = this.#audio;
    if (current !== undefined && current.codec === codec && sameBytes(current.decoderConfig, config)) {
      return { type: 'track', track: current, isNew: false };
    }
    this.#audio = setupAudio(codec, config);
    if (this.#audio.timescaleHz !== current?.timescaleHz) {
      this.#audioClock = undefined;
    }
    return { type: 'track', track: this.#audio, isNew: true };
  }

  #videoUnit(frame: VideoFrame, stampMs: number, tag: FlvTag): Demuxed {
    if (this.#video === undefined || this.#video.track.codec !== frame.codec) {
      return { type: 'dropped', reason: 'before_config' };
    }
    let picture;
    try {
      picture = readPicture(frame, this.#video.lengthBytes);
    } catch (error) {
      return this.#leaveOut('broken', error);
    }
    const { payload, isKeyframe, nalUnits } = picture;
    if (frame.codec === 'h264') {
      this.#video = setupFromInBand(this.#video, nalUnits) ?? this.#video;
    }
    if (payload.byteLength === 0) {
      return { type: 'dropped', reason: 'empty_unit' };
    }
    if (isKeyframe) {
      this.#fault = undefined;
      this.#leftOutCount = 0;
    } else if (this.#fault !== undefined) {
      return this.#leaveOut('after_broken', this.#fault);
    }
    // Read again: parameter sets within the picture may have replaced the track.
    const { track } = this.#video;
    const unit = {
      track,
      dtsTicks: msToTicks(stampMs, track.timescaleHz),
      ptsTicks: msToTicks(stampMs + frame.compositionMs, track.timescaleHz),
      ...{ payload, isKeyframe },
      arrivedAtMs: tag.arrivedAtMs,
      arrivedAtWallMs: tag.arrivedAtWallMs,
    };
    return { type: 'unit', unit };
  }

  #leaveOut(reason: 'broken' | 'after_broken', fault: unknown): Demuxed {
    if (!(fault instanceof ProtocolError)) {
      throw fault;
    }
    this.#fault = fault;
    this.#leftOutCount += 1;
    if (this.#leftOutCount > LEFT_OUT_MAX_COUNT) {
      const since = `${LEFT_OUT_MAX_COUNT} pictures went by without a keyframe that could be read`;
      throw new ProtocolError(fault.code, `${fault.detail}; ${since}`, fault);
    }
    return { type: 'dropped', reason, ...(reason === 'broken' ? { fault } : {}) };
  }

  #audioUnit(frame: AudioFrame, stampMs: number, tag: FlvTag): Demuxed {
    const track = this.#audioTrackFor(frame);
    if (track === undefined) {
      return { type: 'dropped', reason: 'before_config' };
    }
    this.#audioClock ??= new AudioClock(track.timescaleHz);
    const ticks = this.#audioClock.place(stampMs, track.samplesPerUnit);
    const unit = {
      track,
      dtsTicks: ticks,
      ptsTicks: ticks,
      isKeyframe: true,
      payload: Uint8Array.from(frame.payload),
      arrivedAtMs: tag.arrivedAtMs,
      arrivedAtWallMs: tag.arrivedAtWallMs,
    };
    return { type: 'unit', unit };
  }

  /** Opus packets say themselves how long they last; when that changes, so does the track. */
  #audioTrackFor(frame: AudioFrame): AudioTrack | undefined {
    const track = this.#audio;
    if (track === undefined || track.codec !== frame.codec || track.codec === 'aac') {
      return track?.codec === frame.codec ? track : undefined;
    }
    const samplesPerUnit = opusPacketSamples(frame.payload);
    if (samplesPerUnit !== track.samplesPerUnit) {
      this.#audio = { ...track, samplesPerUnit };
    }
    return this.#audio;
  }
}

/** Throws `NAL_LENGTH_INVALID` and `AV1_OBU_INVALID`. */
const readPicture = ({ codec, payload }: VideoFrame, lengthBytes: number): Picture => {
  if (codec === 'av1') {
    const obus = splitObus(payload);
    return { payload: joinTemporalUnit(obus), isKeyframe: isAv1Keyframe(obus), nalUnits: [] };
  }
  const nalUnits = splitNalUnits(payload, lengthBytes);
  const isKeyframe = nalUnits.some(codec === 'hevc' ? isHevcKeyframeNal : (nalUnit) => nalTypeOf(nalUnit) === NAL_IDR);
  // With 4-byte lengths the bytes pass as they came, whatever they hold.
  const passesAsIs = lengthBytes === 4 && nalUnits.length > 0;
  return { payload: passesAsIs ? Uint8Array.from(payload) : joinNalUnits(nalUnits), isKeyframe, nalUnits };
};
