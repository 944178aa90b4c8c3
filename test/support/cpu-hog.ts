/** Takes every core for a while, as other work on the machine would. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';

/** One busy process a core, at usual priority. The returned function ends them. */
export const hogCpu = (): (() => Promise<void>) => {
  const hogs = Array.from({ length: availableParallelism() }, () => {
    const child = spawn(process.execPath, ['-e', 'for (;;) {}'], { stdio: 'ignore' });
    return { child, ended: once(child, 'exit') };
  });
  return async () => {
    hogs.forEach(({ child }) => child.kill('SIGKILL'));
    await Promise.all(hogs.map(async ({ ended }) => ended));
  };
};
