/** The recorder before a full, slow, broken or vanished disk: the live side never waits, what was written plays, losses are told. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import type { PackagedSegment } from '../../../server/media/packaged-segment.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import type { RecorderOptions } from '../../../server/replay/options.ts';
import { RECORDER_DEFAULTS } from '../../../server/replay/options.ts';
import { Recorder } from '../../../server/replay/recorder.ts';
import type { OpenRecording } from '../../../server/replay/recording.ts';
import { RecordingStore } from '../../../server/replay/recording-store.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { packagedProgramme, packagedSegment } from '../../support/packaged-segments.ts';
import { metricSum } from '../../support/sluice-process.ts';
import { within } from '../../support/wait.ts';

const ROOT = '/replay';
const BROADCAST_ID = packagedSegment(0).broadcastId;

class Rig {
  readonly files: MemoryFiles;
  readonly clock = new ManualClock();
  readonly metrics = new Metrics({ collectDefaults: false });
  readonly store: RecordingStore;
  readonly recorder: Recorder;

  constructor(settings: Partial<RecorderOptions> = {}, files = new MemoryFiles()) {
    this.files = files;
    this.store = new RecordingStore({ root: ROOT, files, log: silentLog });
    this.recorder = new Recorder({
      settings: { ...RECORDER_DEFAULTS, freeMinBytes: 1_000, ...settings },
      root: ROOT,
      store: this.store,
      files,
      clock: this.clock,
      log: silentLog,
      metrics: this.metrics,
    });
  }

  push(...segments: readonly PackagedSegment[]): void {
    for (const segment of segments) {
      this.recorder.onSegment(segment);
    }
  }

  async written(): Promise<void> {
    await within(1_000, 'the queue is empty', async () => {
      return metricSum(await this.metrics.render(), 'recorder_queue_bytes') === 0;
    });
  }

  async metric(name: string): Promise<number> {
    return metricSum(await this.metrics.render(), name);
  }

  async end(): Promise<OpenRecording> {
    await this.recorder.end(BROADCAST_ID, 'broadcast_ended');
    const [newest] = this.store.list();
    return (await this.store.open(newest!.id))!;
  }
}

const msnsOf = ({ index }: OpenRecording, trackId: number): string[] =>
  Array.from({ length: index.segmentCount(trackId) }, (_, position) => {
    const { msn, isDiscontinuity, isAfterLoss } = index.segmentAt(trackId, position)!;
    return `${msn}${isDiscontinuity ? ' break' : ''}${isAfterLoss ? ' lost' : ''}`;
  });

test('a broadcast is one recording, in the library while it is made and afterwards', async () => {
  const rig = new Rig();
  rig.push(...packagedProgramme(4));
  await rig.written();
  const [live] = rig.store.list();
  assert.equal(live!.endedAtWallMs, undefined);
  assert.equal(live!.name, 'shop');
  await assert.rejects(rig.store.remove(live!.id), { code: 'REPLAY_RECORDING_LIVE' });
  assert.equal(rig.recorder.statusOf(BROADCAST_ID)!.state, 'recording');
  const recording = await rig.end();
  assert.deepEqual(msnsOf(recording, 0), ['0', '1', '2', '3']);
  const [ended] = rig.store.list();
  assert.deepEqual([ended!.id, ended!.endReason, ended!.durationMs], [live!.id, 'broadcast_ended', 8_000]);
  assert.match(ended!.id, /^[0-9a-f]{32}$/);
  assert.notEqual(ended!.id, BROADCAST_ID);
  assert.equal(await rig.metric('recorder_out_bytes_total'), ended!.mediaBytes);
});

test('rewind has what waits and what is written, and gives the same bytes', async () => {
  const rig = new Rig();
  let release = (): void => undefined;
  rig.files.held = new Promise((resolve) => (release = resolve));
  const segments = packagedProgramme(2);
  rig.push(...segments);
  for (const segment of segments) {
    assert.equal(rig.recorder.has(segment), true);
    assert.equal(await rig.recorder.read(segment), segment.body);
  }
  release();
  await rig.written();
  for (const segment of segments) {
    assert.equal(rig.recorder.has(segment), true);
    assert.deepEqual(Uint8Array.from((await rig.recorder.read(segment))!), segment.body);
  }
  assert.equal(rig.recorder.has(packagedSegment(9)), false);
  assert.equal(await rig.recorder.read({ ...segments[0]!, broadcastId: 'other' }), undefined);
  await rig.end();
  assert.deepEqual(Uint8Array.from((await rig.recorder.read(segments[0]!))!), segments[0]!.body);
  await rig.recorder.close('test over');
});

test('a slow disk: the queue keeps its cap, whole segments of both tracks are left out and told', async () => {
  const rig = new Rig({ queueMaxBytes: 2_000 });
  let release = (): void => undefined;
  rig.push(...packagedProgramme(1));
  await rig.written();
  rig.files.held = new Promise((resolve) => (release = resolve));
  rig.push(...packagedProgramme(6, 1));
  assert.ok((await rig.metric('recorder_queue_bytes')) <= 2_000);
  const lost = await rig.metric('recorder_segments_dropped_total');
  assert.ok(lost >= 4 && lost % 2 === 0);
  release();
  await rig.written();
  rig.push(...packagedProgramme(1, 7));
  const recording = await rig.end();
  assert.deepEqual(msnsOf(recording, 0), msnsOf(recording, 1));
  assert.deepEqual(msnsOf(recording, 0).at(-1), '7 break lost');
  assert.equal(recording.index.marks[0]!.reason, 'queue_full');
  assert.equal(recording.index.segmentCount(0) + recording.index.segmentCount(1) + lost, 16);
});

test('a disk that takes a few bytes at a time loses nothing', async () => {
  const rig = new Rig();
  rig.files.writeMaxBytes = 7;
  const segments = packagedProgramme(3);
  rig.push(...segments);
  const recording = await rig.end();
  for (const segment of segments) {
    assert.deepEqual(Uint8Array.from((await rig.recorder.read(segment))!), segment.body);
  }
  assert.equal(recording.index.durationMs, 6_000);
});

for (const tidyFailure of [undefined, 'EIO']) {
  test(`disk full in the middle of a write: pauses aloud, resumes with room, marked (tidying ${tidyFailure ?? 'works'})`, async () => {
    const rig = new Rig({ freeMinBytes: 1, retryEveryMs: 1_000 });
    rig.push(...packagedProgramme(3));
    await rig.written();
    rig.files.capacityBytes = rig.files.usedBytes + 250;
    rig.push(...packagedProgramme(1, 3));
    await rig.written();
    assert.deepEqual(rig.recorder.statusOf(BROADCAST_ID), {
      state: 'paused',
      pauseReason: 'disk_full',
      lostCount: 2,
    });
    assert.equal(rig.recorder.has(packagedSegment(3)), false);
    rig.files.tidyFailure = tidyFailure;
    rig.files.capacityBytes = Number.POSITIVE_INFINITY;
    rig.push(...packagedProgramme(1, 4));
    assert.equal(rig.recorder.statusOf(BROADCAST_ID)!.state, 'paused', 'not before it is time to look again');
    rig.clock.advanceMs(1_001);
    rig.push(...packagedProgramme(1, 5));
    await rig.written();
    rig.files.tidyFailure = undefined;
    rig.clock.advanceMs(1_001);
    rig.push(...packagedProgramme(2, 6));
    await rig.written();
    assert.equal(rig.recorder.statusOf(BROADCAST_ID)!.state, 'recording');
    const recording = await rig.end();
    const expected = tidyFailure === undefined ? ['5 break lost', '6', '7'] : ['6 break lost', '7'];
    assert.deepEqual(msnsOf(recording, 0), ['0', '1', '2', ...expected]);
    assert.deepEqual(msnsOf(recording, 1), msnsOf(recording, 0));
    assert.equal(recording.index.marks[0]!.reason, 'disk_full');
    for (const msn of [0, 2, 7]) {
      assert.deepEqual(Uint8Array.from((await rig.recorder.read(packagedSegment(msn)))!), packagedSegment(msn).body);
    }
    assert.equal(rig.store.list().length, 1);
  });
}

test('the last of the disk is left to others, and a pause is not ended by a hair', async () => {
  const rig = new Rig({ freeMinBytes: 10_000, retryEveryMs: 1_000 });
  rig.files.capacityBytes = 9_000;
  rig.push(...packagedProgramme(1));
  await rig.written();
  assert.equal(rig.recorder.statusOf(BROADCAST_ID)!.pauseReason, 'disk_full');
  assert.equal(rig.files.writeCount, 0);
  rig.files.capacityBytes = 11_000;
  rig.clock.advanceMs(1_001);
  rig.push(...packagedProgramme(1, 1));
  await rig.written();
  assert.equal(rig.recorder.statusOf(BROADCAST_ID)!.state, 'paused');
  rig.files.capacityBytes = 20_000;
  rig.clock.advanceMs(1_001);
  rig.push(...packagedProgramme(1, 2));
  assert.deepEqual(msnsOf(await rig.end(), 0), ['2 break lost']);
});

test('a broken disk: paused with its own reason, goes on when it works', async () => {
  const rig = new Rig({ retryEveryMs: 1_000 });
  rig.push(...packagedProgramme(1));
  await rig.written();
  rig.files.writeFailure = 'EIO';
  rig.push(...packagedProgramme(1, 1));
  await rig.written();
  assert.equal(rig.recorder.statusOf(BROADCAST_ID)!.pauseReason, 'disk_failed');
  rig.files.writeFailure = undefined;
  rig.clock.advanceMs(1_001);
  rig.push(...packagedProgramme(1, 2));
  assert.deepEqual(msnsOf(await rig.end(), 1), ['0', '2 break lost']);
  assert.equal(await rig.metric('recorder_failures_total'), 1);
});

test('the folder is removed while it is recorded: a new recording begins with what was not written yet', async () => {
  const rig = new Rig();
  rig.push(...packagedProgramme(2));
  await rig.written();
  const first = rig.store.list()[0]!.id;
  await rig.files.remove(ROOT);
  rig.push(...packagedProgramme(2, 2));
  await rig.written();
  assert.deepEqual(
    rig.store.list().map(({ id }) => id === first),
    [false],
  );
  assert.equal(rig.recorder.has(packagedSegment(1)), false);
  assert.equal(rig.recorder.has(packagedSegment(2)), true);
  assert.deepEqual(msnsOf(await rig.end(), 0), ['2', '3']);
});

test('only the renditions that are named are kept, and nothing when it is switched off', async () => {
  const rig = new Rig({ renditions: ['audio'] });
  rig.push(...packagedProgramme(2));
  const recording = await rig.end();
  assert.deepEqual(
    recording.index.tracks.map(({ renditionId }) => renditionId),
    ['audio'],
  );
  const off = new Rig({ enabled: false });
  off.push(...packagedProgramme(2));
  await off.recorder.end(BROADCAST_ID, 'broadcast_ended');
  assert.deepEqual(off.files.paths(), []);
});

test('new parameters of the encoder are another init segment of the same track', async () => {
  const rig = new Rig();
  const init = Uint8Array.from([...packagedSegment(0).init, 0, 0, 0, 8, 0x66, 0x72, 0x65, 0x65]);
  rig.push(packagedSegment(0), packagedSegment(1), packagedSegment(2, { init, isDiscontinuity: true }));
  const { index } = await rig.end();
  assert.equal(index.tracks[0]!.inits.length, 2);
  assert.deepEqual(index.tracks[0]!.inits[1]!.bytes, init);
  assert.deepEqual([index.segmentAt(0, 1)!.initIndex, index.segmentAt(0, 2)!.initIndex], [0, 1]);
});

test('fsync as configured: never, with each segment, at most once an interval', async () => {
  const syncsOf = async (settings: Partial<RecorderOptions>): Promise<number> => {
    const rig = new Rig(settings);
    for (let msn = 0; msn < 5; msn += 1) {
      rig.push(packagedSegment(msn));
      await rig.written();
      rig.clock.advanceMs(2_000);
    }
    return rig.files.syncCount;
  };
  assert.equal(await syncsOf({ fsync: 'never' }), 0);
  const opening = 2;
  assert.equal(await syncsOf({ fsync: 'segment' }), opening + 5 * 2);
  assert.equal(await syncsOf({ fsync: 'interval', fsyncEveryMs: 5_000 }), opening + 2);
});

test('titles: of a running recording and of an ended one, and they last', async () => {
  const rig = new Rig();
  rig.push(...packagedProgramme(2));
  await rig.written();
  const { id } = rig.store.list()[0]!;
  assert.equal(await rig.store.rename(id, 'Shoes'), true);
  assert.equal(rig.store.summaryOf(id)!.title, 'Shoes');
  rig.push(...packagedProgramme(1, 2));
  await rig.end();
  assert.equal(rig.store.summaryOf(id)!.title, 'Shoes');
  await rig.store.rename(id, 'Boots');
  assert.equal((await rig.store.open(id))!.index.header.title, 'Boots');
  const later = new RecordingStore({ root: ROOT, files: rig.files, log: silentLog });
  await later.scan();
  assert.deepEqual(later.list(), rig.store.list());
  assert.equal(await later.rename('../../etc', 'x'), false);
  await assert.rejects(later.rename(id, 'x'.repeat(201)), TypeError);
});

test('removed recordings are gone, and unknown ids are no paths', async () => {
  const rig = new Rig();
  rig.push(...packagedProgramme(2));
  await rig.end();
  const { id } = rig.store.list()[0]!;
  assert.equal(await rig.store.remove('..'), false);
  assert.equal(await rig.store.open('..'), undefined);
  assert.equal(await rig.store.remove(id), true);
  assert.deepEqual([rig.store.list(), rig.files.paths()], [[], []]);
});
