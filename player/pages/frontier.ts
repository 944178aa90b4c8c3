/** Latency against stutter: a point for each viewer, the groups that are compared, what the simulator says; of all networks, or of one class. */
import type { LearningStatus } from '../../server/api/contract/learning.ts';
import type { SessionSummary } from '../../server/api/contract/sessions.ts';
import { byId, setText } from './elements.ts';
import { goalOf, groupEllipses, simulatedSteps } from './learned.ts';
import type { Ellipse, Step } from './plots.ts';
import { scatter } from './plots.ts';

const ALL = 'all';
/** Who has hardly begun has no latency and no share of anything. */
const SEEN_MIN_MS = 5_000;

export const stallRatioOf = (session: SessionSummary): number | null =>
  session.stallMs === null ? null : Math.min(1, session.stallMs / Math.max(1, session.durationMs));

export type Frontier = {
  readonly sessions: readonly SessionSummary[];
  /** Undefined: this server does not learn. */
  readonly learning: LearningStatus | undefined;
  readonly onPick: (number: number) => void;
};

let shown: Frontier | undefined;

export const showFrontier = (frontier: Frontier): void => {
  const chooser = byId('network-class') as HTMLSelectElement;
  if (shown === undefined) {
    chooser.addEventListener('change', () => shown !== undefined && showFrontier(shown));
  }
  shown = frontier;
  const { sessions, learning, onPick } = frontier;
  const shownClass = chooser.value;
  const points = sessions.flatMap((session) => {
    const { latencyMs, number, transport, networkClass } = session;
    const stallRatio = stallRatioOf(session);
    const isShown = shownClass === ALL || networkClass === shownClass;
    return !isShown || latencyMs === null || stallRatio === null || session.durationMs < SEEN_MIN_MS
      ? []
      : [
          {
            ...{ latencyMs, stallRatio, label: `Viewer ${number} of ${session.broadcast}` },
            isLive: session.endedAtWallMs === null,
            shape: transport === 'whep' ? ('round' as const) : ('square' as const),
            onPick: () => onPick(number),
          },
        ];
  });
  const groups = learning === undefined ? [] : groupEllipses(learning, shownClass);
  const steps = learning === undefined ? [] : simulatedSteps(learning, shownClass);
  const place = byId('frontier');
  place.replaceChildren(scatter({ points, groups, steps, goal: goalOf(groups) }, place.clientWidth));
  setText(byId('frontier-words'), frontierWords({ isAll: shownClass === ALL, count: points.length, groups, steps }));
};

type Shown = {
  readonly isAll: boolean;
  readonly count: number;
  readonly groups: readonly Ellipse[];
  readonly steps: readonly Step[];
};

const frontierWords = ({ isAll, count, groups, steps }: Shown): string => {
  const viewers =
    'Lower is smoother, further left is sooner. Round: a viewer over WebRTC; square: over LL-HLS; filled: watching now.';
  const network = isAll
    ? ''
    : ` ${count === 0 ? 'No viewer is known to be on such a network.' : ''} What network a viewer has shows after some seconds, and over WebRTC alone.`;
  const compared =
    groups.length === 0
      ? ' No group has sessions to be compared yet.'
      : ' Ellipses: means of the groups that are compared, as wide and high as their 95 % intervals.';
  const goal = goalOf(groups) === undefined ? '' : ' Dotted: 55 % less stutter than plain GCC, and no slower.';
  const simulated =
    steps.length === 0
      ? ''
      : ' Small dots: the simulator’s word for our own defaults (hollow) and what was searched, at each λ.';
  return viewers + network + compared + goal + simulated;
};
