/** A viewer of the AV1 rung, end to end on loopback: the payload type follows the rendition, and so does that of what is sent again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AV1RtpPayload } from 'werift';
import { systemClock } from '../../../../server/base/clock.ts';
import { splitObus } from '../../../../server/media/av1/obu.ts';
import { buildNack } from '../../../../server/media/rtp/rtcp.ts';
import type { RtpPacket } from '../../../../server/media/rtp/rtp-header.ts';
import type { VideoTrack } from '../../../../server/media/track.ts';
import { AV1_CONFIG } from '../../../support/flv-samples.ts';
import { videoUnit } from '../../../support/units.ts';
import { within } from '../../../support/wait.ts';
import type { WebRtcSetup } from '../../../support/webrtc-setup.ts';
import { openWebRtcSetup } from '../../../support/webrtc-setup.ts';
import { AV1_PT, AV1_RTX_PT, RTX_PT, VIDEO_PT, WhepClient } from '../../../support/whep-client.ts';

const RUNG = 'av1h180';
const TRACK: VideoTrack = {
  kind: 'video',
  codec: 'av1',
  timescaleHz: 90_000,
  decoderConfig: AV1_CONFIG,
  codecString: 'av01.0.00M.08',
  widthPx: 320,
  heightPx: 180,
};

/** Picture `index` of 30 a second, a keyframe in every ten, of the source and, while it is made, of the rung. */
const push = (setup: WebRtcSetup, index: number, isRungMade: boolean): void => {
  const unit = {
    ...videoUnit({ dtsMs: index * 100, isKeyframe: index % 10 === 0 }),
    arrivedAtMs: systemClock.nowMs(),
    arrivedAtWallMs: systemClock.wallMs(),
  };
  setup.feed.push(unit);
  if (isRungMade) {
    const source = setup.broadcast.renditions.get('source-video')!.cachedGop().at(-1)!;
    const payload = Uint8Array.of(0x32, 3, unit.isKeyframe ? 0x10 : 0x30, index & 0x7f, 0x55);
    setup.broadcast.addRendition(RUNG).push({ ...source, track: TRACK, payload });
  }
};

const join = async (setup: WebRtcSetup, av1: boolean): Promise<WhepClient> => {
  const headers = { 'content-type': 'application/sdp' };
  const client = await WhepClient.connect({
    av1,
    post: async (body) => setup.request('POST', '/whep/demo', { body, headers, query: `rendition=${RUNG}` }),
  });
  await within(8_000, 'the session to connect', () => setup.out.viewerCount(setup.broadcast) > 0);
  return client;
};

const videoOf = (client: WhepClient): RtpPacket[] => client.packets.filter(({ ssrc }) => ssrc === client.videoSsrc);
const lastTypeOf = (client: WhepClient): number | undefined => videoOf(client).at(-1)?.payloadType;

test('the payload type follows the rendition, under one SSRC with numbers and stamps that go on', async (t) => {
  const setup = await openWebRtcSetup();
  t.after(() => setup.close());
  let index = 0;
  const playUntil = async (what: string, isRungMade: boolean, condition: () => boolean): Promise<void> =>
    within(8_000, what, () => {
      push(setup, index, isRungMade);
      index += 1;
      return condition();
    });
  await playUntil('the rung', true, () => index > 12);
  const client = await join(setup, true);
  t.after(() => client.close());
  await playUntil('AV1', true, () => lastTypeOf(client) === AV1_PT && videoOf(client).length > 5);
  const [first] = videoOf(client);
  assert.equal(first!.payload[0]! & 0x08, 0x08, 'begins with a new coded video sequence');
  const obus = splitObus(AV1RtpPayload.getFrame([AV1RtpPayload.deSerialize(Buffer.from(first!.payload))]));
  assert.deepEqual(
    obus.map(({ type }) => type),
    [1, 6],
  );

  setup.broadcast.removeRendition(RUNG, 'shed');
  await playUntil('H.264 meanwhile', false, () => lastTypeOf(client) === VIDEO_PT);
  await playUntil('AV1 again', true, () => lastTypeOf(client) === AV1_PT);

  const packets = videoOf(client);
  const steps = packets.slice(1).map(({ seq16 }, at) => (seq16 - packets[at]!.seq16) & 0xffff);
  assert.ok(steps.every((step) => step === 1));
  const stamps = packets.map(({ timestampTs32 }) => timestampTs32);
  assert.ok(stamps.every((stamp, at) => at === 0 || ((stamp - stamps[at - 1]!) | 0) >= 0));

  for (const [type, rtxType] of [
    [AV1_PT, AV1_RTX_PT],
    [VIDEO_PT, RTX_PT],
  ]) {
    const wanted = packets.findLast(({ payloadType }) => payloadType === type)!;
    client.sendRtcp(buildNack(1, client.videoSsrc, [wanted.seq16]));
    const copies = (): RtpPacket[] =>
      client.packets.filter(
        ({ ssrc, payload }) => ssrc === client.rtxSsrc && ((payload[0]! << 8) | payload[1]!) === wanted.seq16,
      );
    await within(8_000, `a copy of type ${rtxType}`, () => copies().length > 0);
    assert.equal(copies()[0]!.payloadType, rtxType);
    assert.deepEqual(copies()[0]!.payload.subarray(2), wanted.payload);
  }
});

test('who did not offer AV1 gets H.264 although it asked for the rung', async (t) => {
  const setup = await openWebRtcSetup();
  t.after(() => setup.close());
  let index = 0;
  for (; index < 12; index += 1) {
    push(setup, index, true);
  }
  const client = await join(setup, false);
  t.after(() => client.close());
  await within(8_000, 'pictures', () => {
    push(setup, index, true);
    index += 1;
    return videoOf(client).length > 20;
  });
  assert.ok(videoOf(client).every(({ payloadType }) => payloadType === VIDEO_PT));
});
