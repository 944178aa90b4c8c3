/** AudioSpecificConfig: the ones encoders send, and ones nobody should. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAacConfig } from '../../../../server/media/aac/audio-specific-config.ts';

const parse = (text: string): unknown => parseAacConfig(Buffer.from(text, 'hex'));
const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

test('AAC-LC 48 kHz stereo and 44.1 kHz mono are read', () => {
  const common = { objectType: 2, samplesPerUnit: 1_024, codecString: 'mp4a.40.2' };
  assert.deepEqual(parse('1190'), { ...common, sampleRateHz: 48_000, channelCount: 2 });
  assert.deepEqual(parse('1208'), { ...common, sampleRateHz: 44_100, channelCount: 1 });
});

test('HE-AAC counts in samples of its core', () => {
  // Type 5, core 24 kHz (6), stereo, extension 48 kHz (3), core type 2.
  assert.deepEqual(parse('2b118800'), {
    objectType: 5,
    sampleRateHz: 24_000,
    channelCount: 2,
    samplesPerUnit: 1_024,
    codecString: 'mp4a.40.5',
  });
});

test('a program config element, another object type, a reserved frequency and an empty record are refused', () => {
  for (const text of ['1180', '0990', '1690', '']) {
    assert.throws(() => parse(text), hasCode('AAC_CONFIG_INVALID'), text);
  }
});
