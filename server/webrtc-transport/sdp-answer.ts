/** Writes an SDP answer, or an offer of our own: one bundled transport, ICE-lite, DTLS passive (RFC 8829 5.3, RFC 9143, RFC 8839). */
import type { ChosenMedia } from './sdp-codecs.ts';
import type { IceCredentials, SdpOffer } from './sdp-offer.ts';

export type AnnouncedEndpoint = { readonly address: string; readonly port: number };

export type AnsweredMedia = {
  readonly chosen: ChosenMedia;
  readonly direction: 'sendonly' | 'recvonly';
  /** Of what we send; left out where we only receive. */
  readonly sending?: { readonly ssrc: number; readonly rtxSsrc: number | undefined; readonly cname: string };
};

export type SdpAnswerFields = {
  /** What is answered; of an offer of our own what we send. */
  readonly offer: Pick<SdpOffer, 'media'>;
  /** By mid; sections of the offer that are not here are refused. */
  readonly media: ReadonlyMap<string, AnsweredMedia>;
  readonly ice: IceCredentials;
  /** `sha-256 AA:BB…`. */
  readonly fingerprint: string;
  readonly endpoints: readonly AnnouncedEndpoint[];
  readonly hasTcp: boolean;
  /** The media stream's name, one for all tracks. */
  readonly streamId: string;
  readonly sessionId: string;
  /** `actpass` in an offer of our own; the peer is then to be active too. */
  readonly setup?: 'passive' | 'actpass';
};

export const buildSdpAnswer = (fields: SdpAnswerFields): string => {
  const accepted = fields.offer.media.filter(({ mid }) => fields.media.has(mid)).map(({ mid }) => mid);
  const lines = [
    'v=0',
    `o=- ${fields.sessionId} 1 IN IP4 0.0.0.0`,
    's=-',
    't=0 0',
    'a=ice-lite',
    'a=extmap-allow-mixed',
    'a=msid-semantic: WMS *',
    ...(accepted.length > 0 ? [`a=group:BUNDLE ${accepted.join(' ')}`] : []),
    ...fields.offer.media.flatMap((offered) => {
      const answered = fields.media.get(offered.mid);
      if (answered === undefined) {
        return [
          `m=${offered.kind} 0 ${offered.protocol} ${offered.formats}`,
          'c=IN IP4 0.0.0.0',
          `a=mid:${offered.mid}`,
          'a=inactive',
        ];
      }
      return mediaLines(fields, answered, {
        kind: offered.kind,
        protocol: offered.protocol,
        isFirst: offered.mid === accepted[0],
      });
    }),
  ];
  return `${lines.join('\r\n')}\r\n`;
};

const mediaLines = (
  fields: SdpAnswerFields,
  { chosen, direction, sending }: AnsweredMedia,
  { kind, protocol, isFirst }: { kind: string; protocol: string; isFirst: boolean },
): string[] => [
  `m=${kind} 9 ${protocol} ${chosen.formats}`,
  'c=IN IP4 0.0.0.0',
  'a=rtcp:9 IN IP4 0.0.0.0',
  `a=ice-ufrag:${fields.ice.ufrag}`,
  `a=ice-pwd:${fields.ice.password}`,
  `a=fingerprint:${fields.fingerprint}`,
  `a=setup:${fields.setup ?? 'passive'}`,
  `a=mid:${chosen.mid}`,
  `a=${direction}`,
  'a=rtcp-mux',
  'a=rtcp-rsize',
  ...chosen.attributes.map((attribute) => `a=${attribute}`),
  ...(sending === undefined ? [] : sendingLines(fields.streamId, kind, sending)),
  ...(isFirst ? candidateLines(fields.endpoints, fields.hasTcp) : []),
];

const sendingLines = (streamId: string, kind: string, sending: NonNullable<AnsweredMedia['sending']>): string[] => {
  const { ssrc, rtxSsrc, cname } = sending;
  const msid = `${streamId} ${kind}`;
  return [
    `a=msid:${msid}`,
    ...(rtxSsrc === undefined ? [] : [`a=ssrc-group:FID ${ssrc} ${rtxSsrc}`]),
    ...[ssrc, ...(rtxSsrc === undefined ? [] : [rtxSsrc])].flatMap((id) => [
      `a=ssrc:${id} cname:${cname}`,
      `a=ssrc:${id} msid:${msid}`,
    ]),
  ];
};

const UDP_TYPE_PREFERENCE = 126;
const TCP_TYPE_PREFERENCE = 90;
const LOCAL_PREFERENCE_MAX = 65_535;

/** RFC 8445 5.1.2: earlier addresses first, and any UDP before any TCP. */
const priority = (typePreference: number, index: number): number =>
  typePreference * 2 ** 24 + (LOCAL_PREFERENCE_MAX - index) * 2 ** 8 + 255;

/** Host candidates for every announced address, and that no more will come. */
export const candidateLines = (endpoints: readonly AnnouncedEndpoint[], hasTcp: boolean): string[] => {
  const udp = endpoints.map(
    ({ address, port }, index) =>
      `a=candidate:${index + 1} 1 udp ${priority(UDP_TYPE_PREFERENCE, index)} ${address} ${port} typ host`,
  );
  const tcp = endpoints.map(
    ({ address, port }, index) =>
      `a=candidate:${endpoints.length + index + 1} 1 tcp ${priority(TCP_TYPE_PREFERENCE, index)} ${address} ${port} typ host tcptype passive`,
  );
  return [...udp, ...(hasTcp ? tcp : []), 'a=end-of-candidates'];
};
