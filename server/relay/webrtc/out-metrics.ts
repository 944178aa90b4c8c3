/** What WebRTC out counts. The packet path adds to plain numbers; they reach the registry a few times a second. */
import type { Counter, Histogram } from 'prom-client';
import type { Metrics } from '../../observability/metrics.ts';
import { LATENCY_BUCKETS_S } from '../../observability/metrics.ts';

type CountName =
  | 'packets'
  | 'bytes'
  | 'sendErrors'
  | 'nacks'
  | 'rtxPackets'
  | 'rtxRefused'
  | 'plis'
  | 'plisRefused'
  | 'framesDropped'
  | 'feedbackForged'
  | 'rtcpRejected'
  | 'unitsRejected'
  | 'unitsLate';

const NAMES: Readonly<Record<CountName, readonly [string, string]>> = {
  packets: ['webrtc_out_packets_total', 'RTP packets handed to the kernel, retransmissions included'],
  bytes: ['webrtc_out_bytes_total', 'Bytes of those packets'],
  sendErrors: ['webrtc_send_errors_total', 'RTP packets the kernel or a bounded queue refused'],
  nacks: ['webrtc_nack_total', 'Packets viewers asked for again'],
  rtxPackets: ['webrtc_rtx_packets_total', 'Packets sent again'],
  rtxRefused: ['webrtc_rtx_refused_total', 'Packets asked for but not sent: too old, just sent, or over the budget'],
  plis: ['webrtc_pli_total', 'Keyframes viewers asked for (PLI, FIR)'],
  plisRefused: ['webrtc_pli_refused_total', 'Keyframe requests not answered, because one was just answered'],
  framesDropped: ['webrtc_frames_dropped_total', 'Pictures not sent to a viewer too slow to take them'],
  feedbackForged: ['webrtc_feedback_forged_total', 'transport-cc feedback for packets never sent'],
  rtcpRejected: ['webrtc_rtcp_rejected_total', 'RTCP that made no sense'],
  unitsRejected: ['webrtc_units_rejected_total', 'Access units that could not be packetised'],
  unitsLate: [
    'hub_to_kernel_late_total',
    'Access units whose last packet left more than 50 ms after they entered the hub',
  ],
};

const LATE_MS = 50;
const JOIN_BUCKETS_S = [0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 5, 15];

export class OutMetrics {
  /** Added to directly. */
  readonly counts: Record<CountName, number> = {
    packets: 0,
    bytes: 0,
    sendErrors: 0,
    nacks: 0,
    rtxPackets: 0,
    rtxRefused: 0,
    plis: 0,
    plisRefused: 0,
    framesDropped: 0,
    feedbackForged: 0,
    rtcpRejected: 0,
    unitsRejected: 0,
    unitsLate: 0,
  };
  readonly #counters: readonly { readonly name: CountName; readonly counter: Counter; reported: number }[];
  readonly #hubToKernel: Histogram;
  readonly #join: Histogram;

  constructor(metrics: Metrics) {
    this.#counters = (Object.keys(NAMES) as CountName[]).map((name) => ({
      name,
      counter: metrics.counter(...NAMES[name]),
      reported: 0,
    }));
    this.#hubToKernel = metrics.histogram(
      'hub_to_kernel_seconds',
      'From an access unit in the hub to its last packet handed to the kernel, for all viewers',
      { buckets: LATENCY_BUCKETS_S },
    );
    this.#join = metrics.histogram('webrtc_join_seconds', 'From the offer to the first picture sent', {
      buckets: JOIN_BUCKETS_S,
    });
  }

  observeHubToKernel(durationMs: number): void {
    this.#hubToKernel.observe(durationMs / 1000);
    if (durationMs > LATE_MS) {
      this.counts.unitsLate += 1;
    }
  }

  observeJoin(durationMs: number): void {
    this.#join.observe(durationMs / 1000);
  }

  /** Brings the registry up to date. */
  flush(): void {
    for (const entry of this.#counters) {
      const total = this.counts[entry.name];
      if (total > entry.reported) {
        entry.counter.inc(total - entry.reported);
        entry.reported = total;
      }
    }
  }
}
