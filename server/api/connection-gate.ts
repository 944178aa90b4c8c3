/**
 * Counts the connections of all doors and refuses those over a cap, before a byte is read: handshakes cost a stranger nothing and us a
 * millisecond. Addresses of trusted proxies are counted in all only: behind one of them stand many.
 */
import type { Server, Socket } from 'node:net';
import { BlockList, isIPv6 } from 'node:net';
import { AddressCaps } from '../base/address-caps.ts';
import type { Metrics } from '../observability/metrics.ts';

export type ConnectionGateOptions = {
  readonly connectionMaxCount: number;
  readonly connectionPerAddressMaxCount: number;
  readonly trustedProxies: readonly string[];
};

/** The ranges that Fastify's `trustProxy` knows by name. */
const NAMED_RANGES: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.1/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

export class ConnectionGate {
  readonly #caps: AddressCaps;
  readonly #isProxy: (address: string) => boolean;
  readonly #open = new Set<Socket>();
  readonly #metrics: Metrics;

  constructor(options: ConnectionGateOptions, metrics: Metrics) {
    this.#caps = new AddressCaps({
      perAddressMaxCount: options.connectionPerAddressMaxCount,
      totalMaxCount: options.connectionMaxCount,
    });
    this.#isProxy = proxyTest(options.trustedProxies);
    this.#metrics = metrics;
    metrics.observedGauge('http_connections_open', 'Open TCP connections of the HTTP doors', () => this.#open.size);
  }

  /** Watches over a server's connections; to be called before it listens. */
  guard(server: Server): void {
    server.prependListener('connection', (socket: Socket) => this.#admit(socket));
  }

  /** Ends what is still open, whatever it is in the middle of. */
  destroyAll(): void {
    for (const socket of this.#open) {
      socket.destroy();
    }
  }

  #admit(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    // A proxy holds its place under a name of its own each time: only the cap for all binds it.
    const holder = this.#isProxy(address) ? `${address} ${socket.remotePort}` : address;
    const refusal = this.#caps.take(holder);
    if (refusal !== undefined) {
      this.#metrics
        .counter('http_connections_refused_total', 'Connections refused at once, by the cap that forbade them', ['cap'])
        .inc({ cap: refusal });
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#caps.release(holder);
    });
  }
}

/** Addresses, ranges, or the names of ranges, as Fastify takes them. */
const proxyTest = (trustedProxies: readonly string[]): ((address: string) => boolean) => {
  const list = new BlockList();
  for (const range of trustedProxies.flatMap((proxy) => NAMED_RANGES[proxy] ?? [proxy])) {
    const [address = '', bits] = range.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    try {
      list.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
    } catch (error) {
      const expected = 'an address, a range like 10.0.0.0/8, loopback, linklocal or uniquelocal';
      throw new TypeError(`http.trustedProxies has ${JSON.stringify(range)}, expected ${expected}`, { cause: error });
    }
  }
  return (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
};
