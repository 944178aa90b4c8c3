/** The simulated sender wakes as production does: where little may leave at once, whole milliseconds cost it part of its pace. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { CongestionController } from '../../../server/congestion/controller.ts';
import { FixedController } from '../../sim/fixed-controller.ts';
import { LADDER_DEFAULT, LadderSource } from '../../sim/ladder-source.ts';
import { PacketTable } from '../../sim/packet-table.ts';
import { SimSender } from '../../sim/sim-sender.ts';

const PACE_BPS = 7_200_000;

/** From the cache, at one pace. */
class PacedController extends FixedController {
  readonly #burstBytes: number;

  constructor(burstBytes: number) {
    super(0, undefined);
    this.#burstBytes = burstBytes;
  }

  override join(): ReturnType<CongestionController['join']> {
    return { renditionIndex: 0, isFromCache: true };
  }

  override decide(nowMs: number): ReturnType<CongestionController['decide']> {
    return { ...super.decide(nowMs), paceBps: PACE_BPS, burstBytes: this.#burstBytes };
  }
}

/** Rate of the backlog of a join. */
const rateBpsOf = (burstBytes: number): number => {
  const sent: { atMs: number; bytes: number }[] = [];
  const sender = new SimSender(
    { controller: new PacedController(burstBytes), hasMatchedStamps: true, hasTransportFeedback: true },
    {
      source: new LadderSource(LADDER_DEFAULT, 3),
      packets: new PacketTable(),
      transmit: (_handle, bytes, nowMs) => sent.push({ atMs: nowMs, bytes }),
    },
  );
  sender.join(59, 0, 0);
  while (sender.backlogBytes > 0) {
    sender.step(sender.nextAtMs);
  }
  assert.ok(
    sent.every(({ atMs }) => Number.isInteger(atMs)),
    'whole milliseconds',
  );
  const bytes = sent.slice(1).reduce((sum, packet) => sum + packet.bytes, 0);
  return (8_000 * bytes) / sent.at(-1)!.atMs;
};

test('with a burst of half a packet a fifth of the pace is lost to timers, with one of eight packets nothing', () => {
  const smallBps = rateBpsOf(600);
  assert.ok(smallBps > 0.6 * PACE_BPS && smallBps < 0.85 * PACE_BPS, `${smallBps}`);
  const largeBps = rateBpsOf(10_000);
  assert.ok(largeBps > 0.95 * PACE_BPS, `${largeBps}`);
});
