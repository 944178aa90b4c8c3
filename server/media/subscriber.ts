/**
 * A queue between the hub and a reader that may be slow (a pipe into ffmpeg, later a socket to another node). It is bounded;
 * when full it forgets everything up to the next keyframe, and counts what it forgot.
 */
import type { AccessUnit } from './access-unit.ts';
import type { AccessUnitSink } from './stream-source.ts';

export type SubscriberOptions = {
  readonly queueMaxBytes: number;
  readonly queueMaxCount: number;
  /** Called when the queue turns from empty to not empty, and when the source ends. */
  readonly onReadable: () => void;
};

export class Subscriber implements AccessUnitSink {
  readonly #options: SubscriberOptions;
  #queue: AccessUnit[] = [];
  #bytes = 0;
  #isWaitingForKeyframe = false;
  #droppedCount = 0;
  #endReason: string | undefined;

  constructor(options: SubscriberOptions) {
    this.#options = options;
  }

  get queuedBytes(): number {
    return this.#bytes;
  }

  get queuedCount(): number {
    return this.#queue.length;
  }

  /** Units that never reached the reader. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Why the source ended, once it has; what is queued may still be taken. */
  get endReason(): string | undefined {
    return this.#endReason;
  }

  onUnit(unit: AccessUnit): void {
    if (this.#isWaitingForKeyframe && !unit.isKeyframe) {
      this.#droppedCount += 1;
      return;
    }
    const { queueMaxBytes, queueMaxCount } = this.#options;
    if (this.#bytes + unit.payload.byteLength > queueMaxBytes || this.#queue.length >= queueMaxCount) {
      this.#overflow(unit);
      return;
    }
    this.#isWaitingForKeyframe = false;
    this.#append(unit);
  }

  onEnd(reason: string): void {
    this.#endReason ??= reason;
    this.#options.onReadable();
  }

  /** The oldest unit, or undefined when there is none. */
  take(): AccessUnit | undefined {
    const unit = this.#queue.shift();
    if (unit !== undefined) {
      this.#bytes -= unit.payload.byteLength;
    }
    return unit;
  }

  /** What is queued is stale by now; a keyframe restarts the stream for the reader, anything else waits for one. */
  #overflow(unit: AccessUnit): void {
    this.#droppedCount += this.#queue.length;
    this.#queue = [];
    this.#bytes = 0;
    const fits = unit.payload.byteLength <= this.#options.queueMaxBytes;
    this.#isWaitingForKeyframe = !(unit.isKeyframe && fits);
    if (this.#isWaitingForKeyframe) {
      this.#droppedCount += 1;
    } else {
      this.#append(unit);
    }
  }

  #append(unit: AccessUnit): void {
    this.#queue.push(unit);
    this.#bytes += unit.payload.byteLength;
    if (this.#queue.length === 1) {
      this.#options.onReadable();
    }
  }
}
