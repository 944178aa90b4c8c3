/** Encoders and servers die and return; viewers' pages go on by themselves. */
import assert from 'node:assert/strict';
import { after, test, type TestContext } from 'node:test';
import type { Viewer } from '../latency/viewer/viewer.ts';
import { closeBrowser } from '../support/browser.ts';
import { LiveStage } from '../support/live-stage.ts';
import type { Publisher } from '../latency/source/publisher.ts';
import type { SluiceProcess } from '../support/sluice-process.ts';

const RETURN_MAX_MS = 20_000;
const RETURNED_MIN_FPS = 25;

after(closeBrowser);

/** Nothing of the page may have been loaded again: the mark would be gone. */
const mark = async (viewer: Viewer): Promise<void> => {
  await viewer.page.evaluate(() => Object.assign(globalThis, { sluiceMark: true }));
};

const assertSamePage = async (viewer: Viewer): Promise<void> => {
  const isMarked = await viewer.page.evaluate(() => (globalThis as { sluiceMark?: boolean }).sluiceMark === true);
  assert.ok(isMarked, 'the page was loaded again');
};

/**
 * The player gives WHEP 3 s, then takes LL-HLS. Whatever is slow once only (the browser's first decoder, Opus's first packet) is
 * over when a bare page has played; the watch page then has no excuse.
 */
const watchByWhep = async (stage: LiveStage, sluice: SluiceProcess, name: string): Promise<Viewer> => {
  const first = await stage.viewer({ target: { kind: 'whep', url: sluice.whepUrl(name) } });
  await first.waitFrame(15_000);
  await first.close();
  const viewer = await stage.viewer({ target: { kind: 'page', url: sluice.watchUrl(name) } });
  await viewer.waitFrame(15_000);
  assert.equal((await viewer.element()).sourceKind, 'srcObject', 'the page did not take WHEP');
  return viewer;
};

const watchBothWays = async (stage: LiveStage, sluice: SluiceProcess, name: string): Promise<Viewer[]> => {
  const whep = await watchByWhep(stage, sluice, name);
  const hls = await stage.viewer({ target: { kind: 'page', url: `${sluice.watchUrl(name)}?transport=ll-hls` } });
  await hls.waitFrame(15_000);
  assert.equal((await hls.element()).sourceKind, 'src');
  await mark(whep);
  await mark(hls);
  return [whep, hls];
};

/** Pictures stamped after `sinceWallMs` move on every viewer's screen. */
const assertLiveAgain = async (
  t: TestContext,
  viewers: readonly Viewer[],
  publisher: Publisher,
  sinceWallMs: number,
): Promise<void> => {
  for (const viewer of viewers) {
    await viewer.forget();
    await viewer.waitFrame(RETURN_MAX_MS, (frame) => {
      const ageMs = frame.stamp === null ? Number.NaN : (frame.shownAtWallMs - frame.stamp) % 2 ** 24;
      return frame.shownAtWallMs - ageMs > sinceWallMs;
    });
    const { sourceKind } = await viewer.element();
    // By LL-HLS a player may have to fill its buffer once more before it plays on; by WebRTC there is none to fill.
    const deadlineMs = sourceKind === 'src' ? performance.now() + RETURN_MAX_MS : 0;
    let report = await viewer.observePaced(publisher, 4_000, RETURNED_MIN_FPS);
    while (report.pictureFps < RETURNED_MIN_FPS && performance.now() < deadlineMs) {
      report = await viewer.observePaced(publisher, 4_000, RETURNED_MIN_FPS);
    }
    t.diagnostic(`${sourceKind} after the return: ${JSON.stringify(report)}`);
    assert.ok(report.pictureFps >= RETURNED_MIN_FPS, `${report.pictureFps} pictures a second after the return`);
    await assertSamePage(viewer);
  }
};

test(
  'the encoder is killed and restarted within the grace: WHEP and LL-HLS viewers go on without reload',
  { timeout: 120_000 },
  async (t) => {
    const stage = new LiveStage(t);
    const sluice = await stage.server();
    const encoder = await stage.publisher({ url: sluice.rtmpUrl('back'), preset: 'zerolatency' });
    await sluice.waitState('back', 'live');
    const viewers = await watchBothWays(stage, sluice, 'back');

    await encoder.kill();
    await sluice.waitState('back', 'reconnecting');
    const returnedAtWallMs = Date.now();
    const returned = await stage.publisher({ url: sluice.rtmpUrl('back'), preset: 'zerolatency' });
    await sluice.waitState('back', 'live');
    await assertLiveAgain(t, viewers, returned, returnedAtWallMs);
    assert.equal((await viewers[0]?.element())?.sourceKind, 'srcObject', 'the viewer by WHEP stays with it');
  },
);

test('the server is killed and restarted: players come back alone', { timeout: 120_000 }, async (t) => {
  const stage = new LiveStage(t);
  const sluice = await stage.server();
  const encoder = await stage.publisher({ url: sluice.rtmpUrl('again'), preset: 'zerolatency' });
  await sluice.waitState('again', 'live');
  const viewers = await watchBothWays(stage, sluice, 'again');

  await sluice.kill();
  await encoder.stop();
  const returnedAtWallMs = Date.now();
  const restarted = stage.adopt(await sluice.restart());
  const returned = await stage.publisher({ url: restarted.rtmpUrl('again'), preset: 'zerolatency' });
  await restarted.waitState('again', 'live');
  await assertLiveAgain(t, viewers, returned, returnedAtWallMs);
});
