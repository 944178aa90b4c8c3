/** All ports at which the link stands in for servers: one per UDP or TCP address, one per HTTP origin, opened when first asked for. */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import type { LinkCounts } from './link-counts.ts';
import type { LinkPump } from './link-pump.ts';
import { ReverseProxy, addressOf } from './reverse-proxy.ts';
import type { CandidateAddress } from './sdp-rewrite.ts';
import type { SmallBuffers } from './small-buffers.ts';
import { TcpRelay } from './tcp-relay.ts';
import { UdpRelay } from './udp-relay.ts';

const HOST = '127.0.0.1';
const PORT_MAX_COUNT = 2_000;
const SWEEP_MS = 10_000;
const RTMP_PORT = 1_935;
const LOOPBACK_NAMES = new Set(['127.0.0.1', 'localhost', '[::1]', '0.0.0.0']);

type TrafficCounts = Pick<
  LinkCounts,
  'udpFlowCount' | 'tcpConnectionCount' | 'tcpRetransmissionCount' | 'tcpTimeoutCount' | 'refusedCount'
>;

export class LinkPorts {
  readonly #pump: LinkPump;
  readonly #buffers: SmallBuffers | undefined;
  readonly #tell: (event: string, fields: object) => void;
  readonly #udp = new Map<string, Promise<UdpRelay>>();
  readonly #tcp = new Map<string, Promise<TcpRelay>>();
  readonly #openUdp = new Set<UdpRelay>();
  readonly #openTcp = new Set<TcpRelay>();
  readonly #proxies: ReverseProxy[] = [];
  readonly #sweeper: NodeJS.Timeout;
  #sweptFlowCount = 0;
  #sweptRefusedCount = 0;

  /** `buffers` is how servers are reached, undefined: directly; `tell` logs what is opened. */
  constructor(pump: LinkPump, buffers: SmallBuffers | undefined, tell: (event: string, fields: object) => void) {
    this.#pump = pump;
    this.#buffers = buffers;
    this.#tell = tell;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  /** Port on 127.0.0.1 whose traffic goes to this address by way of the link. */
  async portOf({ transport, address, port }: CandidateAddress): Promise<number> {
    const target = { address: address === '0.0.0.0' ? HOST : address, port };
    if (transport === 'udp') {
      const relay = await this.#once(this.#udp, `${target.address} ${port}`, async () => this.#openUdpRelay(target));
      return relay.port;
    }
    const door = await this.#buffers?.doorTo({ host: target.address, port });
    const connect = async (): Promise<Duplex> => {
      const way = door === undefined ? { host: target.address, port, noDelay: true } : { path: door };
      const socket = connectTcp({ ...way, allowHalfOpen: true });
      await once(socket, 'connect');
      return socket;
    };
    return (await this.#tcpRelay(`tcp ${target.address} ${port}`, connect)).port;
  }

  /** The same address by way of the link: HTTP with its rewriting; any other scheme (RTMP) as plain bytes. */
  async through(url: string): Promise<string> {
    const parsed = new URL(url);
    if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
      return this.#throughBytes(parsed);
    }
    const origin = new URL(parsed.origin);
    // Opened before the first viewer comes, whose time it would cost.
    await this.#buffers?.doorTo(addressOf(origin));
    const relay = await this.#tcpRelay(parsed.origin, () => this.#proxyOf(origin));
    return `http://${HOST}:${relay.port}${parsed.pathname}${parsed.search}${parsed.hash}`;
  }

  counts(): TrafficCounts {
    const udp = [...this.#openUdp];
    const tcp = [...this.#openTcp];
    return {
      udpFlowCount: total(udp.map((relay) => relay.flowCount)) + this.#sweptFlowCount,
      tcpConnectionCount: total(tcp.map((relay) => relay.connectionCount)),
      tcpRetransmissionCount: total(tcp.map((relay) => relay.retransmissionCount)),
      tcpTimeoutCount: total(tcp.map((relay) => relay.timeoutCount)),
      refusedCount: total(udp.map((relay) => relay.refusedCount)) + this.#sweptRefusedCount,
    };
  }

  close(): void {
    clearInterval(this.#sweeper);
    for (const relay of [...this.#openUdp, ...this.#openTcp]) {
      relay.close();
    }
    for (const proxy of this.#proxies) {
      proxy.close();
    }
  }

  async #throughBytes(url: URL): Promise<string> {
    const port = url.port === '' ? RTMP_PORT : Number(url.port);
    const relayPort = await this.portOf({ transport: 'tcp', address: url.hostname, port });
    return url.href.replace(`//${url.host}`, `//${HOST}:${relayPort}`);
  }

  async #openUdpRelay(target: { address: string; port: number }): Promise<UdpRelay> {
    const relay = await UdpRelay.open(target, this.#pump);
    this.#openUdp.add(relay);
    this.#tell('link.udp.opened', { ...target, atPort: relay.port });
    return relay;
  }

  async #tcpRelay(key: string, connect: () => Promise<Duplex>): Promise<TcpRelay> {
    return this.#once(this.#tcp, key, async () => {
      const relay = await TcpRelay.open(connect, this.#pump);
      this.#openTcp.add(relay);
      this.#tell('link.tcp.opened', { target: key, atPort: relay.port });
      return relay;
    });
  }

  readonly #proxyByOrigin = new Map<string, ReverseProxy>();

  async #proxyOf(origin: URL): Promise<Duplex> {
    let proxy = this.#proxyByOrigin.get(origin.origin);
    if (proxy === undefined) {
      proxy = new ReverseProxy({
        origin,
        doorTo: async (address) => this.#buffers?.doorTo(address),
        portOf: async (candidate) => this.portOf(candidate),
        addressThrough: async (url) => this.#addressThrough(origin, url),
      });
      this.#proxyByOrigin.set(origin.origin, proxy);
      this.#proxies.push(proxy);
    }
    return proxy.accept();
  }

  /** The server's own addresses, and others of its machine, pass the link too; the emulator's own and strangers stay as they are. */
  async #addressThrough(origin: URL, url: string): Promise<string> {
    const parsed = URL.parse(url);
    if (parsed === null) {
      return url;
    }
    const isLocal = parsed.hostname === origin.hostname || LOOPBACK_NAMES.has(parsed.hostname);
    const isOurs = [...this.#openTcp].some((relay) => String(relay.port) === parsed.port);
    return isLocal && !isOurs ? this.through(url) : url;
  }

  /** One relay a key, also when asked for twice at the same time. */
  async #once<T>(kept: Map<string, Promise<T>>, key: string, open: () => Promise<T>): Promise<T> {
    const existing = kept.get(key);
    if (existing !== undefined) {
      return existing;
    }
    if (kept.size >= PORT_MAX_COUNT) {
      throw new Error(`the link stands in for ${PORT_MAX_COUNT} addresses already`);
    }
    const opening = open();
    kept.set(key, opening);
    opening.catch(() => kept.delete(key));
    return opening;
  }

  /** UDP ports of sessions that are over: servers with a port a session leave many behind. */
  #sweep(): void {
    for (const [key, opening] of this.#udp) {
      void opening.then((relay) => {
        if (relay.sweep(this.#pump.nowMs) && this.#udp.delete(key)) {
          this.#openUdp.delete(relay);
          this.#sweptFlowCount += relay.flowCount;
          this.#sweptRefusedCount += relay.refusedCount;
          relay.close();
        }
      });
    }
  }
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
