/** HEVCDecoderConfigurationRecord as x265 and ffmpeg make it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isHevcKeyframeNal, parseHevcConfig } from '../../../../server/media/hevc/hevc-config.ts';
import { HEVC_CONFIG } from '../../../support/flv-samples.ts';

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

test('a record gives codec string and the size within the conformance window', () => {
  assert.deepEqual(parseHevcConfig(HEVC_CONFIG), {
    lengthBytes: 4,
    codecString: 'hvc1.1.6.L60.90',
    widthPx: 322,
    heightPx: 182,
  });
});

test('a truncated record is refused', () => {
  for (let length = 0; length < 75; length += 1) {
    assert.throws(() => parseHevcConfig(HEVC_CONFIG.subarray(0, length)), hasCode('HEVC_CONFIG_INVALID'), `${length}`);
  }
});

test('IDR and CRA are keyframes, trailing pictures and parameter sets are not', () => {
  const isKeyframe = (type: number): boolean => isHevcKeyframeNal(Uint8Array.of(type << 1, 1));
  assert.deepEqual([1, 16, 19, 20, 21, 22, 32, 33].map(isKeyframe), [
    false,
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});
