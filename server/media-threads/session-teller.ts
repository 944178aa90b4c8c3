/** A thread's side of its sessions: tells the main thread of each that opens and closes, how it fares, and what its stamps mean. */
import type { SessionFacts } from '../relay/webrtc/session-view.ts';
import type { ViewerSession } from '../relay/webrtc/viewer-session.ts';
import type { WebRtcOut } from '../relay/webrtc/webrtc-out.ts';
import type { FromThread } from './thread-messages.ts';

export class SessionTeller {
  readonly #sessions = new Set<ViewerSession>();
  readonly #post: (message: FromThread) => void;

  constructor(out: WebRtcOut, post: (message: FromThread) => void) {
    this.#post = post;
    out.listen({
      onOpened: (session) => {
        const { id, secret, name } = session;
        this.#sessions.add(session);
        post({ kind: 'opened', id, secret, name, facts: factsOf(session) });
        session.listenMapping((mapping) => post({ kind: 'mapping', id, mapping }));
      },
      onClosed: (session) => {
        this.#sessions.delete(session);
        post({ kind: 'closed', id: session.id, facts: factsOf(session), timeline: session.timeline() });
      },
    });
  }

  /** To be called once a second. */
  tell(): void {
    this.#post({ kind: 'facts', sessions: [...this.#sessions].map((session) => [session.id, factsOf(session)]) });
  }
}

const factsOf = (session: ViewerSession): SessionFacts => ({
  isConnected: session.isConnected,
  endReason: session.endReason,
  pathKind: session.pathKind,
  renditionId: session.renditionId,
  decision: session.decision,
  networkClass: session.networkClass,
  reported: session.reported,
  smoothnessRatio: session.smoothnessRatio,
});
