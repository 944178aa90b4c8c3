/** OpusHead, and how long packets last. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { opusPacketSamples, parseOpusHead } from '../../../../server/media/opus/opus-config.ts';
import { OPUS_HEAD, OPUS_PACKET } from '../../../support/flv-samples.ts';

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

test('an OpusHead gives its channels; anything else is refused', () => {
  assert.equal(parseOpusHead(OPUS_HEAD).channelCount, 2);
  assert.throws(() => parseOpusHead(OPUS_HEAD.subarray(1)), hasCode('OPUS_CONFIG_INVALID'));
  assert.throws(() => parseOpusHead(Buffer.from('OpusTags00000000000')), hasCode('OPUS_CONFIG_INVALID'));
});

test('the table of contents tells the duration', () => {
  assert.equal(opusPacketSamples(OPUS_PACKET), 960);
  assert.equal(opusPacketSamples(Uint8Array.of(0x00)), 480);
  assert.equal(opusPacketSamples(Uint8Array.of(0xe1)), 240);
  assert.equal(opusPacketSamples(Uint8Array.of(0xfb, 3)), 2_880);
});

test('a packet of no frames, of more than 120 ms, or of no bytes is refused', () => {
  for (const packet of [[0xfb, 0], [0xfb, 63], []]) {
    assert.throws(() => opusPacketSamples(Uint8Array.from(packet)), hasCode('OPUS_PACKET_INVALID'));
  }
});
