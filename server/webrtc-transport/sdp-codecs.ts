/** What of an offered media section we take: H.264, with AV1 beside it, or Opus; their RTX, feedback and header extensions. */
import type { SdpCodec, SdpMedia } from './sdp-offer.ts';

export const TRANSPORT_CC_URI = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
export const PLAYOUT_DELAY_URI = 'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay';

export type PayloadTypes = {
  readonly payloadType: number;
  /** Undefined where the peer offered no retransmission format for it. */
  readonly rtxPayloadType: number | undefined;
};

export type ChosenMedia = PayloadTypes & {
  readonly mid: string;
  /** Beside H.264, for renditions in AV1; undefined where the peer did not offer it. */
  readonly av1?: PayloadTypes | undefined;
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
 * browsers list no High at all and decode it nevertheless (research/INGEST-WEBRTC.md 4). Where AV1 is offered too, both are taken, as each
 * rendition has its own payload type; the one that comes first in the answer is what the viewer asked to see. Undefined without H.264.
 */
export const chooseVideo = (
  media: SdpMedia,
  { sourceProfileIdc, prefersAv1 }: { sourceProfileIdc: number | undefined; prefersAv1: boolean },
): ChosenMedia | undefined => {
  const h264 = chooseH264(media, sourceProfileIdc);
  if (h264 === undefined) {
    return undefined;
  }
  const av1 = chooseAv1(media);
  const inOrder = (prefersAv1 ? [av1, h264] : [h264, av1]).filter((codec) => codec !== undefined);
  const described = describe(media, inOrder, [TRANSPORT_CC_URI, PLAYOUT_DELAY_URI]);
  return { ...described, ...payloadTypesOf(h264), av1: av1 === undefined ? undefined : payloadTypesOf(av1) };
};

const chooseH264 = (media: SdpMedia, sourceProfileIdc: number | undefined): TakenCodec | undefined => {
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
  return take(media, codec, { clock: 'H264/90000', format, feedback: VIDEO_FEEDBACK });
};

/** Main profile, which is also what no parameter means (AV1 RTP 7.2.3). */
const chooseAv1 = (media: SdpMedia): TakenCodec | undefined => {
  const codec = media.codecs.find(
    ({ name, clockHz, parameters }) =>
      name === 'av1' && clockHz === 90_000 && (parameters.get('profile') ?? '0') === '0',
  );
  if (codec === undefined) {
    return undefined;
  }
  const numberOf = (name: string, usual: string): string =>
    /^\d{1,2}$/u.exec(codec.parameters.get(name) ?? '')?.[0] ?? usual;
  const format = `level-idx=${numberOf('level-idx', '5')};profile=0;tier=${numberOf('tier', '0')}`;
  return take(media, codec, { clock: 'AV1/90000', format, feedback: VIDEO_FEEDBACK });
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
  const opus = take(media, codec, { clock: 'opus/48000/2', format, feedback: AUDIO_FEEDBACK });
  return { ...describe(media, [opus], [TRANSPORT_CC_URI]), ...payloadTypesOf(opus) };
};

type TakenCodec = PayloadTypes & { readonly attributes: readonly string[] };

const take = (
  media: SdpMedia,
  codec: SdpCodec,
  { clock, format, feedback }: { clock: string; format: string; feedback: readonly string[] },
): TakenCodec => {
  const { payloadType } = codec;
  const isNackOffered = codec.feedback.includes('nack') && feedback.includes('nack');
  // Repeating a packet under its own number would need it bit by bit (an AES-GCM nonce must never serve twice): RTX or nothing.
  const rtx = isNackOffered
    ? media.codecs.find(({ name, parameters }) => name === 'rtx' && parameters.get('apt') === String(payloadType))
    : undefined;
  const attributes = [
    `rtpmap:${payloadType} ${clock}`,
    `fmtp:${payloadType} ${format}`,
    ...feedback
      .filter((kind) => codec.feedback.includes(kind) && (kind !== 'nack' || rtx !== undefined))
      .map((kind) => `rtcp-fb:${payloadType} ${kind}`),
    ...(rtx === undefined ? [] : [`rtpmap:${rtx.payloadType} rtx/90000`, `fmtp:${rtx.payloadType} apt=${payloadType}`]),
  ];
  return { payloadType, rtxPayloadType: rtx?.payloadType, attributes };
};

const payloadTypesOf = ({ payloadType, rtxPayloadType }: PayloadTypes): PayloadTypes => ({
  payloadType,
  rtxPayloadType,
});

/** `taken`: the first is what the peer is told to expect first. */
const describe = (
  media: SdpMedia,
  taken: readonly TakenCodec[],
  uris: readonly string[],
): Pick<ChosenMedia, 'mid' | 'attributes' | 'formats' | 'extensionIds'> => ({
  mid: media.mid,
  attributes: [
    ...taken.flatMap(({ attributes }) => attributes),
    ...uris.flatMap((uri) => {
      const id = media.extensions.get(uri);
      return id === undefined ? [] : [`extmap:${id} ${uri}`];
    }),
  ],
  formats: taken
    .flatMap(({ payloadType, rtxPayloadType }) =>
      rtxPayloadType === undefined ? [payloadType] : [payloadType, rtxPayloadType],
    )
    .join(' '),
  extensionIds: {
    transportSeq: media.extensions.get(TRANSPORT_CC_URI) ?? 0,
    playoutDelay: uris.includes(PLAYOUT_DELAY_URI) ? (media.extensions.get(PLAYOUT_DELAY_URI) ?? 0) : 0,
  },
});
