/** Chrome as a real one was measured: what it asks again, when it hands a picture to its decoder, what its own buffer makes of delays. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ChromeJitter } from '../../sim/chrome-jitter.ts';
import { ChromeReceiver, type UpMessage } from '../../sim/chrome-receiver.ts';
import { PacketTable, type SimPicture } from '../../sim/packet-table.ts';
import { ScoreKeeper } from '../../sim/score.ts';

const FRAME_MS = 1000 / 30;
const PLAYOUT_MS = 100;

const pictureOf = (index: number, firstSeq: number): SimPicture => ({
  sentIndex: index,
  sourceFrame: index,
  rungIndex: 0,
  isKeyframe: index === 0,
  captureMs: index * FRAME_MS,
  arrivedAtMs: index * FRAME_MS,
  bytes: 1_000,
  packetCount: 1,
  firstSeq,
  stampMs: index * FRAME_MS,
  playoutDelayMs: PLAYOUT_MS,
  receivedCount: 0,
  completeAtMs: Number.NaN,
  isRepeated: false,
  isHanded: false,
});

const receiverOf = (packets: PacketTable, knowsRtt: boolean): ChromeReceiver =>
  new ChromeReceiver(
    {
      feedbackEveryMs: 100,
      decodeMs: [0.5],
      qualityRatios: [1],
      rejectsOutliers: true,
      hasPlayerReports: true,
      knowsRtt,
    },
    { packets, score: new ScoreKeeper(), seed: 4, startMs: 0 },
  );

/** Pictures of one packet each arrive as they were made, 20 ms later; some do not. */
const receive = (receiver: ChromeReceiver, packets: PacketTable, options: { untilMs: number; lost?: number }) => {
  const messages: (UpMessage & { atMs: number })[] = [];
  let index = 0;
  for (;;) {
    const arrivesAtMs = index * FRAME_MS + 20;
    const nowMs = Math.min(arrivesAtMs, receiver.nextAtMs);
    if (nowMs > options.untilMs) {
      return messages;
    }
    if (arrivesAtMs <= nowMs) {
      const seq = 500 + index;
      const packet = { kind: 'video', seq, transportSeq: -1, picture: pictureOf(index, seq) } as const;
      if (index !== options.lost) {
        receiver.onPacket(packets.add(packet, index * FRAME_MS), nowMs);
      }
      index += 1;
    }
    receiver.step(nowMs);
    messages.push(...receiver.out.splice(0).map((message) => ({ ...message, atMs: nowMs })));
  }
};

test('a lost packet is asked for again after 100 ms whatever the round trip, since nobody tells Chrome of one', () => {
  const gapsOf = (knowsRtt: boolean): number[] => {
    const packets = new PacketTable();
    const receiver = receiverOf(packets, knowsRtt);
    receiver.setRtt(30);
    const asked = receive(receiver, packets, { untilMs: 700, lost: 5 }).filter(({ kind }) => kind === 'nack');
    return asked.slice(1).map(({ atMs }, index) => Math.round(atMs - asked[index]!.atMs));
  };
  assert.ok(gapsOf(false).length > 3);
  assert.ok(
    gapsOf(false).every((gap) => gap >= 100 && gap <= 120),
    gapsOf(false).join(' '),
  );
  assert.ok(
    gapsOf(true).every((gap) => gap >= 30 && gap <= 50),
    gapsOf(true).join(' '),
  );
});

test('pictures leave the buffer on ticks of 64 Hz, half a tick before they must on average', () => {
  const packets = new PacketTable();
  const messages = receive(receiverOf(packets, false), packets, { untilMs: 20_000 });
  const last = messages.filter((message) => message.kind === 'player').at(-1);
  const latestMs = PLAYOUT_MS - 10 - 1;
  const earlyMs = latestMs - (last?.bufferDelayMs ?? 0);
  assert.ok(earlyMs > 6 && earlyMs < 10, `${earlyMs} ms early`);
});

test('its own buffer weighs the first deviations as libwebrtc does: the first whole, against the mean before it', () => {
  const jitter = new ChromeJitter();
  for (let index = 0; index < 4; index += 1) {
    // A keyframe that comes 60 ms late, after it the next picture in time.
    const isLarge = index === 2;
    jitter.onPicture(index * FRAME_MS + (isLarge ? 60 : 0), index * FRAME_MS, isLarge ? 70_000 : 2_000);
  }
  // With half of the first deviation it would be 19.
  assert.ok(Math.abs(jitter.delayMs(0) - 25.4) < 1, `${jitter.delayMs(0)}`);
});
