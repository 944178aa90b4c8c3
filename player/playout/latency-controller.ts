/**
 * Holds LL-HLS playback at a target latency by playing a little faster or slower (CONGESTION 8.3). Pure: told the time, the
 * latency and the forward buffer; answers with a rate, and now and then with a seek.
 *
 * hls.js has a catch-up of its own, but it wants more than 1 s of forward buffer and never slows down: near 1 s it does nothing.
 */
export type LatencyControllerOptions = {
  /** What to hold when nothing stalls. */
  targetLatencyMs: number;
  /** P: guards and limits are measured in it. */
  partDurationMs: number;
  fastRatio: number;
  slowRatio: number;
};

export type LatencyObservation = {
  readonly nowMs: number;
  /** Age of the picture on screen. */
  readonly latencyMs: number;
  /** Media buffered ahead of it without a hole. */
  readonly forwardBufferMs: number;
};

export type LatencyDecision = {
  readonly playbackRate: number;
  /** Jump ahead by this much media, 0 mostly. Never beyond what is buffered. */
  readonly seekAheadMs: number;
  readonly targetLatencyMs: number;
};

const DEAD_ZONE_MS = 80;
const GAIN_RATIO_PER_S = 0.15;
const TARGET_MAX_MS = 6000;
/** After a stall the target falls back by this much each second. */
const FALL_MS_PER_S = 30;
const STALL_MARGIN_MS = 200;
const STALL_RISE_MAX_MS = 1000;
const HARD_SEEK_ERROR_MS = 4000;
/** Just after a stall the break has been seen anyway: then a smaller error is worth a seek, rather than half a minute at 1.08. */
const STALL_SEEK_ERROR_MS = 1000;
const STALL_SEEK_WITHIN_MS = 4000;
/** Playback begins at a keyframe, up to a GOP too early. Nobody has settled in yet: one seek spares them half a minute at 1.08. */
const START_SEEK_ERROR_MS = 500;
const START_SEEK_WITHIN_MS = 4000;
/** Slower than this the ear hears it; below this buffer a stall is near. */
const RESCUE_RATIO = 0.05;
/** A seek costs a decoder flush: not again before this. */
const SEEK_PAUSE_MS = 3000;
const SEEK_MIN_MS = 500;
/** A wait that begins so soon after a seek, and is no longer than this, is the flush: it says nothing of the network. */
const SEEK_FLUSH_WITHIN_MS = 300;
const SEEK_FLUSH_MAX_MS = 1000;

export class LatencyController {
  #options: LatencyControllerOptions;
  #raisedMs = 0;
  #wantedMs = 0;
  #heldMs = 0;
  #begunAtMs: number | null = null;
  #updatedAtMs: number | null = null;
  #seekAtMs: number | null = null;
  #stalledAtMs: number | null = null;

  constructor(options: LatencyControllerOptions) {
    this.#options = { ...options };
  }

  /** New hints or a new playlist; what stalls have raised stays. */
  configure(options: Partial<LatencyControllerOptions>): void {
    this.#options = { ...this.#options, ...options };
  }

  get targetLatencyMs(): number {
    const { targetLatencyMs } = this.#options;
    return Math.min(TARGET_MAX_MS, Math.max(targetLatencyMs + this.#raisedMs, this.#heldMs));
  }

  /** What arrivals of the last minutes ask for: the target rises to it at once, and falls to it slowly. */
  wantAtLeast(latencyMs: number): void {
    this.#wantedMs = latencyMs;
    this.#heldMs = Math.max(this.#heldMs, latencyMs);
  }

  /** Playback stood still for this long: the target rises at once by as much and a little more. */
  noteStall(stallMs: number, nowMs: number): void {
    const isFlush =
      this.#seekAtMs !== null && stallMs < SEEK_FLUSH_MAX_MS && nowMs - stallMs - this.#seekAtMs < SEEK_FLUSH_WITHIN_MS;
    if (isFlush) {
      return;
    }
    this.#stalledAtMs = nowMs;
    const riseMs = Math.min(Math.max(0, stallMs) + STALL_MARGIN_MS, STALL_RISE_MAX_MS);
    this.#raisedMs = Math.min(this.#raisedMs + riseMs, TARGET_MAX_MS - this.#options.targetLatencyMs);
  }

  update(observation: LatencyObservation): LatencyDecision {
    this.#letTargetFall(observation.nowMs);
    this.#begunAtMs ??= observation.nowMs;
    const errorMs = this.#reachableErrorMs(observation);
    const seekAheadMs = this.#hardSeekMs(errorMs, observation);
    const playbackRate = seekAheadMs > 0 ? 1 : this.#rate(errorMs, observation.forwardBufferMs);
    return { playbackRate, seekAheadMs, targetLatencyMs: this.targetLatencyMs };
  }

  #letTargetFall(nowMs: number): void {
    const elapsedMs = this.#updatedAtMs === null ? 0 : Math.max(0, nowMs - this.#updatedAtMs);
    this.#updatedAtMs = nowMs;
    const fallMs = (elapsedMs / 1000) * FALL_MS_PER_S;
    this.#raisedMs = Math.max(0, this.#raisedMs - fallMs);
    this.#heldMs = Math.max(this.#wantedMs, this.#heldMs - fallMs);
  }

  /**
   * Latency by the clock can be beyond our reach: an encoder that is late, a program date time that is off. What was not sent yet cannot
   * be caught up with, so the error is no larger than what the buffer holds beyond its share, and slowing ends when it holds plenty.
   */
  #reachableErrorMs({ latencyMs, forwardBufferMs }: LatencyObservation): number {
    const { partDurationMs } = this.#options;
    const byClockMs = latencyMs - this.targetLatencyMs;
    const byBufferMs = forwardBufferMs + partDurationMs - this.targetLatencyMs;
    if (byClockMs < 0) {
      return forwardBufferMs > this.targetLatencyMs + partDurationMs ? 0 : byClockMs;
    }
    return Math.min(byClockMs, Math.max(0, byBufferMs));
  }

  #rate(errorMs: number, forwardBufferMs: number): number {
    const { partDurationMs, fastRatio, slowRatio } = this.#options;
    if (forwardBufferMs < 0.5 * partDurationMs + 150) {
      return 1 - RESCUE_RATIO;
    }
    const beyondS = Math.max(0, Math.abs(errorMs) - DEAD_ZONE_MS) / 1000;
    const wished = GAIN_RATIO_PER_S * beyondS * Math.sign(errorMs);
    const allowed = forwardBufferMs < partDurationMs + 300 ? Math.min(0, wished) : wished;
    return 1 + Math.min(fastRatio, Math.max(-slowRatio, allowed));
  }

  #hardSeekMs(errorMs: number, { nowMs, forwardBufferMs }: LatencyObservation): number {
    const settling = this.#seekAtMs !== null && nowMs - this.#seekAtMs < SEEK_PAUSE_MS;
    const spareMs = forwardBufferMs - this.#options.partDurationMs - 300;
    const errorMinMs = this.#seekErrorMinMs(nowMs);
    if (settling || errorMs <= errorMinMs || spareMs < SEEK_MIN_MS) {
      return 0;
    }
    this.#seekAtMs = nowMs;
    return Math.min(errorMs, spareMs);
  }
  #seekErrorMinMs(nowMs: number): number {
    const isWithin = (sinceMs: number | null, spanMs: number): boolean => sinceMs !== null && nowMs - sinceMs < spanMs;
    if (isWithin(this.#begunAtMs, START_SEEK_WITHIN_MS)) {
      return START_SEEK_ERROR_MS;
    }
    return isWithin(this.#stalledAtMs, STALL_SEEK_WITHIN_MS) ? STALL_SEEK_ERROR_MS : HARD_SEEK_ERROR_MS;
  }
}
