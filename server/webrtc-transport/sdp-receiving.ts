/** What of an offered media section we receive from a publisher: H.264 in packetization mode 1, or Opus; what repeats it, and its feedback. */
import type { ChosenMedia } from './sdp-codecs.ts';
import { TRANSPORT_CC_URI } from './sdp-codecs.ts';
import type { SdpCodec, SdpMedia } from './sdp-offer.ts';

export type ReceivedMedia = ChosenMedia & {
  /** Whether the publisher repeats what is asked for. */
  readonly hasNack: boolean;
  /** Of `sprop-parameter-sets` (RFC 6184 8.1), where the offer has them. */
  readonly parameterSets: readonly Uint8Array[];
};

const VIDEO_FEEDBACK = ['nack', 'nack pli', 'ccm fir', 'transport-cc'];
const AUDIO_FEEDBACK = ['nack', 'transport-cc'];
/** Baseline, main and high, by `profile_idc`: what browsers show. */
const PROFILES: ReadonlySet<string> = new Set(['42', '4d', '64']);
/** 5.2: the largest we take, where the two directions may differ. */
const LEVEL = '34';
const PARAMETER_SET_MAX_COUNT = 8;
const PARAMETER_SETS_MAX_CHARACTERS = 4_096;

/** The first that suits, as the publisher prefers them. Undefined when there is none. */
export const receiveVideo = (media: SdpMedia): ReceivedMedia | undefined => {
  const codec = media.codecs.find(
    ({ name, clockHz, parameters }) =>
      name === 'h264' &&
      clockHz === 90_000 &&
      parameters.get('packetization-mode') === '1' &&
      PROFILES.has(profileOf(parameters).slice(0, 2).toLowerCase()),
  );
  if (codec === undefined) {
    return undefined;
  }
  const isAsymmetric = codec.parameters.get('level-asymmetry-allowed') === '1';
  const profile = profileOf(codec.parameters);
  const level = isAsymmetric ? `${profile.slice(0, 4)}${LEVEL}` : profile;
  const format = `level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=${level}`;
  return receive(media, codec, { clock: 'H264/90000', format, feedback: VIDEO_FEEDBACK });
};

/** Opus at 48 kHz, in stereo where the publisher has it. Undefined when it is not offered. */
export const receiveOpus = (media: SdpMedia): ReceivedMedia | undefined => {
  const codec = media.codecs.find(({ name, clockHz }) => name === 'opus' && clockHz === 48_000);
  return codec === undefined
    ? undefined
    : receive(media, codec, {
        clock: 'opus/48000/2',
        format: 'minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1',
        feedback: AUDIO_FEEDBACK,
      });
};

/** Constrained baseline 3.1 is what no parameter is taken to mean. */
const profileOf = (parameters: SdpCodec['parameters']): string => {
  const profile = parameters.get('profile-level-id') ?? '';
  return /^[0-9a-f]{6}$/iu.test(profile) ? profile : '42e01f';
};

const receive = (
  media: SdpMedia,
  codec: SdpCodec,
  { clock, format, feedback }: { clock: string; format: string; feedback: readonly string[] },
): ReceivedMedia => {
  const { payloadType } = codec;
  const hasNack = codec.feedback.includes('nack');
  const rtx = hasNack
    ? media.codecs.find(({ name, parameters }) => name === 'rtx' && parameters.get('apt') === String(payloadType))
    : undefined;
  const transportSeq = media.extensions.get(TRANSPORT_CC_URI) ?? 0;
  return {
    mid: media.mid,
    payloadType,
    rtxPayloadType: rtx?.payloadType,
    hasNack,
    parameterSets: readParameterSets(codec.parameters.get('sprop-parameter-sets') ?? ''),
    formats: rtx === undefined ? String(payloadType) : `${payloadType} ${rtx.payloadType}`,
    attributes: [
      `rtpmap:${payloadType} ${clock}`,
      `fmtp:${payloadType} ${format}`,
      ...feedback.filter((kind) => codec.feedback.includes(kind)).map((kind) => `rtcp-fb:${payloadType} ${kind}`),
      ...(rtx === undefined
        ? []
        : [`rtpmap:${rtx.payloadType} rtx/90000`, `fmtp:${rtx.payloadType} apt=${payloadType}`]),
      ...(transportSeq === 0 ? [] : [`extmap:${transportSeq} ${TRANSPORT_CC_URI}`]),
    ],
    extensionIds: { transportSeq, playoutDelay: 0 },
  };
};

const readParameterSets = (text: string): Uint8Array[] =>
  text.length > PARAMETER_SETS_MAX_CHARACTERS
    ? []
    : text
        .split(',')
        .slice(0, PARAMETER_SET_MAX_COUNT)
        .map((set) => Buffer.from(set, 'base64'))
        .filter((set) => set.byteLength > 0);
