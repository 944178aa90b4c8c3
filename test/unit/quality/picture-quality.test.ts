/** What ffmpeg and libvmaf say about pictures, and how far they may be trusted: same is best, coarser is worse, missing is refused. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { measurePictures, parseSsimLog, parseVmafLog, scoresOf } from '../../quality/picture-quality.ts';
import { findQualityTools, runTool } from '../../quality/quality-tools.ts';
import { ffmpegMissing } from '../../support/ffmpeg-media.ts';
import { tempFolder } from '../../support/temp-folder.ts';

test('the scores of pictures are read in the order shown', () => {
  assert.deepEqual(
    parseSsimLog('n:1 Y:0.98 U:0.99 V:0.99 All:0.983 (17.6)\nn:2 Y:1.0 U:1.0 V:1.0 All:1.000 (inf)\n'),
    [0.983, 1],
  );
  const frames = [
    { frameNum: 1, metrics: { vmaf: 90.5, integer_motion2: 1 } },
    { frameNum: 0, metrics: { vmaf: 80.25, integer_motion2: 0 } },
  ];
  assert.deepEqual(parseVmafLog(JSON.stringify({ version: '3', fps: 30, frames })), [80.25, 90.5]);
  assert.throws(() => parseVmafLog('{"frames":[{"frameNum":0,"metrics":{}}]}'));
});

test('pictures at the start can be left out of the mean', () => {
  assert.deepEqual(scoresOf([10, 20, 40], 1), { frames: [20, 40], mean: 30 });
  assert.equal(scoresOf([10], 1).mean, Number.NaN);
});

test('a named ffmpeg without libvmaf is refused, not passed over', async () => {
  await assert.rejects(findQualityTools({ vmafFfmpegPath: '/nowhere/ffmpeg' }), /no such program/);
  await assert.rejects(findQualityTools({ vmafFfmpegPath: 'true' }), /has no filter libvmaf/);
});

describe('with ffmpeg', { skip: ffmpegMissing() }, () => {
  const folder = tempFolder('quality-test');
  const make = async (name: string, args: readonly string[], seconds = 0.4): Promise<string> => {
    const source = `testsrc2=size=192x108:rate=25:duration=${seconds}`;
    const path = join(folder, name);
    await runTool('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', source, '-pix_fmt', 'yuv420p', ...args, path]);
    return path;
  };

  test('the same is best, a coarser encode is worse, and fewer pictures are refused', async () => {
    const tools = await findQualityTools();
    const size = { widthPx: 192, heightPx: 108 };
    const referencePath = await make('reference.nut', ['-c:v', 'libx264', '-qp', '0']);
    const coarsePath = await make('coarse.mp4', ['-c:v', 'libx264', '-qp', '40']);
    const shortPath = await make('short.mp4', ['-c:v', 'libx264'], 0.2);
    const same = await measurePictures({ tools, encodedPath: referencePath, referencePath, ...size });
    const coarse = await measurePictures({ tools, encodedPath: coarsePath, referencePath, ...size });
    assert.equal(same.frameCount, 10);
    assert.equal(same.ssim.mean, 1);
    assert.equal(coarse.ssim.frames.length, 10);
    assert.ok(coarse.ssim.mean > 0.5 && coarse.ssim.mean < 0.99, `${coarse.ssim.mean}`);
    if (same.vmaf !== undefined && coarse.vmaf !== undefined) {
      assert.ok(same.vmaf.mean > 97, `${same.vmaf.mean}`);
      assert.ok(coarse.vmaf.mean < same.vmaf.mean - 5, `${coarse.vmaf.mean}`);
    }
    await assert.rejects(
      measurePictures({ tools, encodedPath: shortPath, referencePath, ...size }),
      /has 5 pictures, its reference 10/,
    );
  });
});
