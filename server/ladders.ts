/** Gives each broadcast its ladder, and puts the rungs into the hub as renditions. */
import { availableParallelism } from 'node:os';
import type { EssentialsOptions } from '../transcode/essentials.ts';
import { SpeedBook } from '../transcode/encoder-speeds.ts';
import type { LadderOptions } from '../transcode/ladder-plan.ts';
import type { LadderStatus } from '../transcode/ladder.ts';
import { LADDER_RUN_DEFAULTS, Ladder } from '../transcode/ladder.ts';
import type { Clock } from './base/clock.ts';
import type { Log } from './observability/log.ts';
import type { Metrics } from './observability/metrics.ts';
import type { Broadcast } from './relay/broadcast.ts';
import { SOURCE_VIDEO } from './relay/broadcast.ts';
import type { Hub } from './relay/hub.ts';

export type LaddersParts = {
  readonly hub: Hub;
  readonly options: LadderOptions;
  /** Where the measured speeds are remembered. */
  readonly speedsPath: string;
  readonly transcode: Pick<EssentialsOptions, 'ffmpegPath' | 'backoff'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

/** Whoever has just started the server looks at something else first. */
const MEASURE_AFTER_MS = 30_000;

export class Ladders {
  readonly #parts: LaddersParts;
  readonly #byBroadcast = new Map<Broadcast, Ladder>();
  readonly #speeds: SpeedBook;
  readonly #measureTimer: NodeJS.Timeout | undefined;

  constructor(parts: LaddersParts) {
    this.#parts = parts;
    this.#speeds = new SpeedBook(parts.speedsPath, parts.log);
    const { enabled, measuresSpeeds } = parts.options;
    if (enabled && measuresSpeeds && !this.#speeds.isMeasured) {
      const measure = (): void => void this.#speeds.measure(parts.transcode.ffmpegPath);
      this.#measureTimer = setTimeout(measure, MEASURE_AFTER_MS).unref();
    }
    parts.hub.listen({ onBroadcastStarted: (broadcast) => this.#follow(broadcast) });
  }

  /** Undefined when `name` is not live. */
  statusOf(name: string): LadderStatus | undefined {
    const broadcast = this.#parts.hub.find(name);
    return broadcast === undefined ? undefined : this.#byBroadcast.get(broadcast)?.status();
  }

  close(): void {
    clearTimeout(this.#measureTimer);
  }

  #follow(broadcast: Broadcast): void {
    const { options, transcode, clock, log, metrics } = this.#parts;
    const ladder = new Ladder({
      options,
      ffmpegPath: transcode.ffmpegPath,
      run: LADDER_RUN_DEFAULTS,
      backoff: transcode.backoff,
      speeds: this.#speeds.speeds,
      coreCount: availableParallelism(),
      clock,
      log: log.child({ broadcast: broadcast.name }),
      metrics,
      output: {
        onRung: ({ id }) => broadcast.addRendition(id),
        onUnit: (id, unit) => broadcast.addRendition(id).push(unit),
        onEnd: (id, reason) => broadcast.removeRendition(id, reason),
      },
    });
    this.#byBroadcast.set(broadcast, ladder);
    broadcast.listen({
      onRenditionAdded: (rendition) => {
        if (rendition.id === SOURCE_VIDEO) {
          ladder.attach(rendition);
        }
      },
      onStateChanged: (state) => {
        if (state === 'ended') {
          this.#byBroadcast.delete(broadcast);
          ladder.close('broadcast_ended');
        }
      },
    });
  }
}
