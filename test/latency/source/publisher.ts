/**
 * Real publishers: ffmpeg pushing RTMP, or WHIP with our help, with the picture and the sound of `frame-painter.ts`, or looping a file. Each has one
 * owner that stops it: `stop` as a streamer would (the RTMP session ends properly), `kill` as a crash would.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from '../../support/wait.ts';
import { hasSound, isWhipUrl, outputArgs, type EncodeOptions } from './presets.ts';
import type { SourceMessage, SourceOptions } from './stamped-source-process.ts';

export type { PublisherPreset } from './presets.ts';

export type PublisherOptions = EncodeOptions & {
  readonly widthPx?: number;
  readonly heightPx?: number;
  /** Any file that ffmpeg reads: its pictures between stamp and flash, looped, scaled and cropped; its sound is not used. */
  readonly clip?: string;
  readonly noiseRatio?: number;
  readonly audioLeadMs?: number;
};

const SOURCE_PROCESS = fileURLToPath(new URL('stamped-source-process.ts', import.meta.url));
const START_MAX_MS = 15_000;
const STOP_MAX_MS = 8_000;
/** Enough stamps for ten minutes of 60 fps; the oldest go. */
const STAMP_MAX_COUNT = 36_000;
/** Ten minutes of seconds. */
const LATENESS_MAX_COUNT = 600;

export class Publisher {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #ffmpegPid: number | undefined;
  #hasFirstFrame = false;
  #stderrTail = '';
  #lateMaxMs = 0;
  readonly #lateness: { readonly toldAtWallMs: number; readonly lateMaxMs: number }[] = [];
  #frameCount = 0;
  readonly #stampsMs: number[] = [];

  private constructor(options: SourceOptions) {
    this.#child = fork(SOURCE_PROCESS, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#ended = once(this.#child, 'exit');
    this.#child.on('message', (message) => this.#onMessage(message as SourceMessage));
  }

  /** Resolves when the first frame was handed to ffmpeg; whether the server took it is the server's to say. */
  static async start(options: PublisherOptions): Promise<Publisher> {
    const publisher = new Publisher(toSourceOptions(options));
    try {
      await within(START_MAX_MS, 'publisher hands over its first frame', () => {
        if (!publisher.isRunning && !publisher.#hasFirstFrame) {
          throw new Error(`the publisher ended before its first frame: ${publisher.stderrTail}`);
        }
        return publisher.#hasFirstFrame;
      });
      return publisher;
    } catch (error) {
      await publisher.kill();
      throw error;
    }
  }

  /** Frames to anywhere, at any pace: for proofs that need no server. */
  static async encode(options: SourceOptions): Promise<void> {
    const publisher = new Publisher(options);
    await publisher.#ended;
    if (publisher.#stderrTail.includes('Error')) {
      throw new Error(publisher.#stderrTail);
    }
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get frameCount(): number {
    return this.#frameCount;
  }

  /** The greatest time by which a frame was handed over too late: how far the machine was from keeping up. */
  get lateMaxMs(): number {
    return this.#lateMaxMs;
  }

  /**
   * How far the source was behind its own clock in this span (told second by second, so up to a second around it as well). Resolves
   * once the source has told of all of it.
   */
  async lateMaxBetween(fromWallMs: number, toWallMs: number): Promise<number> {
    await within(
      STOP_MAX_MS,
      'the source tells its pace',
      () => (this.#lateness.at(-1)?.toldAtWallMs ?? 0) >= toWallMs,
    );
    const told = this.#lateness.filter((entry) => entry.toldAtWallMs >= fromWallMs);
    return Math.max(...told.map(({ lateMaxMs }) => lateMaxMs));
  }

  /** What was stamped into frame n, for each n since the start. */
  get stampsMs(): readonly number[] {
    return this.#stampsMs;
  }

  /** ffmpeg's last words. */
  get stderrTail(): string {
    return this.#stderrTail;
  }

  get ffmpegPid(): number | undefined {
    return this.#ffmpegPid;
  }

  /** Ends the RTMP session properly. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** The encoder dies without a word: `kill -9`. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!this.isRunning) {
      return;
    }
    if (this.#ffmpegPid === undefined) {
      this.#child.kill(signal);
    } else if (signal === 'SIGTERM') {
      this.#child.send('stop');
    } else {
      signalProcess(this.#ffmpegPid, signal);
    }
    const timer = setTimeout(() => {
      signalProcess(this.#ffmpegPid ?? -1, 'SIGKILL');
      this.#child.kill('SIGKILL');
    }, STOP_MAX_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #onMessage(message: SourceMessage): void {
    if (message.type === 'started') {
      this.#ffmpegPid = message.ffmpegPid;
    } else if (message.type === 'first-frame') {
      this.#hasFirstFrame = true;
    } else if (message.type === 'progress') {
      this.#frameCount = message.frameCount;
      this.#lateMaxMs = Math.max(this.#lateMaxMs, message.lateMaxMs);
      this.#lateness.push({ toldAtWallMs: Date.now(), lateMaxMs: message.lateMaxMs });
      this.#lateness.splice(0, Math.max(0, this.#lateness.length - LATENESS_MAX_COUNT));
      this.#stampsMs.push(...message.stampsMs);
      this.#stampsMs.splice(0, Math.max(0, this.#stampsMs.length - STAMP_MAX_COUNT));
    } else {
      this.#stderrTail = message.stderrTail;
    }
  }
}

/** Loops a file in real time without encoding: load at hardly any cost. */
export class FilePublisher {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  /** `path` holds H.264 and AAC; `cpus` pins the process (taskset's list). */
  constructor(options: { path: string; url: string; cpus?: string }) {
    const pin = options.cpus === undefined ? [] : ['taskset', '-c', options.cpus];
    const command = [
      ...pin,
      ...['ffmpeg', '-hide_banner', '-loglevel', 'error', '-nostats', '-re', '-stream_loop', '-1', '-i', options.path],
      ...['-c', 'copy', '-f', 'flv', '-flvflags', 'no_duration_filesize', options.url],
    ];
    this.#child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#ended = once(this.#child, 'exit');
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MAX_MS);
      await this.#ended;
      clearTimeout(timer);
    }
  }
}

const signalProcess = (pid: number, signal: 'SIGTERM' | 'SIGKILL'): void => {
  try {
    if (pid > 0) {
      process.kill(pid, signal);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') {
      throw error;
    }
  }
};

const toSourceOptions = (options: PublisherOptions): SourceOptions => ({
  widthPx: options.widthPx ?? 640,
  heightPx: options.heightPx ?? 360,
  frameRateFps: options.frameRateFps ?? 30,
  withSound: hasSound(options.preset),
  audioLeadMs: options.audioLeadMs ?? 0,
  ...(options.noiseRatio === undefined ? {} : { noiseRatio: options.noiseRatio }),
  ...(options.clip === undefined ? {} : { clip: options.clip }),
  ...(isWhipUrl(options.url) ? { whipUrl: options.url } : {}),
  outputArgs: outputArgs(options),
});
