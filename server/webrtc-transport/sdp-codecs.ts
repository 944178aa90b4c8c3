/** What of an offered media section we take: one H.264 or Opus payload type, its RTX, its feedback and its header extensions. */
import type { SdpCodec, SdpMedia } from './sdp-offer.ts';

export const TRANSPORT_CC_URI = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
export const PLAYOUT_DELAY_URI = 'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay';

export type ChosenMedia = {
  readonly mid: string;
  readonly payloadType: number;
  /** Undefined where the peer offered no retransmission format for it. */
  readonly rtxPayloadType: number | undefined;
  /** The rest of the lines that describe it: `rtpmap`, `fmtp`, `rtcp-fb`, `extmap`, without `a=`. */
  readonly attributes: readonly string[];
  /** The payload types of the media line. */
  readonly formats: string;
  readonly extensionIds: { readonly transportSeq: number; readonly playoutDelay: number };
};

const VIDEO_FEEDBACK = ['nack', 'nack pli', 'ccm fir', 'transport-cc', 'rrtr'];
const AUDIO_FEEDBACK = ['transport-cc', 'rrtr'];
const CONSTRAINED_BASELINE_IDC = 0x42;

/**
 * The H.264 payload type with packetization-mode=1 whose profile is the source's, else constrained baseline, else the first:
 * browsers list no High at all and decode it nevertheless (research/INGEST-WEBRTC.md 4). Undefined when none is offered.
 */
export const chooseH264 = (media: SdpMedia, sourceProfileIdc: number | undefined): ChosenMedia | undefined => {
  const usable = media.codecs.filter(
    (codec) => codec.name === 'h264' && codec.clockHz === 90_000 && codec.parameters.get('packetization-mode') === '1',
  );
  const withProfile = (idc: number | undefined): SdpCodec | undefined =>
    usable.find((codec) => profileIdcOf(codec) === idc);
  const codec = withProfile(sourceProfileIdc) ?? withProfile(CONSTRAINED_BASELINE_IDC) ?? usable[0];
  if (codec === undefined) {
    return undefined;
  }
  const profile = codec.parameters.get('profile-level-id') ?? '42e01f';
  const format = `level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=${profile.slice(0, 6)}`;
  return describe({ media, codec, format, feedback: VIDEO_FEEDBACK, uris: [TRANSPORT_CC_URI, PLAYOUT_DELAY_URI] });
};

const profileIdcOf = (codec: SdpCodec): number =>
  Number.parseInt((codec.parameters.get('profile-level-id') ?? '').slice(0, 2), 16);

/** Opus at 48 kHz; we always send stereo, whether or not the peer asked for it. Undefined when it is not offered. */
export const chooseOpus = (media: SdpMedia): ChosenMedia | undefined => {
  const codec = media.codecs.find(({ name, clockHz }) => name === 'opus' && clockHz === 48_000);
  if (codec === undefined) {
    return undefined;
  }
  const stereo = codec.parameters.get('stereo') === '1' ? ';stereo=1' : '';
  const format = `minptime=10;useinbandfec=1;sprop-stereo=1${stereo}`;
  return describe({ media, codec, format, feedback: AUDIO_FEEDBACK, uris: [TRANSPORT_CC_URI] });
};

type Description = {
  readonly media: SdpMedia;
  readonly codec: SdpCodec;
  readonly format: string;
  readonly feedback: readonly string[];
  readonly uris: readonly string[];
};

const describe = ({ media, codec, format, feedback, uris }: Description): ChosenMedia => {
  const { payloadType } = codec;
  const isNackOffered = codec.feedback.includes('nack') && feedback.includes('nack');
  // Repeating a packet under its own number would need it bit by bit (an AES-GCM nonce must never serve twice): RTX or nothing.
  const rtx = isNackOffered
    ? media.codecs.find(({ name, parameters }) => name === 'rtx' && parameters.get('apt') === String(payloadType))
    : undefined;
  const clock = codec.name === 'opus' ? 'opus/48000/2' : 'H264/90000';
  const attributes = [
    `rtpmap:${payloadType} ${clock}`,
    `fmtp:${payloadType} ${format}`,
    ...feedback
      .filter((kind) => codec.feedback.includes(kind) && (kind !== 'nack' || rtx !== undefined))
      .map((kind) => `rtcp-fb:${payloadType} ${kind}`),
    ...(rtx === undefined ? [] : [`rtpmap:${rtx.payloadType} rtx/90000`, `fmtp:${rtx.payloadType} apt=${payloadType}`]),
    ...uris.flatMap((uri) => {
      const id = media.extensions.get(uri);
      return id === undefined ? [] : [`extmap:${id} ${uri}`];
    }),
  ];
  return {
    mid: media.mid,
    payloadType,
    rtxPayloadType: rtx?.payloadType,
    attributes,
    formats: rtx === undefined ? String(payloadType) : `${payloadType} ${rtx.payloadType}`,
    extensionIds: {
      transportSeq: media.extensions.get(TRANSPORT_CC_URI) ?? 0,
      playoutDelay: uris.includes(PLAYOUT_DELAY_URI) ? (media.extensions.get(PLAYOUT_DELAY_URI) ?? 0) : 0,
    },
  };
};
