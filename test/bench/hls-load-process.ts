/** Starts `hls-load.ts` on its core and reads what it says. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withinValue } from '../support/wait.ts';
import type { HlsLoadOptions, HlsLoadReport } from './hls-load.ts';

const PROGRAM = fileURLToPath(new URL('hls-load.ts', import.meta.url));
const CONNECT_MAX_MS = 60_000;

/** Resolves when all are connected and counting has begun; `report` when the time is over. */
export const startHlsLoad = async (
  options: HlsLoadOptions & { cpus: string },
): Promise<{ report: Promise<HlsLoadReport>; kill: () => void }> => {
  const { cpus, ...settings } = options;
  const command = ['-c', cpus, process.execPath, PROGRAM, JSON.stringify(settings)];
  const child = spawn('taskset', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const lineAt = async (index: number, maxMs: number): Promise<string> =>
    withinValue(maxMs, `line ${index} of the load`, () => {
      if (child.exitCode !== null && child.exitCode !== 0) {
        throw new Error(`the load ended with code ${child.exitCode}`);
      }
      return lines[index];
    });
  await lineAt(0, CONNECT_MAX_MS);
  const report = lineAt(1, options.durationS * 1000 + 20_000).then((line) => JSON.parse(line) as HlsLoadReport);
  return { report, kill: () => child.kill('SIGKILL') };
};
