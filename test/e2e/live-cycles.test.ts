/**
 * Viewers who come and go, publishers who come and go: memory returns to where it was. Two rules, after a warm-up of a few cycles. What is
 * alive on the heap (by a snapshot, which collects the rest) may grow by 8 MB: compiled code and the GOP that happens to be cached; in
 * soak sizes a leak of 40 kB a join fails. Resident memory, which also knows what is native but breathes with the collector, may grow by
 * 24 MB from a base that has had room for a collection.
 */
import assert from 'node:assert/strict';
import { after, test, type TestContext } from 'node:test';
import { WhepViewer } from '../latency/load/whep-viewer.ts';
import { closeBrowser } from '../support/browser.ts';
import { LIVE_HEAP_NODE_ARGS, liveHeapBytes } from '../support/live-heap.ts';
import { LiveStage } from '../support/live-stage.ts';
import { metricSum, type SluiceProcess } from '../support/sluice-process.ts';
import { passMs, within } from '../support/wait.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const JOIN_COUNT = IS_SOAK ? 200 : 20;
const PUBLISH_COUNT = IS_SOAK ? 50 : 3;
const WARM_UP_COUNT = IS_SOAK ? 5 : 3;
const GROWTH_MAX_BYTES = 24 * 2 ** 20;
const HEAP_GROWTH_MAX_BYTES = 8e6;
const READING_COUNT = 6;
const READING_EVERY_MS = 500;
const SETTLE_MAX_MS = 20_000;

const JOIN_CONFIG = { webrtc: { requestsPerMinute: 10_000, joinsPerS: 50 } };
/** Nothing of a broadcast is kept for long after its publisher left. */
const PUBLISH_CONFIG = { publish: { reconnectGraceMs: 500 }, hls: { keepAfterEndMs: 500 } };

after(closeBrowser);

const leastRssBytes = async (sluice: SluiceProcess): Promise<number> => {
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < READING_COUNT; k += 1) {
    await passMs(READING_EVERY_MS);
    least = Math.min(least, sluice.rssBytes());
  }
  return least;
};

type Memory = { readonly heapBytes: number; readonly rssBytes: number };

/** The snapshot first: it makes the collector run, and is itself in the resident base. */
const readBase = async (sluice: SluiceProcess): Promise<Memory> => ({
  heapBytes: await liveHeapBytes(sluice),
  rssBytes: await leastRssBytes(sluice),
});

/** Memory comes back when the collector has run: waited for, up to a limit. */
const assertReturned = async (t: TestContext, sluice: SluiceProcess, base: Memory): Promise<void> => {
  const baseBytes = base.rssBytes;
  let rssBytes = await leastRssBytes(sluice);
  const deadlineMs = performance.now() + SETTLE_MAX_MS;
  while (rssBytes - baseBytes > GROWTH_MAX_BYTES && performance.now() < deadlineMs) {
    rssBytes = Math.min(rssBytes, await leastRssBytes(sluice));
  }
  t.diagnostic(`base ${(baseBytes / 1e6).toFixed(1)} MB, after ${(rssBytes / 1e6).toFixed(1)} MB`);
  assert.ok(rssBytes - baseBytes <= GROWTH_MAX_BYTES, `grew by ${((rssBytes - baseBytes) / 1e6).toFixed(1)} MB`);
  const heapGrowthBytes = (await liveHeapBytes(sluice)) - base.heapBytes;
  t.diagnostic(
    `alive on the heap: ${(base.heapBytes / 1e6).toFixed(1)} MB, then ${(heapGrowthBytes / 1e6).toFixed(1)} MB more`,
  );
  assert.ok(heapGrowthBytes <= HEAP_GROWTH_MAX_BYTES, `${(heapGrowthBytes / 1e6).toFixed(1)} MB more are alive`);
};

const joinAndLeave = async (sluice: SluiceProcess, name: string): Promise<void> => {
  const peer = new WhepViewer({ whepUrl: sluice.whepUrl(name) });
  try {
    await peer.start();
    await within(10_000, 'a first picture', () => peer.join.firstFrameMs !== null);
  } finally {
    await peer.close();
  }
};

test(
  'viewers join and leave: memory returns, no session stays',
  { timeout: IS_SOAK ? 900_000 : 120_000 },
  async (t) => {
    const stage = new LiveStage(t);
    const sluice = await stage.server({ config: JOIN_CONFIG, nodeArgs: LIVE_HEAP_NODE_ARGS });
    await stage.publisher({ url: sluice.rtmpUrl('cycle'), preset: 'zerolatency', bitrateBps: 500_000 });
    await sluice.waitState('cycle', 'live');
    for (let k = 0; k < WARM_UP_COUNT; k += 1) {
      await joinAndLeave(sluice, 'cycle');
    }
    const base = await readBase(sluice);
    for (let k = 0; k < JOIN_COUNT; k += 1) {
      await joinAndLeave(sluice, 'cycle');
    }
    await within(10_000, 'all viewers are gone', async () =>
      (await sluice.broadcasts()).every((summary) => summary.viewerCount === 0),
    );
    await assertReturned(t, sluice, base);
  },
);

test(
  'publishers come and go: memory returns, no child process stays',
  { timeout: IS_SOAK ? 900_000 : 150_000 },
  async (t) => {
    const stage = new LiveStage(t);
    const sluice = await stage.server({ config: PUBLISH_CONFIG, nodeArgs: LIVE_HEAP_NODE_ARGS });
    const cycle = async (name: string): Promise<void> => {
      const publisher = await stage.publisher({
        url: sluice.rtmpUrl(name),
        preset: 'zerolatency',
        bitrateBps: 500_000,
      });
      await sluice.waitState(name, 'live');
      await passMs(1_500);
      await publisher.stop();
      await within(15_000, `broadcast ${name} is over`, async () =>
        (await sluice.broadcasts()).every((summary) => summary.name !== name || summary.state === 'ended'),
      );
    };
    for (let k = 0; k < 2; k += 1) {
      await cycle(`warm-${k}`);
    }
    const base = await readBase(sluice);
    for (let k = 0; k < PUBLISH_COUNT; k += 1) {
      await cycle(k % 2 === 0 ? 'same' : `other-${k}`);
    }
    await within(10_000, 'no child process is left', () => sluice.childPids().length === 0);
    await assertReturned(t, sluice, base);
    assert.ok(metricSum(await sluice.metrics(), 'process_resident_memory_bytes') > 0);
  },
);
