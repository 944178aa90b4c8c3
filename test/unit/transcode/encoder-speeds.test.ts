/** What encoding costs here: measured against a baseline, remembered for this machine, and never trusted blindly. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../../server/observability/log.ts';
import { SpeedBook, measureSpeeds } from '../../../transcode/encoder-speeds.ts';
import { PRESETS, SPEEDS_DEFAULT } from '../../../transcode/ladder-plan.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** 1.5 s of 720p30 in millions of pixels. */
const MEGAPIXELS = (1280 * 720 * 30 * 1.5) / 1e6;
const BASE_MS = 300;
const REFERENCE_MS_PER_MPX = 23.6;

const costing = (msPerMpx: number) => async (args: readonly string[]) =>
  Promise.resolve(BASE_MS + (args.includes('libx264') ? msPerMpx * MEGAPIXELS : 0));

test('a machine that takes twice as long over the picture has twice the usual costs, in everything', async () => {
  const speeds = await measureSpeeds(costing(2 * REFERENCE_MS_PER_MPX));
  for (const preset of PRESETS) {
    assert.ok(Math.abs(speeds.encodeMsPerMpx[preset] - 2 * SPEEDS_DEFAULT.encodeMsPerMpx[preset]) < 1e-6);
  }
  assert.ok(Math.abs(speeds.scaleMsPerMpx - 2 * SPEEDS_DEFAULT.scaleMsPerMpx) < 1e-6);
  assert.ok(Math.abs(speeds.decodeMsPerMpx - 2 * SPEEDS_DEFAULT.decodeMsPerMpx) < 1e-6);
});

test('what no machine takes is refused', async () => {
  for (const msPerMpx of [-1, 0, 0.1, 10_000, Number.NaN]) {
    await assert.rejects(measureSpeeds(costing(msPerMpx)), RangeError);
  }
});

test('what was remembered holds for this machine only; nonsense is measured again', () => {
  const folder = tempFolder('speeds');
  const path = join(folder, 'encoder-speeds.json');
  assert.equal(new SpeedBook(path, silentLog).isMeasured, false);
  for (const text of ['', '{', '{"machine":"another","speeds":{}}', JSON.stringify({ speeds: SPEEDS_DEFAULT })]) {
    writeFileSync(path, text);
    const book = new SpeedBook(path, silentLog);
    assert.equal(book.isMeasured, false, text);
    assert.equal(book.speeds, SPEEDS_DEFAULT);
  }
});

test('what was remembered of other usual costs is measured again', () => {
  const folder = tempFolder('speeds');
  const path = join(folder, 'encoder-speeds.json');
  const machine = `${cpus()[0]?.model.trim() ?? 'unknown'} x ${cpus().length}`;
  const speeds = { ...SPEEDS_DEFAULT, decodeMsPerMpx: 5 };
  writeFileSync(path, JSON.stringify({ machine, usual: SPEEDS_DEFAULT, speeds }));
  assert.deepEqual(new SpeedBook(path, silentLog).speeds, speeds);
  writeFileSync(path, JSON.stringify({ machine, usual: { ...SPEEDS_DEFAULT, scaleMsPerMpx: 9 }, speeds }));
  assert.equal(new SpeedBook(path, silentLog).isMeasured, false);
});

test('an ffmpeg that cannot be run leaves the usual costs, and nothing behind', async () => {
  const folder = tempFolder('speeds');
  const path = join(folder, 'encoder-speeds.json');
  const book = new SpeedBook(path, silentLog);
  await book.measure('/nonexistent/ffmpeg');
  assert.equal(book.speeds, SPEEDS_DEFAULT);
  assert.throws(() => readFileSync(path));
});
