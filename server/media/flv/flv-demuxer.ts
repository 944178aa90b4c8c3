/** One publisher's FLV tags into access units. Pure: tags and arrival times go in, units come out. Lives as long as the publish. */

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

export type FlvDropReason = FlvIgnoredReason | 'before_config' | 'empty_unit';

export type Demuxed =
  | { readonly type: 'unit'; readonly unit: SourceUnit }
  /** A sequence header: `isNew` when it changed the parameters. */
  | { readonly type: 'track'; readonly track: Track; readonly isNew: boolean }
  | { readonly type: 'metadata'; readonly values: AmfObject }
  | { readonly type: 'dropped'; readonly reason: FlvDropReason };

type VideoFrame = Extract<FlvEvent, { type: 'video-frame' }>;
type AudioFrame = Extract<FlvEvent, { type: 'audio-frame' }>;
/** A payload of ours (copied), and what was learnt while looking at it. */
type Picture = { readonly payload: Uint8Array; readonly isKeyframe: boolean };

export class FlvDemuxer {
  readonly #unwrapper = new Unwrapper(32);
  #video: VideoSetup | undefined;
  #audio: AudioTrack | undefined;
  #audioClock: AudioClock | undefined;

  get videoTrack(): Track | undefined {
    return this.#video?.track;
  }

  get audioTrack(): AudioTrack | undefined {
    return this.#audio;
  }

  /**
   * Throws `ProtocolError`: the codes of `parseFlvTag`, `NAL_LENGTH_INVALID`, `AV1_OBU_INVALID`, `OPUS_PACKET_INVALID`, and
   * those of the codecs' configuration records. After one of them the demuxer must not be used any further.
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
    const picture = this.#readPicture(frame, this.#video);
    if (picture.payload.byteLength === 0) {
      return { type: 'dropped', reason: 'empty_unit' };
    }
    // Read again: parameter sets within the picture may have replaced the track.
    const { track } = this.#video;
    const unit = {
      track,
      dtsTicks: msToTicks(stampMs, track.timescaleHz),
      ptsTicks: msToTicks(stampMs + frame.compositionMs, track.timescaleHz),
      ...picture,
      arrivedAtMs: tag.arrivedAtMs,
      arrivedAtWallMs: tag.arrivedAtWallMs,
    };
    return { type: 'unit', unit };
  }

  #readPicture(frame: VideoFrame, setup: VideoSetup): Picture {
    if (frame.codec === 'av1') {
      const obus = splitObus(frame.payload);
      return { payload: joinTemporalUnit(obus), isKeyframe: isAv1Keyframe(obus) };
    }
    const nalUnits = splitNalUnits(frame.payload, setup.lengthBytes);
    // With 4-byte lengths the bytes pass as they came, whatever they hold.
    const payload = setup.lengthBytes === 4 ? Uint8Array.from(frame.payload) : joinNalUnits(nalUnits);
    if (frame.codec === 'hevc') {
      return { payload, isKeyframe: nalUnits.some(isHevcKeyframeNal) };
    }
    this.#video = setupFromInBand(setup, nalUnits) ?? setup;
    return {
      payload: nalUnits.length === 0 ? new Uint8Array() : payload,
      isKeyframe: nalUnits.some((nalUnit) => nalTypeOf(nalUnit) === NAL_IDR),
    };
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
