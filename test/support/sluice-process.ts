/**
 * The real server as a child process: `node server/main.ts --config FILE`, in a temporary folder, on ephemeral ports, until its
 * `server.ready` line tells the ports. Keeps its last log lines for failure output; measures its memory and CPU, children included.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cpuMs, descendants, rssBytes } from './process-usage.ts';
import { serverFlags } from './server-flags.ts';
import { withinValue } from './wait.ts';
import type { SessionSummary } from '../../server/api/contract/sessions.ts';
import type { BroadcastSummary, WatchState } from '../../server/api/contract/socket.ts';
import { tempFolder } from './temp-folder.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LOG_LINE_MAX_COUNT = 2_000;
const READY_MAX_MS = 20_000;
const STOP_MAX_MS = 20_000;

/** Nested, as in the YAML file: `{ http: { port: 0 } }`. */
export type PartialConfig = { readonly [key: string]: unknown };

export type SluiceOptions = {
  readonly config?: PartialConfig;
  /** taskset's list of cores. */
  readonly cpus?: string;
  /** More arguments for Node, such as `--expose-gc`. */
  readonly nodeArgs?: readonly string[];
};

export type Ports = {
  readonly http: number;
  readonly rtmp: number;
  readonly webrtc: number;
  /** Where TLS is configured. */
  readonly https: number | undefined;
};

export type LogLine = { readonly event: string; readonly [key: string]: unknown };

export class SluiceProcess {
  readonly folder: string;
  readonly ports: Ports;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #logLines: string[];
  readonly #options: SluiceOptions;

  private constructor(running: Running, ports: Ports) {
    this.folder = running.folder;
    this.ports = ports;
    this.#child = running.child;
    this.#ended = running.ended;
    this.#logLines = running.logLines;
    this.#options = running.options;
  }

  /** Resolves when the server is ready; rejects with its log when it ends before, or takes over 20 s. */
  static async start(options: SluiceOptions = {}): Promise<SluiceProcess> {
    const folder = tempFolder('test');
    return SluiceProcess.#startIn(folder, options);
  }

  static async #startIn(folder: string, options: SluiceOptions): Promise<SluiceProcess> {
    const running = await launch(folder, options);
    try {
      const ready = await withinValue(READY_MAX_MS, 'server.ready in the log', () => {
        if (running.child.exitCode !== null || running.child.signalCode !== null) {
          throw new Error(`the server ended with code ${running.child.exitCode ?? running.child.signalCode}`);
        }
        return parseEvent(running.logLines, 'server.ready');
      });
      return new SluiceProcess(running, readPorts(ready));
    } catch (error) {
      running.child.kill('SIGKILL');
      throw new Error(`${String(error)}\n${running.logLines.slice(-40).join('\n')}`, { cause: error });
    }
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.ports.http}`;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** JSON lines and whatever went to standard error. The last 2,000. */
  get logLines(): readonly string[] {
    return this.#logLines;
  }

  rtmpUrl(name: string): string {
    return `rtmp://127.0.0.1:${this.ports.rtmp}/live/${name}`;
  }

  whepUrl(name: string): string {
    return `${this.httpUrl}/whep/${name}`;
  }

  playlistUrl(name: string): string {
    return `${this.httpUrl}/hls/${name}/index.m3u8`;
  }

  watchUrl(name: string): string {
    return `${this.httpUrl}/watch/${name}`;
  }

  /** As the server made it at its first start. */
  get adminKey(): string {
    const keys: unknown = JSON.parse(readFileSync(path.join(this.folder, 'data/keys.json'), 'utf8'));
    return (keys as { admin: string }).admin;
  }

  /** `GET /api/sessions`. */
  async viewers(): Promise<readonly SessionSummary[]> {
    const headers = { authorization: `Bearer ${this.adminKey}` };
    const response = await fetch(`${this.httpUrl}/api/sessions`, { headers });
    return ((await response.json()) as { sessions: SessionSummary[] }).sessions;
  }

  /** Log lines of this event so far. */
  events(event: string): LogLine[] {
    return this.#logLines.flatMap((line) => parseLine(line, event) ?? []);
  }

  /** `GET /api/broadcasts`. */
  async broadcasts(): Promise<readonly BroadcastSummary[]> {
    const response = await fetch(`${this.httpUrl}/api/broadcasts`);
    const body: unknown = await response.json();
    return Array.isArray(body) ? body : ((body as { broadcasts?: BroadcastSummary[] }).broadcasts ?? []);
  }

  /** Waits until the broadcast is in this state. */
  async waitState(name: string, state: WatchState, maxMs = 15_000): Promise<BroadcastSummary> {
    try {
      return await withinValue(maxMs, `broadcast ${name} is ${state}`, async () =>
        (await this.broadcasts()).find((summary) => summary.name === name && summary.state === state),
      );
    } catch (error) {
      throw new Error(`${String(error)}\n${this.#logLines.slice(-40).join('\n')}`, { cause: error });
    }
  }

  /** The exposition text of `/metrics`. */
  async metrics(): Promise<string> {
    return (await fetch(`${this.httpUrl}/metrics`)).text();
  }

  /** Resident memory of the server alone. */
  rssBytes(): number {
    return rssBytes(this.pid);
  }

  /** CPU of the server, or with its children (also those that ended), since their start. */
  cpuMs(options: { withChildren: boolean }): number {
    return cpuMs(this.pid, options);
  }

  childPids(): number[] {
    return descendants(this.pid);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM, then SIGKILL when the drain takes over 20 s; removes the folder. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    await rm(this.folder, { recursive: true, force: true });
  }

  /** `kill -9`; the folder stays for `restart`. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Starts again on the same folder and the same ports; end this one first. */
  async restart(): Promise<SluiceProcess> {
    const config = mergeConfig(this.#options.config ?? {}, {
      http: { port: this.ports.http },
      rtmp: { port: this.ports.rtmp },
      webrtc: { port: this.ports.webrtc },
    });
    return SluiceProcess.#startIn(this.folder, { ...this.#options, config });
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!this.isRunning) {
      return;
    }
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MAX_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** A counter or gauge of the exposition text; labels as written there (`{queue="x"}`), undefined when absent. */
export const metricValue = (text: string, name: string, labels = ''): number | undefined => {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name}${labels} `));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
};

/** Sums all lines of a metric, whatever their labels. */
export const metricSum = (text: string, name: string): number =>
  text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);

/** Deep merge of plain objects; `over` wins. */
export const mergeConfig = (base: PartialConfig, over: PartialConfig): PartialConfig => {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const existing = merged[key];
    merged[key] = isPlain(existing) && isPlain(value) ? mergeConfig(existing, value) : value;
  }
  return merged;
};

type Running = {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  readonly logLines: string[];
  readonly options: SluiceOptions;
};

/** The temporary server tells its fresh keys to whoever starts it; a test's output is kept, so they do not belong there. */
export const withoutKeys = (line: string): string =>
  line
    .replaceAll(/(?<=[?&](?:key|token|secret)=)[^\s"'&]+/giu, '***')
    .replaceAll(/(?<=\b(?:key|token|secret|password|bearer)\b["']?\s*[:=]?\s*["']?)[\w-]{16,}/giu, '***');

const launch = async (folder: string, options: SluiceOptions): Promise<Running> => {
  const configFile = path.join(folder, 'config.yaml');
  const defaults = {
    dataDir: path.join(folder, 'data'),
    http: { host: '127.0.0.1', port: 0 },
    // Nothing runs in the background that no test has asked for.
    ladder: { measuresSpeeds: false },
    // No viewer is held out or tried on by chance.
    congestion: { learning: { enabled: false } },
    // Nobody waits for broadcasts to end by themselves here.
    drain: { drainMaxS: 1 },
    rtmp: { host: '127.0.0.1', port: 0 },
    webrtc: { port: 0, listenAddress: '127.0.0.1' },
  };
  // JSON is YAML.
  await writeFile(configFile, JSON.stringify(mergeConfig(defaults, options.config ?? {}), null, 2));
  const nodeArgs = [...(await serverFlags()), ...(options.nodeArgs ?? [])];
  const command = [process.execPath, ...nodeArgs, path.join(ROOT, 'server/main.ts'), '--config', configFile];
  const pinned = options.cpus === undefined ? command : ['taskset', '-c', options.cpus, ...command];
  // What a server that is killed leaves of its encoders goes with the folder.
  const scratch = path.join(folder, 'scratch');
  await mkdir(scratch, { recursive: true });
  const env = { ...process.env, TMPDIR: scratch };
  const child = spawn(pinned[0]!, pinned.slice(1), { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const logLines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      logLines.push(withoutKeys(line));
      logLines.splice(0, Math.max(0, logLines.length - LOG_LINE_MAX_COUNT));
    });
  }
  return { folder, child, ended: once(child, 'exit'), logLines, options };
};

const parseLine = (line: string, event: string): LogLine | undefined => {
  if (!line.startsWith('{') || !line.includes(event)) {
    return undefined;
  }
  try {
    const parsed = JSON.parse(line) as LogLine;
    return parsed.event === event ? parsed : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) {
      return undefined;
    }
    throw error;
  }
};

const parseEvent = (lines: readonly string[], event: string): LogLine | undefined => {
  for (const line of lines) {
    const parsed = parseLine(line, event);
    if (parsed !== undefined) {
      return parsed;
    }
  }
  return undefined;
};

/** The ports stand in the line itself (`httpPort`) or under `ports`. */
const readPorts = (ready: LogLine): Ports => {
  const nested = isPlain(ready['ports']) ? ready['ports'] : {};
  const port = (name: string): number => {
    const value = nested[name] ?? ready[`${name}Port`] ?? ready[name];
    const inner = isPlain(value) ? value['port'] : value;
    if (typeof inner !== 'number') {
      throw new Error(`server.ready tells no ${name} port: ${JSON.stringify(ready)}`);
    }
    return inner;
  };
  const https = ready['httpsPort'];
  return {
    ...{ http: port('http'), rtmp: port('rtmp'), webrtc: port('webrtc') },
    https: typeof https === 'number' ? https : undefined,
  };
};

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
