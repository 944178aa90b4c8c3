/** What a session shows of its link, against the link it ran on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LINK_TRACE_STEP_MS, LinkCapture } from '../../../server/congestion/link-capture.ts';
import type { LinkTrace } from '../../../server/congestion/link-capture.ts';
import { CapturedController } from '../../../server/relay/webrtc/captured-controller.ts';
import type { CapacityStep } from '../../latency/link/capacity.ts';
import { linkOf, toTrace } from '../../sim/corpus.ts';
import { ours } from '../../sim/policies.ts';
import { runViewer } from '../../sim/viewer-run.ts';

const captureOn = (steps: readonly CapacityStep[], durationMs: number): { trace: LinkTrace; lossRatio: number } => {
  const trace = toTrace({ id: 'made up', file: '', class: 'fixed', group: '' }, 'search', steps);
  const { down, up, feedbackEveryMs } = linkOf(trace, 3);
  const policy = ours();
  const made: CapturedController[] = [];
  const told: LinkTrace[] = [];
  runViewer({
    ...{ seed: 3, durationMs, up, feedbackEveryMs, sender: policy.sender },
    // As it is, without the variation that recordings in long bins are given.
    down: { ...down, capacity: { steps, isLooped: true } },
    makeController: () => {
      const controller = new CapturedController(policy.makeController(), new LinkCapture(1_000), (link) =>
        told.push(link),
      );
      made.push(controller);
      return controller;
    },
  });
  made[0]!.close();
  return { trace: told[0]!, lossRatio: down.lossRatio };
};

test('a link that is too small is measured, with its changes and the time it was down', () => {
  const { trace } = captureOn(
    [
      { durationMs: 20_000, rateBps: 3_000_000 },
      { durationMs: 20_000, rateBps: 1_000_000 },
      { durationMs: 3_000, rateBps: 0 },
      { durationMs: 17_000, rateBps: 1_000_000 },
    ],
    60_000,
  );
  const between = (fromMs: number, toMs: number): number[] =>
    trace.rows
      .filter(({ atMs, isCensored }) => atMs >= fromMs && atMs < toMs && !isCensored)
      .map(({ rateBps }) => rateBps)
      .toSorted((a, b) => a - b);
  const median = (values: readonly number[]): number => values[values.length >> 1]!;
  const [fast, slow, down] = [between(2_000, 19_000), between(22_000, 39_000), between(40_500, 42_500)];
  assert.ok(fast.length > 10 && Math.abs(median(fast) / 3e6 - 1) < 0.15, `${median(fast)} of ${fast.length}`);
  assert.ok(slow.length > 10 && Math.abs(median(slow) / 1e6 - 1) < 0.15, `${median(slow)} of ${slow.length}`);
  assert.ok(down.length >= 3 && median(down) < 100_000, `while it was down: ${down.join(', ')}`);
  assert.ok(trace.rttMs > 10 && trace.rttMs < 120, `round trip ${trace.rttMs} ms`);
});

test('where the pictures are the limit the link is said to carry at least what came, and never more than it does', () => {
  const { trace, lossRatio } = captureOn([{ durationMs: 1_000, rateBps: 60_000_000 }], 60_000);
  const censored = trace.rows.filter(({ isCensored }) => isCensored);
  assert.ok(censored.length > 0.8 * trace.rows.length, `${censored.length} of ${trace.rows.length}`);
  assert.ok(trace.rows.every(({ rateBps }) => rateBps < 66e6));
  const lost = trace.rows.reduce((sum, row) => sum + row.lossRatio, 0) / trace.rows.length;
  assert.ok(Math.abs(lost - lossRatio) < 0.002, `${lost} lost, ${lossRatio} in truth`);
});

test('rows are whole half seconds, and no more of them than were asked for', () => {
  const capture = new LinkCapture(5);
  const packet = { bytes: 1_000, kind: 'video', videoSeqExt: 0 } as const;
  for (let index = 0; index < 500; index += 1) {
    const nowMs = 20 * index;
    capture.onPacketSent({ ...packet, transportSeqExt: index }, nowMs);
    capture.onFeedback({ baseSeqExt: index, count: 1, arrivedMs: [nowMs + 30] }, nowMs + 50);
  }
  const { rows, rttMs } = capture.trace();
  assert.deepEqual(
    rows.map(({ atMs }) => atMs),
    [0, 1, 2, 3, 4].map((index) => index * LINK_TRACE_STEP_MS),
  );
  assert.deepEqual([rows[1]?.rateBps, rttMs], [400_000, 50]);
});
