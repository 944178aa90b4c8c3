/** What an interrupted writer leaves behind: everything written plays, nothing half written stays. */
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { RECORDER_DEFAULTS } from '../../../server/replay/options.ts';
import type { OpenRecording } from '../../../server/replay/recording.ts';
import { RecordingStore } from '../../../server/replay/recording-store.ts';
import { recoverRecording } from '../../../server/replay/recovery.ts';
import { openRecording } from '../../../server/replay/segment-reader.ts';
import { SegmentWriter } from '../../../server/replay/segment-writer.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { packagedProgramme, packagedSegment } from '../../support/packaged-segments.ts';

const ID = '0123456789abcdef'.repeat(2);
const FOLDER = `/replay/${ID}`;
const HEADER = { id: ID, name: 'shop', title: '', startedAtWallMs: 1_700_000_000_000 };

/** A recording that nobody ended. */
const interrupted = async (count: number): Promise<MemoryFiles> => {
  const files = new MemoryFiles();
  const settings = { ...RECORDER_DEFAULTS, fileRollMs: 10_000 };
  const writer = await SegmentWriter.create({ files, folder: FOLDER, header: HEADER, settings }, 0);
  const clock = new ManualClock();
  for (const segment of packagedProgramme(count)) {
    await writer.append([{ segment, isAfterLoss: false }], clock.nowMs());
    clock.advanceMs(1_000);
  }
  return files;
};

/** Every segment it still has must be what was written. */
const readAll = async (recording: OpenRecording): Promise<string[]> => {
  const { index } = recording;
  const found: string[] = [];
  for (const { trackId, renditionId } of index.tracks) {
    for (let position = 0; position < index.segmentCount(trackId); position += 1) {
      const segment = index.segmentAt(trackId, position)!;
      const written = packagedSegment(segment.msn, { renditionId, payloadBytes: renditionId === 'audio' ? 80 : 300 });
      assert.deepEqual(Uint8Array.from(await recording.readSegment(segment)), written.body);
      found.push(`${trackId}/${segment.msn}${segment.isAfterLoss ? ' lost' : ''}`);
    }
  }
  return found;
};

/** All media bytes are named by the index, and nothing else is there. */
const assertNoOrphans = (files: MemoryFiles, recording: OpenRecording): void => {
  const media = files.paths().filter((file) => file.endsWith('.m4s'));
  const bytes = media.reduce((sum, file) => sum + files.bytesOf(file).byteLength, 0);
  assert.equal(bytes, recording.index.mediaBytes);
  assert.equal(files.paths().length, media.length + 1);
};

test('power loss, simulated: the index cut at every byte leaves a recording of what came before', async () => {
  const whole = await interrupted(3);
  const indexBytes = whole.bytesOf(`${FOLDER}/index`);
  let lastCount = 0;
  for (let length = 0; length <= indexBytes.byteLength; length += 1) {
    const files = whole.copy();
    await files.truncate(`${FOLDER}/index`, length);
    let count = 0;
    try {
      const recovered = await recoverRecording(files, FOLDER);
      if (recovered === undefined) {
        assert.deepEqual(files.paths(), []);
      } else {
        const recording = await openRecording(FOLDER, files);
        count = (await readAll(recording)).length;
        assertNoOrphans(files, recording);
        assert.equal(recording.index.endReason, 'interrupted');
      }
    } catch (error) {
      // Media without even the head of an index: nothing that we leave behind, so nothing that we throw away.
      assert.equal((error as { code?: string }).code, 'REPLAY_INDEX_UNREADABLE');
      assert.ok(length < 150 && files.paths().length === 3);
    }
    assert.ok(count >= lastCount, `at ${length}: ${count} after ${lastCount}`);
    lastCount = count;
  }
  assert.equal(lastCount, 6);
});

test('media that never reached the disk is cut off, in its track alone', async () => {
  const files = await interrupted(4);
  await files.truncate(`${FOLDER}/0-0.m4s`, files.bytesOf(`${FOLDER}/0-0.m4s`).byteLength - 5);
  const recovered = await recoverRecording(files, FOLDER);
  assert.equal(recovered!.cutCount, 1);
  const recording = await openRecording(FOLDER, files);
  assert.deepEqual(await readAll(recording), ['0/0', '0/1', '0/2', '1/0', '1/1', '1/2', '1/3']);
  assertNoOrphans(files, recording);
  assert.equal(recovered!.summary.durationMs, 8_000);
});

test('a hole of zeros within the last minute: that segment goes, and both tracks say that they break', async () => {
  const files = await interrupted(4);
  const media = files.bytesOf(`${FOLDER}/0-0.m4s`);
  const bytes = packagedSegment(1).body.byteLength;
  media.fill(0, bytes, bytes * 2);
  files.put(`${FOLDER}/0-0.m4s`, media);
  await recoverRecording(files, FOLDER);
  const found = await readAll(await openRecording(FOLDER, files));
  assert.deepEqual(
    found,
    ['0/0', '0/2 lost', '0/3', '1/0', '1/1', '1/2 lost', '1/3'].map((name) => name),
  );
});

test('bytes behind the last segment and files that no segment names are removed; files of others stay', async () => {
  const files = await interrupted(2);
  files.put(`${FOLDER}/0-0.m4s`, Buffer.concat([files.bytesOf(`${FOLDER}/0-0.m4s`), Buffer.alloc(77)]));
  files.put(`${FOLDER}/0-9.m4s`, Buffer.alloc(9));
  files.put(`${FOLDER}/index.new`, Buffer.alloc(3));
  await recoverRecording(files, FOLDER);
  const recording = await openRecording(FOLDER, files);
  assertNoOrphans(files, recording);
  files.put(`${FOLDER}/poster.jpg`, Buffer.alloc(9));
  files.put(`${FOLDER}/0-8.m4s`, Buffer.alloc(9));
  await recoverRecording(files, FOLDER);
  assert.deepEqual(
    files.paths().map((file) => path.basename(file)),
    ['0-0.m4s', '1-1.m4s', 'index', 'poster.jpg'],
  );
});

test('the store ends what was interrupted, discards what never began, leaves alone what it cannot read', async () => {
  const files = await interrupted(3);
  files.put(`/replay/${'e'.repeat(32)}/index`, Buffer.alloc(0));
  files.put(`/replay/${'f'.repeat(32)}/index`, Buffer.from('not an index'.repeat(100)));
  files.put(`/replay/${'f'.repeat(32)}/0-0.m4s`, Buffer.alloc(10));
  files.put(`/replay/removed-${'d'.repeat(32)}/0-0.m4s`, Buffer.alloc(10));
  files.put('/replay/notes.txt', Buffer.from('mine'));
  const store = new RecordingStore({ root: '/replay', files, log: silentLog });
  await store.scan();
  assert.deepEqual(
    store.list().map(({ id, endReason, durationMs }) => ({ id, endReason, durationMs })),
    [{ id: ID, endReason: 'interrupted', durationMs: 6_000 }],
  );
  assert.deepEqual(
    files.paths().filter((file) => !file.includes(ID)),
    [`/replay/${'f'.repeat(32)}/0-0.m4s`, `/replay/${'f'.repeat(32)}/index`, '/replay/notes.txt'],
  );
  const again = new RecordingStore({ root: '/replay', files, log: silentLog });
  const writesBefore = files.writeCount;
  await again.scan();
  assert.deepEqual([again.list(), files.writeCount], [store.list(), writesBefore]);
});

test('media that was damaged later is refused when it is read, not given out', async () => {
  const files = await interrupted(2);
  await recoverRecording(files, FOLDER);
  const recording = await openRecording(FOLDER, files);
  const media = files.bytesOf(`${FOLDER}/0-0.m4s`);
  media[50]! ^= 1;
  files.put(`${FOLDER}/0-0.m4s`, media);
  const [first, second] = [recording.index.segmentAt(0, 0)!, recording.index.segmentAt(0, 1)!];
  await assert.rejects(recording.readSegment(first), { code: 'REPLAY_MEDIA_DAMAGED' });
  assert.equal((await recording.readSegment(second)).byteLength, second.byteLength);
  await files.remove(`${FOLDER}/0-0.m4s`);
  await assert.rejects(recording.readSegment(second), { code: 'REPLAY_MEDIA_GONE' });
});
