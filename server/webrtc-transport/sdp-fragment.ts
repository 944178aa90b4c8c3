/** `application/trickle-ice-sdpfrag` (RFC 8840), both ways: what a PATCH of WHEP and WHIP carries. */
import { ProtocolError } from '../base/errors.ts';
import type { AnnouncedEndpoint } from './sdp-answer.ts';
import { candidateLines } from './sdp-answer.ts';
import type { IceCredentials } from './sdp-offer.ts';
import { readIce } from './sdp-offer.ts';

const FRAGMENT_MAX_CHARACTERS = 16_384;

/**
 * The sender's credentials. Its candidates are of no use to a lite agent, which answers whoever knows the password.
 * Throws `ProtocolError` `SDP_FRAGMENT_INVALID`, `SDP_INVALID`.
 */
export const parseSdpFragment = (text: string): IceCredentials => {
  if (text.length > FRAGMENT_MAX_CHARACTERS) {
    throw new ProtocolError('SDP_FRAGMENT_INVALID', `${text.length} characters, at most ${FRAGMENT_MAX_CHARACTERS}`);
  }
  const lines = text.split(/\r\n|\n/u).filter((line) => line !== '');
  const strange = lines.find((line) => !/^(?:a=[A-Za-z]|m=)/u.test(line));
  if (strange !== undefined || lines.length === 0) {
    throw new ProtocolError('SDP_FRAGMENT_INVALID', 'expected lines that begin with a= or m=');
  }
  return readIce(lines);
};

/** The answer to an ICE restart. */
export const buildSdpFragment = (fields: {
  ice: IceCredentials;
  mid: string;
  endpoints: readonly AnnouncedEndpoint[];
  hasTcp: boolean;
}): string =>
  [
    'a=ice-lite',
    `a=ice-ufrag:${fields.ice.ufrag}`,
    `a=ice-pwd:${fields.ice.password}`,
    'm=audio 9 UDP/TLS/RTP/SAVPF 0',
    `a=mid:${fields.mid}`,
    ...candidateLines(fields.endpoints, fields.hasTcp),
    '',
  ].join('\r\n');
