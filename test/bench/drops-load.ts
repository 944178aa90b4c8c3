/**
 * A crowd at a drop, in a process of its own: `drops-load.ts JSON`. Tokens are signed beforehand. Prints a line when it is ready, waits for a line, claims,
 * and prints what it saw as JSON.
 */
import { once } from 'node:events';
import { runCrowd } from '../support/claim-crowd.ts';
import type { CrowdClaim } from '../support/claim-crowd.ts';
import { viewerToken } from '../support/drop-shop.ts';

export type DropsLoadOptions = {
  readonly port: number;
  readonly broadcast: string;
  readonly id: string;
  readonly connectionCount: number;
  readonly claimCount: number;
  /** So many different viewers; the others come again. */
  readonly viewerCount: number;
  /** Every so many-th token is forged; 0: none. */
  readonly forgedEvery: number;
};

export type DropsLoadReport = {
  readonly elapsedMs: number;
  readonly cpuMs: number;
  readonly lostCount: number;
  readonly countByStatus: Readonly<Record<string, number>>;
  /** Of claims that were granted, from the request to the last byte of the ticket. */
  readonly grantedMs: Spread;
  readonly refusedMs: Spread;
};

export type Spread = { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number };

const spreadOf = (values: readonly number[]): Spread => {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (ratio: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * ratio))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
};

const options = JSON.parse(process.argv[2] ?? '{}') as DropsLoadOptions;
const path = `/api/broadcasts/${options.broadcast}/drops/${options.id}/claims`;
const expiresAtS = Math.ceil(Date.now() / 1000) + 3_600;
const forged = Buffer.from('not a secret of the shop, 32 b..');
const claims: CrowdClaim[] = Array.from({ length: options.viewerCount }, (_, index) => {
  const isForged = options.forgedEvery > 0 && index % options.forgedEvery === options.forgedEvery - 1;
  const secret = isForged ? { secret: forged } : {};
  return {
    path,
    token: viewerToken(`customer ${index}`, { broadcast: options.broadcast, expiresAtS, ...secret }),
    keepsBody: false,
  };
});

console.log('ready');
await once(process.stdin, 'data');

const countByStatus: Record<string, number> = {};
const grantedMs: number[] = [];
const refusedMs: number[] = [];
let sentCount = 0;
let lostCount = 0;
const cpuBefore = process.cpuUsage();
const startedAtMs = performance.now();
await runCrowd({
  port: options.port,
  connectionCount: options.connectionCount,
  next: () => (sentCount < options.claimCount ? claims[sentCount++ % claims.length] : undefined),
  onAnswer: (_claim, { status, sentAtMs, lastByteAtMs }) => {
    countByStatus[status] = (countByStatus[status] ?? 0) + 1;
    (status === 201 ? grantedMs : refusedMs).push(lastByteAtMs - sentAtMs);
  },
  onLost: () => (lostCount += 1),
});
const elapsedMs = performance.now() - startedAtMs;
const cpu = process.cpuUsage(cpuBefore);
const report: DropsLoadReport = {
  elapsedMs,
  cpuMs: (cpu.user + cpu.system) / 1000,
  lostCount,
  countByStatus,
  grantedMs: spreadOf(grantedMs),
  refusedMs: spreadOf(refusedMs),
};
console.log(JSON.stringify(report));
process.exit(0);
