/** What OBS sends untouched (High, two B-frames, one keyframe in 250 frames, AAC) reaches viewers whole, by both ways. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { closeBrowser } from '../support/browser.ts';
import { startSoundProbe, takePeak } from '../latency/viewer/lip-sync.ts';
import { LiveStage } from '../support/live-stage.ts';
import { passMs, within } from '../support/wait.ts';
import { offerSdp } from '../support/whep-client.ts';

const OBSERVE_MS = process.env['SLUICE_SIZE'] === 'soak' ? 60_000 : 6_000;
const AUDIBLE_PEAK = 0.1;
/** One at the start and one more after loss would be understandable; a storm is several a second. */
const PLI_MAX_COUNT = 3;

after(closeBrowser);

test(
  "OBS's defaults play by WHEP and by LL-HLS: full frame rate, audible, no storm of picture requests",
  { timeout: 180_000 },
  async (t) => {
    const stage = new LiveStage(t);
    const sluice = await stage.server();
    const publisher = await stage.publisher({ url: sluice.rtmpUrl('obs'), preset: 'obs-default' });
    await sluice.waitState('obs', 'live');

    const whep = await stage.viewer({ target: { kind: 'whep', url: sluice.whepUrl('obs') } });
    await whep.waitFrame(20_000);
    await startSoundProbe(whep.page);
    const seen = await whep.observePaced(publisher, OBSERVE_MS, 29);
    t.diagnostic(`WHEP: ${JSON.stringify(seen)}`);
    assert.ok(seen.pictureFps >= 29, `WHEP shows ${seen.pictureFps} distinct pictures a second`);
    assert.equal(seen.backwardCount, 0, 'pictures out of order');
    assert.ok((await takePeak(whep.page)) >= AUDIBLE_PEAK, 'WHEP is silent');
    const { pliCount = 0 } = await whep.inboundVideo();
    assert.ok(pliCount <= PLI_MAX_COUNT, `${pliCount} picture loss indications`);

    const hls = await stage.viewer({ target: { kind: 'page', url: `${sluice.watchUrl('obs')}?transport=ll-hls` } });
    await hls.waitFrame(20_000);
    assert.equal((await hls.element()).sourceKind, 'src');
    await startSoundProbe(hls.page);
    await within(10_000, 'LL-HLS is audible', async () => (await takePeak(hls.page)) >= AUDIBLE_PEAK);
    const shown = await hls.observePaced(publisher, OBSERVE_MS, 28);
    t.diagnostic(`LL-HLS: ${JSON.stringify(shown)}`);
    assert.ok(shown.pictureFps >= 28, `LL-HLS shows ${shown.pictureFps} distinct pictures a second`);
    assert.equal(shown.backwardCount, 0, 'pictures out of order');
  },
);

test('who offers while ffmpeg still starts is let in, not sent away', { timeout: 60_000 }, async (t) => {
  const stage = new LiveStage(t);
  const sluice = await stage.server();
  await stage.publisher({ url: sluice.rtmpUrl('obs'), preset: 'obs-default' });
  await sluice.waitState('obs', 'live');
  const isRepaired = (): boolean => sluice.logLines.some((line) => /"repaired":\{"isNeeded":true/.test(line));
  const refusals: string[] = [];
  const offer = async (): Promise<void> => {
    const headers = { 'content-type': 'application/sdp' };
    const response = await fetch(sluice.whepUrl('obs'), { method: 'POST', headers, body: offerSdp() });
    const text = await response.text();
    if (response.status === 201) {
      await fetch(new URL(response.headers.get('location')!, sluice.httpUrl), { method: 'DELETE' });
    } else {
      refusals.push(`${response.status} ${text}`);
    }
  };
  await within(10_000, 'B-frames are found and ffmpeg is started', async () => {
    await offer();
    return isRepaired();
  });
  // From here ffmpeg needs some tenths of a second to start.
  for (let k = 0; k < 10; k += 1) {
    await offer();
    await passMs(100);
  }
  assert.deepEqual(refusals, []);
});
