/** `npm run ladder` on a clip of two and a half seconds: numbers on the screen, one page; a clear sentence for what it cannot read. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { runTool } from '../quality/quality-tools.ts';
import { tempFolder } from '../support/temp-folder.ts';

const MAIN = join(import.meta.dirname, '..', 'quality', 'main.ts');
const folder = tempFolder('ladder-tool');
const clip = join(folder, 'clip.mp4');
const page = join(folder, 'report.html');

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

const ladder = async (...args: readonly string[]): Promise<Ended> => {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [MAIN, ...args, '--out', page])) };
  } catch (error) {
    return error as Ended;
  }
};

before(async () => {
  const picture = 'testsrc2=size=450x250:rate=20:duration=2.5';
  await runTool('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', picture, '-pix_fmt', 'yuv420p', clip]);
});

test('a clip becomes curves, a difference in bits, lag and cost', async () => {
  const config = join(folder, 'config.yaml');
  writeFileSync(config, 'ladder: { sidesPx: [360, 180] }\n');
  const { code, stdout, stderr } = await ladder(clip, '--config', config);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /h180 \(324×180, 20 fps\)/);
  assert.equal(stdout.match(/CRF \d+ +\d+ +\S+ +0\.\d+/g)?.length, 4);
  assert.equal(stdout.match(/CBR \d+ kbit\/s +\d+ +\S+ +0\.\d+/g)?.length, 4);
  assert.match(stdout, /bits for the same quality/);
  assert.match(stdout, /Encoder's lag: 0 pictures/);
  assert.match(stdout, /Left out: h360: the source has 250 lines itself/);
  assert.match(stderr, /… h180: .*CRF 23/);
  const html = readFileSync(page, 'utf8');
  assert.match(html, /"curves":\[\{"name":"x264 veryfast/);
  assert.doesNotMatch(html, /<(?:script|link)[^>]+(?:src|href)=/);
});

test('what cannot be read, has no pictures, or is not planned is said in one line', async () => {
  const words = join(folder, 'words.mp4');
  writeFileSync(words, 'not a video');
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[join(folder, 'missing.mp4')], /missing\.mp4 cannot be read/],
    [[words], /words\.mp4.*Invalid data/],
    [[clip, '--rungs', 'h720'], /--rungs h720: no rung is planned/],
    [[clip, '--vmaf-ffmpeg', '/nowhere/ffmpeg'], /\/nowhere\/ffmpeg: there is no such program/],
  ];
  for (const [args, wanted] of cases) {
    const { code, stderr } = await ladder(...args);
    assert.equal(code, 1);
    assert.match(stderr, wanted);
    assert.doesNotMatch(stderr, /\n\s+at /, 'no stack');
  }
});
