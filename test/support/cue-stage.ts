/** Cues over a hub that a test feeds by hand: the desk, LL-HLS with its dates, and a publisher whose pictures come when the test says. */
import { rmSync } from 'node:fs';
import type { CueMessage } from '../../server/api/contract/cues.ts';
import type { Clock } from '../../server/base/clock.ts';
import { ManualClock } from '../../server/base/clock.ts';
import { joinCues } from '../../server/broadcast-cues.ts';
import type { CueNews, CueOptions } from '../../server/cues/cue-desk.ts';
import { CUE_DEFAULTS, CueDesk } from '../../server/cues/cue-desk.ts';
import type { SourceUnit } from '../../server/media/access-unit.ts';
import type { PublisherFeed } from '../../server/media/stream-source.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import type { Broadcast } from '../../server/relay/broadcast.ts';
import { createCueDates } from '../../server/relay/hls/cue-dates.ts';
import type { HlsServer } from '../../server/relay/hls/http-handler.ts';
import { Hub } from '../../server/relay/hub.ts';
import { createTestHls } from './hls-host.ts';
import { tempFolder } from './temp-folder.ts';

export const CUE_TEST_OPTIONS: CueOptions = { ...CUE_DEFAULTS, encoderDelayMs: 200 };

export type CueStage = {
  readonly folder: string;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly hls: HlsServer;
  readonly desk: CueDesk;
  readonly metrics: Metrics;
  /** What sockets of `demo` were told, in order. */
  readonly told: CueMessage[];
  readonly news: CueNews[];
  publish(name?: string): { readonly broadcast: Broadcast; readonly feed: PublisherFeed };
  /** Pushes units at their own arrival times, of a manual clock. */
  push(feed: PublisherFeed, units: readonly SourceUnit[]): void;
  /** Stops as a `kill -9` does, but for what is on its way to the disk; the folder stays. */
  stop(): Promise<void>;
};

export const openCueStage = async (
  options: { clock?: Clock; settings?: Partial<CueOptions>; folder?: string } = {},
): Promise<CueStage> => {
  const clock = options.clock ?? new ManualClock();
  const settings = { ...CUE_TEST_OPTIONS, ...options.settings };
  const folder = options.folder ?? tempFolder('cues');
  const metrics = new Metrics({ collectDefaults: false });
  const gopCache = { cacheMaxBytes: 2 ** 24, cacheMaxCount: 1_000 };
  const hubSettings = { gopCache, reconnectGraceMs: 60_000, broadcastMaxCount: 5 };
  const hub = new Hub({ settings: hubSettings, clock, log: silentLog, metrics });
  const desk = await CueDesk.open({ settings, folder, clock, log: silentLog, metrics });
  const { server: hls } = createTestHls({ clock, dates: createCueDates(desk) });
  hub.listen({ onBroadcastStarted: (broadcast) => hls.attach(broadcast) });
  joinCues({ desk, settings, hub, programOffsetMs: (name) => hls.programOffsetMs(name) });
  const told: CueMessage[] = [];
  const news: CueNews[] = [];
  desk.setViewers((name, text) => (name === 'demo' ? told.push(JSON.parse(text) as CueMessage) : undefined));
  desk.listen((one) => news.push(one));
  return {
    ...{ folder, clock, hub, hls, desk, metrics, told, news },
    publish: (name = 'demo') => {
      const outcome = hub.publish(name, { keyed: true, remoteAddress: '::1', close: () => undefined });
      if (!outcome.ok) {
        throw new Error(outcome.detail);
      }
      return outcome;
    },
    push: (feed, units) => {
      for (const unit of units) {
        (clock as ManualClock).advanceMs(Math.max(0, unit.arrivedAtMs - clock.nowMs()));
        feed.push(unit);
      }
    },
    stop: async () => {
      await desk.close();
      hls.close();
      hub.close('test over');
    },
  };
};

/** Stops, and removes what it kept. */
export const closeCueStage = async (stage: CueStage): Promise<void> => {
  await stage.stop();
  rmSync(stage.folder, { recursive: true, force: true });
};
