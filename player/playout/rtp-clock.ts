/**
 * From a video RTP timestamp to the wall clock at capture, by the mappings the server sends. Each mapping holds from its own
 * timestamp on; the server sends another wherever it bends this viewer's timestamps.
 */
export type RtpMapping = { readonly rtpTimestamp: number; readonly mediaMs: number; readonly wallMs: number };

const TICKS_PER_MS = 90;
const MAPPING_COUNT_MAX = 32;

export class RtpClock {
  /** Oldest first. */
  #mappings: RtpMapping[] = [];

  note(mapping: RtpMapping): void {
    this.#mappings = [...this.#mappings, mapping].slice(-MAPPING_COUNT_MAX);
  }

  /** Unix milliseconds at capture of the frame with this timestamp; null before the first mapping. */
  captureWallMs(rtpTimestamp: number): number | null {
    for (const mapping of this.#mappings.toReversed()) {
      const sinceTicks = (rtpTimestamp - mapping.rtpTimestamp) | 0;
      if (sinceTicks >= 0) {
        return mapping.wallMs + sinceTicks / TICKS_PER_MS;
      }
    }
    const oldest = this.#mappings[0];
    return oldest === undefined ? null : oldest.wallMs + ((rtpTimestamp - oldest.rtpTimestamp) | 0) / TICKS_PER_MS;
  }
}
