/**
 * What we can send, in the words of an offer: a video section (H.264, AV1) and one of sound (Opus). Our own offer is chosen from it just as an
 * answer is chosen from a viewer's.
 */
import { PLAYOUT_DELAY_URI, TRANSPORT_CC_URI } from './sdp-codecs.ts';
import type { SdpCodec, SdpMedia } from './sdp-offer.ts';

const PROTOCOL = 'UDP/TLS/RTP/SAVPF';
const [H264_PT, H264_RTX_PT, AV1_PT, AV1_RTX_PT, OPUS_PT] = [102, 103, 45, 46, 111];
const VIDEO_FEEDBACK = ['nack', 'nack pli', 'ccm fir', 'transport-cc', 'rrtr'];
const AUDIO_FEEDBACK = ['transport-cc', 'rrtr'];

const video = (payloadType: number, name: string, parameters: Readonly<Record<string, string>>): SdpCodec => ({
  ...{ payloadType, name, clockHz: 90_000, channelCount: 1 },
  parameters: new Map(Object.entries(parameters)),
  feedback: name === 'rtx' ? [] : VIDEO_FEEDBACK,
});

/** Constrained baseline: browsers list no High at all and decode it nevertheless. */
const VIDEO_CODECS: readonly SdpCodec[] = [
  video(H264_PT, 'h264', { 'packetization-mode': '1', 'profile-level-id': '42e01f' }),
  video(H264_RTX_PT, 'rtx', { apt: String(H264_PT) }),
  video(AV1_PT, 'av1', { profile: '0', 'level-idx': '5', tier: '0' }),
  video(AV1_RTX_PT, 'rtx', { apt: String(AV1_PT) }),
];

const OPUS: SdpCodec = {
  ...{ payloadType: OPUS_PT, name: 'opus', clockHz: 48_000, channelCount: 2 },
  parameters: new Map([['stereo', '1']]),
  feedback: AUDIO_FEEDBACK,
};

const media = (kind: 'video' | 'audio', mid: string, codecs: readonly SdpCodec[]): SdpMedia => ({
  ...{ kind, mid, codecs, protocol: PROTOCOL },
  formats: codecs.map(({ payloadType }) => payloadType).join(' '),
  direction: 'sendonly',
  hasRtcpMux: true,
  extensions: new Map(
    kind === 'video'
      ? [
          [TRANSPORT_CC_URI, 3],
          [PLAYOUT_DELAY_URI, 5],
        ]
      : [[TRANSPORT_CC_URI, 3]],
  ),
});

export const OWN_VIDEO = media('video', '0', VIDEO_CODECS);
export const OWN_AUDIO = media('audio', '1', [OPUS]);
