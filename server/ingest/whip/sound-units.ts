/** Opus packets into access units: how long each lasts says the packet, when it begins the publisher's clock. Pure. */
import type { SourceUnit } from '../../media/access-unit.ts';
import { AudioClock } from '../../media/flv/audio-clock.ts';
import { OPUS_TIMESCALE_HZ, buildOpusHead, opusPacketSamples } from '../../media/opus/opus-config.ts';
import type { AudioTrack } from '../../media/track.ts';

export type SoundPlace = {
  /** When it begins, on the publisher's clock. */
  readonly startMs: number;
  readonly arrivedAtMs: number;
  readonly arrivedAtWallMs: number;
};

/** Every packet says itself whether it is stereo (RFC 6716 3.1), and decodes to two channels either way. */
const CHANNEL_COUNT = 2;
/** Sound that lies by less than this before what was already handed on is left out; by more, the clock was set. */
const OVERLAP_MAX_MS = 1_000;

export class SoundUnits {
  readonly #clock = new AudioClock(OPUS_TIMESCALE_HZ);
  #track: AudioTrack | undefined;
  #endTicks: number | undefined;

  get track(): AudioTrack | undefined {
    return this.#track;
  }

  /** Undefined: it lies before what was handed on. Throws `ProtocolError` `OPUS_PACKET_INVALID`. */
  push(payload: Uint8Array, { startMs, arrivedAtMs, arrivedAtWallMs }: SoundPlace): SourceUnit<AudioTrack> | undefined {
    const samples = opusPacketSamples(payload);
    const track = this.#trackFor(samples);
    const dtsTicks = this.#clock.place(startMs, samples);
    const overlapTicks = (this.#endTicks ?? dtsTicks) - dtsTicks;
    if (overlapTicks > samples / 2 && overlapTicks < (OVERLAP_MAX_MS * OPUS_TIMESCALE_HZ) / 1000) {
      return undefined;
    }
    this.#endTicks = dtsTicks + samples;
    return { track, dtsTicks, ptsTicks: dtsTicks, isKeyframe: true, payload, arrivedAtMs, arrivedAtWallMs };
  }

  #trackFor(samplesPerUnit: number): AudioTrack {
    const current = this.#track;
    if (current !== undefined && current.samplesPerUnit === samplesPerUnit) {
      return current;
    }
    this.#track = {
      kind: 'audio',
      codec: 'opus',
      timescaleHz: OPUS_TIMESCALE_HZ,
      decoderConfig: current?.decoderConfig ?? buildOpusHead(CHANNEL_COUNT),
      codecString: 'opus',
      channelCount: CHANNEL_COUNT,
      samplesPerUnit,
    };
    return this.#track;
  }
}
