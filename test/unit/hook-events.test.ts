/** What webhooks tell of recordings: begun with the first segment, ready when all of it is on disk and can be played under the addresses told. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ManualClock, systemClock } from '../../server/base/clock.ts';
import { announceEvents } from '../../server/hook-events.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Hub } from '../../server/relay/hub.ts';
import { toEntry } from '../../server/replay/library.ts';
import { RECORDER_DEFAULTS } from '../../server/replay/options.ts';
import { Recorder } from '../../server/replay/recorder.ts';
import { RecordingStore } from '../../server/replay/recording-store.ts';
import { WEBHOOK_DEFAULTS, Webhooks } from '../../server/webhooks/webhooks.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { packagedProgramme, packagedSegment, SEGMENT_WALL_AT_ZERO_MS } from '../support/packaged-segments.ts';
import { within } from '../support/wait.ts';

type Told = { readonly event: string; readonly data: Readonly<Record<string, unknown>> };

/** All that is told of recordings from now on, as a shop's server takes it. */
const listen = async (t: TestContext, recordings: RecordingStore): Promise<readonly Told[]> => {
  const told: Told[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      told.push(JSON.parse(body) as Told);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const parts = { clock: systemClock, log: silentLog, metrics: new Metrics({ collectDefaults: false }) };
  const webhooks = new Webhooks(
    { ...WEBHOOK_DEFAULTS, receivers: [{ url, secret: 'a secret of the shop', events: ['recording'] }] },
    { ...parts, nextRatio: () => 0.5 },
  );
  t.after(async () => {
    await webhooks.close();
    server.closeAllConnections();
    server.close();
  });
  const gopCache = { cacheMaxBytes: 1e6, cacheMaxCount: 100 };
  const hub = new Hub({ settings: { gopCache, reconnectGraceMs: 1_000, broadcastMaxCount: 1 }, ...parts });
  announceEvents(webhooks, { hub, recordings, desk: { listen: () => () => true }, clock: systemClock });
  return told;
};

test('a recording is told of when it begins, and when all of it is on disk', async (t) => {
  const files = new MemoryFiles();
  const store = new RecordingStore({ root: '/replay', files, log: silentLog });
  const recorder = new Recorder({
    settings: { ...RECORDER_DEFAULTS, freeMinBytes: 1_000 },
    ...{ root: '/replay', store, files, clock: new ManualClock(), log: silentLog },
    metrics: new Metrics({ collectDefaults: false }),
  });
  const told = await listen(t, store);

  packagedProgramme(4).forEach((segment) => recorder.onSegment(segment));
  await within(5_000, 'its beginning is told', () => told.length === 1);
  const [{ id } = { id: '' }] = store.list();
  const named = { recordingId: id, name: 'shop', startedAtWallMs: SEGMENT_WALL_AT_ZERO_MS };
  assert.deepEqual([told[0]?.event, told[0]?.data], ['recording.started', named]);

  await recorder.end(packagedSegment(0).broadcastId, 'broadcast_ended');
  await within(5_000, 'its end is told', () => told.length === 2);
  const ready = told[1]!;
  const { durationMs, sizeBytes, endedAtWallMs, ...rest } = ready.data;
  assert.equal(ready.event, 'recording.ready');
  assert.deepEqual(rest, {
    ...named,
    replayUrl: `/replay/${id}`,
    playlistUrl: `/replay/${id}/index.m3u8`,
    downloadUrl: `/replay/${id}.mp4`,
  });

  // As another process finds it: nothing of it was in memory only.
  const after = new RecordingStore({ root: '/replay', files, log: silentLog });
  await after.scan();
  const summary = after.summaryOf(id);
  const found = summary === undefined ? undefined : { ...toEntry(summary), endReason: summary.endReason };
  assert.deepEqual(
    [found?.endReason, found?.durationMs, found?.sizeBytes, found?.endedAtWallMs],
    ['broadcast_ended', durationMs, sizeBytes, endedAtWallMs],
  );
  assert.ok(Number(durationMs) > 0 && Number(sizeBytes) > 0);
});
