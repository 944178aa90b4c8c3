/** How often one packet is sent again, and how much in all, where no controller weighs it. Without a budget, answering NACKs feeds the very congestion that caused them. Pure. */
import { RING_MAX_COUNT } from './retransmission-ring.ts';

const COPY_MAX_COUNT = 6;
/** Two NACKs for one loss arrive closer together than this, or than the round trip. */
const DEDUPE_MIN_MS = 10;
const DEDUPE_RTT_RATIO = 0.8;
const BUDGET_MIN_BYTES_PER_S = 32_000;
const BUDGET_SHARE_RATIO = 0.5;
const BUCKET_MAX_BYTES = 65_536;

export class RetransmissionLimits {
  readonly #seqsExt = new Float64Array(RING_MAX_COUNT).fill(-1);
  readonly #lastCopyAtMs = new Float64Array(RING_MAX_COUNT);
  readonly #copyCounts = new Uint8Array(RING_MAX_COUNT);
  #bytes = BUCKET_MAX_BYTES;
  #lastAtMs: number | undefined;

  /** For the first time: a share of it may be spent on sending again, saved up for a burst. */
  onSent(seqExt: number, bytes: number, nowMs: number): void {
    const at = seqExt % RING_MAX_COUNT;
    this.#seqsExt[at] = seqExt;
    this.#copyCounts[at] = 0;
    this.#lastCopyAtMs[at] = nowMs;
    this.#bytes = Math.min(BUCKET_MAX_BYTES, this.#bytes + bytes * BUDGET_SHARE_RATIO);
  }

  /** True, and it is counted, when the packet may be sent again now. */
  take(seqExt: number, { bytes, nowMs, rttMs }: { bytes: number; nowMs: number; rttMs: number }): boolean {
    const at = ((seqExt % RING_MAX_COUNT) + RING_MAX_COUNT) % RING_MAX_COUNT;
    const copyCount = this.#copyCounts[at] ?? 0;
    const sinceMs = nowMs - (this.#lastCopyAtMs[at] ?? 0);
    const isRepeat = copyCount > 0 && sinceMs < Math.max(DEDUPE_MIN_MS, DEDUPE_RTT_RATIO * rttMs);
    if (this.#seqsExt[at] !== seqExt || isRepeat || copyCount >= COPY_MAX_COUNT || !this.#spend(bytes, nowMs)) {
      return false;
    }
    this.#copyCounts[at] = copyCount + 1;
    this.#lastCopyAtMs[at] = nowMs;
    return true;
  }

  #spend(bytes: number, nowMs: number): boolean {
    const passedMs = this.#lastAtMs === undefined ? 0 : nowMs - this.#lastAtMs;
    this.#lastAtMs = nowMs;
    this.#bytes = Math.min(BUCKET_MAX_BYTES, this.#bytes + (passedMs * BUDGET_MIN_BYTES_PER_S) / 1000);
    if (this.#bytes < bytes) {
      return false;
    }
    this.#bytes -= bytes;
    return true;
  }
}
