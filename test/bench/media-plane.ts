/**
 * What one packet costs one viewer, in one run, in turns: the plain media plane, the native one datagram by datagram and with writes that the kernel
 * cuts (UDP GSO), the plain one under AES-CM, and werift's own `sendRtp`. Loopback, pictures of nine packets of 1,200 bytes.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createRequire } from 'node:module';
import { ManualClock, systemClock } from '../../server/base/clock.ts';
import type { Native } from '../../server/native/native.ts';
import { loadNative } from '../../server/native/native.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import type { MediaSender } from '../../server/relay/webrtc/media-sender.ts';
import { BatchMediaSender, NodeMediaSender } from '../../server/relay/webrtc/media-sender.ts';
import { FixedController } from '../../server/relay/webrtc/fixed-controller.ts';
import { OutMetrics } from '../../server/relay/webrtc/out-metrics.ts';
import { OutgoingStream } from '../../server/relay/webrtc/outgoing-stream.ts';
import { PacketOutlet } from '../../server/relay/webrtc/packet-outlet.ts';
import type { PacketisedFrame } from '../../server/relay/webrtc/packetised-rendition.ts';
import { RtpClock } from '../../server/relay/webrtc/rtp-clock.ts';
import { MappingTeller } from '../../server/relay/webrtc/rtp-mapping.ts';
import { VideoFlow } from '../../server/relay/webrtc/video-flow.ts';
import { PacketBatch } from '../../server/webrtc-transport/packet-batch.ts';
import type { PeerTransport } from '../../server/webrtc-transport/peer-transport.ts';
import type { MasterKey } from '../../server/webrtc-transport/srtp.ts';
import { SrtpProtector } from '../../server/webrtc-transport/srtp.ts';
import { descriptorOf } from '../../server/webrtc-transport/udp-sender.ts';
import type { SrtpProfile } from '../../server/webrtc-transport/dtls.ts';
import { AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 } from '../../server/webrtc-transport/dtls.ts';
import { WEBRTC_PORT_DEFAULTS, WebRtcPort } from '../../server/webrtc-transport/webrtc-port.ts';
import { openWebRtcSetup } from '../support/webrtc-setup.ts';
import { percentile } from '../latency/viewer/frame-analysis.ts';
import type { Bench, BenchRow } from './row.ts';
import { WhepClient } from '../support/whep-client.ts';

/** CPU (user and system) per packet per viewer: the least of the slices, and their median. */
type Cost = { readonly leastUs: number; readonly medianUs: number };

const VIEWER_COUNT = 50;
const PAYLOAD_BYTES = 1_200;
/** A picture of 2.6 Mbit/s at 30 a second. */
const PICTURE_PACKETS = 9;
const ROUND_COUNT = 12;
const SLICE_COUNT = 12;
const WARM_UP_COUNT = 40;
const IDLE_VIEWER_COUNT = 40;
const EXTENSION_IDS = { transportSeq: 3, playoutDelay: 5 };

/** Sends one picture to each viewer. */
type Plane = { readonly send: () => unknown; readonly close: () => void };

type PlaneName = 'plain' | 'native' | 'segmented' | 'plainCm' | 'werift';

/** Undefined: there is no native back end here, or the kernel cuts nothing. */
const runMediaPlaneBench = async (): Promise<Partial<Record<PlaneName, Cost>>> => {
  const { native } = loadNative();
  const planes: Partial<Record<PlaneName, Plane>> = { plain: await openOwn(AEAD_AES_128_GCM, plainWay) };
  if (native !== undefined) {
    planes.native = await openOwn(AEAD_AES_128_GCM, async () => nativeWay(native, false));
  }
  if (native?.udp.kernelCuts() === true) {
    planes.segmented = await openOwn(AEAD_AES_128_GCM, async () => nativeWay(native, true));
  }
  planes.plainCm = await openOwn(AES_CM_128_HMAC_SHA1_80, plainWay);
  planes.werift = await openWerift();
  const slices = await measure(Object.values(planes));
  Object.values(planes).forEach((plane) => plane.close());
  return Object.fromEntries(
    Object.keys(planes).map((name, index) => {
      const values = slices[index] ?? [];
      return [name, { leastUs: Math.min(...values), medianUs: percentile(values, 0.5) }];
    }),
  );
};

/**
 * CPU microseconds per packet of each plane, slice by slice, in turns: other work on the machine costs caches and so CPU, never
 * saves any. The least is what the packet costs, the median what it cost here and now.
 */
const measure = async (planes: readonly Plane[]): Promise<readonly number[][]> => {
  const slices: readonly number[][] = planes.map(() => []);
  for (const plane of planes) {
    await sendRounds(plane, WARM_UP_COUNT);
  }
  for (let slice = 0; slice < SLICE_COUNT; slice += 1) {
    for (const [index, plane] of planes.entries()) {
      const before = process.cpuUsage();
      await sendRounds(plane, ROUND_COUNT);
      const { user, system } = process.cpuUsage(before);
      slices[index]?.push((user + system) / (ROUND_COUNT * VIEWER_COUNT * PICTURE_PACKETS));
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

/** How packets get from a viewer's flow to the kernel. */
type Way = {
  readonly sender: MediaSender;
  readonly peerTo: (key: MasterKey, port: number) => Pick<PeerTransport, 'protector' | 'path' | 'batchedId'>;
  readonly close: () => void;
};

const plainWay = async (): Promise<Way> => {
  const port = await WebRtcPort.open(
    { ...WEBRTC_PORT_DEFAULTS, port: 0, tcpEnabled: false, native: 'off' },
    { clock: new ManualClock(), log: silentLog, metrics: new Metrics({ collectDefaults: false }) },
  );
  return {
    sender: new NodeMediaSender(),
    peerTo: (key, sinkPort) => ({
      protector: new SrtpProtector(key),
      path: port.udpPath('127.0.0.1', sinkPort),
      batchedId: undefined,
    }),
    close: () => port.close('bench_over'),
  };
};

const nativeWay = async ({ udp }: Native, mayCut: boolean): Promise<Way> => {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => {
    socket.bind(0, '0.0.0.0', resolve);
  });
  const batch = new PacketBatch(new udp.UdpBatch(descriptorOf(socket) ?? -1, mayCut));
  return {
    sender: new BatchMediaSender(batch),
    peerTo: (key, port) => ({
      protector: undefined,
      path: undefined,
      batchedId: batch.open(key)?.towards({ kind: 'udp', address: '127.0.0.1', port }),
    }),
    close: () => {
      batch.close();
      socket.close();
    },
  };
};

/** The real queue, sender and ring, over a real socket; only DTLS is left out. */
const openOwn = async (profile: SrtpProfile, openWay: () => Promise<Way>): Promise<Plane> => {
  const sinks = await openSinks();
  const way = await openWay();
  const parts = { sender: way.sender, metrics: new OutMetrics(new Metrics({ collectDefaults: false })) };
  const salt = randomBytes(profile === AEAD_AES_128_GCM ? 12 : 14);
  const flows = sinks.ports.map((sinkPort) => {
    const reached = way.peerTo({ profile, key: randomBytes(16), salt }, sinkPort);
    const peer = { ...reached, path: reached.path ?? { isCongested: false } } as unknown as PeerTransport;
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
  const payloads = Array.from({ length: PICTURE_PACKETS }, () => new Uint8Array(randomBytes(PAYLOAD_BYTES)));
  let ptsMs = 0;
  const send = (): void => {
    const nowMs = systemClock.nowMs();
    ptsMs += 1;
    const frame: PacketisedFrame = {
      ...{ codec: 'h264', payloads, payloadBytes: PICTURE_PACKETS * PAYLOAD_BYTES, ptsTicks: 90 * ptsMs, ptsMs },
      ...{ isKeyframe: ptsMs === 1, arrivedAtMs: nowMs },
    };
    for (const flow of flows) {
      flow.offer(frame, 0);
      flow.drain(nowMs);
    }
    way.sender.flush();
  };
  const close = (): void => {
    way.close();
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
  const send = async (): Promise<void> => {
    for (let count = 0; count < PICTURE_PACKETS; count += 1) {
      await Promise.all(senders.map(async (sender) => sender.sendRtp(packet)));
    }
  };
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
    const costs = await runMediaPlaneBench();
    const row = (name: string, cost: Cost | undefined, maxUs?: number): BenchRow[] =>
      cost === undefined
        ? []
        : [
            {
              ...{ name, value: cost.medianUs, unit: 'µs', note: `least ${cost.leastUs.toFixed(2)}` },
              ...(maxUs === undefined ? {} : { target: { max: maxUs } }),
            },
          ];
    const what = `${PAYLOAD_BYTES} B, ${VIEWER_COUNT} viewers, AES-GCM`;
    const fastest = costs.segmented ?? costs.native ?? costs.plain;
    return [
      ...row(`Media plane, CPU per packet per viewer (${what}): plain`, costs.plain, 16),
      ...row('the same, native, datagram by datagram', costs.native),
      ...row('the same, native, cut by the kernel (GSO)', costs.segmented),
      ...row('the same, plain, AES-CM', costs.plainCm),
      ...row('the same by werift’s own sendRtp', costs.werift),
      {
        name: 'ours ÷ werift’s, of the medians',
        value: (fastest?.medianUs ?? Number.NaN) / (costs.werift?.medianUs ?? Number.NaN),
        unit: '',
        target: { max: 0.25 },
      },
      {
        name: 'Memory per idle WHEP viewer, client included',
        value: await measureIdleViewers(),
        unit: 'kB',
        target: { max: 700 },
      },
    ];
  },
};
