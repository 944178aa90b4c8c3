/** The list of viewers as the API tells it: those over LL-HLS by their own reports, and who is remembered. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionSummary } from '../../server/api/contract/sessions.ts';
import type { QualityReport } from '../../server/api/contract/socket.ts';
import { ManualClock } from '../../server/base/clock.ts';
import { createReportersView } from '../../server/reported-viewers.ts';
import type { ViewerFacts } from '../../server/viewer-list.ts';
import { ViewerList } from '../../server/viewer-list.ts';

const REPORT: QualityReport = {
  ...{ transport: 'll-hls', latencyMs: 1_300, stallCount: 2, stallMs: 900, framesDecoded: 60, framesDropped: 0 },
  ...{ targetLatencyMs: 1_200, rendition: 'h480', bandwidthBps: 4_000_000 },
};

const EMPTY_TIMELINE = {
  ...{ atMs: [], estimateBps: [], sentBps: [], playoutDelayMs: [], needMs: [], targetLatencyMs: [] },
  ...{ queueDelayMs: [], rttMs: [], latencyMs: [], frozenMs: [], renditionId: [] },
};

const setUp = () => {
  const clock = new ManualClock();
  const viewers = new ViewerList(clock);
  return { clock, viewers, reporters: createReportersView(viewers, clock) };
};

/** Without what every summary of these tests has. */
const tell = ({ number, durationMs, endReason, renditionId, stallCount, stallMs }: SessionSummary): object => ({
  ...{ number, durationMs, endReason, renditionId, stallCount, stallMs },
});

test('a viewer over LL-HLS is listed from its first report on, and stalls count from there', async () => {
  const { clock, viewers, reporters } = setUp();
  const reporter = reporters.open('demo');
  assert.deepEqual(viewers.list(), []);
  reporter.report(REPORT);
  clock.advanceMs(2_000);
  reporter.report({ ...REPORT, latencyMs: null, stallCount: 3, stallMs: 1_100, rendition: 'main' });
  // Its player was built anew.
  clock.advanceMs(2_000);
  reporter.report({ ...REPORT, stallCount: 0, stallMs: 0, bandwidthBps: null });
  clock.advanceMs(2_000);
  reporter.report({ ...REPORT, stallCount: 1, stallMs: 150 });
  const [summary] = viewers.list();
  assert.deepEqual(summary, {
    ...{ number: 1, broadcast: 'demo', transport: 'll-hls', startedAtWallMs: 1_700_000_000_000, durationMs: 6_000 },
    ...{ endedAtWallMs: null, endReason: null, path: 'http', renditionId: 'h480', estimateBps: 4_000_000 },
    ...{ networkClass: null, playoutDelayMs: null, targetLatencyMs: 1_200, rttMs: null, latencyMs: 1_300 },
    ...{ stallCount: 2, stallMs: 350, smoothnessRatio: null },
  });
  const nothing = [null, null, null, null];
  assert.deepEqual(await viewers.find(1), {
    ...summary,
    timeline: {
      ...{ atMs: [0, 2_000, 4_000, 6_000], estimateBps: [4e6, 4e6, null, 4e6], latencyMs: [1_300, null, 1_300, 1_300] },
      ...{ targetLatencyMs: [1_200, 1_200, 1_200, 1_200], frozenMs: [0, 200, 0, 150] },
      ...{ sentBps: nothing, playoutDelayMs: nothing, needMs: nothing, queueDelayMs: nothing, rttMs: nothing },
      renditionId: ['h480', 'main', 'h480', 'h480'],
    },
  });
});

test('it ends when its socket closes, or when WebRTC takes over; another one may follow on the same socket', () => {
  const { clock, viewers, reporters } = setUp();
  const reporter = reporters.open('demo');
  reporter.report(REPORT);
  clock.advanceMs(5_000);
  reporter.report({ ...REPORT, transport: 'whep' });
  reporter.report({ ...REPORT, transport: 'whep' });
  clock.advanceMs(1_000);
  reporter.report(REPORT);
  reporter.close();
  reporter.close();
  clock.advanceMs(10_000);
  const common = { renditionId: 'h480', stallCount: 0, stallMs: 0 };
  assert.deepEqual(viewers.list().map(tell), [
    { number: 2, durationMs: 0, endReason: 'left', ...common },
    { number: 1, durationMs: 5_000, endReason: 'went over to WebRTC', ...common },
  ]);
});

test('it keeps five minutes of a row a report, and no more rows when reports come thicker', async () => {
  const { clock, viewers, reporters } = setUp();
  const reporter = reporters.open('demo');
  for (let second = 0; second < 400; second += 1) {
    reporter.report(REPORT);
    clock.advanceMs(1_000);
  }
  const { atMs } = (await viewers.find(1))!.timeline;
  assert.equal(atMs.length, 150);
  assert.deepEqual([atMs[0], atMs.at(-1)], [100_000, 398_000]);
});

test('a thousand are listed at a time, and each who leaves makes room', () => {
  const { viewers, reporters } = setUp();
  const all = Array.from({ length: 1_001 }, () => reporters.open('demo'));
  all.forEach((reporter) => reporter.report(REPORT));
  assert.equal(viewers.list().length, 1_000);
  all[0]!.close();
  all[1_000]!.report(REPORT);
  assert.equal(viewers.list().filter(({ endedAtWallMs }) => endedAtWallMs === null).length, 1_000);
});

test('the last fifty who watched are remembered; who never did is not', async () => {
  const { viewers } = setUp();
  const facts: ViewerFacts = {
    ...{ broadcast: 'demo', transport: 'whep', endReason: 'left', path: 'udp', renditionId: null, estimateBps: null },
    ...{ networkClass: null, playoutDelayMs: null, targetLatencyMs: null, rttMs: null, latencyMs: null },
    ...{ stallCount: null, stallMs: null, smoothnessRatio: 0.5 },
  };
  const viewer = { facts: () => facts, timeline: () => EMPTY_TIMELINE };
  viewers.add(viewer)(false);
  for (let count = 0; count < 60; count += 1) {
    viewers.add(viewer)(true);
  }
  assert.deepEqual(
    viewers.list().map(({ number }) => number),
    Array.from({ length: 50 }, (_, index) => 61 - index),
  );
  assert.equal(await viewers.find(11), undefined);
  assert.equal((await viewers.find(12))?.endReason, 'left');
});
