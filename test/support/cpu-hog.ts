/** Takes cores for a while, as other work on the machine would. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';

/** One busy process a core, or one on each core of taskset's list, at usual priority. The returned function ends them. */
export const hogCpu = (cpus: readonly string[] = []): (() => Promise<void>) => {
  const busy = [process.execPath, '-e', 'for (;;) {}'];
  const commands =
    cpus.length > 0
      ? cpus.map((cpu) => ['taskset', '-c', cpu, ...busy])
      : Array.from({ length: availableParallelism() }, () => busy);
  const hogs = commands.map(([program = '', ...args]) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    return { child, ended: once(child, 'exit') };
  });
  return async () => {
    hogs.forEach(({ child }) => child.kill('SIGKILL'));
    await Promise.all(hogs.map(async ({ ended }) => ended));
  };
};
