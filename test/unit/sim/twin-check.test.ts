/** The twin beside a receiver: what is counted as found, and that its predictions come out of a trace. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Line } from '../../sim/decision-file.ts';
import { compareTwin, predict } from '../../sim/twin-check.ts';

const FRAME_MS = 1000 / 30;
const span = (fromMs: number, toMs: number) => ({ fromMs, toMs });

test('display times are compared without their constant, freezes by overlap, and only within the window', () => {
  const shown = (offMs: (frame: number) => number) =>
    new Map(Array.from({ length: 100 }, (_, frame) => [frame, 1_000 + frame * FRAME_MS + offMs(frame)] as const));
  const real = {
    shownAtMs: shown((frame) => (frame >= 90 ? 30 : 0)),
    freezes: [span(1_500, 1_800), span(2_500, 2_900), span(9_000, 9_500)],
  };
  const twin = { shownAtMs: shown(() => -700), freezes: [span(850, 1_050), span(1_300, 1_500)] };
  assert.deepEqual(compareTwin(real, twin, span(1_000, 8_000)), {
    pictureCount: 100,
    nearCount: 90,
    realFreezeCount: 2,
    foundFreezeCount: 1,
    twinFreezeCount: 2,
    trueFreezeCount: 1,
  });
});

/** Each picture one packet, told of a tenth of a second later; those of `lateFrames` arrive half a second late, with all after them. */
const traceOf = (lateFrame: number): Line[] => {
  const lines: Line[] = [['decide', 0, 0, { playoutDelayMs: 100 }]];
  for (let frame = 0; frame < 120; frame += 1) {
    const atMs = frame * FRAME_MS;
    const picture = {
      firstSeqExt: frame,
      packetCount: 1,
      isKeyframe: frame === 0,
      stampMs: atMs,
      arrivedAtMs: atMs,
      renditionIndex: 0,
    };
    const packet = { transportSeqExt: 7_000 + frame, bytes: 1_000, kind: 'video', videoSeqExt: frame };
    const arrivedMs = 90_000 + (frame < lateFrame ? atMs : Math.max(atMs, lateFrame * FRAME_MS + 500));
    lines.push(['onPicture', atMs, picture], ['onPacketSent', atMs, packet]);
    lines.push(['onFeedback', atMs, { baseSeqExt: 7_000 + frame, count: 1, arrivedMs: [arrivedMs] }, true]);
  }
  return lines;
};

test('a trace goes through the twin: a display time for each picture, a freeze where half a second is missing', () => {
  const frameOf = (stampMs: number): number => Math.round(stampMs / FRAME_MS);
  const calm = predict(traceOf(200), frameOf);
  assert.equal(calm.shownAtMs.size, 120);
  assert.deepEqual(calm.freezes, []);
  const [freeze, ...others] = predict(traceOf(60), frameOf).freezes;
  assert.deepEqual(others, []);
  const lastedMs = freeze!.toMs - freeze!.fromMs;
  assert.ok(lastedMs > 350 && lastedMs < 550, `${lastedMs} ms`);
});
