/** LL-HLS under virtual time: a broadcast fed with made-up units, the endpoint asked without sockets. */
import { ManualClock } from '../../server/base/clock.ts';
import type { HttpAnswer } from '../../server/base/http-exchange.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import type { PublisherFeed } from '../../server/media/stream-source.ts';
import type { Metrics } from '../../server/observability/metrics.ts';
import type { Broadcast } from '../../server/relay/broadcast.ts';
import type { HlsServer } from '../../server/relay/hls/http-handler.ts';
import type { TestHlsOptions } from './hls-host.ts';
import { createTestBroadcast, createTestHls } from './hls-host.ts';
import { interleave, syntheticAudio, syntheticVideo } from './synthetic-media.ts';

const NEVER = new AbortController().signal;

export class HlsRig {
  readonly clock = new ManualClock();
  readonly server: HlsServer;
  readonly metrics: Metrics;
  broadcast: Broadcast;
  feed: PublisherFeed;

  constructor(options: Omit<TestHlsOptions, 'clock'> = {}) {
    ({ server: this.server, metrics: this.metrics } = createTestHls({ ...options, clock: this.clock }));
    this.broadcast = createTestBroadcast(this.clock);
    this.server.attach(this.broadcast);
    this.feed = this.publish();
  }

  /** The folder of the media playlists. */
  get folder(): string {
    return `/hls/demo/${this.broadcast.id.slice(0, 16)}`;
  }

  publish(): PublisherFeed {
    this.feed = this.broadcast.attachPublisher({ keyed: true, remoteAddress: '::1', close: () => undefined });
    return this.feed;
  }

  async get(
    path: string,
    options: { headers?: Record<string, string>; signal?: AbortSignal; method?: string } = {},
  ): Promise<HttpAnswer> {
    const url = new URL(path, 'http://host');
    return this.server.endpoint({
      method: options.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: options.headers ?? {},
      body: new Uint8Array(),
      remoteAddress: '192.0.2.1',
      signal: options.signal ?? NEVER,
    });
  }

  /** Of a file in the broadcast's folder. */
  async text(file: string): Promise<string> {
    return textOf(await this.get(`${this.folder}/${file}`));
  }

  push(units: readonly AccessUnit[]): void {
    for (const unit of units) {
      this.clock.advanceMs(Math.max(0, unit.arrivedAtMs - this.clock.nowMs()));
      this.feed.push(unit);
    }
  }

  /** Live for so long; returns what comes after. */
  goLive(durationS: number, totalS = durationS + 12): AccessUnit[] {
    const units = testMedia(totalS);
    const isPast = (unit: AccessUnit): boolean => unit.arrivedAtMs < durationS * 1000;
    this.push(units.filter(isPast));
    return units.filter((unit) => !isPast(unit));
  }

  close(): void {
    this.server.close();
  }
}

/** 30 pictures a second in GOPs of 1 s, and sound, stamped in whole milliseconds as RTMP does. */
export const testMedia = (durationS: number, startMs = 0): AccessUnit[] =>
  interleave<AccessUnit>(
    syntheticVideo({ frameRateFps: 30, durationS, gopFrames: 30, isWholeMs: true, startMs }),
    syntheticAudio({ durationS, isWholeMs: true, startMs }),
  );

export const textOf = (answer: HttpAnswer): string => Buffer.from(answer.body ?? '').toString();

/** Whether an answer has come, without waiting for it. */
export const settledOf = async (answer: Promise<HttpAnswer>): Promise<HttpAnswer | undefined> => {
  const turn = new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));
  return Promise.race([answer, turn]);
};

/** The first group of the first match, as a number. */
export const numberIn = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
