/** Starts `rung-host.ts` and asks it what it holds. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RungHostHeld, RungHostSays } from './rung-host.ts';
import { serverFlags } from './server-flags.ts';
import { withinValue } from './wait.ts';

const PROGRAM = fileURLToPath(new URL('rung-host.ts', import.meta.url));
const START_MAX_MS = 60_000;
const ANSWER_MAX_MS = 20_000;

export type RungHost = {
  readonly pid: number;
  readonly whepUrl: string;
  held(): Promise<RungHostHeld>;
  stop(): Promise<void>;
};

/** `cpus`: taskset's list of cores. */
export const startRungHost = async (options: { cpus?: string } = {}): Promise<RungHost> => {
  const nodeArgs = [...(await serverFlags()), '--expose-gc'];
  const pin =
    options.cpus === undefined
      ? { execArgv: nodeArgs }
      : { execPath: 'taskset', execArgv: ['-c', options.cpus, process.execPath, ...nodeArgs] };
  const child = fork(PROGRAM, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], ...pin });
  const ended = once(child, 'exit');
  let whepUrl: string | undefined;
  let held: RungHostHeld | undefined;
  child.on('message', (message) => {
    const said = message as RungHostSays;
    if (said.type === 'ready') {
      ({ whepUrl } = said);
    } else {
      ({ held } = said);
    }
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  try {
    await withinValue(START_MAX_MS, 'the broadcast with its rungs is there', () => {
      if (child.exitCode !== null) {
        throw new Error(`it ended with ${child.exitCode}`);
      }
      return whepUrl;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    pid: child.pid ?? -1,
    whepUrl: whepUrl ?? '',
    held: async () => {
      held = undefined;
      child.send('held');
      return withinValue(ANSWER_MAX_MS, 'what the process holds', () => held);
    },
    stop,
  };
};
