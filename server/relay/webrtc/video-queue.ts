/**
 * Which picture a viewer gets next: nothing, a backlog paced until it has caught up with live, or live at once. Pure; it is told
 * the time and what the path can take, and says which frames to send.
 */
import type { PacketisedFrame } from './packetised-rendition.ts';

/**
 * `idle`: there is nothing to begin with yet. `catching-up`: the cached GOP is being sent. `live`: pictures leave as they come.
 */
export type VideoQueueState = 'idle' | 'catching-up' | 'live';

/** Three times the rate drains a GOP in half its length; the floor is what any link that carries video carries for a moment. */
const PACE_RATIO = 4;
const PACE_MIN_BPS = 10_000_000;
/** However large the backlog, live is reached in about this time. */
const CATCH_UP_MAX_MS = 1_000;
/** Late ticks must not turn into bursts. */
const TICK_MAX_MS = 20;
const BACKLOG_MAX_COUNT = 1_200;

export class VideoQueue {
  #state: VideoQueueState = 'idle';
  #backlog: PacketisedFrame[] = [];
  #paceBytesPerMs = 0;
  #creditBytes = 0;
  #lastTickAtMs = 0;
  #droppedCount = 0;

  get state(): VideoQueueState {
    return this.#state;
  }

  /** Pictures left out because the viewer was too slow. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Begins anew with this GOP (its first frame a keyframe). Without one, waits for the next keyframe. */
  begin(gop: readonly PacketisedFrame[], options: { bitrateBps: number; nowMs: number }): void {
    this.#backlog = [...gop];
    this.#state = gop.length === 0 ? 'idle' : 'catching-up';
    const backlogBits = 8 * gop.reduce((sum, frame) => sum + frame.payloadBytes, 0);
    const paceBps = Math.max(
      PACE_MIN_BPS,
      PACE_RATIO * options.bitrateBps,
      options.bitrateBps + (backlogBits * 1000) / CATCH_UP_MAX_MS,
    );
    this.#paceBytesPerMs = paceBps / 8000;
    this.#lastTickAtMs = options.nowMs;
    this.#creditBytes = 1;
  }

  /** Forgets everything and waits for a keyframe. */
  stop(): void {
    this.#backlog = [];
    this.#state = 'idle';
  }

  /** A new picture. True when it is to be sent at once. */
  offer(frame: PacketisedFrame, isPathCongested: boolean): boolean {
    if (this.#state === 'catching-up' && !frame.isKeyframe) {
      return this.#append(frame);
    }
    if (isPathCongested) {
      this.#droppedCount += 1 + this.#backlog.length;
      this.stop();
      return false;
    }
    if (frame.isKeyframe) {
      // Decoding can begin here: what is left of the old GOP only costs time.
      this.#backlog = [];
      this.#state = 'live';
    }
    if (this.#state === 'idle') {
      this.#droppedCount += 1;
    }
    return this.#state === 'live';
  }

  /** Frames of the backlog that may leave now. The first one leaves whole at once. */
  take(nowMs: number): PacketisedFrame[] {
    const passedMs = Math.min(TICK_MAX_MS, nowMs - this.#lastTickAtMs);
    this.#lastTickAtMs = nowMs;
    this.#creditBytes = Math.min(
      this.#creditBytes + passedMs * this.#paceBytesPerMs,
      TICK_MAX_MS * this.#paceBytesPerMs,
    );
    let count = 0;
    while (count < this.#backlog.length && this.#creditBytes > 0) {
      this.#creditBytes -= this.#backlog[count]?.payloadBytes ?? 0;
      count += 1;
    }
    const frames = this.#backlog.splice(0, count);
    if (this.#state === 'catching-up' && this.#backlog.length === 0) {
      this.#state = 'live';
    }
    return frames;
  }

  #append(frame: PacketisedFrame): boolean {
    if (this.#backlog.length >= BACKLOG_MAX_COUNT) {
      this.#droppedCount += 1 + this.#backlog.length;
      this.stop();
    } else {
      this.#backlog.push(frame);
    }
    return false;
  }
}
