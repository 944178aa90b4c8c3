/**
 * The one port all WebRTC peers share: a UDP socket and, on the same number, a TCP listener. Datagrams find their peer by the
 * fragment in a STUN request that carries a valid signature, and from then on by the address it came from; nothing else binds an address.
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6 } from 'node:net';
import type { Server as TcpServer, Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { ProtocolError, WorldError, messageOf } from '../base/errors.ts';
import type { NativeMode } from '../native/native.ts';
import { loadNative } from '../native/native.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { announcedAddresses } from './announced-addresses.ts';
import { DatagramReader } from './datagram-reader.ts';
import { PacketBatch } from './packet-batch.ts';
import type { Path } from './path.ts';
import type { PeerLimits } from './peer-transport.ts';
import { PeerTransport } from './peer-transport.ts';
import type { AnnouncedEndpoint } from './sdp-answer.ts';
import type { IceCredentials } from './sdp-offer.ts';
import type { SelfTestReport } from './self-test.ts';
import { runSelfTest } from './self-test.ts';
import { STUN_BINDING_REQUEST, buildBindingSuccess, isStun, parseStun } from './stun.ts';
import { TcpConnection } from './tcp-connection.ts';
import type { UdpSender } from './udp-sender.ts';
import { descriptorOf, openUdpSender, stopReading } from './udp-sender.ts';
import type { DtlsFingerprint } from './dtls.ts';
import type { DtlsIdentity } from './dtls-handshake.ts';
import { createDtlsIdentity } from './dtls-handshake.ts';

export type WebRtcPortOptions = PeerLimits & {
  readonly listenAddress: string;
  /** UDP and TCP; 0 takes any free one (tests). */
  readonly port: number;
  readonly tcpEnabled: boolean;
  /** What viewers are told; empty: this machine's own addresses. */
  readonly announcedAddresses: readonly string[];
  readonly tcpConnectionMaxCount: number;
  readonly tcpOutputMaxBytes: number;
  readonly tcpIdentifyMaxMs: number;
  readonly native: NativeMode;
};

export const WEBRTC_PORT_DEFAULTS: WebRtcPortOptions = {
  listenAddress: '0.0.0.0',
  port: 8189,
  tcpEnabled: true,
  announcedAddresses: [],
  livenessMaxMs: 10_000,
  connectMaxMs: 15_000,
  tcpConnectionMaxCount: 1_024,
  tcpOutputMaxBytes: 262_144,
  tcpIdentifyMaxMs: 5_000,
  native: 'auto',
};

const LIVENESS_EVERY_MS = 1_000;
/** A frame for each of a hundred viewers may stand in line before the kernel has taken it; the kernel clips it to its own cap. */
const SOCKET_BUFFER_BYTES = 4_194_304;
/** RFC 7983: DTLS is 20 … 63, RTP and RTCP are 128 … 191. */
const DTLS_FIRST_BYTE = 20;
const DTLS_LAST_BYTE = 63;
const RTP_FIRST_BYTE = 128;
const RTP_LAST_BYTE = 191;

/** A self-test's own session answers STUN without a peer behind it. */
type Probe = { readonly ufrag: string; readonly password: string };

/** A number drawn for UDP may be taken for TCP. */
const DRAW_MAX_COUNT = 8;

export class WebRtcPort {
  readonly #options: WebRtcPortOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #udp: UdpSocket;
  readonly #tcp: TcpServer;
  readonly #identity: DtlsIdentity;
  readonly #peers = new Set<PeerTransport>();
  readonly #peersByUfrag = new Map<string, PeerTransport>();
  readonly #peersByPath = new Map<string, PeerTransport>();
  readonly #connections = new Set<TcpConnection>();
  readonly #livenessTimer: NodeJS.Timeout;
  #strayCount = 0;
  /** From when the port is bound. */
  #udpSender: UdpSender | undefined;
  #batch: PacketBatch | undefined;
  #reader: DatagramReader | undefined;
  #probe: Probe | undefined;
  #endpoints: readonly AnnouncedEndpoint[] = [];
  #isTcpListening = false;
  #isClosed = false;

  private constructor(options: WebRtcPortOptions, parts: WebRtcPortParts, identity: DtlsIdentity) {
    this.#options = options;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#identity = identity;
    this.#udp = createUdpSocket(options.listenAddress);
    this.#udp.on('message', (datagram, { address, port }) => this.#onUdp(datagram, address, port));
    this.#udp.on('error', (error) => this.#log.warn('webrtc.udp.error', { message: messageOf(error) }));
    this.#tcp = createServer((socket) => this.#onTcpConnection(socket));
    this.#tcp.on('error', (error) => this.#log.warn('webrtc.tcp.error', { message: messageOf(error) }));
    this.#livenessTimer = setInterval(() => this.#checkLiveness(), LIVENESS_EVERY_MS);
    this.#livenessTimer.unref();
  }

  /** Binds the port and makes the certificate. Rejects with `WorldError` `WEBRTC_PORT_UNAVAILABLE`, or `TypeError` for a wrong address. */
  static async open(options: WebRtcPortOptions, parts: WebRtcPortParts): Promise<WebRtcPort> {
    const addresses = announcedAddresses(options.announcedAddresses, options.listenAddress);
    const identity = await createDtlsIdentity(loadNative(options.native).native?.dtls);
    for (let drawCount = 1; ; drawCount += 1) {
      const port = new WebRtcPort(options, parts, identity);
      try {
        await port.#listen(addresses);
        port.#registerMetrics(parts.metrics);
        return port;
      } catch (error) {
        port.close('not_started');
        if (!isUnluckyDraw(error, options.port) || drawCount >= DRAW_MAX_COUNT) {
          throw new WorldError(
            'WEBRTC_PORT_UNAVAILABLE',
            `cannot bind port ${options.port} on ${options.listenAddress}: ${messageOf(error)}`,
            error,
          );
        }
      }
    }
  }

  /** Where viewers are sent. */
  get endpoints(): readonly AnnouncedEndpoint[] {
    return this.#endpoints;
  }

  /** Whether handshakes are the native back end's: they cost about a tenth. */
  get hasNativeDtls(): boolean {
    return this.#identity.native !== undefined;
  }

  get hasTcp(): boolean {
    return this.#isTcpListening;
  }

  /** `sha-256 AA:BB…` */
  get fingerprint(): string {
    return this.#identity.fingerprint;
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  /** Datagrams that our bounded queue or the kernel refused. */
  get sendErrorCount(): number {
    const { refused, dropped } = this.#batch?.counts ?? { refused: 0, dropped: 0 };
    return (this.#udpSender?.refusedCount ?? 0) + refused + dropped;
  }

  /** Packets of many peers with one call; undefined where there is no native back end. */
  get batch(): PacketBatch | undefined {
    return this.#batch;
  }

  /** Makes room for one peer, under fresh credentials, or those it was told of before. */
  openPeer(remoteFingerprints: readonly DtlsFingerprint[], credentials?: IceCredentials): PeerTransport {
    const peer = new PeerTransport({
      clock: this.#clock,
      limits: this.#options,
      identity: this.#identity,
      remoteFingerprints,
      credentials,
      openBatched: (key) => this.#batch?.open(key),
      openChannel: (keys, receiver) => this.#reader?.open(keys, receiver),
      onEnded: (ended, pathKeys) => this.#forget(ended, pathKeys),
    });
    this.#peers.add(peer);
    this.#peersByUfrag.set(peer.credentials.ufrag, peer);
    return peer;
  }

  /** New credentials for `peer`. */
  restartIce(peer: PeerTransport): void {
    const before = peer.ufrags;
    peer.restartIce();
    for (const ufrag of before.filter((known) => !peer.ufrags.includes(known))) {
      this.#peersByUfrag.delete(ufrag);
    }
    this.#peersByUfrag.set(peer.credentials.ufrag, peer);
  }

  /** Asks itself over every announced address, by UDP and TCP. Never rejects. */
  async selfTest(): Promise<SelfTestReport> {
    this.#probe = { ufrag: randomBytes(12).toString('hex'), password: randomBytes(24).toString('hex') };
    try {
      return await runSelfTest({ endpoints: this.#endpoints, hasTcp: this.#isTcpListening, credentials: this.#probe });
    } finally {
      this.#probe = undefined;
    }
  }

  close(reason: string): void {
    if (this.#isClosed) {
      return;
    }
    for (const peer of this.#peers) {
      peer.close(reason);
    }
    this.#isClosed = true;
    clearInterval(this.#livenessTimer);
    for (const connection of this.#connections) {
      connection.close();
    }
    this.#tcp.close();
    this.#batch?.close();
    this.#reader?.close();
    this.#udp.close();
  }

  async #listen(addresses: readonly string[]): Promise<void> {
    const { listenAddress, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#udp.once('error', reject);
      this.#udp.bind({ address: listenAddress, port }, () => {
        this.#udp.off('error', reject);
        resolve();
      });
    });
    this.#growBuffers();
    this.#udpSender = openUdpSender(this.#udp);
    this.#openNative();
    const bound = this.#udp.address().port;
    this.#endpoints = addresses.map((address) => ({ address, port: bound }));
    if (this.#options.tcpEnabled) {
      await this.#listenTcp(bound);
    }
  }

  async #listenTcp(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#tcp.once('error', reject);
      this.#tcp.listen({ host: this.#options.listenAddress, port }, () => {
        this.#tcp.off('error', reject);
        resolve();
      });
    });
    this.#isTcpListening = true;
  }

  /** Said once: what way packets go, and why. */
  #openNative(): void {
    const { native, reason } = loadNative(this.#options.native);
    const fd = descriptorOf(this.#udp);
    if (native === undefined || fd === undefined) {
      this.#log.info('webrtc.native.none', { reason: reason ?? 'this Node hides the descriptor of its socket' });
      return;
    }
    const mayCut = native.udp.kernelCuts();
    this.#batch = new PacketBatch(new native.udp.UdpBatch(fd, mayCut));
    const isReading = stopReading(this.#udp);
    if (isReading) {
      const onDatagram = (datagram: Buffer, address: string, port: number): void =>
        this.#onUdp(datagram, address, port);
      this.#reader = new DatagramReader(new native.rtcp.RtcpPort(fd), onDatagram);
      this.#reader.listen();
    }
    this.#log.info('webrtc.native.open', { segmentation: mayCut, reading: isReading });
  }

  #growBuffers(): void {
    try {
      this.#udp.setSendBufferSize(SOCKET_BUFFER_BYTES);
      this.#udp.setRecvBufferSize(SOCKET_BUFFER_BYTES);
    } catch (error) {
      this.#log.warn('webrtc.udp.buffer_refused', { message: messageOf(error) });
    }
  }

  #onUdp(datagram: Buffer, address: string, port: number): void {
    const peer = this.#peersByPath.get(udpKey(address, port));
    if (isStun(datagram)) {
      this.#onStun(datagram, () => this.udpPath(address, port));
    } else {
      this.#deliver(datagram, peer);
    }
  }

  #deliver(datagram: Buffer, peer: PeerTransport | undefined): void {
    const first = datagram[0] ?? 0;
    if (peer === undefined) {
      this.#strayCount += 1;
    } else if (first >= RTP_FIRST_BYTE && first <= RTP_LAST_BYTE) {
      peer.onMedia(datagram);
    } else if (first >= DTLS_FIRST_BYTE && first <= DTLS_LAST_BYTE) {
      peer.onDtls(datagram);
    } else {
      this.#strayCount += 1;
    }
  }

  /** Answers a signed binding request and binds the path it came over. The peer it belongs to, or undefined for a stranger. */
  #onStun(datagram: Buffer, pathOf: () => Path): PeerTransport | undefined {
    let message;
    try {
      message = parseStun(datagram);
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        throw error;
      }
      this.#strayCount += 1;
      return undefined;
    }
    const ufrag = message.username?.split(':')[0];
    if (message.type !== STUN_BINDING_REQUEST || ufrag === undefined) {
      this.#strayCount += 1;
      return undefined;
    }
    const path = pathOf();
    const peer = this.#peersByUfrag.get(ufrag);
    const password =
      peer?.acceptStun(message, ufrag) ?? (this.#probe?.ufrag === ufrag ? this.#probe.password : undefined);
    if (password === undefined) {
      this.#strayCount += 1;
      return undefined;
    }
    const answer = buildBindingSuccess(message, { address: path.address, port: path.port, password });
    path.send(answer, 0, answer.byteLength);
    if (peer !== undefined) {
      this.#bind(peer, path, message.hasUseCandidate);
    }
    return peer;
  }

  #bind(peer: PeerTransport, path: Path, isNominated: boolean): void {
    const owner = this.#peersByPath.get(path.key);
    if (owner !== undefined && owner !== peer) {
      owner.losePath(path.key);
    }
    this.#peersByPath.set(path.key, peer);
    const dropped = peer.bindPath(path, isNominated);
    if (dropped !== undefined) {
      this.#peersByPath.delete(dropped);
    }
  }

  /** The way to one UDP address; nothing is bound to it. */
  udpPath(address: string, port: number): Path {
    return {
      key: udpKey(address, port),
      kind: 'udp',
      address,
      port,
      isCongested: false,
      send: (bytes, start, end) =>
        !this.#isClosed && this.#udpSender?.send(bytes, { start, end, port, address }) === true,
      close: () => undefined,
    };
  }

  #onTcpConnection(socket: Socket): void {
    if (this.#connections.size >= this.#options.tcpConnectionMaxCount) {
      socket.destroy();
      return;
    }
    const connection = new TcpConnection({
      socket,
      limits: { outputMaxBytes: this.#options.tcpOutputMaxBytes, identifyMaxMs: this.#options.tcpIdentifyMaxMs },
      onDatagram: (datagram, from) => this.#onTcpDatagram(datagram, from),
      onClosed: (closed) => {
        this.#connections.delete(closed);
        this.#peersByPath.get(closed.path.key)?.losePath(closed.path.key);
        this.#peersByPath.delete(closed.path.key);
      },
    });
    this.#connections.add(connection);
  }

  #onTcpDatagram(datagram: Buffer, connection: TcpConnection): void {
    const peer = this.#peersByPath.get(connection.path.key);
    if (!isStun(datagram)) {
      this.#deliver(datagram, peer);
    } else if (this.#onStun(datagram, () => connection.path) !== undefined) {
      connection.identify();
    }
  }

  #checkLiveness(): void {
    for (const peer of this.#peers) {
      peer.checkLiveness();
    }
  }

  #forget(peer: PeerTransport, pathKeys: readonly string[]): void {
    this.#peers.delete(peer);
    for (const ufrag of peer.ufrags) {
      this.#peersByUfrag.delete(ufrag);
    }
    for (const key of pathKeys) {
      this.#peersByPath.delete(key);
    }
  }

  #registerMetrics(metrics: Metrics): void {
    metrics.observedGauge('webrtc_peers_open', 'WebRTC transports, connected or not yet', () => this.#peers.size);
    metrics.observedGauge(
      'webrtc_stray_datagrams',
      'Datagrams on the WebRTC port that belong to no peer or make no sense, since the start',
      () => this.#strayCount + (this.#reader?.counts.lost ?? 0),
    );
    metrics.observedGauge(
      'webrtc_udp_send_errors',
      'Datagrams refused by the bounded queue or by the kernel, since the start',
      () => this.sendErrorCount,
    );
    if (this.#batch !== undefined) {
      registerBatchMetrics(metrics, this.#batch);
    }
    metrics.observedGauge('webrtc_tcp_connections_open', 'ICE-TCP connections', () => this.#connections.size);
  }
}

export type WebRtcPortParts = { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics };

const registerBatchMetrics = (metrics: Metrics, batch: PacketBatch): void => {
  const since = 'by the native back end, since the start';
  const gauge = (name: string, help: string, value: () => number): void =>
    metrics.observedGauge(`webrtc_native_${name}`, `${help} ${since}`, value);
  gauge('datagrams', 'Datagrams sent', () => batch.counts.sent);
  gauge('send_calls', 'Calls of the kernel to send them', () => batch.counts.calls);
  gauge('writes', 'Writes of one or many datagrams', () => batch.counts.writes);
  gauge('kernel_full', 'Times that the kernel took no more and datagrams had to wait', () => batch.counts.full);
  gauge(
    'uncut_writes',
    'Writes that the kernel would not cut into datagrams, sent one by one',
    () => batch.counts.uncut,
  );
};

const udpKey = (address: string, port: number): string => `udp ${address} ${port}`;

/** Addresses come from the kernel and are never names: looking them up would cost a tick for every packet. */
const createUdpSocket = (listenAddress: string): UdpSocket => {
  const family = isIPv6(listenAddress) ? 6 : 4;
  return createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    lookup: (hostname, _options, callback) => {
      callback(null, hostname, family);
    },
  });
};

const isUnluckyDraw = (error: unknown, wantedPort: number): boolean =>
  wantedPort === 0 && (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
