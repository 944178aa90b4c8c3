/** A careful streamer's stream passes untouched; who joins in mid-GOP sees a picture at once; sound and picture stay together. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { soundProbeOffsetMs } from '../latency/viewer/self-check.ts';
import { closeBrowser } from '../support/browser.ts';
import { HLS_SETTLE_MS, LIP_SYNC_MAX_MS, WHEP_SETTLE_MS, lipSyncMs } from '../support/lip-sync-look.ts';
import { LiveStage } from '../support/live-stage.ts';
import { within } from '../support/wait.ts';

after(closeBrowser);

test('who joins in mid-GOP sees a picture without waiting for the next keyframe', { timeout: 90_000 }, async (t) => {
  const stage = new LiveStage(t);
  const sluice = await stage.server();
  // 2 s: the longest GOP that passes without repair.
  const publisher = await stage.publisher({ url: sluice.rtmpUrl('join'), preset: 'zerolatency', gopS: 2 });
  await sluice.waitState('join', 'live');
  const [first = 0] = await withStamps(publisher);
  const warm = await stage.viewer({ target: { kind: 'whep', url: sluice.whepUrl('join') } });
  await warm.waitFrame(15_000);
  const waitsMs: number[] = [];
  let withoutKeyframeCount = 0;
  for (let k = 0; k < 4; k += 1) {
    // Just after a keyframe: the next is nearly two seconds away.
    await within(3_000, 'a keyframe has just passed', () => (Date.now() - first) % 2_000 < 150);
    const askedAtWallMs = Date.now();
    const viewer = await stage.viewer({ target: { kind: 'whep', url: sluice.whepUrl('join') } });
    const frame = await viewer.waitFrame(10_000);
    const keyframesBetween =
      Math.floor((frame.shownAtWallMs - first) / 2_000) - Math.floor((askedAtWallMs - first) / 2_000);
    waitsMs.push(frame.shownAtWallMs - viewer.startedAtWallMs);
    withoutKeyframeCount += keyframesBetween === 0 ? 1 : 0;
    await viewer.close();
  }
  // A server that waits for keyframes never manages it; a busy machine may make a join longer than a GOP now and then.
  assert.ok(
    withoutKeyframeCount >= 2,
    `only ${withoutKeyframeCount} of ${waitsMs.length} joins came before the next keyframe`,
  );
  t.diagnostic(`first frames after ${waitsMs.map(Math.round).join(', ')} ms`);
});

test(
  'a zerolatency source passes untouched, with sound and picture within 60 ms by both ways',
  { timeout: 120_000 },
  async (t) => {
    const stage = new LiveStage(t);
    const sluice = await stage.server();
    await stage.publisher({ url: sluice.rtmpUrl('zero'), preset: 'zerolatency' });
    await sluice.waitState('zero', 'live');
    const [ownMs, streamOwnMs] = await Promise.all([soundProbeOffsetMs(false), soundProbeOffsetMs(true)]);
    t.diagnostic(
      `the sound probe's own offset where an element plays a file: ${ownMs} ms, a stream: ${streamOwnMs} ms`,
    );

    const whep = await stage.viewer({ target: { kind: 'whep', url: sluice.whepUrl('zero') } });
    const whepMs = await lipSyncMs(whep, { settleMs: WHEP_SETTLE_MS, ownMs: streamOwnMs });
    t.diagnostic(`WHEP: sound ${whepMs} ms after the picture; ${JSON.stringify(await whep.inboundVideo())}`);
    await whep.close();
    const hls = await stage.viewer({ target: { kind: 'page', url: `${sluice.watchUrl('zero')}?transport=ll-hls` } });
    const hlsMs = await lipSyncMs(hls, { settleMs: HLS_SETTLE_MS, ownMs });
    t.diagnostic(`LL-HLS: sound ${hlsMs} ms after the picture`);
    assert.ok(Math.abs(whepMs) <= LIP_SYNC_MAX_MS, `WHEP: sound is ${whepMs} ms after the picture`);
    assert.ok(Math.abs(hlsMs) <= LIP_SYNC_MAX_MS, `LL-HLS: sound is ${hlsMs} ms after the picture`);
  },
);

/** The stamps, as soon as there are some; frame 0 is a keyframe, and so is every second times two after it. */
const withStamps = async (publisher: { readonly stampsMs: readonly number[] }): Promise<readonly number[]> => {
  await within(5_000, 'the publisher tells its stamps', () => publisher.stampsMs.length > 60);
  // The start was late by the time ffmpeg took to open; later frames keep the pace.
  const paced = (publisher.stampsMs[60] ?? 0) - 2_000;
  return [paced];
};
