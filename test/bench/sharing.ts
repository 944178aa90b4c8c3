/**
 * The adaptive controller among others: two viewers behind one link (do they share it?), and joins over a long way. Receivers are those of
 * `npm run load`: real ICE, DTLS, feedback and NACKs, no decoder.
 */
import { WhepViewer } from '../latency/load/whep-viewer.ts';
import { startLink } from '../latency/link/emulated-link.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { percentile } from '../latency/viewer/frame-analysis.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { passMs, within } from '../support/wait.ts';
import type { Bench } from './row.ts';

const CONFIG = {
  congestion: { controller: 'adaptive' },
  ladder: { sidesPx: [240] },
  webrtc: { requestsPerMinute: 1_000 },
};
/** Enough for one viewer of the source (1.5 Mbit/s) and one of the rung, not for two of the source. */
const SHARED_BPS = 2_200_000;
const SHARE_SETTLE_MS = 10_000;
const SHARE_MS = 20_000;
const JOIN_COUNT = 30;
const JOIN_RTT_MS = 100;
const JOIN_MAX_MS = 10_000;

export const sharingBench: Bench = {
  name: 'sharing',
  run: async () => {
    const sluice = await SluiceProcess.start({ config: CONFIG });
    const publisher = await Publisher.start({ url: sluice.rtmpUrl('shared'), preset: 'zerolatency' });
    try {
      await sluice.waitState('shared', 'live');
      // The ladder's rung begins a little later than the source.
      await passMs(5_000);
      const url = `${sluice.httpUrl}/whep/shared`;
      const { jainRatio, rates } = await shareLink(url);
      const joinsMs = await joinFarAway(url);
      return [
        {
          name: `two viewers on ${SHARED_BPS / 1e6} Mbit/s, RTT 40 ms: Jain's index of their bytes`,
          value: jainRatio,
          unit: '',
          target: { min: 0.8 },
          note: rates.map((bps) => `${(bps / 1e6).toFixed(2)} Mbit/s`).join(', '),
        },
        {
          name: `join at RTT ${JOIN_RTT_MS} ms: POST to first whole picture, p95 of ${JOIN_COUNT}`,
          value: percentile(joinsMs, 0.95),
          unit: 'ms',
          target: { max: 1_000 },
          note: `p50 ${percentile(joinsMs, 0.5).toFixed(0)}`,
        },
      ];
    } finally {
      await publisher.stop();
      await sluice.stop();
    }
  },
};

const shareLink = async (url: string): Promise<{ jainRatio: number; rates: number[] }> => {
  const link = await startLink({ rttMs: 40, down: { rateBps: SHARED_BPS } }, { seed: 1 });
  const viewers: WhepViewer[] = [];
  try {
    const whepUrl = await link.through(url);
    for (let count = 0; count < 2; count += 1) {
      const viewer = new WhepViewer({ whepUrl });
      viewers.push(viewer);
      await viewer.start();
    }
    await passMs(SHARE_SETTLE_MS);
    const before = viewers.map(({ counts }) => counts.byteCount);
    await passMs(SHARE_MS);
    const rates = viewers.map(({ counts }, index) => (8_000 * (counts.byteCount - (before[index] ?? 0))) / SHARE_MS);
    const sum = rates.reduce((total, rate) => total + rate, 0);
    const squares = rates.reduce((total, rate) => total + rate * rate, 0);
    return { jainRatio: (sum * sum) / (rates.length * squares), rates };
  } finally {
    for (const viewer of viewers) {
      await viewer.close();
    }
    await link.close();
  }
};

const joinFarAway = async (url: string): Promise<number[]> => {
  const link = await startLink({ rttMs: JOIN_RTT_MS, down: { rateBps: 10_000_000 } }, { seed: 2 });
  const joinsMs: number[] = [];
  try {
    const whepUrl = await link.through(url);
    for (let count = 0; count < JOIN_COUNT; count += 1) {
      const viewer = new WhepViewer({ whepUrl });
      await viewer.start();
      await within(JOIN_MAX_MS, 'a whole picture', () => viewer.join.firstFrameMs !== null);
      joinsMs.push(viewer.join.firstFrameMs ?? JOIN_MAX_MS);
      await viewer.close();
    }
    return joinsMs;
  } finally {
    await link.close();
  }
};
