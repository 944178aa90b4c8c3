/**
 * Sound and picture of one publisher on one clock. At first each stream lies where it arrived; once sender reports have told of both what their stamps
 * mean on the publisher's own clock, the sound is placed against the picture by them (RFC 3550 6.4.1). Pure.
 */
import type { NtpTime } from '../../media/rtp/ntp.ts';
import { wallMsFromNtp } from '../../media/rtp/ntp.ts';
import type { TrackKind } from '../../media/track.ts';

type Line = { readonly clockHz: number; offsetMs: number; reportedMs: number | undefined };

/** What arrival and reports may disagree by; reports beyond it are wrong (some senders write nonsense). */
const DISAGREEMENT_MAX_MS = 3_000;

export class SenderClock {
  readonly #lines = new Map<TrackKind, Line>();

  /** A packet came; the first of its kind decides where the stream lies for now. */
  observe(kind: TrackKind, stamp: { timestampExt: number; clockHz: number; arrivedAtMs: number }): void {
    const { timestampExt, clockHz, arrivedAtMs } = stamp;
    if (!this.#lines.has(kind)) {
      const offsetMs = arrivedAtMs - (timestampExt * 1000) / clockHz;
      this.#lines.set(kind, { clockHz, offsetMs, reportedMs: undefined });
      this.#align();
    }
  }

  /** The publisher's clock showed `ntp` at this stamp. */
  onReport(kind: TrackKind, report: { ntp: NtpTime; timestampExt: number }): void {
    const line = this.#lines.get(kind);
    if (line !== undefined && report.ntp.seconds !== 0) {
      line.reportedMs = wallMsFromNtp(report.ntp) - (report.timestampExt * 1000) / line.clockHz;
      this.#align();
    }
  }

  /** A stream began anew, with other stamps. */
  forget(kind: TrackKind): void {
    this.#lines.delete(kind);
  }

  /** Milliseconds on the common clock, or undefined before a packet of this kind came. */
  commonMs(kind: TrackKind, timestampExt: number): number | undefined {
    const line = this.#lines.get(kind);
    return line === undefined ? undefined : (timestampExt * 1000) / line.clockHz + line.offsetMs;
  }

  /** The picture stays where it is: it is what viewers' clocks follow. */
  #align(): void {
    const video = this.#lines.get('video');
    const audio = this.#lines.get('audio');
    if (video?.reportedMs === undefined || audio?.reportedMs === undefined) {
      return;
    }
    const offsetMs = video.offsetMs + audio.reportedMs - video.reportedMs;
    if (Math.abs(offsetMs - audio.offsetMs) <= DISAGREEMENT_MAX_MS) {
      audio.offsetMs = offsetMs;
    }
  }
}
