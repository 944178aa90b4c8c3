/**
 * Viewers over LL-HLS on the list, by what their players report over the socket: caches may answer for the server, so it knows nothing else of them. Of one
 * socket, one viewer at a time, from its first report until the socket closes or WebRTC takes over.
 */
import type { SessionDetail } from './api/contract/sessions.ts';
import type { QualityReport } from './api/contract/socket.ts';
import type { ReportersView } from './api/views.ts';
import type { Clock } from './base/clock.ts';
import { ColumnRing } from './base/column-ring.ts';
import type { ListedViewer, ViewerFacts, ViewerList } from './viewer-list.ts';
import { toColumn } from './viewer-list.ts';

/** About 4 kB each. Beyond them newcomers are not listed; they watch as well. */
const LISTED_MAX_COUNT = 1_000;
/** Five minutes of a report every two seconds. */
const POINT_MAX_COUNT = 150;
/** Of what comes more often, one is kept; timers are never exact. */
const STEP_MS = 1_500;
const COLUMNS = ['atMs', 'bandwidthBps', 'targetLatencyMs', 'latencyMs', 'frozenMs'] as const;

export const createReportersView = (viewers: ViewerList, clock: Clock): ReportersView => {
  let listedCount = 0;
  return {
    open: (broadcast) => {
      let viewer: ReportedViewer | undefined;
      let leave: (isRemembered: boolean) => void = () => undefined;
      const close = (reason: string): void => {
        if (viewer !== undefined) {
          viewer.endReason = reason;
          viewer = undefined;
          listedCount -= 1;
          leave(true);
        }
      };
      return {
        report: (report) => {
          if (report.transport === 'whep') {
            close('went over to WebRTC');
            return;
          }
          if (viewer === undefined && listedCount < LISTED_MAX_COUNT) {
            listedCount += 1;
            viewer = new ReportedViewer(broadcast, clock.nowMs());
            leave = viewers.add(viewer);
          }
          viewer?.note(report, clock.nowMs());
        },
        close: () => close('left'),
      };
    },
  };
};

class ReportedViewer implements ListedViewer {
  endReason: string | null = null;
  readonly #broadcast: string;
  readonly #openedAtMs: number;
  readonly #ring = new ColumnRing(COLUMNS, POINT_MAX_COUNT);
  #last: QualityReport | undefined;
  #stallCount = 0;
  #stallMs = 0;
  // When a row was added last.
  #addedAtMs = Number.NEGATIVE_INFINITY;
  #addedStallMs = 0;

  constructor(broadcast: string, nowMs: number) {
    this.#broadcast = broadcast;
    this.#openedAtMs = nowMs;
  }

  note(report: QualityReport, nowMs: number): void {
    // What it stood still before its first report is not ours to tell; a player that was built anew counts from zero.
    const last = this.#last ?? report;
    this.#last = report;
    this.#stallCount += Math.max(0, report.stallCount - last.stallCount);
    this.#stallMs += Math.max(0, report.stallMs - last.stallMs);
    if (nowMs - this.#addedAtMs < STEP_MS) {
      return;
    }
    this.#ring.add({
      ...{ atMs: nowMs - this.#openedAtMs, label: report.rendition ?? '' },
      bandwidthBps: report.bandwidthBps ?? Number.NaN,
      targetLatencyMs: report.targetLatencyMs ?? Number.NaN,
      latencyMs: report.latencyMs ?? Number.NaN,
      frozenMs: this.#stallMs - this.#addedStallMs,
    });
    this.#addedAtMs = nowMs;
    this.#addedStallMs = this.#stallMs;
  }

  facts(): ViewerFacts {
    const { bandwidthBps, latencyMs, rendition, targetLatencyMs } = this.#last ?? {};
    return {
      ...{ broadcast: this.#broadcast, transport: 'll-hls', endReason: this.endReason, path: 'http' },
      ...{ renditionId: rendition ?? null, estimateBps: bandwidthBps ?? null, networkClass: null },
      ...{ playoutDelayMs: null, targetLatencyMs: targetLatencyMs ?? null, rttMs: null, latencyMs: latencyMs ?? null },
      ...{ stallCount: this.#stallCount, stallMs: this.#stallMs, smoothnessRatio: null },
    };
  }

  timeline(): SessionDetail['timeline'] {
    const rows = this.#ring.rows();
    const nothing = rows.map(() => null);
    const column = (name: (typeof COLUMNS)[number]): (number | null)[] => toColumn(rows.map((row) => row[name]));
    return {
      atMs: rows.map(({ atMs }) => Math.round(atMs)),
      ...{ estimateBps: column('bandwidthBps'), targetLatencyMs: column('targetLatencyMs') },
      ...{ latencyMs: column('latencyMs'), frozenMs: column('frozenMs') },
      ...{ sentBps: nothing, playoutDelayMs: nothing, needMs: nothing, queueDelayMs: nothing, rttMs: nothing },
      renditionId: rows.map(({ label }) => label),
    };
  }
}
