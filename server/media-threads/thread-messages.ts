/** All that passes between the main thread and one media thread, but the units themselves. */
import type { LinkCaptureOptions } from '../learning/link-captures.ts';
import type { LearningSnapshot } from '../learning/learning.ts';
import type { LearnerNote } from '../learning/session-plans.ts';
import type { Policy } from '../congestion/learned/policy.ts';
import type { LogLevel } from '../observability/log.ts';
import type { MetricsSnapshot } from '../observability/metrics.ts';
import type { GopCacheOptions } from '../relay/gop-cache.ts';
import type { CongestionOptions } from '../relay/webrtc/congestion-options.ts';
import type { WebRtcOutOptions } from '../relay/webrtc/options.ts';
import type { PlayerTotals } from '../relay/webrtc/player-reports.ts';
import type { RtpMapping } from '../relay/webrtc/rtp-mapping.ts';
import type { SessionFacts } from '../relay/webrtc/session-view.ts';
import type { TimelinePoint } from '../relay/webrtc/session-timeline.ts';
import type { AudienceNews } from '../relay/webrtc/whep-extensions.ts';
import type { AnnouncedEndpoint } from '../webrtc-transport/sdp-answer.ts';
import type { SelfTestReport } from '../webrtc-transport/self-test.ts';
import type { WebRtcPortOptions } from '../webrtc-transport/webrtc-port.ts';
import type { HubMessage } from './hub-messages.ts';
import type { RingPosition } from './unit-ring.ts';

/** What a thread is started with. */
export type ThreadOrder = {
  /** From 1. */
  readonly number: number;
  readonly memory: SharedArrayBuffer;
  readonly position: RingPosition;
  readonly clockZeroMs: number;
  readonly logLevel: LogLevel;
  readonly port: WebRtcPortOptions;
  readonly settings: WebRtcOutOptions;
  readonly congestion: CongestionOptions;
  readonly capture: LinkCaptureOptions;
  readonly policies: readonly Policy[];
  readonly gopCache: GopCacheOptions;
};

export type RequestMessage = {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
  readonly remoteAddress: string;
};

export type AnswerMessage = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string | undefined;
  /** In place of a body: to be pulled. */
  readonly streamId: number | undefined;
};

/** What is asked, and what is answered. */
export type Calls = {
  /** `lack`: what `WhepContext` says of the broadcast now. */
  http: {
    ask: { readonly request: RequestMessage; readonly name: string; readonly lack: string | undefined };
    answer: AnswerMessage;
  };
  /** Undefined: the stream has ended. */
  pull: { ask: { readonly streamId: number }; answer: Uint8Array | undefined };
  leave: { ask: { readonly streamId: number }; answer: undefined };
  timeline: { ask: { readonly sessionId: string }; answer: readonly TimelinePoint[] };
  metrics: { ask: undefined; answer: MetricsSnapshot };
  selfTest: { ask: undefined; answer: SelfTestReport };
  /** Answered when every viewer was told, and what they leave is on the disk. */
  close: { ask: { readonly reason: string }; answer: undefined };
};
export type CallName = keyof Calls;
export type Call = { [Name in CallName]: { readonly name: Name; readonly ask: Calls[Name]['ask'] } }[CallName];

export type ToThread =
  | { readonly kind: 'hub'; readonly hub: HubMessage }
  | { readonly kind: 'call'; readonly callId: number; readonly call: Call }
  /** Whoever asked has left. */
  | { readonly kind: 'abort'; readonly callId: number }
  | { readonly kind: 'news'; readonly name: string; readonly news: AudienceNews | undefined }
  | { readonly kind: 'smoothness'; readonly name: string; readonly smoothnessRatio: number }
  | { readonly kind: 'watch'; readonly sessionId: string; readonly renditionId: string | undefined }
  | { readonly kind: 'report'; readonly sessionId: string; readonly totals: PlayerTotals }
  | { readonly kind: 'learning'; readonly snapshot: LearningSnapshot; readonly holdoutRatio: number };

export type FromThread =
  | { readonly kind: 'ready'; readonly endpoints: readonly AnnouncedEndpoint[] }
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  | { readonly kind: 'answer'; readonly callId: number; readonly value: unknown }
  | { readonly kind: 'fault'; readonly callId: number; readonly detail: string }
  | {
      readonly kind: 'opened';
      readonly id: string;
      readonly secret: string;
      readonly name: string;
      readonly facts: SessionFacts;
    }
  /** Once a second, also when there is nobody: a thread that says nothing hangs. */
  | { readonly kind: 'facts'; readonly sessions: readonly (readonly [id: string, facts: SessionFacts])[] }
  | {
      readonly kind: 'closed';
      readonly id: string;
      readonly facts: SessionFacts;
      readonly timeline: readonly TimelinePoint[];
    }
  | { readonly kind: 'mapping'; readonly id: string; readonly mapping: RtpMapping }
  | { readonly kind: 'note'; readonly note: LearnerNote };
