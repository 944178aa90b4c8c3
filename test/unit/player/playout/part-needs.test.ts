/** What latency the arrivals of parts ask for, and that the controller holds it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyController } from '../../../../player/playout/latency-controller.ts';
import { PartNeeds, startLatencyMs } from '../../../../player/playout/part-needs.ts';
import { RandomStream } from '../../../latency/link/random-streams.ts';

const PART_MS = 333;

/** Part j is captured at j P, asked for in time, and there `latenessMs(j)` after its end. */
const feed = (needs: PartNeeds, options: { from?: number; count: number; latenessMs: (part: number) => number }) => {
  const { from = 0, count, latenessMs } = options;
  for (let part = from; part < from + count; part += 1) {
    const capturedAtMs = part * PART_MS;
    const endMs = capturedAtMs + PART_MS;
    needs.note({ capturedAtMs, durationMs: PART_MS, askedAtMs: endMs - 50, appendedAtMs: endMs + latenessMs(part) });
  }
};

test('it asks for nothing before it has seen a few seconds, then for what parts need', () => {
  const needs = new PartNeeds(0.5);
  feed(needs, { count: 9, latenessMs: () => 60 });
  assert.equal(needs.wantedMs, undefined);
  feed(needs, { from: 9, count: 60, latenessMs: () => 60 });
  assert.equal(needs.wantedMs, PART_MS + 60 + 100);
});

test('the share of seconds that need more is what a stall is worth, and follows λ', () => {
  const missesOf = (smoothnessRatio: number): number => {
    const needs = new PartNeeds(smoothnessRatio);
    const draws = new RandomStream(7, 'lateness');
    let missedCount = 0;
    let blockNeedMs = 0;
    for (let part = 0; part < 18_000; part += 1) {
      const latenessMs = 60 + 200 * Math.exp(draws.normal(part));
      const wantedMs = needs.wantedMs ?? Infinity;
      feed(needs, { from: part, count: 1, latenessMs: () => latenessMs });
      blockNeedMs = Math.max(blockNeedMs, PART_MS + latenessMs);
      if (part % 6 === 5) {
        missedCount += blockNeedMs > wantedMs - 100 ? 1 : 0;
        blockNeedMs = 0;
      }
    }
    return missedCount / 3_000;
  };
  const [reacting, middle, smooth] = [missesOf(0), missesOf(0.5), missesOf(1)];
  assert.ok(Math.abs(middle - 0.0625) < 0.02, `${middle} of all blocks of two seconds at λ = 0.5`);
  assert.ok(reacting > 1.5 * middle && smooth < 0.7 * middle, `${reacting} at 0, ${smooth} at 1`);
});

test('what is loaded late because playback has just begun, or jumped, says nothing', () => {
  const needs = new PartNeeds(0.5);
  const old = (part: number) => ({
    capturedAtMs: part * PART_MS,
    durationMs: PART_MS,
    askedAtMs: 30_000,
    appendedAtMs: 30_050 + part,
  });
  for (let part = 60; part < 80; part += 1) {
    needs.note(old(part));
  }
  feed(needs, { from: 100, count: 60, latenessMs: () => 60 });
  assert.equal(needs.wantedMs, PART_MS + 160);
  needs.leaveEdge();
  needs.note({ capturedAtMs: 50_000, durationMs: PART_MS, askedAtMs: 53_000, appendedAtMs: 53_100 });
  feed(needs, { from: 160, count: 30, latenessMs: () => 60 });
  assert.equal(needs.wantedMs, PART_MS + 160);
});

test('a slow network is learned also where parts are asked for late because the ones before were slow; an outage is not', () => {
  const needs = new PartNeeds(0.5);
  feed(needs, { count: 30, latenessMs: () => 60 });
  for (let part = 30; part < 120; part += 1) {
    const capturedAtMs = part * PART_MS;
    needs.note({
      ...{ capturedAtMs, durationMs: PART_MS },
      askedAtMs: capturedAtMs + PART_MS + 700,
      appendedAtMs: capturedAtMs + PART_MS + 1_100,
    });
  }
  const wantedMs = needs.wantedMs!;
  assert.equal(wantedMs, PART_MS + 1_100 + 100);
  feed(needs, { from: 120, count: 3, latenessMs: () => 9_000 });
  feed(needs, { from: 160, count: 12, latenessMs: () => 60 });
  assert.ok(needs.wantedMs! <= wantedMs);
});

test('the target rises to what is wanted at once, falls by 30 ms a second, and never below the playlist or what a stall has raised', () => {
  const controller = new LatencyController({
    targetLatencyMs: 1_100,
    partDurationMs: PART_MS,
    fastRatio: 0.08,
    slowRatio: 0.05,
  });
  const targetAt = (nowMs: number): number =>
    controller.update({ nowMs, latencyMs: 1_500, forwardBufferMs: 900 }).targetLatencyMs;
  assert.equal(targetAt(0), 1_100);
  controller.wantAtLeast(600);
  assert.equal(targetAt(100), 1_100);
  controller.wantAtLeast(2_000);
  assert.equal(targetAt(200), 2_000);
  controller.wantAtLeast(1_400);
  assert.equal(Math.round(targetAt(10_200)), 1_700);
  assert.equal(targetAt(60_000), 1_400);
  controller.noteStall(500, 60_000);
  assert.equal(targetAt(60_000), 1_800, 'the playlist’s 1.1 s and 0.7 s for the stall are more than what is wanted');
});

test('a network that hardly carries the picture begins later, and comes nearer when parts say that it may', () => {
  const at = (loadMs: number, bits = 3e6): number => startLatencyMs(1_100, { bits, loadMs, mediaMs: 2_000 });
  assert.deepEqual([at(100), at(500), at(800), at(1_500), at(4_000)], [1_100, 1_100, 2_100, 3_100, 3_100]);
  assert.equal(at(4_000, 100_000), 1_100, 'too little was loaded to tell');
  const options = { targetLatencyMs: 1_100, partDurationMs: PART_MS, fastRatio: 0.08, slowRatio: 0.05 };
  const controller = new LatencyController(options);
  controller.wantAtLeast(at(1_500));
  const observation = { latencyMs: 2_500, forwardBufferMs: 2_000 };
  const first = controller.update({ ...observation, nowMs: 0 });
  assert.deepEqual([first.targetLatencyMs, first.seekAheadMs], [3_100, 0], 'no jump towards the edge');
  controller.wantAtLeast(600);
  assert.equal(Math.round(controller.update({ ...observation, nowMs: 30_000 }).targetLatencyMs), 2_200);
});
