/**
 * What a claim costs: a crowd over 64 connections at a drop of 1,000, the same where every claim is granted, and each by the short way and by the router
 * (where a proxy or TLS stands in front). Server with its disk on one core, crowd on the other.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { placeDrop } from '../support/drop-shop.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { withinValue } from '../support/wait.ts';
import type { DropsLoadOptions, DropsLoadReport } from './drops-load.ts';
import type { Bench, BenchRow } from './row.ts';

const PROGRAM = fileURLToPath(new URL('drops-load.ts', import.meta.url));
const SERVER_CPU = '0';
const LOAD_CPU = '1';
const CONNECTION_COUNT = 64;
const CLAIM_COUNT = 200_000;
const STOCK = 1_000;
const BROADCAST = 'shop';
const SET_UP_MAX_MS = 60_000;
const RUN_MAX_MS = 240_000;

type Crowd = Pick<DropsLoadOptions, 'claimCount' | 'viewerCount' | 'forgedEvery'> & { readonly id: string };

/** 1,000 are granted; 2 % are forged; everybody comes twice, so that 1,000 get the ticket they have. */
const MIXED: Crowd = { id: 'mixed', claimCount: CLAIM_COUNT, viewerCount: CLAIM_COUNT / 2, forgedEvery: 50 };
const GRANTED: Crowd = { id: 'granted', claimCount: 20_000, viewerCount: 20_000, forgedEvery: 0 };
const EARLY: Crowd = { ...MIXED, id: 'early', claimCount: CLAIM_COUNT / 2 };

export const dropsBench: Bench = {
  name: 'drops',
  run: async () => {
    const { sluice, stop } = await open();
    try {
      // As it is at a drop: the impatient come first, and by then the code is warm.
      const early = await measure(sluice, EARLY);
      const mixed = await measure(sluice, MIXED);
      const granted = await measure(sluice, GRANTED);
      return [
        ...rowsOf('claims mixed (1,000 granted)', mixed, { rate: { min: 20_000 }, grantedMs: { max: 20 } }),
        ...rowsOf('claims before the instant', early, {}),
        ...rowsOf('claims all granted', granted, { grantedMs: { max: 20 } }),
      ];
    } finally {
      await stop();
    }
  },
};

const open = async (): Promise<{ sluice: SluiceProcess; stop: () => Promise<void> }> => {
  const free = { ticketsPerAddressMaxCount: 1_000_000, claimsPerAddressMaxPerS: 1_000_000 };
  const first = await SluiceProcess.start({ cpus: SERVER_CPU, config: { drops: free } });
  await first.kill();
  const dataDir = path.join(first.folder, 'data');
  const terms = { broadcast: BROADCAST, opensAtWallMs: Date.now() };
  await placeDrop(dataDir, { ...terms, id: MIXED.id, stock: STOCK });
  await placeDrop(dataDir, { ...terms, id: GRANTED.id, stock: GRANTED.claimCount });
  await placeDrop(dataDir, { ...terms, id: EARLY.id, stock: STOCK, opensAtWallMs: Date.now() + 3_600_000 });
  const sluice = await first.restart();
  return { sluice, stop: async () => sluice.stop() };
};

type Measured = DropsLoadReport & { readonly serverCpuMs: number };

const measure = async (sluice: SluiceProcess, crowd: Crowd): Promise<Measured> => {
  const load = { ...crowd, port: sluice.ports.http, broadcast: BROADCAST, connectionCount: CONNECTION_COUNT };
  const child = spawn('taskset', ['-c', LOAD_CPU, process.execPath, PROGRAM, JSON.stringify(load)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const lineAt = async (index: number, maxMs: number): Promise<string> =>
    withinValue(maxMs, `line ${index} of the crowd`, () => {
      if (child.exitCode !== null && child.exitCode !== 0) {
        throw new Error(`the crowd ended with code ${child.exitCode}`);
      }
      return lines[index];
    });
  await lineAt(0, SET_UP_MAX_MS);
  const before = sluice.cpuMs({ withChildren: false });
  child.stdin.write('go\n');
  const report = JSON.parse(await lineAt(1, RUN_MAX_MS)) as DropsLoadReport;
  return { ...report, serverCpuMs: sluice.cpuMs({ withChildren: false }) - before };
};

type Targets = { readonly rate?: { readonly min: number }; readonly grantedMs?: { readonly max: number } };

const rowsOf = (name: string, measured: Measured, targets: Targets): BenchRow[] => {
  const { grantedMs, countByStatus, serverCpuMs, elapsedMs, cpuMs, refusedMs, lostCount } = measured;
  const claimCount = Object.values(countByStatus).reduce((sum, count) => sum + count, 0);
  const counts = Object.entries(countByStatus).map(([status, count]) => `${count} × ${status}`);
  const rate: BenchRow = {
    name: `${name}: a second of one core, over ${CONNECTION_COUNT} connections`,
    value: (1000 * claimCount) / serverCpuMs,
    unit: 'claims',
    ...(targets.rate === undefined ? {} : { target: targets.rate }),
    note: [
      counts.join(', '),
      `${((1000 * claimCount) / elapsedMs).toFixed(0)} a second by the clock`,
      `crowd ${((100 * cpuMs) / elapsedMs).toFixed(0)} % of its core`,
      `refusals p50/p99 ${refusedMs.p50.toFixed(1)}/${refusedMs.p99.toFixed(1)} ms`,
      ...(lostCount === 0 ? [] : [`${lostCount} lost`]),
    ].join('; '),
  };
  const granted: BenchRow = {
    name: `${name}: request to ticket, synced to disk, p99`,
    value: grantedMs.p99,
    unit: 'ms',
    ...(targets.grantedMs === undefined ? {} : { target: targets.grantedMs }),
    note: `p50 ${grantedMs.p50.toFixed(1)}, longest ${grantedMs.max.toFixed(1)}, ${grantedMs.count} granted`,
  };
  return grantedMs.count === 0 ? [rate] : [rate, granted];
};
