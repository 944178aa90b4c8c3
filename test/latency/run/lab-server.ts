/** The server under test: started for one run and stopped after it, or one that runs already and is only measured. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WorldError } from '../../../server/base/errors.ts';
import { pidListeningOn } from '../../support/process-usage.ts';
import { SluiceProcess } from '../../support/sluice-process.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { within } from '../../support/wait.ts';
import type { LabServer } from './lab-config.ts';
import { fillIn } from './placeholders.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '');
const STOP_MAX_MS = 8_000;
const PROBE_MAX_MS = 2_000;
const OUTPUT_MAX_CHARS = 4_000;

export type RunningServer = {
  /** Fills `{httpPort}` and its like in the target's addresses. */
  readonly placeholders: Readonly<Record<string, string>>;
  /** Whose CPU and memory count, with all below it; undefined when it is not on this machine. */
  readonly rootPid: number | undefined;
  /** Sluice's data folder. */
  readonly dataFolder?: string;
  /** Its end and its last words, once it has ended by itself; undefined while it runs, or where nobody can know. */
  lastWords(): string | undefined;
  stop(): Promise<void>;
};

/** `here`: the folder of lab.yaml, `{here}` in commands. Rejects with the server's last words when it does not get ready. */
export const startLabServer = async (server: LabServer | undefined, here: string): Promise<RunningServer> => {
  if (server === undefined) {
    return foreign(undefined);
  }
  if ('sluice' in server) {
    return startSluice(server.sluice);
  }
  if ('command' in server) {
    return startCommand(server, here);
  }
  const rootPid = 'pid' in server ? server.pid : pidListeningOn(server.port);
  if (rootPid === undefined) {
    throw new WorldError(
      'LAB_SERVER_NOT_FOUND',
      `expected a process of yours that listens on ${JSON.stringify(server)}`,
    );
  }
  return foreign(rootPid);
};

const foreign = (rootPid: number | undefined): RunningServer => ({
  placeholders: {},
  rootPid,
  lastWords: () => undefined,
  stop: async () => {},
});

const startSluice = async (config: true | Readonly<Record<string, unknown>>): Promise<RunningServer> => {
  const sluice = await SluiceProcess.start(config === true ? {} : { config: fillInAll(config, { root: ROOT }) });
  const { http, rtmp, webrtc } = sluice.ports;
  return {
    placeholders: { httpPort: String(http), rtmpPort: String(rtmp), webrtcPort: String(webrtc) },
    rootPid: sluice.pid,
    dataFolder: path.join(sluice.folder, 'data'),
    lastWords: () => (sluice.isRunning ? undefined : wordsOf(sluice.exitCode, sluice.logLines.slice(-20).join('\n'))),
    stop: () => sluice.stop(),
  };
};

/** Texts at any depth. */
const fillInAll = <Value>(value: Value, values: Readonly<Record<string, string>>): Value =>
  JSON.parse(JSON.stringify(value), (_key, inner: unknown) =>
    typeof inner === 'string' ? fillIn(inner, values) : inner,
  ) as Value;

type CommandServer = Extract<LabServer, { command: string[] }>;

const startCommand = async (server: CommandServer, here: string): Promise<RunningServer> => {
  if (await answers(server.ready)) {
    throw new WorldError('LAB_PORT_TAKEN', `something answers at ${server.ready} before this server was started`);
  }
  const temp = tempFolder('lab-server');
  // Servers that start as root drop to a user of their own, who must get in.
  await chmod(temp, 0o755);
  const values = { here, temp, root: ROOT, node: process.execPath };
  const [program = '', ...args] = server.command.map((word) => fillIn(word, values));
  const env = Object.fromEntries(Object.entries(server.env).map(([key, value]) => [key, fillIn(value, values)]));
  const child = spawn(program, args, {
    cwd: path.resolve(here, fillIn(server.cwd ?? '{here}', values)),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C at the terminal is for the lab, and what the server starts is stopped with it.
    detached: true,
  });
  const stop = async (): Promise<void> => {
    await endGroup(child);
    await rm(temp, { recursive: true, force: true });
  };
  const output = keepOutput(child);
  try {
    await untilReady(child, server, output);
  } catch (error) {
    await stop();
    throw error;
  }
  const lastWords = (): string | undefined =>
    hasEnded(child) ? wordsOf(child.exitCode ?? child.signalCode, output()) : undefined;
  return { placeholders: values, rootPid: child.pid, lastWords, stop };
};

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

const wordsOf = (code: number | string | null, output: string): string =>
  `the server had ended with ${code ?? 'nothing'}: ${output.trim()}`;

/** The last of both outputs, whenever asked. */
const keepOutput = (child: ChildProcess): (() => string) => {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes: Buffer) => {
      output = `${output}${bytes.toString('utf8')}`.slice(-OUTPUT_MAX_CHARS);
    });
  }
  return () => output;
};

const untilReady = async (child: ChildProcess, server: CommandServer, output: () => string): Promise<void> => {
  let fault: Error | undefined;
  child.on('error', (error) => {
    fault = error;
  });
  try {
    await within(server.readyMaxMs, `an answer at ${server.ready}`, async () => {
      if (fault !== undefined || hasEnded(child)) {
        throw fault ?? new Error(`it ended with ${child.exitCode ?? child.signalCode}`);
      }
      return answers(server.ready);
    });
  } catch (error) {
    throw new WorldError('LAB_SERVER_NOT_READY', `${server.command[0]}: ${String(error)}\n${output().trim()}`, error);
  }
};

/** TCP accepted, or HTTP answered with anything but a server error. */
const answers = async (address: string): Promise<boolean> => {
  if (address.startsWith('http')) {
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(PROBE_MAX_MS) });
      await response.body?.cancel();
      return response.status < 500;
    } catch {
      return false; // Not yet: the caller's deadline decides.
    }
  }
  const [host = '', port = ''] = address.split(':');
  const socket = connect({ host, port: Number(port) });
  socket.setTimeout(PROBE_MAX_MS);
  const accepted = await new Promise<boolean>((resolve) => {
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('timeout', () => resolve(false));
  });
  socket.destroy();
  return accepted;
};

/** SIGTERM to all of it, SIGKILL after 8 s. */
const endGroup = async (child: ChildProcess): Promise<void> => {
  if (child.pid === undefined) {
    return;
  }
  const ended = hasEnded(child) ? Promise.resolve() : once(child, 'exit');
  signalGroup(child.pid, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(child.pid ?? -1, 'SIGKILL'), STOP_MAX_MS);
  await ended;
  clearTimeout(timer);
  signalGroup(child.pid, 'SIGKILL');
};

const signalGroup = (pid: number, signal: 'SIGTERM' | 'SIGKILL'): void => {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') {
      throw error;
    }
  }
};
