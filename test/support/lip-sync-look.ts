/** Whether sound and picture of a viewer are together, however busy the machine is. */
import assert from 'node:assert/strict';
import { percentile } from '../latency/viewer/frame-analysis.ts';
import { findFlashes, pairOffsets, startSoundProbe, takeBeeps } from '../latency/viewer/lip-sync.ts';
import type { Viewer } from '../latency/viewer/viewer.ts';
import { passMs } from './wait.ts';

export const LIP_SYNC_MAX_MS = 60;
/** Chrome's synchronisation moves once a second, and its sound buffer shrinks slowly after the start. */
export const WHEP_SETTLE_MS = 10_000;
export const HLS_SETTLE_MS = 4_000;

const LOOK_MAX_COUNT = 3;
const PAIR_MIN_COUNT = 4;
const OBSERVE_MS = 9_000;

/** `ownMs`: the probe's own offset, as measured where both are in step. */
export type LipSyncLook = { readonly settleMs: number; readonly ownMs: number };

/**
 * Median of sound against picture, the probe's own error taken off, after the player had time to bring both together. Where the machine
 * was held up meanwhile the player has to begin anew: up to three looks, of which the first in step counts, else the last.
 */
export const lipSyncMs = async (viewer: Viewer, { settleMs, ownMs }: LipSyncLook): Promise<number> => {
  await viewer.waitFrame(15_000);
  await startSoundProbe(viewer.page);
  await passMs(settleMs);
  for (let look = 1; ; look += 1) {
    await takeBeeps(viewer.page);
    await viewer.observe(OBSERVE_MS);
    const offsetsMs = pairOffsets(findFlashes(await viewer.frames()), await takeBeeps(viewer.page));
    assert.ok(offsetsMs.length >= PAIR_MIN_COUNT, `only ${offsetsMs.length} flashes with their beeps`);
    const offsetMs = percentile(offsetsMs, 0.5) - ownMs;
    if (Math.abs(offsetMs) <= LIP_SYNC_MAX_MS || look === LOOK_MAX_COUNT) {
      return offsetMs;
    }
  }
};
