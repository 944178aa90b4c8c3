/** What a viewer's controller is told beside the link: what renditions cost, and what the player says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessUnitSource } from '../../../../server/media/stream-source.ts';
import type { VideoUnit } from '../../../../server/media/access-unit.ts';
import type { PacketisedRendition } from '../../../../server/relay/webrtc/packetised-rendition.ts';
import type { PlayerTotals } from '../../../../server/relay/webrtc/player-reports.ts';
import { PlayerReports } from '../../../../server/relay/webrtc/player-reports.ts';
import { RenditionMeter } from '../../../../server/relay/webrtc/rendition-meter.ts';
import { offerOf } from '../../../../server/relay/webrtc/rendition-offer.ts';
import { testPicture, testTrack } from '../../../support/test-pictures.ts';

const meterOf = (linesPx: number, keyframeBytes: number, otherBytes: number, count = 90): RenditionMeter => {
  const meter = new RenditionMeter();
  const track = testTrack(linesPx * 2, linesPx);
  for (let index = 0; index < count; index += 1) {
    const bytes = index % 30 === 0 ? keyframeBytes : otherBytes;
    meter.add(testPicture(index, { track, mark: 0, gopCount: 30, bytes }) as VideoUnit);
  }
  return meter;
};

test('a rendition costs what its packets take with their heads, over whole GOPs; its keyframe is the last one', () => {
  const cost = meterOf(480, 24_000, 2_400, 75).cost!;
  // Two GOPs of 1 s: 24,004 bytes in 21 packets and 29 times 2,404 in 3, each packet with 68 bytes more.
  const gopBytes = 24_004 + 21 * 68 + 29 * (2_404 + 3 * 68);
  assert.ok(Math.abs(cost.bitrateBps - 8 * gopBytes) < 1, `${cost.bitrateBps}`);
  assert.equal(cost.keyframeBytes, 24_004 + 21 * 68);
  assert.equal(cost.qualityRatio, 0.65);
  assert.equal(new RenditionMeter().cost, undefined);
  const open = meterOf(480, 24_000, 2_400, 20).cost!;
  assert.ok(open.bitrateBps > 800_000, 'a GOP that is not over yet is told by what there is of it');
});

const measured = (linesPx: number, bytes: number) => ({
  rendition: {
    source: { facts: { frameRateFps: 30, bitrateBps: 0 } } as AccessUnitSource,
  } as unknown as PacketisedRendition,
  meter: meterOf(linesPx, bytes * 5, bytes),
});

test('renditions are offered from the cheapest up, without one that shows less and costs no less', () => {
  const [small, middle, large] = [measured(360, 1_000), measured(480, 2_000), measured(720, 4_000)];
  const wasteful = measured(480, 5_000);
  const unbegun = { ...measured(240, 500), meter: new RenditionMeter() };
  const offer = offerOf([large, unbegun, small, wasteful, middle])!;
  assert.deepEqual(offer.renditions, [small.rendition, middle.rendition, large.rendition]);
  const bitrates = offer.gop.renditions.map(({ bitrateBps }) => bitrateBps);
  assert.deepEqual(
    bitrates,
    bitrates.toSorted((a, b) => a - b),
  );
  assert.deepEqual([offer.gop.gopMs, Math.round(offer.gop.frameIntervalMs)], [1_000, 33]);
  assert.deepEqual(offerOf([unbegun])?.renditions, [unbegun.rendition], 'one alone is no choice');
  assert.equal(offerOf([]), undefined);
});

const totals = (changes: Partial<PlayerTotals>): PlayerTotals => ({
  stallCount: 0,
  stallMs: 0,
  framesDecoded: 0,
  framesDropped: 0,
  bufferDelayMs: undefined,
  receivedBps: undefined,
  ...changes,
});

test('a player is heard as differences over the server’s time', () => {
  const reports = new PlayerReports();
  assert.equal(reports.take(totals({ framesDecoded: 50 }), 1_000), undefined, 'the first says nothing of a span');
  const heard = reports.take(
    totals({ stallCount: 1, stallMs: 300, framesDecoded: 105, framesDropped: 2, bufferDelayMs: 80, receivedBps: 1e6 }),
    3_000,
  );
  assert.deepEqual(heard, {
    ...{ intervalMs: 2_000, freezeCount: 1, freezeMs: 300, framesDecoded: 55, framesDropped: 2 },
    ...{ bufferDelayMs: 80, receivedBps: 1e6 },
  });
});

test('a player that lies is clipped to what can be, one that talks too much is heard once a second', () => {
  const reports = new PlayerReports();
  reports.take(totals({ framesDecoded: 1_000 }), 0);
  const lie = totals({ stallCount: 1e9, stallMs: 1e9, framesDecoded: 0, bufferDelayMs: 6e5, receivedBps: 1e10 });
  assert.equal(reports.take(lie, 999), undefined);
  assert.deepEqual(reports.take(lie, 2_000), {
    ...{ intervalMs: 2_000, freezeCount: 14, freezeMs: 2_000, framesDecoded: 0, framesDropped: 0 },
    ...{ bufferDelayMs: 10_000, receivedBps: 1e9 },
  });
  assert.equal(reports.take(lie, 60_000), undefined, 'after a long silence it begins anew');
});
