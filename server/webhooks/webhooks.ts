/**
 * Tells other machines what happens here: one POST an event, signed, to each receiver that wants it. Nobody waits for a receiver: what is told goes into that
 * receiver's own bounded queue, and comes out in order, at least once while this process lives.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { WorldError } from '../base/errors.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { HookQueue } from './hook-queue.ts';
import type { HookQueueOptions } from './hook-queue.ts';
import { postHook } from './post-hook.ts';
import { signatureOf } from './signature.ts';

/** What a receiver may ask for; `recording` is `recording.started` and `recording.ready`, `cue` is `cue.fired`. */
export const HOOK_TOPICS = ['publish', 'unpublish', 'recording', 'cue'] as const;
export type HookTopic = (typeof HOOK_TOPICS)[number];
export type HookEventName = 'publish' | 'unpublish' | 'recording.started' | 'recording.ready' | 'cue.fired';

export type WebhookReceiver = {
  /** http(s), without user and password. */
  readonly url: string;
  /** Shared with the receiver; signs what it is sent. */
  readonly secret: string;
  readonly events: readonly HookTopic[];
};

export const isReceiverUrl = (text: string): boolean => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return (
    url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.hash === ''
  );
};

export type WebhookOptions = HookQueueOptions & {
  readonly receivers: readonly WebhookReceiver[];
  /** For one attempt, from connecting to the answer's status. */
  readonly timeoutMs: number;
};

export const WEBHOOK_DEFAULTS: WebhookOptions = {
  receivers: [],
  timeoutMs: 5_000,
  queueMaxCount: 1_000,
  retryFirstMs: 1_000,
  retryMaxMs: 60_000,
  giveUpAfterMs: 3_600_000,
};

/** The rest of what happened; the body of the POST is `{ id, event, sequence, atWallMs, data }`. */
export type HookData = Readonly<Record<string, unknown>>;

type WebhookParts = {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly nextRatio: () => number;
};
type Told = { readonly id: string; readonly event: HookEventName; readonly body: string };

/** At the end what waits is tried once more, for so long in all. */
const FLUSH_MAX_MS = 2_000;

export class Webhooks {
  readonly #clock: Clock;
  readonly #receivers: readonly Receiver[];
  #sequence = 0;

  constructor(options: WebhookOptions, parts: WebhookParts) {
    this.#clock = parts.clock;
    this.#receivers = options.receivers.map((receiver, index) => new Receiver({ receiver, index, options, parts }));
    parts.metrics.observedGauge('webhook_queue_count', 'Events that receivers have not taken yet', () =>
      this.#receivers.reduce((sum, { queuedCount }) => sum + queuedCount, 0),
    );
  }

  /** Returns at once, whatever the receivers do. */
  tell(event: HookEventName, data: HookData): void {
    const topic = event.split('.')[0];
    const interested = this.#receivers.filter((receiver) => receiver.wants(topic));
    if (interested.length === 0) {
      return;
    }
    this.#sequence += 1;
    const id = randomUUID();
    const atWallMs = Math.round(this.#clock.wallMs());
    const body = JSON.stringify({ id, event, sequence: this.#sequence, atWallMs, data });
    interested.forEach((receiver) => receiver.add({ id, event, body }));
  }

  /** Nothing follows. What waits is tried for two seconds; what is not taken then is lost, aloud. */
  async close(): Promise<void> {
    await Promise.all(this.#receivers.map(async (receiver) => receiver.close()));
  }
}

class Receiver {
  readonly #receiver: WebhookReceiver;
  readonly #queue: HookQueue<Told>;
  readonly #parts: WebhookParts;
  readonly #timeoutMs: number;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #isSending = false;
  #isFailing = false;
  #onFlushed: (() => void) | undefined;

  constructor(options: { receiver: WebhookReceiver; index: number; options: WebhookOptions; parts: WebhookParts }) {
    this.#receiver = options.receiver;
    this.#parts = options.parts;
    this.#timeoutMs = options.options.timeoutMs;
    this.#queue = new HookQueue(options.options);
    // Of an address only what cannot be a secret.
    const { origin } = new URL(options.receiver.url);
    this.#log = options.parts.log.child({ receiver: options.index, origin });
  }

  get queuedCount(): number {
    return this.#queue.count;
  }

  wants(topic: string | undefined): boolean {
    return this.#receiver.events.some((one) => one === topic);
  }

  add(told: Told): void {
    const dropped = this.#queue.add(told);
    if (dropped !== undefined) {
      this.#count('dropped');
      this.#log.warn('webhook.dropped', { why: 'queue_full', hookEvent: dropped.event, id: dropped.id });
    }
    this.#schedule();
  }

  async close(): Promise<void> {
    if (this.#queue.count === 0) {
      return;
    }
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const done = (): void => resolve(undefined);
    this.#onFlushed = done;
    const timer = setTimeout(done, FLUSH_MAX_MS);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    void this.#send();
    await promise;
    clearTimeout(timer);
    clearTimeout(this.#timer);
    if (this.#queue.count > 0) {
      this.#log.warn('webhook.lost', { why: 'server_shutdown', count: this.#queue.count });
    }
  }

  #schedule(): void {
    const { dueAtMs } = this.#queue;
    if (dueAtMs === undefined || this.#isSending || this.#timer !== undefined) {
      return;
    }
    const waitMs = Math.max(0, dueAtMs - this.#parts.clock.nowMs());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#send();
    }, waitMs).unref();
  }

  /** One attempt. */
  async #send(): Promise<void> {
    const told = this.#isSending ? undefined : this.#queue.attempt(this.#parts.clock.nowMs());
    if (told === undefined) {
      return;
    }
    this.#isSending = true;
    const { failure, askedMs } = await this.#post(told);
    this.#isSending = false;
    if (failure === undefined) {
      this.#onTaken();
    } else {
      this.#onFailure(told, failure, askedMs);
    }
    if (this.#onFlushed !== undefined && (failure !== undefined || this.#queue.count === 0)) {
      this.#onFlushed();
    } else {
      this.#schedule();
    }
  }

  async #post({ id, event, body }: Told): Promise<{ failure?: string; askedMs?: number | undefined }> {
    const { url, secret } = this.#receiver;
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Sluice',
      'sluice-event': event,
      'sluice-delivery': id,
      'sluice-signature': signatureOf(body, { secret, atWallMs: this.#parts.clock.wallMs() }),
    };
    try {
      const { status, retryAfterMs } = await postHook(url, { headers, body, timeoutMs: this.#timeoutMs });
      return status >= 200 && status < 300 ? {} : { failure: `status ${status}`, askedMs: retryAfterMs };
    } catch (error) {
      if (error instanceof WorldError) {
        return { failure: `${error.code}: ${error.message}` };
      }
      throw error;
    }
  }

  #onTaken(): void {
    this.#count('delivered');
    this.#queue.succeed();
    if (this.#isFailing) {
      this.#isFailing = false;
      this.#log.info('webhook.recovered', { queuedCount: this.#queue.count });
    }
  }

  /** The first failure is said, and each event that is given up; not every attempt. */
  #onFailure(told: Told, failure: string, askedMs: number | undefined): void {
    const { clock, nextRatio } = this.#parts;
    this.#count('failed');
    const isGivenUp = this.#queue.fail(clock.nowMs(), { jitterRatio: nextRatio(), askedMs });
    if (!this.#isFailing) {
      this.#isFailing = true;
      this.#log.warn('webhook.failing', { hookEvent: told.event, id: told.id, failure });
    }
    if (isGivenUp) {
      this.#count('given_up');
      this.#log.warn('webhook.given_up', { hookEvent: told.event, id: told.id, failure });
    }
  }

  #count(outcome: 'delivered' | 'failed' | 'given_up' | 'dropped'): void {
    this.#parts.metrics
      .counter('webhook_deliveries_total', 'Attempts to hand events to receivers, and what became of them', ['outcome'])
      .inc({ outcome });
  }
}
