/**
 * WebRTC out as the rest of the server sees it, wherever its media runs: what passes here can be said in a message. What is told of a session
 * may be up to a second old.
 */
import type { BroadcastView } from '../broadcast-view.ts';
import type { TimelinePoint } from './session-timeline.ts';
import type { ViewerSession } from './viewer-session.ts';

/** What can be told of a session at one moment. */
export type SessionFacts = Pick<
  ViewerSession,
  | 'isConnected'
  | 'endReason'
  | 'pathKind'
  | 'renditionId'
  | 'decision'
  | 'networkClass'
  | 'reported'
  | 'smoothnessRatio'
>;

export type SessionView = SessionFacts &
  Pick<ViewerSession, 'id' | 'secret' | 'name' | 'onPlayerReport' | 'listenMapping'> & {
    /** Never rejects; also when it has ended. */
    timeline(): readonly TimelinePoint[] | Promise<readonly TimelinePoint[]>;
  };

export type SessionListener<Session = SessionView> = {
  onOpened(session: Session): void;
  onClosed(session: Session): void;
};

export type SessionsOut = {
  readonly sessionCount: number;
  /** Told of each session from now on. */
  listen(listener: SessionListener): void;
  /** By the secret of the `Link` header. */
  findBySecret(secret: string): SessionView | undefined;
  /** WHEP viewers of this broadcast whose media can flow. */
  viewerCount(broadcast: BroadcastView): number;
  /** From now on this rendition, `main`, or, when undefined, what everybody gets; for one that is not there, as soon as it is. */
  watch(sessionId: string, renditionId: string | undefined): void;
  /** λ of a broadcast: 0 reacts, 1 is smooth. */
  smoothnessOf(broadcast: BroadcastView): number;
  /** From now on, for those of its viewers who did not say themselves, and those to come. */
  setSmoothness(broadcast: BroadcastView, smoothnessRatio: number): void;
  /** Says goodbye to every viewer. */
  close(reason: string): void | Promise<void>;
};
