/**
 * A WHEP viewer without a browser: werift's DTLS and SRTP as a second opinion on ours, over a UDP socket of its own. It hands every
 * decrypted RTP packet to its owner, and sends whatever RTCP it is told to, honest or not.
 */
import type { HttpAnswer } from '../../server/base/http-exchange.ts';
import type { RtcpItem } from '../../server/media/rtp/rtcp.ts';
import { parseRtcp } from '../../server/media/rtp/rtcp.ts';
import type { RtpPacket } from '../../server/media/rtp/rtp-header.ts';
import { parseRtpPacket } from '../../server/media/rtp/rtp-header.ts';
import { openSrtcp, openSrtp, type WeriftRtpSession, type WeriftSession } from './werift-srtp.ts';
import { WhepTransport } from './whep-transport.ts';

export const VIDEO_PT = 102;
export const RTX_PT = 103;
export const AUDIO_PT = 111;
export const AV1_PT = 45;
export const AV1_RTX_PT = 46;
export const TRANSPORT_SEQ_ID = 3;
export const PLAYOUT_DELAY_ID = 5;

const AV1_LINES = [
  'a=rtpmap:47 AV1/90000',
  'a=fmtp:47 level-idx=5;profile=1;tier=0',
  `a=rtpmap:${AV1_PT} AV1/90000`,
  `a=fmtp:${AV1_PT} level-idx=5;profile=0;tier=0`,
  ...['nack', 'nack pli', 'ccm fir', 'transport-cc', 'rrtr'].map((kind) => `a=rtcp-fb:${AV1_PT} ${kind}`),
  `a=rtpmap:${AV1_RTX_PT} rtx/90000`,
  `a=fmtp:${AV1_RTX_PT} apt=${AV1_PT}`,
];

/** What other browsers leave out. */
export type OfferPart = 'transport-cc' | 'playout-delay';

/** An offer as Chrome makes it, cut to what matters. */
export const offerSdp = (
  options: {
    ufrag?: string;
    password?: string;
    fingerprint?: string;
    direction?: string;
    stereo?: boolean;
    av1?: boolean;
    lacks?: readonly OfferPart[];
  } = {},
): string => {
  const { ufrag = 'peer', password = '0123456789012345678901', direction = 'recvonly' } = options;
  const { fingerprint = `sha-256 ${Array(32).fill('AA').join(':')}` } = options;
  const has = (part: OfferPart): boolean => options.lacks?.includes(part) !== true;
  const shared = [
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${password}`,
    `a=fingerprint:${fingerprint}`,
    'a=setup:actpass',
    'a=rtcp-mux',
    `a=${direction}`,
    ...(has('transport-cc')
      ? [`a=extmap:${TRANSPORT_SEQ_ID} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`]
      : []),
  ];
  return [
    'v=0',
    'o=- 1 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0 1',
    `m=video 9 UDP/TLS/RTP/SAVPF 96 ${VIDEO_PT} ${RTX_PT} 104${options.av1 === true ? ` ${AV1_PT} ${AV1_RTX_PT} 47` : ''}`,
    ...shared,
    'a=mid:0',
    ...(has('playout-delay')
      ? [`a=extmap:${PLAYOUT_DELAY_ID} http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`]
      : []),
    'a=rtpmap:96 VP8/90000',
    `a=rtpmap:${VIDEO_PT} H264/90000`,
    `a=fmtp:${VIDEO_PT} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f`,
    ...['nack', 'nack pli', 'ccm fir', ...(has('transport-cc') ? ['transport-cc'] : []), 'rrtr'].map(
      (kind) => `a=rtcp-fb:${VIDEO_PT} ${kind}`,
    ),
    `a=rtpmap:${RTX_PT} rtx/90000`,
    `a=fmtp:${RTX_PT} apt=${VIDEO_PT}`,
    'a=rtpmap:104 H264/90000',
    'a=fmtp:104 packetization-mode=0;profile-level-id=42e01f',
    ...(options.av1 === true ? AV1_LINES : []),
    `m=audio 9 UDP/TLS/RTP/SAVPF ${AUDIO_PT} 0`,
    ...shared,
    'a=mid:1',
    `a=rtpmap:${AUDIO_PT} opus/48000/2`,
    `a=fmtp:${AUDIO_PT} minptime=10;useinbandfec=1${options.stereo === true ? ';stereo=1' : ''}`,
    ...(has('transport-cc') ? [`a=rtcp-fb:${AUDIO_PT} transport-cc`] : []),
    // MediaMTX answers with it where it has no sound, and refuses an offer without.
    'a=rtpmap:0 PCMU/8000',
    '',
  ].join('\r\n');
};

export type WhepClientOptions = {
  /** Offers AV1 beside H.264. */
  readonly av1?: boolean;
  /** Posts the offer; the answer of the endpoint. */
  readonly post: (offer: string) => Promise<HttpAnswer>;
  /** SRTP protection profiles offered in DTLS: 7 is AEAD_AES_128_GCM, 1 is AES_CM_128_HMAC_SHA1_80. */
  readonly srtpProfiles?: readonly number[];
  readonly lacks?: readonly OfferPart[];
  readonly onRtp?: (packet: RtpPacket) => void;
  readonly onRtcp?: (item: RtcpItem) => void;
};

export class WhepClient {
  readonly answer: HttpAnswer;
  readonly answerSdp: string;
  readonly videoSsrc: number;
  readonly rtxSsrc: number;
  readonly packets: RtpPacket[] = [];
  readonly rtcpItems: RtcpItem[] = [];
  readonly #options: WhepClientOptions;
  readonly #transport: WhepTransport;
  readonly #srtp: WeriftRtpSession;
  readonly #srtcp: WeriftSession;
  #failedCount = 0;

  private constructor(options: WhepClientOptions, transport: WhepTransport) {
    this.#options = options;
    this.#transport = transport;
    this.answer = transport.answer;
    this.answerSdp = transport.answerSdp;
    const group = /a=ssrc-group:FID (\d+) (\d+)/u.exec(this.answerSdp);
    this.videoSsrc = Number(group?.[1]);
    this.rtxSsrc = Number(group?.[2]);
    this.#srtp = openSrtp(transport.keys);
    this.#srtcp = openSrtcp(transport.keys);
  }

  /** Resolves once DTLS is done and media can be decrypted. What comes before that is lost, as it is to a browser. */
  static async connect(options: WhepClientOptions): Promise<WhepClient> {
    const receiver = { onMedia: (_datagram: Buffer): void => undefined };
    const transport = await WhepTransport.connect({
      offer: (own) => offerSdp({ ...own, av1: options.av1 === true, lacks: options.lacks ?? [] }),
      post: options.post,
      ...(options.srtpProfiles === undefined ? {} : { srtpProfiles: options.srtpProfiles }),
      mediaHost: '127.0.0.1',
      onMedia: (datagram) => receiver.onMedia(datagram),
    });
    const client = new WhepClient(options, transport);
    receiver.onMedia = (datagram) => client.#onMedia(datagram);
    return client;
  }

  /** Packets that did not decrypt or parse. */
  get failedCount(): number {
    return this.#failedCount;
  }

  /** Encrypts and sends one compound. */
  sendRtcp(compound: Buffer): void {
    this.sendRaw(this.#srtcp.encrypt(compound));
  }

  sendRaw(datagram: Buffer): void {
    this.#transport.send(datagram);
  }

  /** No consent is given any more, nothing is answered: as a machine that lost its network. */
  fallSilent(): void {
    this.#transport.fallSilent();
  }

  close(): void {
    this.#transport.close();
  }

  #onMedia(datagram: Buffer): void {
    try {
      this.#read(datagram);
    } catch {
      this.#failedCount += 1;
    }
  }

  #read(datagram: Buffer): void {
    const type = datagram[1] ?? 0;
    if (type >= 192 && type <= 223) {
      for (const item of parseRtcp(this.#srtcp.decrypt(datagram))) {
        this.rtcpItems.push(item);
        this.#options.onRtcp?.(item);
      }
      return;
    }
    const packet = parseRtpPacket(this.#srtp.decrypt(datagram));
    this.packets.push(packet);
    this.#options.onRtp?.(packet);
  }
}
