/** Whatever an authenticated publisher sends, its session survives it, hands on no nonsense, and holds no more than its caps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../server/base/prng.ts';
import { MediaReceiver } from '../../server/ingest/whip/media-receiver.ts';
import { WHIP_DEFAULTS } from '../../server/ingest/whip/options.ts';
import type { SourceUnit } from '../../server/media/access-unit.ts';
import { splitNalUnits } from '../../server/media/h264/nal-units.ts';
import { parseSdpOffer } from '../../server/webrtc-transport/sdp-offer.ts';
import { receiveOpus, receiveVideo } from '../../server/webrtc-transport/sdp-receiving.ts';
import { parseRtcp } from '../../server/media/rtp/rtcp.ts';
import { RtpPublisher } from '../support/rtp-publisher.ts';
import { whipOfferSdp } from '../support/whip-client.ts';

const COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 400_000 : 4_000;
const BUFFER_MAX_BYTES = 262_144;

const openReceiver = (): MediaReceiver => {
  const [video, audio] = parseSdpOffer(whipOfferSdp()).media;
  return new MediaReceiver({
    video: receiveVideo(video!),
    audio: receiveOpus(audio!),
    options: { ...WHIP_DEFAULTS, bufferMaxBytes: BUFFER_MAX_BYTES, pictureMaxBytes: 200_000 },
    ssrc: 1,
  });
};

/** Real packets with bytes changed, cut, repeated, out of order; and random ones. */
const mutate = (prng: Prng, packet: Buffer): Buffer => {
  const kind = prng.nextIndex(12);
  if (kind < 6) {
    return packet;
  }
  const bytes = kind === 6 ? Buffer.from(prng.nextBytes(prng.nextIndex(200))) : Buffer.from(packet);
  for (let flips = prng.nextIndex(4); flips >= 0 && bytes.byteLength > 0; flips -= 1) {
    // Mostly the head: numbers, stamps, sources, extensions, the first bytes of the payload.
    const reach = kind < 10 ? Math.min(30, bytes.byteLength) : bytes.byteLength;
    bytes[prng.nextIndex(reach)] = prng.nextIndex(256);
  }
  return kind === 11 ? bytes.subarray(0, prng.nextIndex(bytes.byteLength + 1)) : bytes;
};

const judge = (unit: SourceUnit): void => {
  assert.ok(Number.isInteger(unit.dtsTicks) && Number.isInteger(unit.ptsTicks), `${unit.dtsTicks} ${unit.ptsTicks}`);
  assert.ok(unit.payload.byteLength > 0);
  if (unit.track.kind === 'video') {
    assert.ok(splitNalUnits(unit.payload).length > 0);
  }
};

test('mutated and random RTP and RTCP never throw, hand on whole units only, and stay within their caps', () => {
  for (const seed of [1, 2, 3]) {
    const prng = new Prng(seed);
    const publisher = new RtpPublisher();
    const receiver = openReceiver();
    const held: Buffer[] = [];
    let unitCount = 0;
    for (let count = 0; count < COUNT; count += 1) {
      const nowMs = count * 3;
      const at = { nowMs, wallMs: 1e12 + nowMs };
      const fresh = count % 3 === 0 ? publisher.picture(nowMs, 1 + prng.nextIndex(6_000)) : [publisher.sound(nowMs)];
      held.push(...fresh.map((packet) => mutate(prng, packet)));
      while (held.length > 5) {
        const [packet] = held.splice(prng.nextIndex(held.length), 1);
        receiver.onRtp(packet!, at);
      }
      if (count % 20 === 0) {
        receiver.onRtcp(mutate(prng, publisher.report('video', nowMs, 1e12 + nowMs)), nowMs);
        receiver.tick(at);
      }
      const units = receiver.takeUnits();
      units.forEach(judge);
      unitCount += units.length;
      const compound = receiver.takeRtcp(nowMs);
      if (compound.byteLength > 0) {
        parseRtcp(compound);
        publisher.onRtcp(compound).forEach((packet) => receiver.onRtp(packet, at));
      }
      assert.ok(receiver.bufferedBytes < 2 * BUFFER_MAX_BYTES + 100_000);
    }
    assert.ok(unitCount > COUNT / 50, `${unitCount} units of ${COUNT} packets: the test says nothing`);
    assert.ok(receiver.counts.malformed > 0);
  }
});
