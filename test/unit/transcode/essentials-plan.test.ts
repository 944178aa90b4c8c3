/** What is made of which source. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamFacts } from '../../../server/media/stream-source.ts';
import { NO_PLAN, planEssentials } from '../../../transcode/essentials-plan.ts';
import type { PlanInput } from '../../../transcode/essentials-plan.ts';
import { TEST_AUDIO_TRACK, TEST_VIDEO_TRACK } from '../../support/units.ts';

const SAFE: StreamFacts = {
  hasReordering: false,
  gopMaxMs: 1_000,
  isGopKnown: true,
  frameRateFps: 30,
  bitrateBps: 2_000_000,
};

const plan = (facts: Partial<StreamFacts>, rest: Partial<PlanInput> = {}) =>
  planEssentials({
    video: { track: TEST_VIDEO_TRACK, facts: { ...SAFE, ...facts } },
    audio: { track: TEST_AUDIO_TRACK },
    before: undefined,
    mayStopRepair: false,
    ...rest,
  });

test('AAC always gets Opus; a safe picture is left alone', () => {
  assert.equal(plan({}).opus.isNeeded, true);
  assert.equal(plan({}).repaired.isNeeded, false);
});

test('Opus is taken as it is by WebRTC, and gets AAC for LL-HLS and recordings', () => {
  const { opus, aac } = plan({}, { audio: { track: { ...TEST_AUDIO_TRACK, codec: 'opus', codecString: 'opus' } } });
  assert.deepEqual([opus.isNeeded, aac.isNeeded], [false, true]);
  assert.match(aac.reasons.join(), /Opus/);
  assert.equal(plan({}).aac.isNeeded, false);
});

test('B-frames, and GOPs known to be over 2 s, are repaired, with the reason in words', () => {
  assert.match(plan({ hasReordering: true }).repaired.reasons.join(), /B-frames/);
  assert.match(plan({ gopMaxMs: 8_333 }).repaired.reasons.join(), /8\.3 s apart/);
  assert.equal(plan({ gopMaxMs: 8_333, isGopKnown: false }).repaired.isNeeded, false);
  assert.equal(plan({ gopMaxMs: 2_033 }).repaired.isNeeded, false);
});

test('HEVC and AV1 are repaired to H.264', () => {
  for (const codec of ['hevc', 'av1'] as const) {
    const video = { track: { ...TEST_VIDEO_TRACK, codec }, facts: SAFE };
    assert.equal(plan({}, { video }).repaired.isNeeded, true);
  }
});

test('H.264 in a profile that browsers do not show is repaired, with what to set', () => {
  for (const [codecString, isNeeded] of [
    ['avc1.42e01f', false],
    ['avc1.4d401f', false],
    ['avc1.64001f', false],
    ['avc1.6e001f', true],
    ['avc1.7a001f', true],
    ['avc1.f4001f', true],
  ] as const) {
    const { repaired } = plan({}, { video: { track: { ...TEST_VIDEO_TRACK, codecString }, facts: SAFE } });
    assert.equal(repaired.isNeeded, isNeeded, codecString);
    assert.equal(/NV12/.test(repaired.reasons.join()), isNeeded);
  }
});

test('a repair stays on until another publisher was seen to need none', () => {
  const before = plan({ hasReordering: true });
  assert.equal(plan({}, { before }).repaired.isNeeded, true);
  assert.equal(plan({}, { before, mayStopRepair: true }).repaired.isNeeded, false);
  assert.equal(plan({ hasReordering: true }, { before, mayStopRepair: true }).repaired.isNeeded, true);
});

test('Opus sources need no Opus; sources without sound or without picture need nothing for it', () => {
  const opus = { ...TEST_AUDIO_TRACK, codec: 'opus' as const, timescaleHz: 48_000 };
  assert.equal(plan({}, { audio: { track: opus } }).opus.isNeeded, false);
  assert.equal(plan({}, { audio: undefined }).opus.isNeeded, false);
  assert.deepEqual(plan({}, { audio: undefined, video: undefined }), NO_PLAN);
});
