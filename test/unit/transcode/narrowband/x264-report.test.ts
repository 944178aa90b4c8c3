/** What x264 says at its end, as ffmpeg 5.1 passes it on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readContent } from '../../../../transcode/narrowband/quality-probe.ts';
import { readX264Reports } from '../../../../transcode/narrowband/x264-report.ts';

const said = (encoder: string, { ssim = '0.9563823', psnr = '35.743' } = {}): string =>
  [
    'frame I:4     Avg QP:25.76  size:106937  PSNR Mean Y:37.24 U:40.01 V:42.44 Avg:38.15 Global:37.89',
    'frame P:92    Avg QP:28.09  size:  7369  PSNR Mean Y:35.68 U:38.86 V:41.97 Avg:36.71 Global:36.62',
    'mb I  I16..4: 13.2% 23.8% 63.1%',
    'mb P  I16..4:  0.8%  1.3%  0.6%  P16..4: 31.6%  9.1%  2.6%  0.0%  0.0%    skip:54.0%',
    '8x8 transform intra:32.4% inter:39.0%',
    `SSIM Mean Y:${ssim} (13.603db)`,
    `PSNR Mean Y:${psnr} U:38.905 V:41.987 Avg:36.770 Global:36.669 kb/s:2211.48`,
  ]
    .map((text) => `[libx264 @ ${encoder}] ${text}`)
    .join('\n');

const OPENING = (encoder: string): string =>
  `[libx264 @ ${encoder}] using cpu capabilities: MMX2 AVX2\n[libx264 @ ${encoder}] profile High, level 3.1, 4:2:0, 8-bit`;

test('one report an encoder, in the order in which they close, whatever the order in which they opened', () => {
  const lines = [OPENING('0x2'), OPENING('0x1'), said('0x1'), said('0x2', { ssim: '0.99' })].join('\n');
  const reports = readX264Reports(lines);
  assert.deepEqual(reports[0], {
    ...{
      keyframeCount: 4,
      pictureCount: 92,
      keyframeQp: 25.76,
      pictureQp: 28.09,
      keyframeBytes: 106937,
      pictureBytes: 7369,
    },
    ...{ intraRatio: (0.8 + 1.3 + 0.6) / 100, skipRatio: 0.54, psnrDb: 35.743, ssimRatio: 0.9563823 },
  });
  assert.equal(reports[1]?.ssimRatio, 0.99);
  assert.equal(reports.length, 2);
});

test('a picture without error has a finite measure; an encoder that made one picture only has no report', () => {
  assert.equal(readX264Reports(said('0x1', { psnr: 'inf' }))[0]?.psnrDb, 60);
  const lines = said('0x1').replace(/^.*frame P.*\n/m, '');
  assert.deepEqual(readX264Reports(lines), [undefined]);
});

test('what is not x264’s is passed over', () => {
  assert.deepEqual(readX264Reports('[h264 @ 0x1] frame I:4 Avg QP:25.76 size:106937\nbench: utime=1.8s\n'), []);
});

test('movement of the source, from ffmpeg’s summary', () => {
  const lines =
    '[Parsed_siti_2 @ 0x55] SITI Summary:\nTotal frames: 90\n\nSpatial Information:\nAverage: 81.9\nMax: 83.8\n';
  assert.equal(readContent(lines), undefined);
  assert.deepEqual(readContent(`${lines}Min: 80.7\n\nTemporal Information:\nAverage: 8.104558\nMax: 10.8\n`), {
    temporalInfo: 8.104558,
  });
});
