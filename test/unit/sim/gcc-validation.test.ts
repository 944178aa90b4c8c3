/** The baseline on step traces, before any gain over it is quoted (CONGESTION 9, risk a): how fast it rises, how deep it backs off, what queue it keeps. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { GccController } from '../../../server/congestion/gcc/gcc-controller.ts';
import { B2, optionsFor } from '../../sim/policies.ts';
import { runViewer } from '../../sim/viewer-run.ts';

type Point = { readonly atMs: number; readonly estimateBps: number; readonly queueMs: number };

const MEGA = 1_000_000;

const trace = (steps: readonly (readonly [number, number])[], queueMs = 300): Point[] => {
  const points: Point[] = [];
  const shared = {
    jitterMs: 0,
    lossRatio: 0,
    lossBurstCount: undefined,
    reorderRatio: 0,
    reorderMaxCount: 3,
    delayMs: 25,
  };
  const mean = steps.reduce((sum, [, bps]) => sum + bps, 0) / steps.length;
  runViewer({
    seed: 11,
    durationMs: steps.reduce((sum, [forMs]) => sum + forMs, 0),
    down: {
      ...shared,
      capacity: { steps: steps.map(([durationMs, rateBps]) => ({ durationMs, rateBps })), isLooped: false },
      queueMaxBytes: (mean * queueMs) / 8_000,
    },
    up: { ...shared, capacity: undefined, queueMaxBytes: Infinity },
    sender: B2.sender,
    makeController: () => new GccController(optionsFor(0.5)),
    sampleEveryMs: 100,
    onSample: ({ nowMs, sender, down }) => {
      const capacityBps = down.capacityBps(nowMs, nowMs + 100) ?? 1;
      points.push({
        atMs: nowMs,
        estimateBps: sender.decision?.estimateBps ?? 0,
        queueMs: (down.queueBytes(nowMs) * 8_000) / Math.max(1, capacityBps),
      });
    },
  });
  return points;
};

const between = (points: readonly Point[], fromMs: number, toMs: number): Point[] =>
  points.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);

test('the initial probes find a fast link within a few seconds', () => {
  const risen = trace([[10_000, 20 * MEGA]]).find(({ estimateBps }) => estimateBps > 4.6 * MEGA);
  assert.ok(risen !== undefined && risen.atMs < 5_000, `${risen?.atMs} ms`);
});

test('after a step down it is below the new capacity within two seconds, and not far below', () => {
  const points = trace([
    [15_000, 6 * MEGA],
    [20_000, 1.5 * MEGA],
  ]);
  const below = between(points, 15_000, 35_000).find(({ estimateBps }) => estimateBps < 1.5 * MEGA);
  assert.ok(below !== undefined && below.atMs < 17_000, `${below?.atMs} ms`);
  const later = between(points, 20_000, 35_000);
  const least = Math.min(...later.map(({ estimateBps }) => estimateBps));
  assert.ok(least > 0.5 * MEGA, `${least}`);
});

test('a back-off keeps about 85 % of what arrives', () => {
  const points = trace([
    [15_000, 6 * MEGA],
    [10_000, 2 * MEGA],
  ]);
  const first = between(points, 15_000, 18_000);
  const least = Math.min(...first.map(({ estimateBps }) => estimateBps));
  assert.ok(least > 0.6 * 2 * MEGA && least < 1.05 * 2 * MEGA, `${least}`);
});

test('the queue it keeps is short', () => {
  const points = between(trace([[60_000, 3 * MEGA]]), 20_000, 60_000);
  const queues = points.map(({ queueMs }) => queueMs).sort((a, b) => a - b);
  assert.ok(queues[Math.floor(0.5 * queues.length)]! < 30, 'median');
  assert.ok(queues[Math.floor(0.95 * queues.length)]! < 150, 'p95');
});

test('limited by what there is to send it probes, and comes back after a dip', () => {
  const points = trace([
    [15_000, 8 * MEGA],
    [3_000, 0.8 * MEGA],
    [32_000, 8 * MEGA],
  ]);
  const back = between(points, 18_000, 50_000).find(({ estimateBps }) => estimateBps > 2.8 * MEGA);
  assert.ok(back !== undefined && back.atMs < 43_000, `${back?.atMs} ms`);
});
