/**
 * What one packet costs one viewer: our media plane beside werift's own `sendRtp`, in the same run, on loopback, 1200 bytes, AES-GCM.
 * `node test/bench/media-plane.ts`
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createRequire } from 'node:module';
import { ManualClock, systemClock } from '../../server/base/clock.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { NodeMediaSender } from '../../server/relay/webrtc/media-sender.ts';
import { FixedController } from '../../server/relay/webrtc/fixed-controller.ts';
import { OutMetrics } from '../../server/relay/webrtc/out-metrics.ts';
import { OutgoingStream } from '../../server/relay/webrtc/outgoing-stream.ts';
import { PacketOutlet } from '../../server/relay/webrtc/packet-outlet.ts';
import type { PacketisedFrame } from '../../server/relay/webrtc/packetised-rendition.ts';
import { RtpClock } from '../../server/relay/webrtc/rtp-clock.ts';
import { MappingTeller } from '../../server/relay/webrtc/rtp-mapping.ts';
import { VideoFlow } from '../../server/relay/webrtc/video-flow.ts';
import type { PeerTransport } from '../../server/webrtc-transport/peer-transport.ts';
import { SrtpProtector } from '../../server/webrtc-transport/srtp.ts';
import type { SrtpProfile } from '../../server/webrtc-transport/werift-dtls.ts';
import { AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 } from '../../server/webrtc-transport/werift-dtls.ts';
import { WEBRTC_PORT_DEFAULTS, WebRtcPort } from '../../server/webrtc-transport/webrtc-port.ts';
import { openWebRtcSetup } from '../support/webrtc-setup.ts';
import type { Bench } from './row.ts';
import { WhepClient } from '../support/whep-client.ts';

export type MediaPlaneResult = {
  readonly viewerCount: number;
  readonly payloadBytes: number;
  /** CPU (user and system) per packet per viewer: the least of the slices, and their median. */
  readonly ownGcmUs: number;
  readonly ownGcmMedianUs: number;
  readonly ownCmUs: number;
  readonly weriftUs: number;
  readonly weriftMedianUs: number;
  /** ours / werift's. */
  readonly ratio: number;
  readonly idleViewerKilobytes: number;
};

const VIEWER_COUNT = 50;
const PAYLOAD_BYTES = 1_200;
const ROUND_COUNT = 100;
const SLICE_COUNT = 12;
const WARM_UP_COUNT = 200;
const IDLE_VIEWER_COUNT = 40;
const EXTENSION_IDS = { transportSeq: 3, playoutDelay: 5 };

/** Sends one packet to each viewer. */
type Plane = { readonly send: () => unknown; readonly close: () => void };

export const runMediaPlaneBench = async (): Promise<MediaPlaneResult> => {
  const planes = [await openOwn(AEAD_AES_128_GCM), await openOwn(AES_CM_128_HMAC_SHA1_80), await openWerift()] as const;
  const [ownGcm, ownCm, werift] = await measure(planes);
  planes.forEach((plane) => plane.close());
  return {
    viewerCount: VIEWER_COUNT,
    payloadBytes: PAYLOAD_BYTES,
    ownGcmUs: Math.min(...ownGcm),
    ownGcmMedianUs: median(ownGcm),
    ownCmUs: Math.min(...ownCm),
    weriftUs: Math.min(...werift),
    weriftMedianUs: median(werift),
    ratio: Math.min(...ownGcm) / Math.min(...werift),
    idleViewerKilobytes: await measureIdleViewers(),
  };
};

type Slices = readonly [number[], number[], number[]];

/**
 * CPU microseconds per packet of each plane, slice by slice, in turns: other work on the machine costs caches and so CPU, never
 * saves any. The least is what the packet costs, the median what it cost here and now.
 */
const measure = async (planes: readonly [Plane, Plane, Plane]): Promise<Slices> => {
  const slices: Slices = [[], [], []];
  for (const plane of planes) {
    await sendRounds(plane, WARM_UP_COUNT);
  }
  for (let slice = 0; slice < SLICE_COUNT; slice += 1) {
    for (const [index, plane] of planes.entries()) {
      const before = process.cpuUsage();
      await sendRounds(plane, ROUND_COUNT);
      const { user, system } = process.cpuUsage(before);
      slices[index]?.push((user + system) / (ROUND_COUNT * VIEWER_COUNT));
    }
  }
  return slices;
};

/** Yields between rounds, as live pictures do. */
const sendRounds = async (plane: Plane, count: number): Promise<void> => {
  for (let round = 0; round < count; round += 1) {
    await plane.send();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
};

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** Binds the sinks and then sleeps for good: reading what comes would be counted as the cost of sending it. */
const SINK_PROGRAM = `
const { createSocket } = require('node:dgram');
const sockets = Array.from({ length: ${VIEWER_COUNT} }, () => createSocket('udp4'));
Promise.all(sockets.map((socket) => new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve)))).then(() => {
  require('node:fs').writeSync(1, JSON.stringify(sockets.map((socket) => socket.address().port)) + '\\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

const openSinks = async (): Promise<{ ports: number[]; close: () => void }> => {
  const child = spawn(process.execPath, ['-e', SINK_PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise<string>((resolve) => {
    child.stdout.once('data', (bytes: Buffer) => resolve(bytes.toString('utf8')));
  });
  return { ports: JSON.parse(line) as number[], close: () => child.kill('SIGKILL') };
};

/** The real queue, sender and ring, over the real port; only DTLS is left out. One packet a picture: the queue's dearest case. */
const openOwn = async (profile: SrtpProfile): Promise<Plane> => {
  const sinks = await openSinks();
  const metrics = new Metrics({ collectDefaults: false });
  const port = await WebRtcPort.open(
    { ...WEBRTC_PORT_DEFAULTS, port: 0, tcpEnabled: false },
    { clock: new ManualClock(), log: silentLog, metrics },
  );
  const parts = { sender: new NodeMediaSender(), metrics: new OutMetrics(metrics) };
  const salt = randomBytes(profile === AEAD_AES_128_GCM ? 12 : 14);
  const flows = sinks.ports.map((sinkPort) => {
    const peer = {
      protector: new SrtpProtector({ profile, key: randomBytes(16), salt }),
      path: port.udpPath('127.0.0.1', sinkPort),
    } as unknown as PeerTransport;
    const controller = new FixedController({ playoutDelayMs: 20, playoutDelayFarMs: 100 });
    const stream = new OutgoingStream({
      ssrc: 1,
      payloadType: 102,
      extensionIds: EXTENSION_IDS,
      rtx: undefined,
      clock: new RtpClock(90_000, 0),
    });
    return new VideoFlow({
      ...{ stream, controller, outlet: new PacketOutlet({ ...parts, peer, controller }) },
      ...{ mapping: new MappingTeller(), wallMsAt: (mediaMs) => mediaMs, retransmitWindowMs: 1_000 },
      payloadTypes: new Map([['h264', 102]]),
    });
  });
  const payload = new Uint8Array(randomBytes(PAYLOAD_BYTES));
  let ptsMs = 0;
  const send = (): void => {
    const nowMs = systemClock.nowMs();
    ptsMs += 1;
    const frame: PacketisedFrame = {
      ...{ codec: 'h264', payloads: [payload], payloadBytes: PAYLOAD_BYTES, ptsTicks: 90 * ptsMs, ptsMs },
      ...{ isKeyframe: ptsMs === 1, arrivedAtMs: nowMs },
    };
    for (const flow of flows) {
      flow.offer(frame, 0);
      flow.drain(nowMs);
    }
  };
  const close = (): void => {
    port.close('bench_over');
    sinks.close();
  };
  return { send, close };
};

type WeriftTransport = { sendRtp(payload: Buffer, header: object): Promise<number> };
type WeriftSender = { sendRtp(packet: object): Promise<void> };
type Loose = Record<string, new (...args: unknown[]) => Record<string, unknown>>;

/** werift's `RTCRtpSender.sendRtp` over its SRTP and a UDP socket, with ICE answered by a stub. */
const openWerift = async (): Promise<Plane> => {
  const werift = createRequire(import.meta.url)('werift') as Loose;
  const sinks = await openSinks();
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  const senders = sinks.ports.map((sinkPort) => weriftSender(werift, socket, sinkPort));
  const header = { payloadType: 102, sequenceNumber: 1, timestamp: 1, marker: true };
  const packet = new werift['RtpPacket']!(new werift['RtpHeader']!(header), randomBytes(PAYLOAD_BYTES));
  const send = async (): Promise<unknown> => Promise.all(senders.map(async (sender) => sender.sendRtp(packet)));
  const close = (): void => {
    socket.close();
    sinks.close();
  };
  return { send, close };
};

const weriftSender = (werift: Loose, socket: ReturnType<typeof createSocket>, sinkPort: number): WeriftSender => {
  const keys = {
    localMasterKey: randomBytes(16),
    localMasterSalt: randomBytes(12),
    remoteMasterKey: randomBytes(16),
    remoteMasterSalt: randomBytes(12),
  };
  const connection = {
    send: async (datagram: Buffer): Promise<void> =>
      new Promise((resolve) => {
        socket.send(datagram, sinkPort, '127.0.0.1', () => resolve());
      }),
  };
  const transport = new werift['RTCDtlsTransport']!({ debug: {} }, { connection }, undefined, [7]);
  transport['srtp'] = new werift['SrtpSession']!({ keys, profile: 7 });
  transport['state'] = 'connected';
  const sender = new werift['RTCRtpSender']!('video') as unknown as WeriftSender & Record<string, unknown>;
  (sender['setDtlsTransport'] as (transport: unknown) => void).call(sender, transport as unknown as WeriftTransport);
  const codec = new werift['RTCRtpCodecParameters']!({ mimeType: 'video/H264', payloadType: 102, clockRate: 90_000 });
  (sender['prepareSend'] as (parameters: unknown) => void).call(sender, {
    codecs: [codec],
    headerExtensions: [],
    muxId: '0',
  });
  return sender;
};

/** Resident memory per connected viewer without media; the clients' own share is in it, so this is an upper bound. */
const measureIdleViewers = async (): Promise<number> => {
  const setup = await openWebRtcSetup();
  const join = async (): Promise<WhepClient> =>
    WhepClient.connect({
      post: async (body) =>
        setup.request('POST', '/whep/demo', { body, headers: { 'content-type': 'application/sdp' } }),
    });
  const clients = [await join(), await join()];
  const before = process.memoryUsage().rss;
  for (let count = 0; count < IDLE_VIEWER_COUNT; count += 1) {
    clients.push(await join());
  }
  const kilobytes = (process.memoryUsage().rss - before) / 1024 / IDLE_VIEWER_COUNT;
  clients.forEach((client) => client.close());
  setup.close();
  return kilobytes;
};

/** As rows: judged by the medians, because the machine's quietest moment is not what a server gets. */
export const mediaPlaneBench: Bench = {
  name: 'media-plane',
  run: async () => {
    const result = await runMediaPlaneBench();
    const what = `${result.payloadBytes} B, ${result.viewerCount} viewers, AES-GCM`;
    return [
      {
        name: `Media plane, CPU per packet per viewer (${what}), median of slices`,
        value: result.ownGcmMedianUs,
        unit: 'µs',
        target: { max: 16 },
        note: `least ${result.ownGcmUs.toFixed(1)}`,
      },
      { name: 'the same by werift’s own sendRtp, in turns, median', value: result.weriftMedianUs, unit: 'µs' },
      {
        name: 'ours ÷ werift’s, of the medians',
        value: result.ownGcmMedianUs / result.weriftMedianUs,
        unit: '',
        target: { max: 0.25 },
      },
      {
        name: 'Memory per idle WHEP viewer, client included',
        value: result.idleViewerKilobytes,
        unit: 'kB',
        target: { max: 700 },
      },
    ];
  },
};
