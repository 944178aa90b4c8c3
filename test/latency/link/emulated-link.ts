/** One emulated link between a viewer and any server, on this machine and without privileges: the handle to the process that carries it. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { WorldError } from '../../../server/base/errors.ts';
import type { LinkCounts, LinkReply, LinkRequest, LinkSample } from './link-counts.ts';
import { planLink, type LinkScenario } from './link-scenario.ts';

export type LinkOptions = {
  /** Same seed and same arrivals: same drops, same times. */
  readonly seed: number;
  /** Where `trace` of the scenario is looked for. */
  readonly tracesDir?: string;
  /** Lines of JSON about what was opened. */
  readonly logFile?: string;
};

export type EmulatedLink = {
  /**
   * The address of a server (`http:`, `https:`; any other scheme with host and port as plain bytes) → one on loopback whose traffic passes
   * the link: HTTP, WebSockets, and WebRTC over UDP and TCP by rewritten candidates. `up` is what goes to the server.
   */
  through(url: string): Promise<string>;
  /** Port on 127.0.0.1 whose datagrams or connections go to this address by way of the link. */
  relay(target: { transport: 'udp' | 'tcp'; address: string; port: number }): Promise<number>;
  counts(): Promise<LinkCounts>;
  /** Each 100 ms since the start or the last `restart`. */
  series(): Promise<readonly LinkSample[]>;
  /** Link time 0 is now: steps, traces and random draws begin anew, counts and series too. Connections stay. */
  restart(): Promise<void>;
  close(): Promise<void>;
};

const PROCESS = fileURLToPath(new URL('./link-process.ts', import.meta.url));
const CLOSE_MAX_MS = 3_000;

/** Throws `TypeError` for a scenario or trace that is wrong, `WorldError` `LINK_ENDED` once the process is gone. */
export const startLink = async (scenario: LinkScenario, options: LinkOptions): Promise<EmulatedLink> => {
  const plan = await planLink(scenario, options.tracesDir);
  const link = new LinkProcess();
  await link.ask({ kind: 'start', plan, seed: options.seed, logFile: options.logFile });
  return link;
};

type Waiting = { resolve: (value: unknown) => void; reject: (error: Error) => void };

class LinkProcess implements EmulatedLink {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;

  constructor() {
    this.#child = fork(PROCESS, [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    this.#ended = once(this.#child, 'exit');
    this.#child.on('message', (message) => this.#onReply(message as LinkReply));
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new WorldError('LINK_ENDED', `the link's process ended with ${code ?? signal}`));
      }
      this.#waiting.clear();
    });
  }

  async through(url: string): Promise<string> {
    if (!URL.canParse(url)) {
      throw new TypeError(`link: expected an absolute address, got ${url}`);
    }
    return (await this.ask({ kind: 'through', url })) as string;
  }

  async relay(target: { transport: 'udp' | 'tcp'; address: string; port: number }): Promise<number> {
    return (await this.ask({ kind: 'relay', ...target })) as number;
  }

  async counts(): Promise<LinkCounts> {
    return (await this.ask({ kind: 'counts' })) as LinkCounts;
  }

  async series(): Promise<readonly LinkSample[]> {
    return (await this.ask({ kind: 'series' })) as readonly LinkSample[];
  }

  async restart(): Promise<void> {
    await this.ask({ kind: 'restart' });
  }

  async close(): Promise<void> {
    if (!this.#isRunning) {
      return;
    }
    if (this.#child.connected) {
      this.#child.disconnect();
    }
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_MAX_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  async ask(request: LinkRequest): Promise<unknown> {
    if (!this.#isRunning || !this.#child.connected) {
      throw new WorldError('LINK_ENDED', `asked for ${request.kind} after its end`);
    }
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, request });
    });
  }

  get #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #onReply({ id, value, fault }: LinkReply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (fault === undefined) {
      waiting?.resolve(value);
    } else {
      waiting?.reject(new WorldError('LINK_REFUSED', fault));
    }
  }
}
