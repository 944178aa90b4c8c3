/** Which renditions a viewer's controller chooses among, and what each costs. One for all who choose alike; made anew with each keyframe. Pure. */
import type { GopOffer, RenditionCost } from '../../congestion/controller.ts';
import { RENDITION_MAX_COUNT } from '../../congestion/controller.ts';
import type { PacketisedRendition } from './packetised-rendition.ts';
import type { RenditionMeter } from './rendition-meter.ts';

export type MeasuredRendition = { readonly rendition: PacketisedRendition; readonly meter: RenditionMeter };

export type RenditionOffer = {
  /** From the lowest bitrate up, as in `gop`. */
  readonly renditions: readonly PacketisedRendition[];
  readonly gop: GopOffer;
  /** When the last keyframe reached this server. */
  readonly keyframeAtMs: number;
};

const GOP_UNKNOWN_MS = 1_000;
const FRAME_RATE_UNKNOWN_FPS = 30;

/** Those that have begun; a single one is offered before it has, since there is nothing to choose. Undefined when there is none. One that shows less and costs no less than another is no choice and left out. */
export const offerOf = (measured: readonly MeasuredRendition[]): RenditionOffer | undefined => {
  const priced = measured.flatMap(({ rendition, meter }) => {
    const cost = meter.cost ?? (measured.length === 1 ? unknownCost(rendition) : undefined);
    return cost === undefined ? [] : [{ rendition, meter, cost }];
  });
  const sorted = priced.toSorted(
    (a, b) => a.cost.qualityRatio - b.cost.qualityRatio || a.cost.bitrateBps - b.cost.bitrateBps,
  );
  const choices = sorted.filter(
    ({ cost }, index) => !sorted.slice(index + 1).some((above) => isNoCheaper(cost, above.cost)),
  );
  const offered = choices.slice(-RENDITION_MAX_COUNT);
  const best = offered.at(-1);
  if (best === undefined) {
    return undefined;
  }
  return {
    renditions: offered.map(({ rendition }) => rendition),
    gop: {
      renditions: offered.map(({ cost }) => cost),
      gopMs: best.meter.gopMs ?? GOP_UNKNOWN_MS,
      frameIntervalMs: 1000 / (best.rendition.source.facts.frameRateFps ?? FRAME_RATE_UNKNOWN_FPS),
    },
    keyframeAtMs: best.meter.keyframeAtMs,
  };
};

const unknownCost = ({ source }: PacketisedRendition): RenditionCost => ({
  bitrateBps: source.facts.bitrateBps,
  keyframeBytes: 0,
  qualityRatio: 1,
});

const isNoCheaper = (cost: RenditionCost, above: RenditionCost): boolean => cost.bitrateBps >= above.bitrateBps;
