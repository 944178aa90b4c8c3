/** Sends FLV files one after the other over one RTMP connection, in real time: what an encoder does that changes its settings without hanging up. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../server/base/clock.ts';
import { RtmpClient } from './rtmp-client.ts';

type Tag = { readonly type: 8 | 9; readonly atMs: number; readonly body: Buffer };

const TICK_MS = 5;
/** What is repeated is appended so soon before it is due. */
const AHEAD_MS = 100;

export class FlvPublisher {
  readonly #client: RtmpClient;
  #tags: Tag[] = [];
  #endMs = 0;
  #repeated: string | undefined;
  #startedAtMs = 0;
  readonly #timer: NodeJS.Timeout;

  private constructor(client: RtmpClient) {
    this.#client = client;
    this.#startedAtMs = systemClock.nowMs();
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
  }

  static async start(port: number, name: string): Promise<FlvPublisher> {
    const client = await RtmpClient.open(port);
    const status = await client.publish(name);
    if (status !== 'NetStream.Publish.Start') {
      throw new Error(`publishing ${name} gave ${status}`);
    }
    return new FlvPublisher(client);
  }

  /** After what was given before, its set-up included, so many times. */
  append(file: string, count = 1): void {
    const tags = tagsOf(readFileSync(file));
    const durationMs = Math.max(...tags.map(({ atMs }) => atMs)) + unitMsOf(tags);
    for (let time = 0; time < count; time += 1) {
      this.#tags.push(...tags.map((tag) => ({ ...tag, atMs: tag.atMs + this.#endMs })));
      this.#endMs += durationMs;
    }
  }

  /** After what was given before, again and again, until it is told to repeat another. */
  repeat(file: string): void {
    this.#repeated = file;
    this.#sendDue();
  }

  /** What the server said when it hung up; undefined while it has not. */
  get refusal(): string | undefined {
    return this.#client.isClosed ? this.#client.descriptions.at(-1) : undefined;
  }

  get isPlayedOut(): boolean {
    return this.#tags.length === 0;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#client.destroy();
  }

  #sendDue(): void {
    const passedMs = systemClock.nowMs() - this.#startedAtMs;
    if (this.#repeated !== undefined && this.#endMs < passedMs + AHEAD_MS) {
      this.append(this.#repeated);
    }
    while ((this.#tags[0]?.atMs ?? Number.POSITIVE_INFINITY) <= passedMs) {
      const tag = this.#tags.shift();
      if (tag !== undefined) {
        this.#client.media(tag.type, tag.atMs, tag.body);
      }
    }
  }
}

/** How far pictures (or, where there are none, sounds) are apart: so far the first of the next file follows the last of this one. */
const unitMsOf = (tags: readonly Tag[]): number => {
  const pictures = tags.filter(({ type }) => type === 9);
  // The set-up is no picture, and has the stamp of the first.
  const atMs = (pictures.length > 0 ? pictures : tags).slice(1).map((tag) => tag.atMs);
  return Math.round(((atMs.at(-1) ?? 0) - (atMs[0] ?? 0)) / Math.max(1, atMs.length - 1));
};

/** Adobe FLV 10.1, annex E.4.1. */
const tagsOf = (flv: Buffer): Tag[] => {
  const tags: Tag[] = [];
  for (let at = 13; at + 11 <= flv.length;) {
    const bytes = flv.readUIntBE(at + 1, 3);
    const type = flv[at];
    if (type === 8 || type === 9) {
      tags.push({ type, atMs: flv.readUIntBE(at + 4, 3), body: flv.subarray(at + 11, at + 11 + bytes) });
    }
    at += 15 + bytes;
  }
  return tags;
};
