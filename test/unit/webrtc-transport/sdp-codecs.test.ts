/** What is taken of an offer: H.264 first, AV1 beside it, each with its own retransmission type, or the other way round for who asked for AV1. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChosenMedia } from '../../../server/webrtc-transport/sdp-codecs.ts';
import { chooseVideo } from '../../../server/webrtc-transport/sdp-codecs.ts';
import { parseSdpOffer } from '../../../server/webrtc-transport/sdp-offer.ts';
import { AV1_PT, AV1_RTX_PT, RTX_PT, VIDEO_PT, offerSdp } from '../../support/whep-client.ts';

const choose = (sdp: string, prefersAv1 = false): ChosenMedia | undefined =>
  chooseVideo(parseSdpOffer(sdp).media[0]!, { sourceProfileIdc: undefined, prefersAv1 });

test('without AV1 in the offer H.264 alone is taken, whatever was asked for', () => {
  for (const prefersAv1 of [false, true]) {
    const chosen = choose(offerSdp(), prefersAv1)!;
    assert.deepEqual([chosen.formats, chosen.av1], [`${VIDEO_PT} ${RTX_PT}`, undefined]);
  }
});

test('with AV1 both are taken; the one asked for comes first, and H.264 stays what is sent otherwise', () => {
  const both = [`${VIDEO_PT} ${RTX_PT}`, `${AV1_PT} ${AV1_RTX_PT}`];
  for (const [prefersAv1, formats] of [
    [false, both.join(' ')],
    [true, both.toReversed().join(' ')],
  ] as const) {
    const chosen = choose(offerSdp({ av1: true }), prefersAv1)!;
    assert.equal(chosen.formats, formats);
    assert.deepEqual([chosen.payloadType, chosen.rtxPayloadType], [VIDEO_PT, RTX_PT]);
    assert.deepEqual(chosen.av1, { payloadType: AV1_PT, rtxPayloadType: AV1_RTX_PT });
    for (const line of [
      `rtpmap:${AV1_PT} AV1/90000`,
      `fmtp:${AV1_PT} level-idx=5;profile=0;tier=0`,
      `rtcp-fb:${AV1_PT} nack`,
      `fmtp:${AV1_RTX_PT} apt=${AV1_PT}`,
      `fmtp:${RTX_PT} apt=${VIDEO_PT}`,
    ]) {
      assert.ok(chosen.attributes.includes(line), line);
    }
    assert.equal(chosen.attributes.filter((line) => line.startsWith('extmap:')).length, 2, 'once for both');
  }
});

test('another profile than Main is not taken; AV1 without retransmission is, without NACK', () => {
  const otherProfile = offerSdp({ av1: true }).replace(
    `a=fmtp:${AV1_PT} level-idx=5;profile=0`,
    `a=fmtp:${AV1_PT} profile=2`,
  );
  assert.equal(choose(otherProfile)?.av1, undefined);
  const unstated = choose(offerSdp({ av1: true }).replace(`a=fmtp:${AV1_PT} level-idx=5;profile=0;tier=0\r\n`, ''))!;
  assert.equal(unstated.av1?.payloadType, AV1_PT);
  const withoutRtx = choose(offerSdp({ av1: true }).replace(`a=fmtp:${AV1_RTX_PT} apt=${AV1_PT}\r\n`, ''), true)!;
  assert.deepEqual(withoutRtx.av1, { payloadType: AV1_PT, rtxPayloadType: undefined });
  assert.ok(!withoutRtx.attributes.includes(`rtcp-fb:${AV1_PT} nack`));
  assert.ok(withoutRtx.attributes.includes(`rtcp-fb:${VIDEO_PT} nack`));
});

test('AV1 alone is not enough', () => {
  assert.equal(choose(offerSdp({ av1: true }).replaceAll('H264/90000', 'VP9/90000')), undefined);
});
