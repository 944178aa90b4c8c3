/** What hardware encoders are told, and how what they make is read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitAnnexB, startsWithStartCode } from '../../../server/media/h264/annex-b.ts';
import { joinNalUnits } from '../../../server/media/h264/nal-units.ts';
import type { NutStream } from '../../../server/media/nut/nut-headers.ts';
import type { LadderEncoder } from '../../../transcode/hardware-args.ts';
import { HARDWARE_ENCODERS, deviceArgs, encoderFormat } from '../../../transcode/hardware-args.ts';
import { ladderGraph, ladderOutputs } from '../../../transcode/ladder-args.ts';
import type { LadderPlan } from '../../../transcode/ladder-plan.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT, isSameLadder, planLadder } from '../../../transcode/ladder-plan.ts';

import { isMadeInAnnexB, madePayload, madeTrack } from '../../../transcode/made-tracks.ts';

const plan = (encoder: LadderEncoder, cpuMaxCores = 0): LadderPlan =>
  planLadder({
    source: { widthPx: 1920, heightPx: 1080, frameRateFps: 30 },
    options: { ...LADDER_DEFAULTS, cpuMaxCores },
    speeds: SPEEDS_DEFAULT,
    coreCount: 4,
    shedCount: 0,
    encoder,
  });

test('every one aims at a quality below the cap, makes no B-frames, and IDRs where they are forced', () => {
  for (const encoder of HARDWARE_ENCODERS) {
    const { rungs } = plan(encoder);
    const job = { rungs, keyframes: 'whole-seconds', sourceFrameRateFps: 30, encodeFromMs: 0 } as const;
    for (const [index, args] of ladderOutputs(job).entries()) {
      const valueOf = (name: string): string | undefined =>
        args.includes(name) ? args[args.indexOf(name) + 1] : undefined;
      assert.equal(valueOf('-c:v'), `h264_${encoder}`);
      assert.equal(valueOf('-bf'), '0');
      assert.equal(valueOf('-maxrate'), String(rungs[index]!.bitrateMaxBps));
      assert.ok((valueOf('-cq') ?? valueOf('-global_quality') ?? valueOf('-q:v')) !== undefined, encoder);
      assert.ok(args.includes('-force_key_frames'));
      if (encoder === 'nvenc' || encoder === 'qsv') {
        assert.equal(valueOf('-forced-idr') ?? valueOf('-forced_idr'), '1');
      }
      assert.ok(!args.includes('-x264-params'));
    }
    assert.match(ladderGraph(job), new RegExp(`${encoderFormat(encoder)}\\[v0\\]`));
  }
  assert.deepEqual(deviceArgs('vaapi').slice(0, 2), ['-init_hw_device', 'vaapi=gpu']);
  assert.deepEqual(deviceArgs('software'), []);
});

test('hardware leaves the budget to decoding and scaling, and is another ladder than software', () => {
  assert.equal(plan('software', 0.5).rungs.length, 2);
  assert.equal(plan('nvenc', 0.5).rungs.length, 3);
  assert.ok(!isSameLadder(plan('software'), plan('nvenc')));
  assert.ok(plan('nvenc').rungs.every(({ encoder }) => encoder === 'nvenc'));
});

const SPS = Uint8Array.of(0x67, 0x64, 0, 0x1f, 0xac, 1, 0, 0, 3, 1);
const PPS = Uint8Array.of(0x68, 0xee, 0x3c);
const IDR = Uint8Array.of(0x65, 1, 2, 0, 0, 3, 1, 9);
const AUD = Uint8Array.of(0x09, 0xf0);
const START = Uint8Array.of(0, 0, 0, 1);
const SHORT_START = Uint8Array.of(0, 0, 1);

const streamWith = (codecSpecific: Uint8Array): NutStream => ({
  index: 0,
  kind: 'video',
  fourCc: 'H264',
  timeBase: { num: 1, den: 90_000 },
  ptsShiftBits: 0,
  codecSpecific,
  widthPx: 640,
  heightPx: 360,
  sampleRateHz: 0,
  channelCount: 0,
});

test('NAL units behind start codes of either length, with zeros after them, are found', () => {
  const bytes = Buffer.concat([START, SPS, SHORT_START, PPS, START, IDR, Uint8Array.of(0, 0)]);
  assert.deepEqual(
    splitAnnexB(bytes).map((nalUnit) => [...nalUnit]),
    [[...SPS], [...PPS], [...IDR]],
  );
  assert.deepEqual(splitAnnexB(Uint8Array.of(5, 6, 7)), []);
  assert.deepEqual(splitAnnexB(new Uint8Array()), []);
  assert.ok(startsWithStartCode(bytes) && startsWithStartCode(SHORT_START));
  assert.ok(!startsWithStartCode(joinNalUnits([SPS, PPS])));
});

test('start codes become lengths, the set-up goes into the track, wherever the encoder put it', () => {
  const inBand = Buffer.concat([START, AUD, START, SPS, START, PPS, START, IDR]);
  const expected = madeTrack(streamWith(joinNalUnits([SPS, PPS])), joinNalUnits([IDR]), 0);
  for (const codecSpecific of [Buffer.concat([START, SPS, START, PPS]), new Uint8Array()]) {
    const stream = streamWith(codecSpecific);
    assert.ok(isMadeInAnnexB(stream, inBand));
    const track = madeTrack(stream, inBand, 0);
    assert.deepEqual(track, expected);
    assert.deepEqual([...madePayload(track, inBand, true)], [...joinNalUnits([IDR])]);
  }
  const withLengths = streamWith(joinNalUnits([SPS, PPS]));
  // A NAL unit of 256 bytes has a length that looks like a start code; the set-up tells.
  const large = joinNalUnits([new Uint8Array(256).fill(0x41)]);
  assert.ok(startsWithStartCode(large) && !isMadeInAnnexB(withLengths, large));
  assert.equal(madePayload(expected, large, false), large);
});
