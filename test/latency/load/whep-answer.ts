/** What a receiver must know of a WHEP answer beside its transport: payload types, extension ids and feedback as this server chose them. Pure. */
import { parseSdpOffer } from '../../../server/webrtc-transport/sdp-offer.ts';

const TRANSPORT_CC = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
/** Travel in a video section without being pictures. */
const NOT_PICTURES = ['rtx', 'red', 'ulpfec', 'flexfec-03'];

export type WhepAnswer = {
  readonly videoTypes: ReadonlySet<number>;
  readonly rtxTypes: ReadonlySet<number>;
  /** undefined: the server does not want transport-wide feedback. */
  readonly transportSeqId: number | undefined;
  readonly hasNack: boolean;
  readonly isH264: boolean;
};

/** Throws `ProtocolError` (`SDP_INVALID`, `SDP_TOO_LARGE`). An answer has the lines of an offer, so the server's reader does. */
export const readAnswer = (sdp: string): WhepAnswer => {
  const media = parseSdpOffer(sdp).media.filter(({ direction }) => direction !== 'inactive');
  const video = media.filter(({ kind }) => kind === 'video').flatMap(({ codecs }) => codecs);
  const pictures = video.filter(({ name }) => !NOT_PICTURES.includes(name));
  return {
    videoTypes: new Set(pictures.map(({ payloadType }) => payloadType)),
    rtxTypes: new Set(video.filter(({ name }) => name === 'rtx').map(({ payloadType }) => payloadType)),
    transportSeqId: media.map(({ extensions }) => extensions.get(TRANSPORT_CC)).find((id) => id !== undefined),
    hasNack: pictures.some(({ feedback }) => feedback.includes('nack')),
    isH264: pictures.some(({ name }) => name === 'h264'),
  };
};
