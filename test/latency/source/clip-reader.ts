/**
 * The pictures of any file that ffmpeg reads, looped for ever, scaled and cropped to the wanted size and rate, as raw frames (planar
 * YUV 4:2:0). Decodes a few frames ahead and no more; when the decoder is late, the content of the picture before stays, so that
 * the source's own pace never depends on it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';

const LOOK_AHEAD_COUNT = 6;
const RESTART_MS = 200;

export type ClipOptions = {
  readonly path: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frameRateFps: number;
};

export class ClipReader {
  readonly #options: ClipOptions;
  readonly #frameBytes: number;
  readonly #ready: Buffer[] = [];
  readonly #spare: Buffer[] = [];
  #filling: Buffer;
  #filledBytes = 0;
  #last: Buffer | undefined;
  #child: ChildProcess | undefined;
  #output: Readable | undefined;
  #isClosed = false;
  #hasFailed = false;
  #stderrTail = '';

  constructor(options: ClipOptions) {
    this.#options = options;
    this.#frameBytes = (options.widthPx * options.heightPx * 3) / 2;
    this.#filling = Buffer.alloc(this.#frameBytes);
    this.#start();
  }

  /** Why there will never be a picture; undefined as long as there may be one. */
  get failure(): string | undefined {
    return this.#hasFailed ? this.#stderrTail : undefined;
  }

  /** The next picture, or the one before when the next is late; undefined before the first. Valid until the next call. */
  next(): Buffer | undefined {
    const frame = this.#ready.shift();
    if (frame !== undefined) {
      if (this.#last !== undefined) {
        this.#spare.push(this.#last);
      }
      this.#last = frame;
      this.#output?.resume();
    }
    return this.#last;
  }

  close(): void {
    this.#isClosed = true;
    this.#child?.kill('SIGKILL');
  }

  #start(): void {
    const { path, widthPx, heightPx, frameRateFps } = this.#options;
    const size = `${widthPx}:${heightPx}`;
    const filter = `fps=${frameRateFps},scale=${size}:force_original_aspect_ratio=increase,crop=${size},format=yuv420p`;
    const child = spawn(
      'ffmpeg',
      [
        ...['-hide_banner', '-loglevel', 'error', '-nostats', '-threads', '1', '-stream_loop', '-1', '-i', path],
        ...['-an', '-sn', '-vf', filter, '-f', 'rawvideo', 'pipe:1'],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#child = child;
    this.#output = child.stdout;
    child.stdout.on('data', (chunk: Buffer) => this.#take(chunk));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderrTail = (this.#stderrTail + text).slice(-2_000);
    });
    child.on('error', (error) => {
      this.#stderrTail += error.message;
      this.#hasFailed = true;
    });
    // Some formats cannot be looped by ffmpeg itself: then it begins again.
    child.on('close', () => {
      this.#filledBytes = 0;
      if (this.#last === undefined && this.#ready.length === 0) {
        this.#hasFailed = true;
      } else if (!this.#isClosed) {
        setTimeout(() => this.#isClosed || this.#start(), RESTART_MS).unref();
      }
    });
  }

  #take(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length) {
      const taken = chunk.copy(this.#filling, this.#filledBytes, from);
      from += taken;
      this.#filledBytes += taken;
      if (this.#filledBytes === this.#frameBytes) {
        this.#ready.push(this.#filling);
        this.#filling = this.#spare.pop() ?? Buffer.alloc(this.#frameBytes);
        this.#filledBytes = 0;
      }
    }
    if (this.#ready.length >= LOOK_AHEAD_COUNT) {
      this.#output?.pause();
    }
  }
}
