/**
 * One run of ffmpeg: bytes in by its standard input, each elementary stream out by a Unix socket of our own. The only file
 * that knows `fluent-ffmpeg`. The sockets' private folder is deleted as soon as ffmpeg has connected, so that nothing stays
 * behind however either of us dies; and ffmpeg ends by itself when its input ends, which our death does.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import ffmpeg from 'fluent-ffmpeg';
import { WorldError, messageOf } from '../server/base/errors.ts';

export type FfmpegJob = {
  readonly ffmpegPath: string;
  readonly inputArgs: readonly string[];
  /** Between the input and what `-map [label]` of the outputs names. */
  readonly filterGraph?: string;
  /** Of each output, which is one elementary stream. */
  readonly outputs: readonly (readonly string[])[];
  /** 0 (as this process) to 19 (when nobody else wants the processor). */
  readonly niceness?: number;
};

export type FfmpegListener = {
  /** `outputIndex`: its place in `outputs`. */
  onOutput(bytes: Uint8Array, outputIndex: number): void;
  /** `write` returned false before; now there is room again. */
  onDrain(): void;
  /** Once. Undefined: it ended by itself without complaint. */
  onExit(error: WorldError | undefined): void;
};

export type FfmpegRun = {
  /** False: hold back until `onDrain`. The bytes were taken all the same. */
  write(bytes: Uint8Array): boolean;
  /** Stops it at once; `onExit` follows when it has gone. May be called twice. */
  kill(): void;
  /** Its process id once it runs; for tests and for the log. */
  readonly pid: number | undefined;
};

export type StartFfmpeg = (job: FfmpegJob, listener: FfmpegListener) => FfmpegRun;

/** A publisher of ffmpeg's own making: nothing goes through us. */
export type PublishJob = {
  readonly ffmpegPath: string;
  /** lavfi graphs, each read at its native rate. */
  readonly lavfiInputs: readonly string[];
  readonly outputArgs: readonly string[];
  readonly url: string;
};

/** Starts it; the returned function stops it. `onExit` comes once, also after a stop. */
export const startPublishing = (job: PublishJob, onExit: (error: WorldError | undefined) => void): (() => void) => {
  const command = ffmpeg({ stdoutLines: STDERR_MAX_COUNT }).setFfmpegPath(job.ffmpegPath);
  skipCapabilityCheck(command);
  for (const graph of job.lavfiInputs) {
    command.input(graph).inputOptions(['-re', '-f', 'lavfi']);
  }
  command
    .output(job.url)
    .outputOptions([...job.outputArgs])
    .on('error', (error: unknown) => onExit(worldErrorOf(error, job.ffmpegPath)))
    .on('end', () => onExit(undefined))
    .run();
  return () => command.kill('SIGKILL');
};

/** Work without a deadline of its own: all of its input at once, all of its output in one piece. */
export type OnceJob = FfmpegJob & { readonly input: Uint8Array; readonly timeoutMs: number };

/** Runs at the lowest priority. Rejects with `WorldError`; `FFMPEG_SILENT` when nothing came, or not in time. */
export const runFfmpegOnce = async (job: OnceJob): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    const run = new FfmpegProcess(
      { ...job, niceness: NICENESS_LOWEST },
      {
        onOutput: (bytes) => chunks.push(bytes),
        onDrain: () => undefined,
        onExit: (error) => {
          clearTimeout(timer);
          if (error === undefined && chunks.length > 0) {
            resolve(Buffer.concat(chunks));
          } else {
            reject(error ?? new WorldError('FFMPEG_SILENT', `gave nothing, or not within ${job.timeoutMs} ms`));
          }
        },
      },
    );
    const timer = setTimeout(() => run.kill(), job.timeoutMs);
    run.write(job.input);
    run.end();
  });

/** What ffmpeg made of a generated picture is thrown away; what it took of the processor is told. */
export type CpuJob = {
  readonly ffmpegPath: string;
  readonly lavfiInput: string;
  readonly outputArgs: readonly string[];
  readonly timeoutMs: number;
};

/** Milliseconds of one core, whoever else was using it. Runs at the lowest priority. Rejects with `WorldError`. */
export const measureFfmpegCpuMs = async (job: CpuJob): Promise<number> => {
  const command = newReportCommand(job.ffmpegPath, STDERR_MAX_COUNT);
  command
    .input(job.lavfiInput)
    .inputOptions(['-benchmark', '-nostdin', '-threads', '1', '-f', 'lavfi'])
    .output('-')
    .outputOptions([...job.outputArgs]);
  return (await runForReport(command, job)).cpuMs;
};

/** Work of which only what ffmpeg says about it is wanted: its outputs end in `-f null`. */
export type ReportJob = {
  readonly ffmpegPath: string;
  readonly inputArgs: readonly string[];
  readonly input: Uint8Array;
  readonly filterGraph: string;
  readonly outputs: readonly (readonly string[])[];
  readonly timeoutMs: number;
};

export type FfmpegReport = {
  /** The last of what it said, at most `REPORT_MAX_COUNT` lines. */
  readonly lines: string;
  /** Milliseconds of one core. */
  readonly cpuMs: number;
};

/** Runs at the lowest priority. Rejects with `WorldError`. */
export const runFfmpegForReport = async (job: ReportJob): Promise<FfmpegReport> => {
  const input = new PassThrough();
  const command = newReportCommand(job.ffmpegPath, REPORT_MAX_COUNT);
  command.input(input).inputOptions(['-benchmark', ...job.inputArgs]);
  command.complexFilter(job.filterGraph);
  job.outputs.forEach((args) => command.output('-').outputOptions([...args]));
  input.end(job.input);
  try {
    return await runForReport(command, job);
  } finally {
    input.destroy();
  }
};

const newReportCommand = (ffmpegPath: string, stdoutLines: number): ffmpeg.FfmpegCommand => {
  const command = ffmpeg({ stdoutLines, niceness: NICENESS_LOWEST }).setFfmpegPath(ffmpegPath);
  skipCapabilityCheck(command);
  mendSpawnFailure(command);
  return command;
};

const runForReport = async (
  command: ffmpeg.FfmpegCommand,
  { ffmpegPath, timeoutMs }: { ffmpegPath: string; timeoutMs: number },
): Promise<FfmpegReport> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => command.kill('SIGKILL'), timeoutMs);
    command
      .on('error', (error: unknown) => {
        clearTimeout(timer);
        reject(worldErrorOf(error, ffmpegPath));
      })
      .on('end', (_stdout: string | null, stderr: string | null) => {
        clearTimeout(timer);
        const lines = stderr ?? '';
        const [, user = '', system = ''] = /bench: utime=([\d.]+)s stime=([\d.]+)s/.exec(lines) ?? [];
        const cpuMs = (Number(user) + Number(system)) * 1000;
        if (cpuMs > 0) {
          resolve({ lines, cpuMs });
        } else {
          reject(new WorldError('FFMPEG_SILENT', 'it did not say how much processor time it took'));
        }
      })
      .run();
  });

const NICENESS_LOWEST = 19;
const INPUT_BUFFER_BYTES = 64 * 1024;
const STDERR_MAX_COUNT = 20;
/** Six encoders say some 20 lines each. */
const REPORT_MAX_COUNT = 400;

export const startFfmpeg: StartFfmpeg = (job, listener) => new FfmpegProcess(job, listener);

class FfmpegProcess implements FfmpegRun {
  readonly #listener: FfmpegListener;
  readonly #folder = mkdtempSync(join(tmpdir(), 'sluice-ffmpeg-'));
  readonly #input = new PassThrough({ highWaterMark: INPUT_BUFFER_BYTES });
  readonly #servers: readonly Server[];
  readonly #sockets = new Map<number, Socket>();
  #listeningCount = 0;
  #command: ffmpeg.FfmpegCommand | undefined;
  #isKilled = false;
  #hasExited = false;

  constructor(job: FfmpegJob, listener: FfmpegListener) {
    this.#listener = listener;
    this.#input.on('drain', () => listener.onDrain());
    this.#servers = job.outputs.map((_, index) => {
      const server = createServer((socket) => this.#accept(socket, index));
      server.on('error', (error) => this.#exit(new WorldError('FFMPEG_SOCKET', messageOf(error), error)));
      server.listen(this.#addressOf(index), () => {
        this.#listeningCount += 1;
        if (this.#listeningCount === job.outputs.length) {
          this.#spawn(job);
        }
      });
      return server;
    });
  }

  get pid(): number | undefined {
    const child: unknown = this.#command === undefined ? undefined : Reflect.get(this.#command, 'ffmpegProc');
    return hasPid(child) ? child.pid : undefined;
  }

  write(bytes: Uint8Array): boolean {
    return this.#hasExited || this.#isKilled || this.#input.write(bytes);
  }

  /** No input follows. */
  end(): void {
    this.#input.end();
  }

  kill(): void {
    if (this.#isKilled) {
      return;
    }
    this.#isKilled = true;
    this.#dismantle();
    this.#command?.kill('SIGKILL');
    if (this.#command === undefined) {
      this.#exit(undefined);
    }
  }

  #addressOf(outputIndex: number): string {
    return join(this.#folder, `out-${outputIndex}`);
  }

  #spawn(job: FfmpegJob): void {
    if (this.#isKilled) {
      return;
    }
    const command = ffmpeg({ stdoutLines: STDERR_MAX_COUNT, niceness: job.niceness ?? 0 }).setFfmpegPath(
      job.ffmpegPath,
    );
    skipCapabilityCheck(command);
    mendSpawnFailure(command);
    this.#command = command;
    command.input(this.#input).inputOptions([...job.inputArgs]);
    if (job.filterGraph !== undefined) {
      command.complexFilter(job.filterGraph);
    }
    job.outputs.forEach((args, index) => command.output(`unix:${this.#addressOf(index)}`).outputOptions([...args]));
    command
      .on('start', () => {
        if (this.#isKilled) {
          command.kill('SIGKILL');
        }
      })
      .on('error', (error: unknown) => this.#exit(worldErrorOf(error, job.ffmpegPath)))
      .on('end', () => this.#exit(undefined))
      .run();
  }

  /** One connection to each is all there will be. */
  #accept(socket: Socket, outputIndex: number): void {
    if (this.#sockets.has(outputIndex)) {
      socket.destroy();
      return;
    }
    this.#sockets.set(outputIndex, socket);
    if (this.#sockets.size === this.#servers.length) {
      this.#dismantle();
    }
    socket.on('data', (bytes: Uint8Array) => {
      if (!this.#isKilled) {
        this.#listener.onOutput(bytes, outputIndex);
      }
    });
    socket.on('error', () => this.kill());
  }

  #dismantle(): void {
    for (const server of this.#servers) {
      server.close();
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #exit(error: WorldError | undefined): void {
    if (this.#hasExited) {
      return;
    }
    this.#hasExited = true;
    this.#dismantle();
    for (const socket of this.#sockets.values()) {
      socket.destroy();
    }
    this.#input.destroy();
    this.#listener.onExit(error);
  }
}

/**
 * The library would run ffmpeg twice more to ask what it can do, and mistakes newer versions' answers for "format not
 * available". Our arguments are fixed; a missing codec shows itself when ffmpeg starts.
 */
const skipCapabilityCheck = (command: ffmpeg.FfmpegCommand): void => {
  Object.assign(command, {
    _checkCapabilities: (done: (error: null) => void) => done(null),
    availableEncoders: (done: (error: null, encoders: object) => void) => done(null, {}),
  });
};

type LinesRing = { get(): string };
type SpawnEnd = (error: unknown, stdout?: LinesRing, stderr?: LinesRing) => void;
type Spawn = (args: string[], options: object, onProcess: unknown, onEnd: SpawnEnd) => void;
const NO_LINES: LinesRing = { get: () => '' };

/** When the process cannot be started at all, the library reads output rings it does not have, and takes our process down. */
const mendSpawnFailure = (command: ffmpeg.FfmpegCommand): void => {
  const spawn = Reflect.get(command, '_spawnFfmpeg') as Spawn;
  const mended: Spawn = (args, options, onProcess, onEnd) =>
    spawn.call(command, args, options, onProcess, (error, stdout, stderr) =>
      onEnd(error, stdout ?? NO_LINES, stderr ?? NO_LINES),
    );
  Object.assign(command, { _spawnFfmpeg: mended });
};

const hasPid = (child: unknown): child is { pid: number | undefined } =>
  typeof child === 'object' && child !== null && 'pid' in child;

const worldErrorOf = (error: unknown, ffmpegPath: string): WorldError =>
  /ENOENT|EACCES|Cannot find ffmpeg|exited with code 12[67]/u.test(messageOf(error))
    ? new WorldError('FFMPEG_MISSING', `${ffmpegPath} cannot be run; install it: apt-get install ffmpeg`, error)
    : new WorldError('FFMPEG_EXITED', messageOf(error), error);
