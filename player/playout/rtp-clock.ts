/**
 * From a video RTP timestamp to the wall clock at capture and to media time, by the mappings the server sends. Each mapping holds from its own
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
    const mapping = this.#holding(rtpTimestamp);
    return mapping === undefined ? null : mapping.wallMs + sinceMs(mapping, rtpTimestamp);
  }

  /** Place on the media timeline of the frame with this timestamp; null before the first mapping. */
  mediaMs(rtpTimestamp: number): number | null {
    const mapping = this.#holding(rtpTimestamp);
    return mapping === undefined ? null : mapping.mediaMs + sinceMs(mapping, rtpTimestamp);
  }

  /** The newest from before the timestamp, else the oldest. */
  #holding(rtpTimestamp: number): RtpMapping | undefined {
    return this.#mappings.findLast((mapping) => sinceMs(mapping, rtpTimestamp) >= 0) ?? this.#mappings[0];
  }
}

const sinceMs = (mapping: RtpMapping, rtpTimestamp: number): number =>
  ((rtpTimestamp - mapping.rtpTimestamp) | 0) / TICKS_PER_MS;
