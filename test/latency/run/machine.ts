/** Facts about the machine that measured, for the report; and how busy it was. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export type MachineFacts = {
  readonly cpuModel: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly versions: Readonly<Record<string, string>>;
};

/** Versions of what took part; a program that is not there is left out. */
export const readMachineFacts = (): MachineFacts => {
  const versions = {
    node: process.version,
    ffmpeg: firstLineOf('ffmpeg', ['-version']).replace(/^ffmpeg version (\S+).*$/, '$1'),
    chromium: firstLineOf(process.env['SLUICE_CHROMIUM'] ?? '/usr/bin/chromium', ['--version']).replace(
      /^Chromium (\S+).*$/,
      '$1',
    ),
    sluice: firstLineOf('git', ['-C', ROOT, 'describe', '--always', '--dirty', '--tags']),
  };
  return {
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    cpuCount: cpus().length,
    memoryBytes: totalmem(),
    system: `${type()} ${release()}`,
    versions: Object.fromEntries(Object.entries(versions).filter(([, version]) => version !== '')),
  };
};

const firstLineOf = (command: string, args: readonly string[]): string => {
  try {
    const output = execFileSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    });
    return output.split('\n')[0]?.trim() ?? '';
  } catch {
    return ''; // Not installed: the report says nothing about it.
  }
};

/** Busy and whole CPU time of all cores since the machine started. */
export type CpuTimes = { readonly busyMs: number; readonly totalMs: number };

export const readCpuTimes = (): CpuTimes => {
  const times = cpus().map((core) => core.times);
  const idleMs = times.reduce((sum, time) => sum + time.idle, 0);
  const totalMs = times.reduce((sum, time) => sum + time.idle + time.user + time.sys + time.nice + time.irq, 0);
  return { busyMs: totalMs - idleMs, totalMs };
};

/** The share of all cores' time that was spent between two looks, 0…1. */
export const busyRatioBetween = (before: CpuTimes, after: CpuTimes): number =>
  (after.busyMs - before.busyMs) / Math.max(1, after.totalMs - before.totalMs);
