/** Gives each broadcast its ladders, H.264 and AV1, and puts the rungs into the hub as renditions. */
import { availableParallelism } from 'node:os';
import { Av1Ladder } from '../transcode/av1/av1-ladder.ts';
import type { EncoderStatus } from '../transcode/encoder-finder.ts';
import { EncoderFinder } from '../transcode/encoder-finder.ts';
import { createEncoderTrial } from '../transcode/encoder-trial.ts';
import type { EssentialsOptions } from '../transcode/essentials.ts';
import { SpeedBook } from '../transcode/encoder-speeds.ts';
import type { LadderOptions } from '../transcode/ladder-plan.ts';
import type { QualityModel } from '../transcode/narrowband/quality-model.ts';
import type { LadderSetup, LadderStatus } from '../transcode/ladder.ts';
import { Ladder, ladderRunOptions } from '../transcode/ladder.ts';
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
  readonly qualityModel: QualityModel;
  readonly transcode: Pick<EssentialsOptions, 'ffmpegPath' | 'backoff'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

/** Whoever has just started the server looks at something else first. */
const MEASURE_AFTER_MS = 30_000;

export class Ladders {
  readonly #parts: LaddersParts;
  readonly #byBroadcast = new Map<Broadcast, { readonly h264: Ladder; readonly av1: Av1Ladder }>();
  readonly #speeds: SpeedBook;
  readonly #finder: EncoderFinder;
  readonly #measureTimer: NodeJS.Timeout | undefined;

  constructor(parts: LaddersParts) {
    this.#parts = parts;
    this.#speeds = new SpeedBook(parts.speedsPath, parts.log);
    const { enabled, measuresSpeeds } = parts.options;
    if (enabled && measuresSpeeds && !this.#speeds.isMeasured) {
      const measure = (): void => void this.#speeds.measure(parts.transcode.ffmpegPath);
      this.#measureTimer = setTimeout(measure, MEASURE_AFTER_MS).unref();
    }
    this.#finder = new EncoderFinder({
      wish: parts.options.encoder,
      tryEncoder: createEncoderTrial(parts.transcode.ffmpegPath),
      platform: process.platform,
      log: parts.log,
    });
    if (enabled) {
      void this.#finder.find();
    }
    parts.hub.listen({ onBroadcastStarted: (broadcast) => this.#follow(broadcast) });
  }

  /** Of both together; undefined when `name` is not live. */
  statusOf(name: string): LadderStatus | undefined {
    const broadcast = this.#parts.hub.find(name);
    const ladders = broadcast === undefined ? undefined : this.#byBroadcast.get(broadcast);
    if (ladders === undefined) {
      return undefined;
    }
    const [h264, av1] = [ladders.h264.status(), ladders.av1.status()];
    return {
      ...h264,
      rungs: [...h264.rungs, ...av1.rungs],
      leftOut: [...h264.leftOut, ...av1.leftOut],
      restartCount: h264.restartCount + av1.restartCount,
      droppedCount: h264.droppedCount + av1.droppedCount,
    };
  }

  /** What makes the H.264 rungs of all broadcasts. */
  get encoder(): EncoderStatus {
    return this.#finder.status;
  }

  close(): void {
    clearTimeout(this.#measureTimer);
  }

  #follow(broadcast: Broadcast): void {
    const { options, qualityModel, transcode, clock, log, metrics } = this.#parts;
    const setup: LadderSetup = {
      options,
      qualityModel,
      ffmpegPath: transcode.ffmpegPath,
      run: ladderRunOptions(options),
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
    };
    const h264 = new Ladder({
      ...setup,
      encoder: () => this.#finder.status.name,
      onRestart: () => this.#finder.noteFailure(clock.nowMs()),
    });
    const av1 = new Av1Ladder({ ...setup, h264: () => ({ ...h264.status(), rungCount: h264.status().rungs.length }) });
    this.#byBroadcast.set(broadcast, { h264, av1 });
    broadcast.listen({
      onRenditionAdded: (rendition) => {
        if (rendition.id === SOURCE_VIDEO) {
          h264.attach(rendition);
          av1.attach(rendition);
        }
      },
      onStateChanged: (state) => {
        if (state === 'ended') {
          this.#byBroadcast.delete(broadcast);
          h264.close('broadcast_ended');
          av1.close('broadcast_ended');
        }
      },
    });
  }
}
