/** The counters of WHIP ingest. */
import type { Metrics } from '../../observability/metrics.ts';
import type { ReceiverCounts } from './media-receiver.ts';

export type WhipMetrics = {
  /** What one session counted since it was asked last. */
  add(now: ReceiverCounts, before: ReceiverCounts): void;
  refused(code: string): void;
};

const FATES = ['lost', 'repaired', 'late', 'malformed'] as const;

export const createWhipMetrics = (metrics: Metrics): WhipMetrics => {
  const inBytes = metrics.counter('whip_in_bytes_total', 'RTP payload received over WHIP, repeats included');
  const inPackets = metrics.counter('whip_in_packets_total', 'RTP packets received over WHIP');
  const fates = metrics.counter(
    'whip_packets_total',
    'Packets that did not simply come in time: lost for good, repaired by a repeat, late or twice, malformed',
    ['fate'],
  );
  const nacks = metrics.counter('whip_nacks_total', 'Packets asked for again');
  const asked = metrics.counter('whip_keyframes_asked_total', 'Keyframes asked for');
  const dropped = metrics.counter(
    'whip_pictures_dropped_total',
    'Pictures that were not whole or could not be decoded',
  );
  const refusals = metrics.counter('whip_refused_total', 'WHIP requests and sessions refused', ['code']);
  return {
    add: (now, before) => {
      inBytes.inc(now.bytes - before.bytes);
      inPackets.inc(now.packets - before.packets);
      FATES.forEach((fate) => fates.inc({ fate }, now[fate] - before[fate]));
      nacks.inc(now.nacks - before.nacks);
      asked.inc(now.keyframesAsked - before.keyframesAsked);
      dropped.inc(now.picturesDropped - before.picturesDropped);
    },
    refused: (code) => refusals.inc({ code }),
  };
};
