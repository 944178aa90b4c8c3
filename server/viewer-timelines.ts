/** Viewers over WebRTC on the list: what the server decides for them, and what their players report. */
import type { SessionDetail } from './api/contract/sessions.ts';
import type { TimelinePoint } from './relay/webrtc/session-timeline.ts';
import type { SessionView, SessionsOut } from './relay/webrtc/session-view.ts';
import type { ViewerFacts, ViewerList } from './viewer-list.ts';
import { toColumn } from './viewer-list.ts';

export const listWebRtcViewers = (viewers: ViewerList, webRtc: SessionsOut): void => {
  const leaving = new Map<SessionView, (isRemembered: boolean) => void>();
  webRtc.listen({
    onOpened: (session) =>
      leaving.set(
        session,
        viewers.add({ facts: () => factsOf(session), timeline: async () => timelineOf(await session.timeline()) }),
      ),
    onClosed: (session) => {
      // Who never got as far as a decision was no viewer.
      leaving.get(session)?.(session.decision !== undefined);
      leaving.delete(session);
    },
  });
};

const factsOf = (session: SessionView): ViewerFacts => {
  const { decision, reported, endReason } = session;
  return {
    broadcast: session.name,
    transport: 'whep',
    endReason: endReason ?? null,
    path: session.pathKind,
    renditionId: session.renditionId ?? null,
    estimateBps: decision?.estimateBps ?? null,
    networkClass: session.networkClass ?? null,
    playoutDelayMs: decision?.playoutDelayMs ?? null,
    targetLatencyMs: null,
    rttMs: decision?.rttMs ?? null,
    latencyMs: reported?.latencyMs ?? null,
    stallCount: reported?.stallCount ?? null,
    stallMs: reported?.stallMs ?? null,
    smoothnessRatio: session.smoothnessRatio,
  };
};

const timelineOf = (points: readonly TimelinePoint[]): SessionDetail['timeline'] => {
  const column = (name: Exclude<keyof TimelinePoint, 'renditionId'>): (number | null)[] =>
    toColumn(points.map((point) => point[name]));
  return {
    atMs: points.map(({ atMs }) => Math.round(atMs)),
    estimateBps: column('estimateBps'),
    sentBps: column('sentBps'),
    playoutDelayMs: column('playoutDelayMs'),
    needMs: column('needMs'),
    targetLatencyMs: points.map(() => null),
    queueDelayMs: column('queueDelayMs'),
    rttMs: column('rttMs'),
    latencyMs: column('latencyMs'),
    frozenMs: column('frozenMs'),
    renditionId: points.map(({ renditionId }) => renditionId),
  };
};
