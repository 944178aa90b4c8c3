/**
 * What one transport-cc message costs the server: opening it (natively and by node:crypto), reading it and the controller's share, decision included.
 * 4 Mbit/s in packets of 1200 bytes, feedback each 100 ms, one packet in 200 lost. Beside it the controller's share of each packet sent.
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { CongestionController } from '../../server/congestion/controller.ts';
import { PRIOR_DEFAULT } from '../../server/congestion/controller.ts';
import { buildTransportCc, parseRtcp } from '../../server/media/rtp/rtcp.ts';
import { TransportReport, buildTransportFeedback } from '../../server/media/rtp/transport-cc.ts';
import { makeController } from '../../server/relay/webrtc/controllers.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../server/relay/webrtc/options.ts';
import { loadNative } from '../../server/native/native.ts';
import { DatagramReader } from '../../server/webrtc-transport/datagram-reader.ts';
import { AEAD_AES_128_GCM } from '../../server/webrtc-transport/dtls.ts';
import type { MasterKey } from '../../server/webrtc-transport/srtp.ts';
import { SrtcpContext } from '../../server/webrtc-transport/srtp.ts';
import { descriptorOf } from '../../server/webrtc-transport/udp-sender.ts';
import type { Bench, BenchRow } from './row.ts';

const FEEDBACK_COUNT = 20_000;
const WARM_UP_COUNT = 2_000;
const FEEDBACK_EVERY_MS = 100;
const PACKET_COUNT = 42;
const PACKET_BYTES = 1_228;
const PICTURE_PACKETS = 14;
const LOST_EVERY = 200;

type Costs = { readonly feedbackUs: number; readonly packetUs: number };

export const feedbackBench: Bench = {
  name: 'feedback',
  run: async () => {
    const adaptive = run('adaptive');
    const gcc = run('gcc');
    return [
      {
        name: `transport-cc message of ${PACKET_COUNT} packets, read and decided on`,
        value: adaptive.feedbackUs,
        unit: 'µs',
        target: { max: 15 },
        note: `gcc ${gcc.feedbackUs.toFixed(1)}`,
      },
      { name: 'the controller’s share of a packet sent', value: adaptive.packetUs, unit: 'µs' },
      ...(await measureOpening()),
    ];
  },
};

const OPENED_COUNT = 20_000;

/** SRTCP of one message, by both ways. */
const measureOpening = async (): Promise<BenchRow[]> => {
  const keys = (): MasterKey => ({ profile: AEAD_AES_128_GCM, key: randomBytes(16), salt: randomBytes(12) });
  const [local, remote] = [keys(), keys()];
  const theirs = new SrtcpContext(remote);
  const compound = feedbackOn(0, FEEDBACK_EVERY_MS);
  const datagrams = Array.from({ length: WARM_UP_COUNT + OPENED_COUNT }, () => theirs.protect(compound));
  const costUs = (open: (datagram: Buffer) => unknown): number => {
    datagrams.slice(0, WARM_UP_COUNT).forEach((datagram) => open(datagram));
    const fromMs = performance.now();
    datagrams.slice(WARM_UP_COUNT).forEach((datagram) => open(datagram));
    return (1000 * (performance.now() - fromMs)) / OPENED_COUNT;
  };
  const plain = new SrtcpContext(remote);
  const rows: BenchRow[] = [
    { name: 'opening it by node:crypto', value: costUs((datagram) => plain.unprotect(datagram)), unit: 'µs' },
  ];
  const { native } = loadNative();
  if (native !== undefined) {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const reader = new DatagramReader(new native.rtcp.RtcpPort(descriptorOf(socket) ?? -1), () => undefined);
    const channel = reader.open({ local, remote }, { onOpened: () => undefined, onRefused: () => undefined });
    const value = costUs((datagram) => channel?.unprotect(datagram));
    rows.push({ name: 'opening it natively', value, unit: 'µs' });
    reader.close();
    socket.close();
  }
  return rows;
};

const run = (kind: 'adaptive' | 'gcc'): Costs => {
  const controller = makeController(
    kind,
    { smoothnessRatio: 0.5, prior: PRIOR_DEFAULT, hasTransportFeedback: true, hasPlayoutDelay: true },
    WEBRTC_OUT_DEFAULTS,
  );
  const rendition = { bitrateBps: 4_000_000, keyframeBytes: 60_000, qualityRatio: 1 };
  const offer = { renditions: [rendition], gopMs: 1_000, frameIntervalMs: 100 / 3 };
  controller.join({ ...offer, keyframeAgeMs: 0 }, 0);
  const link = new BenchLink(controller, offer);
  link.pass(WARM_UP_COUNT);
  return link.pass(FEEDBACK_COUNT);
};

class BenchLink {
  readonly #controller: CongestionController;
  readonly #offer: Parameters<CongestionController['onGop']>[0];
  readonly #report = new TransportReport();
  #seqExt = 0;
  #nowMs = 0;

  constructor(controller: CongestionController, offer: Parameters<CongestionController['onGop']>[0]) {
    this.#controller = controller;
    this.#offer = offer;
  }

  pass(count: number): Costs {
    let sendingUs = 0;
    let feedbackUs = 0;
    for (let index = 0; index < count; index += 1) {
      const fromMs = performance.now();
      const baseSeqExt = this.#send();
      const sentMs = performance.now();
      const compound = feedbackOn(baseSeqExt, this.#nowMs);
      const builtMs = performance.now();
      this.#read(compound, baseSeqExt);
      feedbackUs += 1000 * (performance.now() - builtMs);
      sendingUs += 1000 * (sentMs - fromMs);
    }
    return { feedbackUs: feedbackUs / count, packetUs: sendingUs / count / PACKET_COUNT };
  }

  /** 100 ms of pictures; a GOP each second. */
  #send(): number {
    const firstSeqExt = this.#seqExt;
    if (firstSeqExt % (10 * PACKET_COUNT) === 0) {
      this.#controller.onGop(this.#offer, this.#nowMs);
    }
    for (let index = 0; index < PACKET_COUNT; index += 1) {
      const seqExt = this.#seqExt;
      const nowMs = this.#nowMs + (index * FEEDBACK_EVERY_MS) / PACKET_COUNT;
      if (index % PICTURE_PACKETS === 0) {
        this.#controller.onPicture(
          {
            ...{ firstSeqExt: seqExt, packetCount: PICTURE_PACKETS, isKeyframe: seqExt % (10 * PACKET_COUNT) === 0 },
            ...{ stampMs: nowMs, arrivedAtMs: nowMs, renditionIndex: 0 },
          },
          nowMs,
        );
      }
      const packet = { transportSeqExt: seqExt, bytes: PACKET_BYTES, kind: 'video', videoSeqExt: seqExt } as const;
      this.#controller.onPacketSent(packet, nowMs);
      this.#seqExt += 1;
    }
    this.#nowMs += FEEDBACK_EVERY_MS;
    return firstSeqExt;
  }

  #read(compound: Buffer, baseSeqExt: number): void {
    for (const item of parseRtcp(compound)) {
      if (item.type === 'transport-cc') {
        this.#report.read(item.body);
        const { count, arrivedMs } = this.#report;
        this.#controller.onFeedback({ baseSeqExt, count, arrivedMs }, this.#nowMs);
        this.#controller.decide(this.#nowMs, 0);
      }
    }
  }
}

const feedbackOn = (baseSeqExt: number, nowMs: number): Buffer => {
  const arrivedMs = Array.from({ length: PACKET_COUNT }, (_, index) =>
    (baseSeqExt + index) % LOST_EVERY === 0
      ? undefined
      : nowMs - FEEDBACK_EVERY_MS + 20 + (index * FEEDBACK_EVERY_MS) / PACKET_COUNT,
  );
  return buildTransportCc(
    1,
    2,
    buildTransportFeedback({ baseSeq16: baseSeqExt & 0xffff, feedbackCount: 0, arrivedMs }),
  );
};
