/** What the link tells of itself: counts, delays, its own lateness, and a sample each 100 ms. */
import type { DelaySummary } from '../../support/delay-histogram.ts';
import type { DirectionCounts } from './link-model.ts';
import type { LinkPlan } from './link-scenario.ts';
import type { Scheduling } from './raise-priority.ts';

export type LinkCounts = {
  readonly down: DirectionCounts;
  readonly up: DirectionCounts;
  /** By how much packets left the emulator after the model's instant: timers and a busy machine. */
  readonly releaseLateMs: DelaySummary;
  /** How far the system let the link go before other work; where it is `normal`, mind `releaseLateMs`. */
  readonly scheduling: Scheduling;
  /** Whether servers feel back-pressure as on a network; false: the kernel takes some 4 MB of each TCP connection first. */
  readonly hasSmallBuffers: boolean;
  /** Since when these count, on the Unix clock: `startLink` or the last `restart`. */
  readonly startedAtWallMs: number;
  /** UDP addresses of viewers that have, or had, a socket towards a server; TCP connections. */
  readonly udpFlowCount: number;
  readonly tcpConnectionCount: number;
  /** Fast retransmissions and time-outs of the modelled TCP senders. */
  readonly tcpRetransmissionCount: number;
  readonly tcpTimeoutCount: number;
  /** Datagrams that came when no flow could be opened for them, or that the kernel refused. */
  readonly refusedCount: number;
};

export type DirectionSample = {
  /** Mean over the sample's time; undefined without a limit. */
  readonly capacityBps: number | undefined;
  readonly queueBytes: number;
  readonly deliveredBps: number;
};

export type LinkSample = {
  /** Link time at the end of the sample. */
  readonly atMs: number;
  readonly down: DirectionSample;
  readonly up: DirectionSample;
};

/** What the owner asks of the link's process. */
export type LinkRequest =
  | { readonly kind: 'start'; readonly plan: LinkPlan; readonly seed: number; readonly logFile: string | undefined }
  | { readonly kind: 'through'; readonly url: string }
  | { readonly kind: 'relay'; readonly transport: 'udp' | 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'counts' | 'series' | 'restart' };

export type LinkCall = { readonly id: number; readonly request: LinkRequest };
export type LinkReply = { readonly id: number; readonly value?: unknown; readonly fault?: string };
