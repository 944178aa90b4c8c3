/** How a receiver knows that an event is ours and new: `t=UNIX_SECONDS,v1=HEX`, an HMAC-SHA256 of `UNIX_SECONDS.BODY`. */
import { createHmac } from 'node:crypto';

export const signatureOf = (body: string, { secret, atWallMs }: { secret: string; atWallMs: number }): string => {
  const atWallS = Math.floor(atWallMs / 1000);
  return `t=${atWallS},v1=${createHmac('sha256', secret).update(`${atWallS}.${body}`).digest('hex')}`;
};
