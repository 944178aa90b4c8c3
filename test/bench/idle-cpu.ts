/** What one source costs that nobody watches: CPU of the server and of its ffmpeg children. */
import { Publisher } from '../latency/source/publisher.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { passMs } from '../support/wait.ts';
import type { Bench } from './row.ts';

const SETTLE_MS = 6_000;
const DURATION_MS = process.env['SLUICE_SIZE'] === 'soak' ? 60_000 : 15_000;

export const idleCpuBench: Bench = {
  name: 'idle-cpu',
  run: async () => {
    // The ladder has its own row: what it may take is the configuration's to say.
    const sluice = await SluiceProcess.start({ config: { ladder: { enabled: false } } });
    const publisher = await Publisher.start({
      ...{ url: sluice.rtmpUrl('idle'), preset: 'zerolatency', widthPx: 1920, heightPx: 1080, bitrateBps: 4_500_000 },
    });
    try {
      await sluice.waitState('idle', 'live');
      await passMs(SETTLE_MS);
      const startedAtMs = performance.now();
      const allBeforeMs = sluice.cpuMs({ withChildren: true });
      const ownBeforeMs = sluice.cpuMs({ withChildren: false });
      await passMs(DURATION_MS);
      const elapsedMs = performance.now() - startedAtMs;
      const ratio = (ms: number): number => (100 * ms) / elapsedMs;
      const childCount = sluice.childPids().length;
      return [
        {
          name: 'One 1080p30 zerolatency source, no viewer, no ladder: server and children',
          value: ratio(sluice.cpuMs({ withChildren: true }) - allBeforeMs),
          unit: '% of a core',
          target: { max: 5 },
          note: `${childCount} children, over ${(elapsedMs / 1000).toFixed(0)} s`,
        },
        {
          name: 'of which the server itself',
          value: ratio(sluice.cpuMs({ withChildren: false }) - ownBeforeMs),
          unit: '% of a core',
        },
      ];
    } finally {
      await publisher.stop();
      await sluice.stop();
    }
  },
};
