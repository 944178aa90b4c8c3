/** Gives each broadcast its essentials (Opus, repaired video) and puts what they make back into the hub as renditions. */
import type { EssentialsOptions, EssentialsStatus } from '../transcode/essentials.ts';
import { Essentials, REPAIRED_VIDEO } from '../transcode/essentials.ts';
import type { Clock } from './base/clock.ts';
import type { Log } from './observability/log.ts';
import type { Metrics } from './observability/metrics.ts';
import type { Broadcast } from './relay/broadcast.ts';
import { SOURCE_AUDIO, SOURCE_VIDEO } from './relay/broadcast.ts';
import type { Hub } from './relay/hub.ts';
import type { Rendition } from './relay/rendition.ts';

export type RepairParts = {
  readonly hub: Hub;
  readonly options: EssentialsOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

export class Repair {
  readonly #parts: RepairParts;
  readonly #byBroadcast = new Map<Broadcast, Essentials>();

  constructor(parts: RepairParts) {
    this.#parts = parts;
    parts.hub.listen({ onBroadcastStarted: (broadcast) => this.#follow(broadcast) });
  }

  /** What is made for `name` and what is lacking; undefined when it is not live. */
  statusOf(name: string): EssentialsStatus | undefined {
    const broadcast = this.#parts.hub.find(name);
    return broadcast === undefined ? undefined : this.#byBroadcast.get(broadcast)?.status();
  }

  /**
   * Why WebRTC gets no picture of `name`, in words for its operator. While ffmpeg starts nothing is lacking: a viewer who comes now
   * is let in and has the picture as soon as it is made.
   */
  lackingPictureOf(name: string): string | undefined {
    const status = this.statusOf(name)?.[REPAIRED_VIDEO];
    return status?.state === 'waiting' || status?.state === 'starting' ? undefined : status?.lack;
  }

  #follow(broadcast: Broadcast): void {
    const essentials = new Essentials({
      options: this.#parts.options,
      clock: this.#parts.clock,
      log: this.#parts.log.child({ broadcast: broadcast.name }),
      metrics: this.#parts.metrics,
      output: {
        onUnit: (id, unit) => broadcast.addRendition(id).push(unit),
        onEnd: (id, reason) => broadcast.removeRendition(id, reason),
      },
    });
    this.#byBroadcast.set(broadcast, essentials);
    broadcast.listen({
      onRenditionAdded: (rendition) => attachSource(essentials, rendition),
      onStateChanged: (state) => {
        if (state === 'ended') {
          this.#byBroadcast.delete(broadcast);
          essentials.close('broadcast_ended');
        }
      },
    });
  }
}

const attachSource = (essentials: Essentials, rendition: Rendition): void => {
  if (rendition.id === SOURCE_VIDEO) {
    essentials.attach('video', rendition);
  } else if (rendition.id === SOURCE_AUDIO) {
    essentials.attach('audio', rendition);
  }
};
