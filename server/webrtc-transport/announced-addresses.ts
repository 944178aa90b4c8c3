/** Under which addresses viewers are told to reach us: what the operator says, else what the machine's interfaces say. */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** More candidates only slow the peer's checks down. */
const ADDRESS_MAX_COUNT = 8;

/**
 * `configured` in its order; when empty, this machine's own addresses: public-facing first, loopback last, so that a browser on the
 * same machine gets through even without a network. Throws `TypeError` naming an entry that is no IP address.
 */
export const announcedAddresses = (configured: readonly string[], listenAddress: string): string[] => {
  const wrong = configured.find((address) => isIP(address) === 0);
  if (wrong !== undefined) {
    throw new TypeError(`announcedAddresses: "${wrong}" is not an IP address`);
  }
  if (configured.length > 0) {
    return configured.slice(0, ADDRESS_MAX_COUNT);
  }
  if (listenAddress !== '0.0.0.0' && listenAddress !== '::') {
    return [listenAddress];
  }
  const isDualStack = listenAddress === '::';
  const all = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ family, address }) => family === 'IPv4' || (isDualStack && !address.startsWith('fe80')));
  const outer = all.filter(({ internal }) => !internal).map(({ address }) => address);
  const inner = all.filter(({ internal }) => internal).map(({ address }) => address);
  return [...new Set([...outer, ...inner])].slice(0, ADDRESS_MAX_COUNT);
};
