/**
 * What a browser that publishes sends, in clear and in virtual time: pictures of invented slices with real parameter sets, Opus packets, repeats of what is
 * asked for (RTX for pictures), a keyframe when one is asked for, sender reports; and what it is told in return.
 */
import type { VideoUnit } from '../../server/media/access-unit.ts';
import { joinNalUnits } from '../../server/media/h264/nal-units.ts';
import { H264Packetiser } from '../../server/media/rtp/h264-packetiser.ts';
import { ntpFromWallMs } from '../../server/media/rtp/ntp.ts';
import { buildSenderReport, parseRtcp } from '../../server/media/rtp/rtcp.ts';
import type { RtcpItem } from '../../server/media/rtp/rtcp.ts';
import { rtpHeaderBytes, writeRtpHeader } from '../../server/media/rtp/rtp-header.ts';
import type { VideoTrack } from '../../server/media/track.ts';
import { parseTransportFeedback } from '../../server/media/rtp/transport-cc.ts';
import { AVC_CONFIG, OPUS_PACKET } from './flv-samples.ts';
import { AUDIO_PT, RTX_PT, TRANSPORT_SEQ_ID, VIDEO_PT } from './whep-client.ts';

export const VIDEO_SSRC = 1_111;
export const RTX_SSRC = 1_112;
export const AUDIO_SSRC = 2_222;
const CLOCKS = { video: 90_000, audio: 48_000 } as const;
/** Stamps and numbers begin so that both wrap soon. */
const FIRST_TS32 = { video: 2 ** 32 - 90_000, audio: 2 ** 32 - 24_000 } as const;
const FIRST_SEQ = 65_500;

type Sent = { readonly payload: Uint8Array; readonly timestampTs32: number; readonly isMarked: boolean };

export class RtpPublisher {
  /** Of the next keyframe on: another picture size, for one. */
  config: Uint8Array = AVC_CONFIG;
  /** Whether it repeats what is asked for. */
  answersNacks = true;
  pliCount = 0;
  nackedCount = 0;
  /** Arrival by transport-wide number, as told last; undefined: told as lost. */
  readonly told = new Map<number, number | undefined>();
  readonly items: RtcpItem[] = [];
  readonly #packetiser = new H264Packetiser();
  readonly #sent = new Map<number, Sent>();
  readonly #sentSounds = new Map<number, Sent>();
  #isKeyframeWanted = true;
  #track: VideoTrack | undefined;
  #transportSeq = FIRST_SEQ;
  #seqs = { video: FIRST_SEQ, audio: FIRST_SEQ, rtx: 7 };

  /** The packets of one picture; a keyframe where one is wanted. `bytes`: of its slice. */
  picture(ptsMs: number, bytes = 2_000): Buffer[] {
    const isKeyframe = this.#isKeyframeWanted;
    this.#isKeyframeWanted = false;
    if (isKeyframe || this.#track === undefined) {
      this.#track = trackOf(this.config);
    }
    const slice = Buffer.alloc(bytes, ptsMs & 0xff);
    slice[0] = isKeyframe ? 0x65 : 0x41;
    slice[1] = 0x80 | (ptsMs & 0x7f);
    const payloads = this.#packetiser.packetise(unitOf(this.#track, slice, isKeyframe));
    const timestampTs32 = this.stampOf('video', ptsMs);
    return payloads.map((payload, index) => {
      const seq = this.#seqs.video;
      this.#seqs.video += 1;
      const sent = { payload, timestampTs32, isMarked: index === payloads.length - 1 };
      this.#sent.set(seq & 0xffff, sent);
      return this.#packet({ ...sent, ssrc: VIDEO_SSRC, payloadType: VIDEO_PT, seqExt: seq });
    });
  }

  sound(ptsMs: number, payload: Uint8Array = OPUS_PACKET): Buffer {
    const seqExt = this.#seqs.audio;
    this.#seqs.audio += 1;
    const sent = { payload, timestampTs32: this.stampOf('audio', ptsMs), isMarked: false };
    this.#sentSounds.set(seqExt & 0xffff, sent);
    return this.#packet({ ...sent, ssrc: AUDIO_SSRC, payloadType: AUDIO_PT, seqExt });
  }

  /** The RTP stamp of this time on the publisher's clock. */
  stampOf(kind: 'video' | 'audio', ptsMs: number): number {
    return (FIRST_TS32[kind] + Math.round((ptsMs * CLOCKS[kind]) / 1000)) % 2 ** 32;
  }

  /** Says that `ptsMs` of this stream was at `wallMs`. */
  report(kind: 'video' | 'audio', ptsMs: number, wallMs: number): Buffer {
    const ssrc = kind === 'video' ? VIDEO_SSRC : AUDIO_SSRC;
    const fields = { ntp: ntpFromWallMs(wallMs), timestampTs32: this.stampOf(kind, ptsMs) };
    return buildSenderReport({ ...fields, ssrc, packetCount: 0, octetCount: 0, cname: 'test' });
  }

  /** What the server says; the repeats that it asks for. */
  onRtcp(compound: Uint8Array): Buffer[] {
    const repeats: Buffer[] = [];
    for (const item of compound.byteLength === 0 ? [] : parseRtcp(compound)) {
      this.items.push(item);
      if (item.type === 'pli') {
        this.pliCount += 1;
        this.#isKeyframeWanted = true;
      } else if (item.type === 'nack' && this.answersNacks) {
        this.nackedCount += item.seqs16.length;
        const repeat = (seq16: number): Buffer | undefined =>
          item.mediaSsrc === VIDEO_SSRC ? this.#repeat(seq16) : this.#repeatSound(seq16);
        repeats.push(...item.seqs16.flatMap((seq16) => repeat(seq16) ?? []));
      } else if (item.type === 'transport-cc') {
        const { baseSeq16, arrivedMs } = parseTransportFeedback(item.body);
        arrivedMs.forEach((atMs, index) => this.told.set((baseSeq16 + index) & 0xffff, atMs));
      }
    }
    return repeats;
  }

  #repeat(seq16: number): Buffer | undefined {
    const sent = this.#sent.get(seq16);
    if (sent === undefined) {
      return undefined;
    }
    const payload = Buffer.concat([Buffer.of(seq16 >> 8, seq16 & 0xff), sent.payload]);
    this.#seqs.rtx += 1;
    return this.#packet({ ...sent, payload, ssrc: RTX_SSRC, payloadType: RTX_PT, seqExt: this.#seqs.rtx });
  }

  /** Under its own number, as browsers repeat sound. */
  #repeatSound(seq16: number): Buffer | undefined {
    const sent = this.#sentSounds.get(seq16);
    return sent === undefined
      ? undefined
      : this.#packet({ ...sent, ssrc: AUDIO_SSRC, payloadType: AUDIO_PT, seqExt: seq16 });
  }

  #packet(fields: Sent & { ssrc: number; payloadType: number; seqExt: number }): Buffer {
    const ids = { transportSeq: TRANSPORT_SEQ_ID, playoutDelay: 0 };
    const packet = Buffer.alloc(rtpHeaderBytes(ids) + fields.payload.byteLength);
    const transportSeqExt = this.#transportSeq;
    this.#transportSeq += 1;
    const end = writeRtpHeader(packet, 0, { ...fields, transportSeqExt, playoutDelayMs: 0, playoutDelayMaxMs: 0 }, ids);
    packet.set(fields.payload, end);
    return packet;
  }
}

const trackOf = (decoderConfig: Uint8Array): VideoTrack => ({
  kind: 'video',
  codec: 'h264',
  timescaleHz: 90_000,
  decoderConfig,
  codecString: 'avc1.64000d',
  widthPx: 320,
  heightPx: 180,
});

const unitOf = (track: VideoTrack, slice: Uint8Array, isKeyframe: boolean): VideoUnit => ({
  track,
  dtsTicks: 0,
  ptsTicks: 0,
  isKeyframe,
  payload: joinNalUnits([slice]),
  arrivedAtMs: 0,
  arrivedAtWallMs: 0,
  isDiscontinuity: false,
});
