/** Which media time and which capture time a viewer's video stamps mean, told to whoever listens when it changes. Pure. */

/** As `rtp-mapping` of api/contract/socket.ts. */
export type RtpMapping = { readonly rtpTimestamp: number; readonly mediaMs: number; readonly wallMs: number };

const VIDEO_CLOCK_HZ = 90_000;
/** Smaller moves of the mapping than these are not worth a message. */
const CATCH_UP_STEP_MS = 50;
const LIVE_STEP_MS = 2;
/** The anchor is renewed well before the 32-bit difference could wrap. */
const ANCHOR_MAX_MS = 3_600_000;

export class MappingTeller {
  readonly #listeners = new Set<(mapping: RtpMapping) => void>();
  #mapping: RtpMapping | undefined;

  /** Called with the mapping now in force, if any, and with each change of it. The returned function ends it. */
  listen(listener: (mapping: RtpMapping) => void): () => void {
    this.#listeners.add(listener);
    if (this.#mapping !== undefined) {
      listener(this.#mapping);
    }
    return () => this.#listeners.delete(listener);
  }

  /** A picture leaves with this stamp. */
  note(picture: RtpMapping, isCatchingUp: boolean): void {
    if (this.#isKnown(picture, isCatchingUp ? CATCH_UP_STEP_MS : LIVE_STEP_MS)) {
      return;
    }
    this.#mapping = picture;
    for (const listener of this.#listeners) {
      listener(picture);
    }
  }

  close(): void {
    this.#listeners.clear();
  }

  #isKnown({ rtpTimestamp, mediaMs, wallMs }: RtpMapping, stepMs: number): boolean {
    const last = this.#mapping;
    if (last === undefined) {
      return false;
    }
    const passedMs = (((rtpTimestamp - last.rtpTimestamp) | 0) * 1000) / VIDEO_CLOCK_HZ;
    const isKept =
      Math.abs(last.mediaMs + passedMs - mediaMs) < stepMs && Math.abs(last.wallMs + passedMs - wallMs) < stepMs;
    return isKept && passedMs < ANCHOR_MAX_MS;
  }
}
