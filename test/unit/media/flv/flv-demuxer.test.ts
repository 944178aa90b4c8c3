/** FLV and enhanced RTMP tags into access units: times, tracks, keyframes, payloads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceUnit } from '../../../../server/media/access-unit.ts';
import { writeAmf0 } from '../../../../server/media/flv/amf0.ts';
import type { Demuxed } from '../../../../server/media/flv/flv-demuxer.ts';
import { FlvDemuxer } from '../../../../server/media/flv/flv-demuxer.ts';
import type { FlvTagType } from '../../../../server/media/flv/flv-tag.ts';
import { parseAvcConfig } from '../../../../server/media/h264/avc-config.ts';
import { joinNalUnits } from '../../../../server/media/h264/nal-units.ts';
import {
  AV1_CONFIG,
  AVC_CONFIG,
  AVC_CONFIG_B_FRAMES,
  AVC_IDR,
  AVC_NON_IDR,
  HEVC_CONFIG,
  OPUS_HEAD,
  OPUS_PACKET,
  aacConfigTag,
  aacTag,
  avcConfigTag,
  avcTag,
  exAudioTag,
  exVideoFrameTag,
  exVideoTag,
  nal,
} from '../../../support/flv-samples.ts';

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

const push = (demuxer: FlvDemuxer, type: FlvTagType, stampMs: number, body: Uint8Array): Demuxed =>
  demuxer.push({ type, timestampTs32: stampMs, body, arrivedAtMs: 5, arrivedAtWallMs: 6 });

const unitOf = (demuxed: Demuxed): SourceUnit => {
  assert.ok(demuxed.type === 'unit', JSON.stringify(demuxed));
  return demuxed.unit;
};

const withVideo = (config: Uint8Array = AVC_CONFIG): FlvDemuxer => {
  const demuxer = new FlvDemuxer();
  push(demuxer, 9, 0, avcConfigTag(config));
  return demuxer;
};

test('a picture becomes a unit whose payload is the same bytes, and a copy', () => {
  const body = avcTag(AVC_IDR);
  const unit = unitOf(push(withVideo(), 9, 40, body));
  body.fill(0);
  assert.deepEqual(Buffer.from(unit.payload), AVC_IDR);
  assert.deepEqual([unit.dtsTicks, unit.ptsTicks, unit.isKeyframe], [3_600, 3_600, true]);
  assert.deepEqual([unit.arrivedAtMs, unit.arrivedAtWallMs], [5, 6]);
  const { track } = unit;
  assert.ok(track.kind === 'video');
  assert.deepEqual([track.codecString, track.widthPx, track.heightPx], ['avc1.64000d', 320, 180]);
  assert.deepEqual(Buffer.from(track.decoderConfig), AVC_CONFIG);
});

test('composition times are signed', () => {
  const unit = unitOf(push(withVideo(), 9, 100, avcTag(AVC_NON_IDR, -33)));
  assert.equal(unit.ptsTicks - unit.dtsTicks, -2_970);
});

test('times go on over the wrap at 49.7 days, back as well, for both kinds together', () => {
  const demuxer = withVideo();
  push(demuxer, 8, 0, aacConfigTag());
  const near = 2 ** 32 - 20;
  push(demuxer, 9, 2 ** 31, avcTag(AVC_IDR));
  const before = unitOf(push(demuxer, 9, near, avcTag(AVC_IDR)));
  const after = unitOf(push(demuxer, 9, 13, avcTag(AVC_NON_IDR)));
  assert.equal(after.dtsTicks - before.dtsTicks, 33 * 90);
  const straggler = unitOf(push(demuxer, 9, near + 10, avcTag(AVC_NON_IDR)));
  assert.equal(straggler.dtsTicks - before.dtsTicks, 900);
});

test('a clock that restarts gives plain numbers that jump back', () => {
  const demuxer = withVideo();
  push(demuxer, 9, 600_000, avcTag(AVC_IDR));
  assert.equal(unitOf(push(demuxer, 9, 0, avcTag(AVC_IDR))).dtsTicks, 0);
});

test('the NAL units decide what is a keyframe, not the flag of the tag', () => {
  assert.equal(unitOf(push(withVideo(), 9, 0, avcTag(AVC_NON_IDR, 0, 0x17))).isKeyframe, false);
  assert.equal(unitOf(push(withVideo(), 9, 0, avcTag(AVC_IDR, 0, 0x27))).isKeyframe, true);
});

test('what comes before its sequence header is dropped, and says so', () => {
  const demuxer = new FlvDemuxer();
  assert.deepEqual(push(demuxer, 9, 0, avcTag(AVC_IDR)), { type: 'dropped', reason: 'before_config' });
  assert.deepEqual(push(demuxer, 8, 0, aacTag()), { type: 'dropped', reason: 'before_config' });
  assert.deepEqual(push(demuxer, 8, 0, new Uint8Array()), { type: 'dropped', reason: 'empty' });
});

test('the same sequence header again keeps the track object, another replaces it', () => {
  const demuxer = withVideo();
  const first = unitOf(push(demuxer, 9, 0, avcTag(AVC_IDR))).track;
  push(demuxer, 9, 0, avcConfigTag());
  assert.equal(unitOf(push(demuxer, 9, 33, avcTag(AVC_IDR))).track, first);
  push(demuxer, 9, 66, avcConfigTag(AVC_CONFIG_B_FRAMES));
  assert.notEqual(unitOf(push(demuxer, 9, 66, avcTag(AVC_IDR))).track, first);
});

/** The parameter sets of a record, as a picture carries them. */
const setsOf = (config: Uint8Array): Uint8Array => {
  const { sps, pps } = parseAvcConfig(config);
  return joinNalUnits([...sps, ...pps]);
};

test('24: parameter sets that change within the pictures make a new track, equal ones do not', () => {
  const demuxer = withVideo();
  const inBand = (config: Uint8Array): Buffer => Buffer.concat([setsOf(config), AVC_IDR]);
  const first = unitOf(push(demuxer, 9, 0, avcTag(inBand(AVC_CONFIG)))).track;
  assert.deepEqual(Buffer.from(first.decoderConfig), AVC_CONFIG);
  const changed = unitOf(push(demuxer, 9, 33, avcTag(inBand(AVC_CONFIG_B_FRAMES)))).track;
  assert.notEqual(changed, first);
  assert.deepEqual(parseAvcConfig(changed.decoderConfig).sps, parseAvcConfig(Uint8Array.from(AVC_CONFIG_B_FRAMES)).sps);
  assert.equal(unitOf(push(demuxer, 9, 66, avcTag(AVC_NON_IDR))).track, changed);
  push(demuxer, 9, 70, avcConfigTag());
  assert.equal(
    unitOf(push(demuxer, 9, 99, avcTag(AVC_NON_IDR))).track,
    changed,
    'the old header again changes nothing',
  );
});

test('NAL lengths of 2 bytes become 4, in payload and configuration', () => {
  const config = Buffer.from(AVC_CONFIG);
  config[4] = 0xfd;
  const unit = unitOf(
    push(withVideo(config), 9, 0, avcTag(Buffer.concat([Uint8Array.of(0, 20), AVC_IDR.subarray(4)]))),
  );
  assert.deepEqual(Buffer.from(unit.payload), AVC_IDR);
  assert.equal(parseAvcConfig(unit.track.decoderConfig).lengthBytes, 4);
});

/** It says that it is longer than what is there. */
const cutOff = (header: number): Buffer => nal(header).subarray(0, 12);

const outcome = (demuxed: Demuxed): string => (demuxed.type === 'dropped' ? demuxed.reason : demuxed.type);

test('a picture with a wrong NAL length is dropped with all up to the next keyframe, and nothing else is', () => {
  const demuxer = withVideo();
  push(demuxer, 8, 0, aacConfigTag());
  const [key, delta] = [avcTag(AVC_IDR), avcTag(AVC_NON_IDR)];
  const bodies = [
    key,
    avcTag(Buffer.concat([AVC_NON_IDR, cutOff(0x41)])),
    delta,
    avcTag(cutOff(0x65)),
    delta,
    key,
    delta,
  ];
  assert.deepEqual(
    bodies.map((body, index) => outcome(push(demuxer, 9, 33 * index, body))),
    ['unit', 'broken', 'after_broken', 'broken', 'after_broken', 'unit', 'unit'],
  );
  const fault = push(demuxer, 9, 300, avcTag(cutOff(0x41)));
  assert.ok(fault.type === 'dropped' && fault.fault?.code === 'NAL_LENGTH_INVALID', JSON.stringify(fault));
  assert.equal(outcome(push(demuxer, 8, 300, aacTag())), 'unit');
});

test('parameter sets of a picture that is left out hold for the next keyframe', () => {
  const demuxer = withVideo();
  push(demuxer, 9, 0, avcTag(cutOff(0x41)));
  const picture = Buffer.concat([setsOf(AVC_CONFIG_B_FRAMES), AVC_NON_IDR]);
  assert.equal(outcome(push(demuxer, 9, 33, avcTag(picture))), 'after_broken');
  const { track } = unitOf(push(demuxer, 9, 66, avcTag(AVC_IDR)));
  assert.deepEqual(setsOf(track.decoderConfig), setsOf(AVC_CONFIG_B_FRAMES));
});

test('a broken temporal unit of AV1 is dropped likewise', () => {
  const demuxer = new FlvDemuxer();
  push(demuxer, 9, 0, exVideoTag('av01', 0, AV1_CONFIG));
  const frame = (first: number): Buffer => exVideoTag('av01', 1, Uint8Array.of(0x32, 2, first, 0));
  const bodies = [frame(0), exVideoTag('av01', 1, Uint8Array.of(0x32, 9, 0)), frame(0x20), frame(0)];
  assert.deepEqual(
    bodies.map((body, index) => outcome(push(demuxer, 9, 33 * index, body))),
    ['unit', 'broken', 'after_broken', 'unit'],
  );
});

test('a publisher is given up, with the fault, when no keyframe comes for 600 pictures after a broken one', () => {
  const LEFT_OUT_MAX_COUNT = 600;
  const broken = (): Buffer => avcTag(cutOff(0x65));
  for (const [name, later] of Object.entries({ broken, readable: () => avcTag(AVC_NON_IDR) })) {
    const demuxer = withVideo();
    // What a keyframe has ended does not count.
    push(demuxer, 9, 0, broken());
    assert.equal(outcome(push(demuxer, 9, 0, avcTag(AVC_IDR))), 'unit');
    push(demuxer, 9, 0, broken());
    for (let count = 1; count < LEFT_OUT_MAX_COUNT; count += 1) {
      assert.equal(push(demuxer, 9, count, later()).type, 'dropped');
    }
    assert.throws(() => push(demuxer, 9, 0, later()), hasCode('NAL_LENGTH_INVALID'), name);
  }
});

test('24: enhanced RTMP carries HEVC with and without composition times', () => {
  const demuxer = new FlvDemuxer();
  push(demuxer, 9, 0, exVideoTag('hvc1', 0, HEVC_CONFIG));
  const idr = unitOf(push(demuxer, 9, 100, exVideoFrameTag('hvc1', -40, nal(0x26))));
  assert.deepEqual([idr.isKeyframe, idr.ptsTicks, idr.track.codecString], [true, 60 * 90, 'hvc1.1.6.L60.90']);
  const inter = unitOf(push(demuxer, 9, 133, exVideoTag('hvc1', 3, nal(0x02))));
  assert.deepEqual([inter.isKeyframe, inter.ptsTicks - inter.dtsTicks], [false, 0]);
});

test('24: enhanced RTMP carries AV1 and H.264 by FourCC', () => {
  const demuxer = new FlvDemuxer();
  push(demuxer, 9, 0, exVideoTag('av01', 0, AV1_CONFIG));
  const unit = unitOf(push(demuxer, 9, 10, exVideoTag('av01', 1, Uint8Array.of(0x12, 0, 0x32, 2, 0x10, 7))));
  assert.deepEqual([[...unit.payload], unit.isKeyframe, unit.ptsTicks], [[0x32, 2, 0x10, 7], true, 900]);
  push(demuxer, 9, 20, exVideoTag('avc1', 0, AVC_CONFIG));
  assert.equal(unitOf(push(demuxer, 9, 30, exVideoFrameTag('avc1', 10, AVC_IDR))).ptsTicks, 40 * 90);
});

test('24: ModEx in front is skipped, short and long', () => {
  const nanoOffset = Buffer.from([0x97, 2, 0x01, 0x02, 0x03, 0x03]);
  const long = Buffer.concat([Buffer.from([0x97, 255, 1, 0]), Buffer.alloc(257), Buffer.from([0x03])]);
  for (const head of [nanoOffset, long]) {
    const body = Buffer.concat([head, Buffer.from('avc1'), AVC_IDR]);
    assert.deepEqual(Buffer.from(unitOf(push(withVideo(), 9, 0, body)).payload), AVC_IDR);
  }
});

test('24: of several tracks the first is taken', () => {
  const one = (trackId: number): Buffer =>
    Buffer.concat([Buffer.from([0x96, 0x03]), Buffer.from('avc1'), Buffer.from([trackId]), AVC_IDR]);
  assert.deepEqual(Buffer.from(unitOf(push(withVideo(), 9, 0, one(0))).payload), AVC_IDR);
  assert.deepEqual(push(withVideo(), 9, 0, one(1)), { type: 'dropped', reason: 'second_track' });
  const size = Buffer.from([0, 0, AVC_IDR.byteLength]);
  const many = Buffer.concat([
    Buffer.from([0x96, 0x13]),
    Buffer.from('avc1'),
    Buffer.from([0]),
    size,
    AVC_IDR,
    Buffer.from([1]),
    size,
    AVC_NON_IDR,
  ]);
  assert.deepEqual(Buffer.from(unitOf(push(withVideo(), 9, 0, many)).payload), AVC_IDR);
});

test('24: enhanced RTMP carries Opus, whose packets say how long they are', () => {
  const demuxer = new FlvDemuxer();
  push(demuxer, 8, 0, exAudioTag('Opus', 0, OPUS_HEAD));
  const first = unitOf(push(demuxer, 8, 0, exAudioTag('Opus', 1, OPUS_PACKET)));
  const second = unitOf(push(demuxer, 8, 20, exAudioTag('Opus', 1, OPUS_PACKET)));
  assert.deepEqual([second.dtsTicks, second.track.timescaleHz, second.track === first.track], [960, 48_000, true]);
  const short = unitOf(push(demuxer, 8, 40, exAudioTag('Opus', 1, Uint8Array.of(0xf0, 1))));
  assert.ok(short.track.kind === 'audio');
  assert.equal(short.track.samplesPerUnit, 480);
});

test('AAC stamped in whole milliseconds comes out sample-exact, a lost frame stays a gap', () => {
  const demuxer = new FlvDemuxer();
  push(demuxer, 8, 0, aacConfigTag());
  const ticks: number[] = [];
  for (let index = 0; index < 100; index += 1) {
    const stampMs = Math.floor((index * 1_024 * 1_000) / 48_000);
    if (index !== 50) {
      ticks.push(unitOf(push(demuxer, 8, stampMs, aacTag())).dtsTicks);
    }
  }
  const steps = ticks.slice(1).map((tick, index) => tick - ticks[index]!);
  assert.equal(steps.filter((step) => step === 1_024).length, 97);
  assert.ok(Math.abs(steps[49]! - 2_048) < 48, `${steps[49]}`);
});

test('AAC follows a clock that drifts against its samples, without a jump', () => {
  const demuxer = new FlvDemuxer();
  push(demuxer, 8, 0, aacConfigTag());
  let last = 0;
  for (let index = 0; index < 20_000; index += 1) {
    const stampMs = Math.floor(((index * 1_024 * 1_000) / 48_000) * 1.000_1);
    const { dtsTicks } = unitOf(push(demuxer, 8, stampMs, aacTag()));
    assert.ok(index === 0 || Math.abs(dtsTicks - last - 1_024) <= 1, `step ${dtsTicks - last} at ${index}`);
    assert.ok(Math.abs(dtsTicks / 48 - stampMs) < 4, `off by ${dtsTicks / 48 - stampMs} ms at ${index}`);
    last = dtsTicks;
  }
});

test('metadata is read with and without @setDataFrame; other scripts are passed over', () => {
  const values = new Map([['encoder', 'obs-output module']]);
  const demuxer = new FlvDemuxer();
  assert.deepEqual(push(demuxer, 18, 0, writeAmf0(['@setDataFrame', 'onMetaData', values])), {
    type: 'metadata',
    values,
  });
  assert.deepEqual(push(demuxer, 18, 0, writeAmf0(['onMetaData', values])), { type: 'metadata', values });
  assert.deepEqual(push(demuxer, 18, 0, writeAmf0(['onCuePoint', 1])), { type: 'dropped', reason: 'script' });
  const broken = Uint8Array.of(2, 0, 10, 111);
  assert.deepEqual(push(demuxer, 18, 0, broken), { type: 'dropped', reason: 'script_invalid' });
});

test('codecs we cannot take are refused by name', () => {
  const demuxer = new FlvDemuxer();
  assert.throws(() => push(demuxer, 9, 0, Uint8Array.of(0x12, 0, 0, 0, 0)), hasCode('FLV_CODEC_UNSUPPORTED'));
  assert.throws(() => push(demuxer, 8, 0, Uint8Array.of(0x2f, 0)), hasCode('FLV_CODEC_UNSUPPORTED'));
  assert.throws(() => push(demuxer, 9, 0, exVideoTag('vp09', 0, Uint8Array.of(1))), hasCode('FLV_CODEC_UNSUPPORTED'));
  assert.throws(() => push(demuxer, 8, 0, exAudioTag('fLaC', 0, Uint8Array.of(1))), hasCode('FLV_CODEC_UNSUPPORTED'));
});
