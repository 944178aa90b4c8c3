/** A rung whose CRF follows what is shown, as hls.js meets it: the encoder that takes over is not seen. It takes a probe and half a minute of calm: full size only. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { BroadcastSummary } from '../../server/api/contract/socket.ts';
import { closeBrowser } from '../support/browser.ts';
import { ffmpegMissing } from '../support/ffmpeg-media.ts';
import { openHlsJs } from '../support/hls-js-page.ts';
import { LiveStage } from '../support/live-stage.ts';
import { within, withinValue } from '../support/wait.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const skip = IS_SOAK ? ffmpegMissing() : 'a minute and a half: SLUICE_SIZE=soak';
const NAME = 'calm';
const RUNG = 'h240';
/** Chromium needs as much to have played beyond the change. */
const PLAYS_ON_FRAMES = 300;

after(closeBrowser);

test(
  'hls.js plays over a change of CRF without a stall and without an error',
  { skip, timeout: 240_000 },
  async (t) => {
    const stage = new LiveStage(t);
    // A low target, so that the first look at the picture lets the CRF rise.
    const sluice = await stage.server({ config: { ladder: { sidesPx: [240], targetVmaf: 70, lagMaxMs: 1_000 } } });
    await stage.publisher({ url: sluice.rtmpUrl(NAME), preset: 'zerolatency' });
    const ladder = async (): Promise<BroadcastSummary['ladder']> => (await sluice.broadcasts())[0]?.ladder;
    const crf = async (): Promise<number | undefined> =>
      (await ladder())?.narrowband?.rungs.find(({ id }) => id === RUNG)?.crf;
    await within(30_000, 'the rung is made', async () => ((await ladder())?.rungs[0]?.bitrateBps ?? 0) > 0);
    const before = await withinValue(30_000, 'its CRF is told', crf);
    const player = await openHlsJs(sluice.playlistUrl(NAME));
    await player.show(240);
    await within(120_000, 'its CRF has changed', async () => (await crf()) !== before);
    const { frameCount } = await player.look();
    await within(60_000, 'it plays on', async () => (await player.look()).frameCount > frameCount + PLAYS_ON_FRAMES);
    const seen = await player.look();
    const planned = sluice.events('transcode.ladder.planned').map((line) => line['rungs']);
    t.diagnostic(JSON.stringify({ ...seen, planned, narrowband: (await ladder())?.narrowband }));
    assert.ok(planned.length >= 2, 'no encoder took over');
    assert.equal((await ladder())?.restartCount, 0);
    assert.equal(seen.heightPx, 240);
    assert.deepEqual(seen.errors, []);
    assert.equal(seen.waits, 0);
  },
);
