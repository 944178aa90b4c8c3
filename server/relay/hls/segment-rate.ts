/** The bitrates that a multivariant playlist declares of a rendition, measured on its segments: pure. */
import { TARGET_DURATION_S } from '../../media/segment-plan.ts';

/** Segments in a row count together when they last between half and one and a half target durations (RFC 8216bis 4.4.6.2). */
const SET_MIN_S = 0.5 * TARGET_DURATION_S;
const SET_MAX_S = 1.5 * TARGET_DURATION_S;
/** Before much was seen a peak is expected this much above the mean: most players read the list of renditions once. */
const PEAK_RATIO = 1.25;

type Sized = { readonly bytes: number; readonly durationS: number };

export type SegmentRates = { readonly peakBps: number; readonly averageBps: number };

export class SegmentRate {
  /** No longer together than a set may be. */
  #recent: Sized[] = [];
  #peakBps = 0;

  /** Of a segment that is whole. What is no segment (a gap) ends the row. */
  add(segment: Sized): void {
    if (segment.durationS <= 0) {
      this.#recent = [];
      return;
    }
    this.#recent.push(segment);
    let [bytes, durationS] = [0, 0];
    for (let index = this.#recent.length - 1; index >= 0; index -= 1) {
      const { bytes: more, durationS: longerS } = this.#recent[index] ?? { bytes: 0, durationS: 0 };
      bytes += more;
      durationS += longerS;
      if (durationS > SET_MAX_S && index < this.#recent.length - 1) {
        this.#recent = this.#recent.slice(index + 1);
        break;
      }
      this.#peakBps = durationS >= SET_MIN_S ? Math.max(this.#peakBps, (8 * bytes) / durationS) : this.#peakBps;
    }
  }

  /** The peak of all that was added, so never below what a viewer has met; the mean of `kept`. */
  rates(kept: readonly Sized[]): SegmentRates {
    const durationS = kept.reduce((sum, segment) => sum + segment.durationS, 0);
    const bytes = kept.reduce((sum, segment) => sum + segment.bytes, 0);
    const averageBps = durationS > 0 ? (8 * bytes) / durationS : 0;
    return {
      averageBps: Math.max(1, Math.round(averageBps)),
      peakBps: Math.ceil(Math.max(1, this.#peakBps, averageBps * PEAK_RATIO)),
    };
  }
}
