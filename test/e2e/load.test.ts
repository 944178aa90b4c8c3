/**
 * WHEP viewers and LL-HLS players at once, some of them replaced: all join, see pictures and leave nothing behind; and what the viewers
 * received is what the server says it sent.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { CrowdReader } from '../latency/load/crowd-reader.ts';
import { HlsViewer } from '../latency/load/hls-viewer.ts';
import { runLoad } from '../latency/load/load-run.ts';
import { WhepViewer } from '../latency/load/whep-viewer.ts';
import { LiveStage } from '../support/live-stage.ts';
import { metricSum, type SluiceProcess } from '../support/sluice-process.ts';
import { passMs, within, withinValue } from '../support/wait.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const VIEWER_COUNT = 8;
const SHAPE = { viewerCount: VIEWER_COUNT, durationS: IS_SOAK ? 60 : 3, joinsPerS: 20, processCount: 1 } as const;
const WATCH_MS = 1_500;
const SETTLE_MS = 600;
/** Of what was sent in the moment of leaving. */
const TOLERANCE_RATIO = 0.02;

test('two loads with churn: nobody fails, nobody is black; then each packet and byte sent was received', async (t) => {
  const stage = new LiveStage(t);
  const sluice = await stage.server({ config: { webrtc: { requestsPerMinute: 10_000, joinsPerS: 50 } } });
  await stage.publisher({ url: sluice.rtmpUrl('load'), preset: 'zerolatency', bitrateBps: 500_000 });
  await sluice.waitState('load', 'live');
  await assertLoads(t, sluice);
  await assertWhepAddsUp(t, sluice);
  await assertHlsAddsUp(t, sluice);
});

const assertLoads = async (t: TestContext, sluice: SluiceProcess): Promise<void> => {
  const [whep, hls] = await Promise.all([
    runLoad({
      ...{ ...SHAPE, target: { kind: 'whep', url: sluice.whepUrl('load') }, serverPid: sluice.pid },
      // Who vanishes is known to be gone ten seconds later.
      ...{ churnPerS: 1, vanishRatio: IS_SOAK ? 0.5 : 0 },
    }),
    runLoad({ ...SHAPE, churnPerS: 1, target: { kind: 'hls', url: sluice.playlistUrl('load') } }),
  ]);
  for (const report of [whep, hls]) {
    t.diagnostic(JSON.stringify(report));
    assert.deepEqual(report.failures, {});
    assert.deepEqual(report.endedEarly, {});
    assert.ok(report.leftCount > 0);
    assert.equal(report.joinedCount, VIEWER_COUNT + report.leftCount);
    assert.equal(report.counts['blackCount'], 0);
  }
  assert.equal(whep.counts['unreadableCount'], 0);
  assert.ok((whep.server?.cpuMsPerS ?? 0) > 0);
  assert.ok((hls.counts['partCount'] ?? 0) > 0);
  assert.equal(hls.counts['failedRequestCount'], 0);
  await within(20_000, 'the server is rid of all viewers', async () =>
    (await sluice.broadcasts()).every(({ viewerCount }) => viewerCount === 0),
  );
};

const assertWhepAddsUp = async (t: TestContext, sluice: SluiceProcess): Promise<void> => {
  const beforeCount = await settledSentCount(sluice);
  // Half of them are read all at once, in pieces as nothing has cut them on the way; the others read for themselves.
  const reader = CrowdReader.open();
  t.diagnostic(
    reader === undefined ? 'the reader of a crowd was not built: all read for themselves' : 'half are read at once',
  );
  const viewers = Array.from(
    { length: VIEWER_COUNT },
    (_, index) => new WhepViewer({ whepUrl: sluice.whepUrl('load'), reader: index % 2 === 0 ? reader : undefined }),
  );
  await Promise.all(viewers.map(async (viewer) => viewer.start()));
  await passMs(WATCH_MS);
  await Promise.all(viewers.map(async (viewer) => viewer.close()));
  const sent = (await settledSentCount(sluice)) - beforeCount;
  const received = viewers.reduce((sum, viewer) => sum + viewer.counts.packetCount, 0);
  t.diagnostic(`${sent} packets sent, ${received} received`);
  assert.ok(received > 0 && Math.abs(sent - received) <= TOLERANCE_RATIO * sent, `${sent} sent, ${received} received`);
};

/** While nobody watches: the server's counters reach its registry a few times a second. */
const settledSentCount = async (sluice: SluiceProcess): Promise<number> => {
  let before = Number.NaN;
  return withinValue(10_000, 'the count of packets sent settles', async () => {
    await passMs(SETTLE_MS);
    const count = metricSum(await sluice.metrics(), 'webrtc_out_packets_total');
    const isSettled = count === before;
    before = count;
    return isSettled ? count : undefined;
  });
};

const assertHlsAddsUp = async (t: TestContext, sluice: SluiceProcess): Promise<void> => {
  const sentBytes = async (): Promise<number> => metricSum(await sluice.metrics(), 'hls_out_bytes_total');
  const beforeBytes = await sentBytes();
  const players = Array.from({ length: VIEWER_COUNT }, () => new HlsViewer({ url: sluice.playlistUrl('load') }));
  await Promise.all(players.map(async (player) => player.start()));
  await passMs(WATCH_MS);
  const receivedBytes = (): number => players.reduce((sum, player) => sum + player.counts.byteCount, 0);
  // A part may be on its way while either number is read.
  await within(10_000, 'bytes sent and received are the same', async () => {
    const sent = (await sentBytes()) - beforeBytes;
    const received = receivedBytes();
    t.diagnostic(`${sent} bytes sent, ${received} received`);
    return received > 0 && Math.abs(sent - received) <= TOLERANCE_RATIO * sent;
  });
  players.forEach((player) => player.close());
};
