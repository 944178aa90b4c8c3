/**
 * Memory of a WHEP viewer who watches 2.65 Mbit/s: resident memory of the server with 100 and with 400 of them, each time when it has stopped growing. Node
 * gives memory back on its own time, and collects what the pictures left (some 0.7 MB a second, whoever watches) once in a minute: that moves the number by some 100 kB, and by three times as much with a third of the viewers.
 */
import { startLoad } from '../latency/load/load-run.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { passMs } from '../support/wait.ts';
import type { Bench } from './row.ts';

/** These warm the code up and fill the heap's young half: what that takes is no viewer's. */
const BASE_COUNT = 100;
const MORE_COUNT = 300;
const BITRATE_BPS = 2_650_000;
const JOINS_PER_S = 25;
/** They are told to leave before. */
const LOAD_MAX_S = 300;
const LOOK_EVERY_MS = 1_000;
/** Longer than from one full collection to the next. */
const STEADY_MS = 30_000;
const STEADY_MAX_MS = 75_000;
const GROWTH_MAX_RATIO = 0.01;

/** The most of the time in which it did not grow any more. */
const settledRssBytes = async (sluice: SluiceProcess): Promise<number> => {
  let [fromBytes, steadyMs] = [0, 0];
  for (let passedMs = 0; steadyMs < STEADY_MS && passedMs < STEADY_MAX_MS; passedMs += LOOK_EVERY_MS) {
    await passMs(LOOK_EVERY_MS);
    const bytes = sluice.rssBytes();
    const hasGrown = bytes > fromBytes * (1 + GROWTH_MAX_RATIO);
    fromBytes = hasGrown ? bytes : fromBytes;
    steadyMs = hasGrown ? 0 : steadyMs + LOOK_EVERY_MS;
  }
  return fromBytes;
};

export const memoryBench: Bench = {
  name: 'memory',
  run: async () => {
    const sluice = await SluiceProcess.start({
      config: { ladder: { enabled: false }, webrtc: { requestsPerMinute: 10_000, joinsPerS: 50 } },
    });
    const publisher = await Publisher.start({
      ...{ url: sluice.rtmpUrl('idle'), preset: 'zerolatency', bitrateBps: BITRATE_BPS, noiseRatio: 1 },
    });
    try {
      await sluice.waitState('idle', 'live');
      const leave = new AbortController();
      const target = { kind: 'whep', url: sluice.whepUrl('idle') } as const;
      const shape = { target, joinsPerS: JOINS_PER_S, durationS: LOAD_MAX_S, signal: leave.signal };
      const base = await startLoad({ ...shape, viewerCount: BASE_COUNT });
      const beforeBytes = await settledRssBytes(sluice);
      const more = await startLoad({ ...shape, viewerCount: MORE_COUNT });
      const afterBytes = await settledRssBytes(sluice);
      leave.abort();
      const { bitrateBps, viewerCount } = await more.report;
      await base.report;
      return [
        {
          name: 'Memory per WHEP viewer',
          value: (afterBytes - beforeBytes) / more.joinedCount / 1000,
          unit: 'kB',
          target: { max: 250 },
          note: `resident, ${(bitrateBps / viewerCount / 1e6).toFixed(2)} Mbit/s each, ${base.joinedCount} → ${base.joinedCount + more.joinedCount} viewers, ${(beforeBytes / 1e6).toFixed(0)} → ${(afterBytes / 1e6).toFixed(0)} MB`,
        },
      ];
    } finally {
      await publisher.stop();
      await sluice.stop();
    }
  },
};
