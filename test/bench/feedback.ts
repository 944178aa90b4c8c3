/**
 * What one transport-cc message costs the server once it is decrypted: reading it and the controller's share, decision included. 4 Mbit/s in
 * packets of 1200 bytes, feedback each 100 ms, one packet in 200 lost. Beside it the controller's share of each packet sent.
 */
import type { CongestionController } from '../../server/congestion/controller.ts';
import { PRIOR_DEFAULT } from '../../server/congestion/controller.ts';
import { buildTransportCc, parseRtcp } from '../../server/media/rtp/rtcp.ts';
import { TransportReport, buildTransportFeedback } from '../../server/media/rtp/transport-cc.ts';
import { makeController } from '../../server/relay/webrtc/controllers.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../server/relay/webrtc/options.ts';
import type { Bench } from './row.ts';

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
    ];
  },
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
