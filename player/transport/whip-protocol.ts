/** What WHIP says in headers and bodies, read and written without a browser (RFC 9725). Pure. */

/** A server's refusal: its stable code and its sentence, where it said them as JSON; else its words, cut. */
export const readRefusal = (body: string): { readonly code: string | null; readonly detail: string } => {
  try {
    const { error, detail } = JSON.parse(body) as { error?: unknown; detail?: unknown };
    if (typeof error === 'string' && typeof detail === 'string') {
      return { code: error.slice(0, 80), detail: detail.slice(0, DETAIL_MAX_CHARACTERS) };
    }
  } catch {
    // Plain words, or none.
  }
  return { code: null, detail: body.trim().slice(0, DETAIL_MAX_CHARACTERS) };
};

const DETAIL_MAX_CHARACTERS = 500;

/** Offers to repeat lost sound too: browsers can, but do not say so by themselves. */
export const withOpusNack = (sdp: string): string => {
  const payloadType = /^a=rtpmap:(\d+) opus\/48000/im.exec(sdp)?.[1];
  return payloadType === undefined || sdp.includes(`a=rtcp-fb:${payloadType} nack`)
    ? sdp
    : sdp.replace(
        new RegExp(`^a=rtpmap:${payloadType} [^\\r\\n]*`, 'm'),
        (line) => `${line}\r\na=rtcp-fb:${payloadType} nack`,
      );
};

/** Lets Chromium begin with this bitrate rather than with 300 kbit/s; other browsers pass it over. */
export const withStartBitrate = (answerSdp: string, startBps: number): string => {
  const payloadType = /^a=rtpmap:(\d+) H264\/90000/im.exec(answerSdp)?.[1];
  return payloadType === undefined
    ? answerSdp
    : answerSdp.replace(
        new RegExp(`^a=fmtp:${payloadType} [^\\r\\n]*`, 'm'),
        (line) => `${line};x-google-start-bitrate=${Math.round(startBps / 1000)}`,
      );
};

export type SendCodec = { readonly mimeType: string; readonly sdpFmtpLine?: string };

/**
 * Of a browser's codecs those to be offered: H.264 that may be cut across packets, what it is repeated by, and nothing else. Of the profiles main
 * (CABAC) and high before baseline. Empty when the browser encodes no H.264.
 */
export const preferH264 = <C extends SendCodec>(codecs: readonly C[]): C[] => {
  const h264 = codecs.filter(
    ({ mimeType, sdpFmtpLine = '' }) =>
      mimeType.toLowerCase() === 'video/h264' && /(?:^|;)\s*packetization-mode=1/.test(sdpFmtpLine),
  );
  const inOrder = h264.toSorted((a, b) => profileRank(a) - profileRank(b));
  return h264.length === 0
    ? []
    : [...inOrder, ...codecs.filter(({ mimeType }) => mimeType.toLowerCase() === 'video/rtx')];
};

/** High (64), main (4d), then the rest as the browser has them. */
const profileRank = ({ sdpFmtpLine = '' }: SendCodec): number => {
  const idc = /profile-level-id=([0-9a-f]{2})/i.exec(sdpFmtpLine)?.[1]?.toLowerCase();
  return idc === '64' ? 0 : idc === '4d' ? 1 : 2;
};
