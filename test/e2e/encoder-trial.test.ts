/** The test encode with the real ffmpeg: what passes makes a rung as it must be; what does not says why, in time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../server/observability/log.ts';
import { EncoderFinder } from '../../transcode/encoder-finder.ts';
import { createEncoderTrial } from '../../transcode/encoder-trial.ts';
import { HARDWARE_ENCODERS } from '../../transcode/hardware-args.ts';
import { ffmpegMissing } from '../support/ffmpeg-media.ts';

const options = { skip: ffmpegMissing(), timeout: 60_000 };

test('software passes the test that hardware is put to', options, async () => {
  assert.equal(await createEncoderTrial('ffmpeg')('software'), undefined);
});

test('each hardware encoder works here or says why not', options, async (t) => {
  for (const encoder of HARDWARE_ENCODERS) {
    const fault = await createEncoderTrial('ffmpeg')(encoder);
    t.diagnostic(`${encoder}: ${fault ?? 'works'}`);
    assert.ok(fault === undefined || fault.length > 10);
  }
});

test('without ffmpeg software is chosen, and the sentence says what is missing', options, async () => {
  const finder = new EncoderFinder({
    wish: 'auto',
    tryEncoder: createEncoderTrial('/nonexistent/ffmpeg'),
    platform: 'linux',
    log: silentLog,
  });
  await finder.find();
  assert.equal(finder.status.name, 'software');
  assert.match(finder.status.why, /cannot be run|there is no/);
});
