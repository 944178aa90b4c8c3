/** Viewers over WebRTC for the API: those who watch, and the last of those who did. */
import type { SessionDetail, SessionSummary } from './api/contract/sessions.ts';
import type { ViewersView } from './api/views.ts';
import type { Clock } from './base/clock.ts';
import type { TimelinePoint } from './relay/webrtc/session-timeline.ts';
import type { ViewerSession } from './relay/webrtc/viewer-session.ts';
import type { WebRtcOut } from './relay/webrtc/webrtc-out.ts';

/** About 12 kB each. */
const ENDED_MAX_COUNT = 50;

type Watched = {
  readonly number: number;
  readonly session: ViewerSession;
  readonly startedAtWallMs: number;
};

type State = { readonly isOver: boolean; readonly nowWallMs: number };

type Ended = Pick<Watched, 'number'> & { readonly detail: SessionDetail };

export const createViewersView = (webRtc: WebRtcOut, clock: Clock): ViewersView => {
  const watching = new Map<ViewerSession, Watched>();
  const ended: Ended[] = [];
  let count = 0;
  webRtc.listen({
    onOpened: (session) => {
      count += 1;
      watching.set(session, { number: count, session, startedAtWallMs: clock.wallMs() });
    },
    onClosed: (session) => {
      const watched = watching.get(session);
      watching.delete(session);
      if (watched !== undefined && session.decision !== undefined) {
        ended.unshift({
          number: watched.number,
          detail: detailOf(watched, { isOver: true, nowWallMs: clock.wallMs() }),
        });
        ended.splice(ENDED_MAX_COUNT);
      }
    },
  });
  return {
    list: () => [
      ...[...watching.values()]
        .map((watched) => summaryOf(watched, { isOver: false, nowWallMs: clock.wallMs() }))
        .toReversed(),
      ...ended.map(({ detail: { timeline: _timeline, ...summary } }) => summary),
    ],
    find: (number) => {
      const watched = [...watching.values()].find((each) => each.number === number);
      return watched === undefined
        ? ended.find((each) => each.number === number)?.detail
        : detailOf(watched, { isOver: false, nowWallMs: clock.wallMs() });
    },
  };
};

const summaryOf = ({ number, session, startedAtWallMs }: Watched, state: State): SessionSummary => {
  const { isOver, nowWallMs } = state;
  const { decision, reported, endReason } = session;
  return {
    number,
    broadcast: session.name,
    startedAtWallMs,
    durationMs: nowWallMs - startedAtWallMs,
    endedAtWallMs: isOver ? nowWallMs : null,
    endReason: endReason ?? null,
    path: session.pathKind,
    renditionId: session.renditionId ?? null,
    estimateBps: decision?.estimateBps ?? null,
    playoutDelayMs: decision?.playoutDelayMs ?? null,
    rttMs: decision?.rttMs ?? null,
    latencyMs: reported?.latencyMs ?? null,
    stallCount: reported?.stallCount ?? null,
    stallMs: reported?.stallMs ?? null,
    smoothnessRatio: session.smoothnessRatio,
  };
};

const detailOf = (watched: Watched, state: State): SessionDetail => {
  const points = watched.session.timeline();
  const column = (name: Exclude<keyof TimelinePoint, 'renditionId'>): (number | null)[] =>
    points.map((point) => (Number.isFinite(point[name]) ? Math.round(10 * point[name]) / 10 : null));
  return {
    ...summaryOf(watched, state),
    timeline: {
      atMs: points.map(({ atMs }) => Math.round(atMs)),
      estimateBps: column('estimateBps'),
      sentBps: column('sentBps'),
      playoutDelayMs: column('playoutDelayMs'),
      queueDelayMs: column('queueDelayMs'),
      rttMs: column('rttMs'),
      latencyMs: column('latencyMs'),
      frozenMs: column('frozenMs'),
      renditionId: points.map(({ renditionId }) => renditionId),
    },
  };
};
