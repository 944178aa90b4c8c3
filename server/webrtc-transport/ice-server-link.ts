/** STUN and TURN servers as WHIP and WHEP name them: a `Link` each (RFC 9725 4.6). */

export type IceServer = {
  readonly url: string;
  readonly username?: string;
  readonly credential?: string;
};

export const iceServerLink = ({ url, username, credential }: IceServer): string =>
  [
    `<${url}>; rel="ice-server"`,
    ...(username === undefined ? [] : [`username=${quoted(username)}`]),
    ...(credential === undefined ? [] : [`credential=${quoted(credential)}`, 'credential-type="password"']),
  ].join('; ');

const quoted = (value: string): string => `"${value.replaceAll(/["\\\r\n]/gu, '')}"`;
