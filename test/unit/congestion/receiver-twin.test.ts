/** Chrome's clock fit and freeze rule against hand-computed cases, and the twin that runs on them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { AdaptiveController } from '../../../server/congestion/adaptive-controller.ts';
import { ClockFit } from '../../../server/congestion/receiver-twin/clock-fit.ts';
import { FreezeRule } from '../../../server/congestion/receiver-twin/freeze-rule.ts';
import { ReceiverTwin } from '../../../server/congestion/receiver-twin/receiver-twin.ts';
import { optionsFor } from '../../sim/policies.ts';
import { runViewer } from '../../sim/viewer-run.ts';

/** The least gap that counts after a minute of even pictures (CONGESTION 2.1). */
const thresholdAt = (fps: number): number => {
  for (let gapMs = 1; ; gapMs += 1) {
    const rule = new FreezeRule();
    for (let index = 0; index < 60 * fps; index += 1) {
      rule.onPicture((index * 1000) / fps);
    }
    if (rule.onPicture(((60 * fps - 1) * 1000) / fps + gapMs) > 0) {
      return gapMs;
    }
  }
};

test('a freeze begins at 188 ms with 30 pictures a second, 195 with 25, 171 with 60, 221 with 15', () => {
  assert.deepEqual([30, 25, 60, 15].map(thresholdAt), [188, 195, 171, 221]);
});

test('an open gap counts by the same rule', () => {
  const rule = new FreezeRule();
  for (let index = 0; index < 100; index += 1) {
    rule.onPicture(index * 40);
  }
  assert.equal(rule.openMs(99 * 40 + 190), 0);
  assert.equal(rule.openMs(99 * 40 + 200), 200);
});

test('the fit follows arrivals, and stamps of another rate', () => {
  const fit = new ClockFit();
  for (let index = 0; index < 600; index += 1) {
    fit.update(1_000 + index * 40 * 1.001, index * 40);
  }
  assert.ok(Math.abs(fit.localMs(600 * 40) - (1_000 + 600 * 40 * 1.001)) < 1);
});

test('a late run of less than five seconds does not move the fit, a longer one does', () => {
  const lateFor = (count: number): number => {
    const fit = new ClockFit();
    let movedMs = 0;
    for (let index = 0; index < 600 + count; index += 1) {
      const stampMs = (index * 1000) / 30;
      const lateMs = index >= 600 ? 200 : 0;
      fit.update(stampMs + lateMs, stampMs);
      movedMs = fit.localMs(stampMs) - stampMs;
    }
    return movedMs;
  };
  assert.ok(Math.abs(lateFor(140)) < 5, `${lateFor(140)} ms`);
  assert.ok(lateFor(155) > 150, `${lateFor(155)} ms`);
});

test('a jump of stamps by more than ten seconds begins the fit anew', () => {
  const fit = new ClockFit();
  for (let index = 0; index < 400; index += 1) {
    fit.update(index * 40 + 300, index * 40);
  }
  fit.update(400 * 40 + 20, 400 * 40 + 11_000);
  assert.equal(fit.localMs(400 * 40 + 11_000), 400 * 40 + 20);
});

const FRAME_MS = 1000 / 30;

/** Plays pictures of two packets each through a twin; `lateMs` of the picture's second packet. */
const play = (count: number, lateMs: (index: number) => number, delayMs: number): ReceiverTwin => {
  const twin = new ReceiverTwin();
  for (let index = 0; index < count; index += 1) {
    const stampMs = index * FRAME_MS;
    const firstSeqExt = 2 * index;
    twin.onPicture(
      { firstSeqExt, packetCount: 2, isKeyframe: index % 30 === 0, stampMs, arrivedAtMs: stampMs, renditionIndex: 0 },
      delayMs,
    );
    twin.onArrival(firstSeqExt, stampMs + 20, false);
    twin.onArrival(firstSeqExt + 1, stampMs + 20 + lateMs(index), false);
  }
  return twin;
};

test('the need of a late picture is its lateness, decoding and rendering included', () => {
  const twin = play(300, () => 0, 100);
  twin.takeWorstNeedMs();
  assert.ok(Math.abs(twin.lastNeedMs - 20) < 1, `${twin.lastNeedMs} ms`);
  const late = play(300, (index) => (index === 280 ? 80 : 0), 100);
  assert.ok(Math.abs(late.takeWorstNeedMs() - 100) < 3);
  assert.ok(Number.isNaN(late.takeWorstNeedMs()), 'taken once');
});

test('it predicts a freeze where pictures stay away, and none where the playout delay covers it', () => {
  const gap = (index: number): number => (index >= 200 && index < 210 ? 400 - (index - 200) * FRAME_MS : 0);
  assert.equal(play(300, gap, 500).freezeCount, 0);
  const short = play(300, gap, 40);
  assert.equal(short.freezeCount, 1);
  assert.ok(Math.abs(short.freezeMs - 400) < 60, `${short.freezeMs} ms`);
});

test('a picture that a complete keyframe has overtaken is not wanted any more', () => {
  const twin = play(299, () => 0, 100);
  const send = (index: number, isKeyframe: boolean): void =>
    twin.onPicture(
      {
        firstSeqExt: 1_000 + index,
        packetCount: 1,
        isKeyframe,
        stampMs: index * FRAME_MS,
        arrivedAtMs: 0,
        renditionIndex: 0,
      },
      100,
    );
  send(299, false);
  send(300, true);
  assert.equal(twin.isWanted(1_299), true);
  twin.onArrival(1_300, 300 * FRAME_MS + 20, false);
  assert.equal(twin.isWanted(1_299), false);
  assert.equal(twin.skippedCount, 1);
});

test('what is only thought to have come is wanted when somebody asks for it, until a keyframe has overtaken it', () => {
  const twin = play(330, () => 0, 100);
  const send = (index: number, isKeyframe: boolean): void =>
    twin.onPicture(
      {
        firstSeqExt: 2 * index,
        packetCount: 1,
        isKeyframe,
        stampMs: index * FRAME_MS,
        arrivedAtMs: 0,
        renditionIndex: 0,
      },
      100,
    );
  send(330, true);
  send(331, false);
  twin.onGuessed(660, 330 * FRAME_MS + 20);
  twin.onGuessed(662, 331 * FRAME_MS + 20);
  assert.equal(twin.freezeMs, 0);
  assert.deepEqual([twin.isWanted(660), twin.isWanted(662)], [true, true], 'the keyframe too');
  assert.equal(twin.isWanted(658), false, 'what is known to have come is not');
  send(360, true);
  twin.onArrival(720, 360 * FRAME_MS + 20, false);
  assert.equal(twin.isWanted(662), false);
});

test('numbers never sent, and copies of what is there, change nothing', () => {
  const twin = play(100, () => 0, 100);
  const before = twin.lastNeedMs;
  twin.onArrival(9_999, 5_000, false);
  twin.onArrival(-5, 5_000, false);
  twin.onArrival(150, 9_000, true);
  assert.equal(twin.lastNeedMs, before);
});

test('feedback that was lost on the way is no frozen picture', () => {
  const controller = new AdaptiveController(optionsFor(0.5));
  const way = {
    capacity: undefined,
    queueMaxBytes: 150_000,
    delayMs: 20,
    jitterMs: 2,
    lossBurstCount: undefined,
    reorderRatio: 0,
    reorderMaxCount: 3,
  };
  const { score } = runViewer({
    seed: 5,
    durationMs: 30_000,
    down: { ...way, lossRatio: 0 },
    up: { ...way, lossRatio: 0.05 },
    sender: { hasMatchedStamps: true, hasTransportFeedback: true },
    makeController: () => controller,
  });
  assert.equal(score.stallMs, 0);
  assert.equal(controller.twin.freezeMs, 0);
  const { needMs = Number.NaN } = controller.decide(30_001, 0);
  assert.ok(needMs >= controller.twin.lastNeedMs && needMs < 40, `needed ${needMs} ms`);
});
