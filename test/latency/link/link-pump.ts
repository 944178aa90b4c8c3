/**
 * Both directions of one link in real time: packets go in with what to do when they come out; one timer wakes for the earliest. A
 * packet leaves at most `EARLY_MS` before its instant; after it, by as much as timers (1 ms grain) and the machine are late.
 */
import { DelayHistogram } from '../../support/delay-histogram.ts';
import type { DirectionSample, LinkCounts, LinkSample } from './link-counts.ts';
import { LinkModel } from './link-model.ts';
import type { Fate } from './link-model.ts';
import type { LinkPlan } from './link-scenario.ts';

export type Direction = 'down' | 'up';

/** Called when a packet comes out at the far end. */
export type OnArrival = (nowMs: number) => void;

/** Half of a timer's grain: what is early and what is late meet in the middle. */
const EARLY_MS = 0.5;
const SAMPLE_MS = 100;
/** Two hours. */
const SAMPLE_MAX_COUNT = 72_000;
const TIMER_MAX_MS = 1_000;

export class LinkPump {
  readonly #models: Readonly<Record<Direction, LinkModel>>;
  readonly #releaseLate = new DelayHistogram();
  readonly #arrivals: (OnArrival | undefined)[] = [];
  readonly #freeHandles: number[] = [];
  readonly #sampler: NodeJS.Timeout;
  #samples: LinkSample[] = [];
  #sampledAtMs = 0;
  #sampledBytes = { down: 0, up: 0 };
  #startedAtMs = 0;
  #startedAtWallMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Infinity;
  #isDraining = false;

  constructor(plan: LinkPlan, seed: number) {
    this.#models = {
      down: new LinkModel(plan.down, { seed, name: 'down' }),
      up: new LinkModel(plan.up, { seed, name: 'up' }),
    };
    this.restart();
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  get startedAtWallMs(): number {
    return this.#startedAtWallMs;
  }

  get nowMs(): number {
    return performance.now();
  }

  /** `sizeBytes` with the IP header. `onArrival` is not called for a packet that is dropped. */
  send(direction: Direction, sizeBytes: number, onArrival: OnArrival): Fate {
    const nowMs = this.nowMs;
    const handle = this.#freeHandles.pop() ?? this.#arrivals.length;
    const fate = this.#models[direction].send(handle, sizeBytes, nowMs);
    this.#arrivals[handle] = fate === 'passed' ? onArrival : undefined;
    if (fate !== 'passed') {
      this.#freeHandles.push(handle);
    } else if (!this.#isDraining) {
      this.#arm(nowMs);
    }
    return fate;
  }

  /** Link time 0 is now; counts and samples begin anew. */
  restart(): void {
    const nowMs = this.nowMs;
    this.#models.down.restart(nowMs);
    this.#models.up.restart(nowMs);
    this.#releaseLate.clear();
    this.#samples = [];
    this.#sampledAtMs = nowMs;
    this.#sampledBytes = { down: 0, up: 0 };
    this.#startedAtMs = nowMs;
    this.#startedAtWallMs = Date.now();
    this.#arm(nowMs);
  }

  counts(): Pick<LinkCounts, 'down' | 'up' | 'releaseLateMs' | 'startedAtWallMs'> {
    return {
      down: this.#models.down.counts(),
      up: this.#models.up.counts(),
      releaseLateMs: this.#releaseLate.summary(),
      startedAtWallMs: this.#startedAtWallMs,
    };
  }

  series(): readonly LinkSample[] {
    return this.#samples;
  }

  close(): void {
    clearInterval(this.#sampler);
    clearTimeout(this.#timer);
  }

  #arm(nowMs: number): void {
    const nextAtMs = Math.min(this.#models.down.nextAtMs, this.#models.up.nextAtMs);
    if (nextAtMs <= nowMs + EARLY_MS) {
      this.#drain();
      return;
    }
    if (nextAtMs >= this.#timerAtMs) {
      return;
    }
    clearTimeout(this.#timer);
    this.#timerAtMs = nextAtMs;
    const waitMs = Math.min(TIMER_MAX_MS, Math.max(1, Math.floor(nextAtMs - nowMs)));
    this.#timer = setTimeout(() => this.#drain(), waitMs);
  }

  /** Hands over everything due, also what comes in meanwhile, and sets the timer for the rest. */
  #drain(): void {
    this.#timerAtMs = Infinity;
    clearTimeout(this.#timer);
    this.#isDraining = true;
    let nowMs = this.nowMs;
    for (;;) {
      const model = this.#models.down.nextAtMs <= this.#models.up.nextAtMs ? this.#models.down : this.#models.up;
      const handle = model.take(nowMs + EARLY_MS);
      if (handle < 0) {
        break;
      }
      this.#releaseLate.add(nowMs - model.takenAtMs);
      const onArrival = this.#arrivals[handle];
      this.#arrivals[handle] = undefined;
      this.#freeHandles.push(handle);
      onArrival?.(nowMs);
      nowMs = this.nowMs;
    }
    this.#isDraining = false;
    this.#arm(nowMs);
  }

  #sample(): void {
    const nowMs = this.nowMs;
    const down = this.#sampleOf('down', nowMs);
    const up = this.#sampleOf('up', nowMs);
    this.#samples.push({ atMs: nowMs - this.#startedAtMs, down, up });
    this.#sampledAtMs = nowMs;
    if (this.#samples.length > SAMPLE_MAX_COUNT) {
      this.#samples.splice(0, SAMPLE_MAX_COUNT / 10);
    }
  }

  #sampleOf(direction: Direction, nowMs: number): DirectionSample {
    const model = this.#models[direction];
    const deliveredBytes = model.deliveredBytes - this.#sampledBytes[direction];
    this.#sampledBytes[direction] = model.deliveredBytes;
    return {
      capacityBps: model.capacityBps(this.#sampledAtMs, nowMs),
      queueBytes: model.queueBytes(nowMs),
      deliveredBps: (deliveredBytes * 8_000) / (nowMs - this.#sampledAtMs),
    };
  }
}
