/**
 * Viewers come and go over a way that loses 1 %, of a broadcast with rungs encoded beforehand: nobody fails, and when all have gone no session is left,
 * no socket, and no more alive on the heap than a warm-up left there. How promptly they are served is `npm run bench -- whep-churn`'s business.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runLoad } from '../latency/load/load-run.ts';
import type { LoadReport } from '../latency/load/load-report.ts';
import { startRungHost, type RungHost } from '../support/rung-host-process.ts';
import type { RungHostHeld } from '../support/rung-host.ts';
import { within } from '../support/wait.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const VIEWER_COUNT = IS_SOAK ? 300 : 6;
const CHURN_PER_S = IS_SOAK ? 20 : 3;
const DURATION_S = IS_SOAK ? 1_800 : 5;
const WARM_UP_S = IS_SOAK ? 30 : 2;
/** Compiled code, and the GOPs that happen to be cached. */
const HEAP_GROWTH_MAX_BYTES = 8e6;

test(
  'viewers who come and go over a lossy way leave no session, no socket and no memory behind',
  { timeout: IS_SOAK ? 2_400_000 : 120_000 },
  async (t) => {
    const host = await startRungHost();
    t.after(async () => host.stop());
    const { socketCount } = await host.held();
    await watch(host, WARM_UP_S);
    const base = await settled(host, socketCount);
    const report = await watch(host, DURATION_S);
    t.diagnostic(JSON.stringify(report));
    const after = await settled(host, socketCount);
    t.diagnostic(`${JSON.stringify({ ...base, metricsText: '' })} → ${JSON.stringify({ ...after, metricsText: '' })}`);
    assert.deepEqual(report.failures, {});
    assert.deepEqual(report.endedEarly, {});
    assert.ok(report.leftCount > 0);
    assert.ok((report.counts['recoveredCount'] ?? 0) > 0, 'what was lost on the way came again');
    assert.ok(after.heapBytes - base.heapBytes <= HEAP_GROWTH_MAX_BYTES, 'more is alive on the heap');
  },
);

const watch = async (host: RungHost, durationS: number): Promise<LoadReport> =>
  runLoad({
    ...{ target: { kind: 'whep', url: host.whepUrl, lossRatio: 0.01 }, viewerCount: VIEWER_COUNT, durationS },
    // Who vanishes is known to be gone ten seconds later.
    ...{ churnPerS: CHURN_PER_S, vanishRatio: IS_SOAK ? 0.25 : 0, joinsPerS: 20, processCount: 1 },
  });

/** With as many sockets as while nobody had ever watched. */
const settled = async (host: RungHost, socketMaxCount: number): Promise<RungHostHeld> => {
  let held = await host.held();
  await within(30_000, 'all sessions and their sockets are gone', async () => {
    held = await host.held();
    return held.sessionCount === 0 && held.socketCount <= socketMaxCount;
  });
  return held;
};
