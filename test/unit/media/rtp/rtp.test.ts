/** RTP, RTCP and their way back: what is packed comes out as it went in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../../../server/base/errors.ts';
import { Prng } from '../../../../server/base/prng.ts';
import type { VideoUnit } from '../../../../server/media/access-unit.ts';
import { buildAvcConfig } from '../../../../server/media/h264/avc-config.ts';
import { joinNalUnits } from '../../../../server/media/h264/nal-units.ts';
import { depacketiseH264 } from '../../../support/h264-depacketiser.ts';
import { H264Packetiser, RTP_PAYLOAD_MAX_BYTES } from '../../../../server/media/rtp/h264-packetiser.ts';
import { ntpFromWallMs, ntpMiddle32, wallMsFromNtp } from '../../../../server/media/rtp/ntp.ts';
import {
  buildDlrr,
  buildFir,
  buildGoodbye,
  buildNack,
  buildPli,
  buildReceiverReport,
  buildSenderReport,
  buildTransportCc,
  parseRtcp,
} from '../../../../server/media/rtp/rtcp.ts';
import type { RtpFields } from '../../../../server/media/rtp/rtp-header.ts';
import { parseRtpPacket, rtpHeaderBytes, writeRtpHeader } from '../../../../server/media/rtp/rtp-header.ts';
import {
  TransportReport,
  buildTransportFeedback,
  parseTransportFeedback,
} from '../../../../server/media/rtp/transport-cc.ts';
import type { VideoTrack } from '../../../../server/media/track.ts';

const SPS = Uint8Array.of(0x67, 0x64, 0, 0x1f, 9);
const PPS = Uint8Array.of(0x68, 1);
const trackWith = (sps: Uint8Array): VideoTrack => ({
  kind: 'video',
  codec: 'h264',
  timescaleHz: 90_000,
  decoderConfig: buildAvcConfig([sps], [PPS]),
  codecString: 'avc1.64001f',
  widthPx: 640,
  heightPx: 360,
});
const unitOf = (nalUnits: readonly Uint8Array[], isKeyframe: boolean, track = trackWith(SPS)): VideoUnit => ({
  track,
  dtsTicks: 0,
  ptsTicks: 0,
  isKeyframe,
  payload: joinNalUnits(nalUnits),
  arrivedAtMs: 0,
  arrivedAtWallMs: 0,
  isDiscontinuity: false,
});
const nalUnit = (type: number, bytes: number): Uint8Array => {
  const built = new Prng(bytes).nextBytes(bytes);
  built[0] = 0x60 | type;
  return built;
};

test('NAL units of any size come back from their RTP payloads as they went in', () => {
  const track = trackWith(SPS);
  const packetiser = new H264Packetiser();
  for (const bytes of [1, 2, 1_199, 1_200, 1_201, 1_202, 2_399, 2_400, 12_345, 200_000]) {
    const original = [nalUnit(6, 20), nalUnit(1, bytes)];
    const payloads = packetiser.packetise(unitOf(original, false, track));
    assert.ok(payloads.every((payload) => payload.byteLength <= RTP_PAYLOAD_MAX_BYTES));
    assert.deepEqual(depacketiseH264(payloads), original);
  }
});

test('fragments of one NAL unit are equal but for the last, which is shorter', () => {
  const sizes = new H264Packetiser().packetise(unitOf([nalUnit(1, 10_007)], false)).map(({ byteLength }) => byteLength);
  assert.equal(new Set(sizes.slice(0, -1)).size, 1);
  assert.ok(sizes.at(-1)! <= sizes[0]! && sizes.at(-1)! > sizes[0]! - sizes.length);
});

test('an IDR is preceded by the parameter sets of its track in one STAP-A, and by new ones when the track changes', () => {
  const packetiser = new H264Packetiser();
  const first = packetiser.packetise(unitOf([nalUnit(5, 50)], true));
  assert.equal(first[0]![0]! & 0x1f, 24);
  assert.deepEqual(depacketiseH264(first).slice(0, 2), [SPS, PPS]);
  const changed = Uint8Array.of(0x67, 0x42, 0, 0x1f, 7);
  const second = packetiser.packetise(unitOf([nalUnit(5, 50)], true, trackWith(changed)));
  assert.deepEqual(depacketiseH264(second)[0], changed);
});

test('parameter sets that the encoder repeats in-band take the place of the track`s', () => {
  const sps = Uint8Array.of(0x67, 0x42, 0, 0x1f, 8);
  const payloads = new H264Packetiser().packetise(unitOf([sps, PPS, nalUnit(5, 50)], true));
  assert.deepEqual(depacketiseH264(payloads).slice(0, 2), [sps, PPS]);
  assert.equal(payloads.length, 2);
});

test('delimiters and filler are left out', () => {
  const slice = nalUnit(1, 30);
  const payloads = new H264Packetiser().packetise(unitOf([nalUnit(9, 2), slice, nalUnit(12, 500)], false));
  assert.deepEqual(payloads, [slice]);
});

test('a NAL length that runs past the end is the publisher`s error', () => {
  const unit = { ...unitOf([], false), payload: Uint8Array.of(0, 0, 1, 0, 0x41) };
  assert.throws(() => new H264Packetiser().packetise(unit), ProtocolError);
});

const fields: RtpFields = {
  payloadType: 102,
  isMarked: true,
  seqExt: 65_536 + 7,
  timestampTs32: 0xfffffff0,
  ssrc: 0xdeadbeef,
  transportSeqExt: 65_536 + 513,
  playoutDelayMs: 20,
  playoutDelayMaxMs: 0,
};

test('an RTP header with its extensions reads back as written, and has the promised length', () => {
  for (const ids of [
    { transportSeq: 0, playoutDelay: 0 },
    { transportSeq: 3, playoutDelay: 0 },
    { transportSeq: 3, playoutDelay: 6 },
  ]) {
    const target = Buffer.alloc(64, 0xff);
    const end = writeRtpHeader(target, 4, fields, ids);
    assert.equal(end - 4, rtpHeaderBytes(ids));
    target.write('xyz', end);
    const packet = parseRtpPacket(target.subarray(4, end + 3));
    assert.deepEqual(
      [packet.payloadType, packet.isMarked, packet.seq16, packet.timestampTs32, packet.ssrc],
      [102, true, 7, 0xfffffff0, 0xdeadbeef],
    );
    assert.equal(Buffer.from(packet.payload).toString(), 'xyz');
    assert.deepEqual(packet.extensions.get(3), ids.transportSeq === 0 ? undefined : target.subarray(4 + 17, 4 + 19));
    if (ids.playoutDelay > 0) {
      assert.deepEqual([...packet.extensions.get(6)!], [0, 0x20, 2], 'minimum = maximum = 2 units of 10 ms');
    }
  }
});

test('the longest playout delay is written beside the least, up to what 12 bits hold', () => {
  const target = Buffer.alloc(64);
  const written = (playoutDelayMaxMs: number): number[] => {
    const ids = { transportSeq: 0, playoutDelay: 6 };
    const end = writeRtpHeader(target, 0, { ...fields, playoutDelayMaxMs }, ids);
    return [...parseRtpPacket(target.subarray(0, end)).extensions.get(6)!];
  };
  assert.deepEqual(written(320), [0, 0x20, 32]);
  assert.deepEqual(written(99_999), [0, 0x2f, 0xff]);
});

test('the playout delay is never written as 0, which would switch the jitter buffer off', () => {
  const target = Buffer.alloc(64);
  const end = writeRtpHeader(target, 0, { ...fields, playoutDelayMs: 0 }, { transportSeq: 0, playoutDelay: 6 });
  assert.deepEqual([...parseRtpPacket(target.subarray(0, end)).extensions.get(6)!], [0, 0x10, 1]);
});

test('the fraction of an NTP time is binary', () => {
  assert.deepEqual(ntpFromWallMs(500), { seconds: 2_208_988_800, fraction: 0x80000000 });
  for (const wallMs of [0, 1.25, 999.999, 1_795_380_559_204.991]) {
    assert.ok(Math.abs(wallMsFromNtp(ntpFromWallMs(wallMs)) - wallMs) < 0.001);
  }
  assert.equal(ntpMiddle32({ seconds: 0x12345678, fraction: 0x9abcdef0 }), 0x56789abc);
});

test('each RTCP packet we build reads back', () => {
  const ntp = ntpFromWallMs(1_795_380_559_204.5);
  const report = {
    ssrc: 5,
    lostRatio: 0.25,
    lostCount: -3,
    jitterTicks: 9,
    lastSenderReport: 7,
    delaySinceUnits: 65_536,
  };
  const feedback = {
    baseSeq16: 65_534,
    feedbackCount: 3,
    arrivedMs: [100, undefined, 163.5, 90, 400.25, undefined, 401, 402],
  };
  const compound = Buffer.concat([
    buildSenderReport({ ssrc: 1, ntp, timestampTs32: 99, packetCount: 3, octetCount: 4, cname: 'name' }),
    buildReceiverReport(2, [report]),
    buildNack(2, 1, [65_535, 0]),
    buildPli(2, 1),
    buildFir(2, 1, 8),
    buildTransportCc(2, 1, buildTransportFeedback(feedback)),
    buildDlrr({ ssrc: 1, receiverSsrc: 2, ntp, delayMs: 500 }),
    buildGoodbye([1]),
  ]);
  const items = parseRtcp(compound).map((item) =>
    item.type === 'transport-cc' ? { type: item.type, feedback: parseTransportFeedback(item.body) } : item,
  );
  assert.deepEqual(items, [
    { type: 'sender-report', ssrc: 1, ntp, timestampTs32: 99 },
    { type: 'reception', report },
    { type: 'nack', mediaSsrc: 1, seqs16: [65_535, 0] },
    { type: 'pli', mediaSsrc: 1 },
    { type: 'fir', mediaSsrc: 1, commandSeq: 8 },
    { type: 'transport-cc', feedback },
    { type: 'bye' },
  ]);
});

test('a NACK mask names the sixteen numbers after its first, over the wrap', () => {
  const nack = buildNack(1, 2, [65_530]);
  nack.writeUInt16BE(0b1000_0000_0010_0001, 14);
  assert.deepEqual(parseRtcp(nack), [{ type: 'nack', mediaSsrc: 2, seqs16: [65_530, 65_531, 0, 10] }]);
});

test('transport-cc run lengths and one-bit vectors are read', () => {
  // Two received by run length, then a one-bit vector of 1 0 1; small deltas of 1, 2, 3 and 4 units.
  const body = Uint8Array.of(0, 10, 0, 5, 0, 0, 1, 0, 0x20, 0x02, 0xa8, 0x00, 1, 2, 3, 4);
  const [item] = parseRtcp(buildTransportCc(1, 2, body));
  assert.ok(item?.type === 'transport-cc');
  assert.deepEqual(parseTransportFeedback(item.body).arrivedMs, [64.25, 64.75, 65.5, undefined, 66.5]);
});

test('transport-cc that claims more statuses than any datagram holds is refused', () => {
  assert.throws(() => parseTransportFeedback(Uint8Array.of(0, 0, 0xff, 0xff, 0, 0, 0, 0, 0x3f, 0xff)), ProtocolError);
});

test('a transport-cc report is read in place of a longer one before it', () => {
  const report = new TransportReport();
  const read = (arrivedMs: (number | undefined)[]): number[] => {
    report.read(buildTransportFeedback({ baseSeq16: 7, feedbackCount: 0, arrivedMs }));
    return [...report.arrivedMs.subarray(0, report.count)];
  };
  read([64, 65, 66, 67, 68, 69, 70, 71, 72]);
  assert.deepEqual(read([undefined, 128.25, 64.25]), [Number.NaN, 128.25, 64.25]);
  assert.throws(() => report.read(new Uint8Array(7)), ProtocolError);
});
