/** A report: times from play(), null for what nobody saw, JSON all through. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { composeEmptyReport, composeReport } from '../../../latency/viewer/compose-report.ts';
import type { ReadFrame } from '../../../latency/viewer/stamp-reader.ts';

const START_MS = 1_795_000_000_000;
const target = { kind: 'll-hls', url: 'http://127.0.0.1/x.m3u8' } as const;

const frame = (atMs: number, stamp: number | null, heightPx = 360): ReadFrame => ({
  ...{ shownAtWallMs: START_MS + atMs, submittedAtWallMs: 0, readAtWallMs: 0, stamp, mediaTimeS: 0 },
  ...{ presentedCount: atMs / 40, widthPx: (heightPx * 16) / 9, heightPx, flashLuma: 0, elementIndex: 0 },
  scriptAway: null,
});

test('times are from play(); size is told at first and at each change; the whole survives JSON', () => {
  const stampOf = (atMs: number): number => (START_MS + atMs - 200) % 2 ** 24;
  const frames = [400, 440, 480, 520, 560].map((atMs, k) => frame(atMs, stampOf(atMs), k < 3 ? 360 : 720));
  const report = composeReport({
    ...{ target, startedAtWallMs: START_MS, frames, samples: [] },
    ...{ fromWallMs: START_MS + 450, toWallMs: START_MS + 600 },
  });
  assert.equal(report.joinMs, 400);
  assert.equal(report.observedFromMs, 450);
  assert.equal(report.durationMs, 150);
  assert.deepEqual(report.frames.shownAtMs, [400, 440, 480, 520, 560]);
  assert.deepEqual(report.frames.latencyMs, [200, 200, 200, 200, 200]);
  assert.deepEqual(report.resolution, [
    { atMs: 400, widthPx: 640, heightPx: 360 },
    { atMs: 520, widthPx: 1280, heightPx: 720 },
  ]);
  assert.equal(report.latencyMs?.p50, 200);
  assert.equal(report.chrome, null);
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
});

test('frames without a readable stamp have no latency, not a wrong one', () => {
  const report = composeReport({
    ...{ target, startedAtWallMs: START_MS, frames: [frame(0, null), frame(40, null)], samples: [] },
    ...{ fromWallMs: START_MS, toWallMs: START_MS + 80 },
  });
  assert.equal(report.latencyMs, null);
  assert.equal(report.ageMs, null);
  assert.equal(report.unreadableCount, 2);
});

test('no picture within the time for joining is one stall from end to end', () => {
  const report = composeEmptyReport({
    ...{ target, startedAtWallMs: START_MS, joinMaxMs: 10_000, samples: [], failure: 'WHEP answered 404: none' },
    refusals: [{ atMs: 3, status: 404, text: 'none' }],
  });
  assert.equal(report.joinMs, null);
  assert.equal(report.stallRatio, 1);
  assert.equal(report.durationMs, 10_000);
  assert.equal(report.failure, 'WHEP answered 404: none');
});
