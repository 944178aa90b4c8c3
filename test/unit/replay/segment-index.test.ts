/** The index: what was appended is what is read, and a damaged tail costs nothing that came before it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import { ProtocolError } from '../../../server/base/errors.ts';
import { decodeLastSummary, encodeRecord } from '../../../server/replay/index-format.ts';
import { RECORDER_DEFAULTS } from '../../../server/replay/options.ts';
import type { RecordedSegment, RecordingIndex } from '../../../server/replay/recording.ts';
import { IndexParser, SegmentIndex } from '../../../server/replay/segment-index.ts';
import { SegmentWriter } from '../../../server/replay/segment-writer.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { packagedProgramme, packagedSegment } from '../../support/packaged-segments.ts';

const HEADER = { id: '0123456789abcdef'.repeat(2), name: 'shop', title: '', startedAtWallMs: 1_700_000_000_000 };

const parse = (bytes: Buffer): IndexParser => {
  const parser = new IndexParser(bytes);
  parser.step(Number.POSITIVE_INFINITY);
  return parser;
};

const all = (index: RecordingIndex): RecordedSegment[] =>
  index.tracks.flatMap(({ trackId }) =>
    Array.from({ length: index.segmentCount(trackId) }, (_, position) => index.segmentAt(trackId, position)!),
  );

const write = async (): Promise<{ files: MemoryFiles; index: SegmentIndex }> => {
  const files = new MemoryFiles();
  const clock = new ManualClock();
  const settings = { ...RECORDER_DEFAULTS, fileRollMs: 6_000 };
  const writer = await SegmentWriter.create({ files, folder: '/r', header: HEADER, settings }, clock.nowMs());
  for (const segment of packagedProgramme(5)) {
    await writer.append([{ segment, isAfterLoss: false }], clock.nowMs());
  }
  writer.addMark({ kind: 'loss', atWallMs: HEADER.startedAtWallMs + 9, reason: 'queue_full' });
  const late = [packagedSegment(7, { isDiscontinuity: true }), packagedSegment(7, { renditionId: 'audio' })];
  await writer.append(
    late.map((segment) => ({ segment, isAfterLoss: true })),
    clock.nowMs(),
  );
  await writer.end({ reason: 'broadcast_ended', atWallMs: HEADER.startedAtWallMs + 16_000 });
  return { files, index: writer.index };
};

test('what was written is what is read', async () => {
  const { files, index } = await write();
  const read = parse(files.bytesOf('/r/index')).index;
  assert.deepEqual(all(read), all(index));
  assert.deepEqual(read.header, HEADER);
  assert.deepEqual(
    read.tracks.map(({ renditionId, kind, timescaleHz }) => [renditionId, kind, timescaleHz]),
    [
      ['video', 'video', 90_000],
      ['audio', 'audio', 48_000],
    ],
  );
  assert.deepEqual(read.tracks[0]!.inits[0]!.bytes, Uint8Array.from(packagedSegment(0).init));
  assert.deepEqual(
    read.marks.map(({ kind, reason }) => `${kind} ${reason}`),
    ['loss queue_full', 'end broadcast_ended'],
  );
  assert.equal(read.endReason, 'broadcast_ended');
  assert.equal(read.durationMs, 12_000);
  assert.equal(read.segmentAt(0, 3)!.startTicks, 540_000);
  assert.equal(read.segmentAt(0, 5)!.isAfterLoss, true);
});

test('media files roll, and no two tracks share one', async () => {
  const { files, index } = await write();
  assert.deepEqual(files.paths(), ['/r/0-0.m4s', '/r/0-2.m4s', '/r/1-1.m4s', '/r/1-3.m4s', '/r/index']);
  const last = index.segmentAt(0, 5)!;
  assert.deepEqual([last.fileIndex, last.byteOffset], [2, index.segmentAt(0, 3)!.byteLength * 2]);
});

test('truncated at any byte, everything before the cut is intact', async () => {
  const { files, index } = await write();
  const bytes = files.bytesOf('/r/index');
  const whole = all(index);
  let lastCount = 0;
  let headerEnd = 0;
  for (let length = 0; length <= bytes.byteLength; length += 1) {
    const cut = bytes.subarray(0, length);
    if (length < 150 && headerEnd === 0) {
      try {
        parse(cut);
        headerEnd = length;
      } catch (error) {
        assert.ok(error instanceof ProtocolError && error.code === 'REPLAY_INDEX_UNREADABLE');
        continue;
      }
    }
    const parser = parse(cut);
    const kept = all(parser.index);
    const known = new Set(kept.map(({ trackId, msn }) => `${trackId}/${msn}`));
    assert.deepEqual(
      kept,
      whole.filter(({ trackId, msn }) => known.has(`${trackId}/${msn}`)),
    );
    assert.ok(kept.length >= lastCount && parser.validBytes <= length);
    lastCount = kept.length;
  }
  assert.equal(lastCount, whole.length);
});

test('any flipped bit ends the index where it is, and what came before counts', async () => {
  const { files, index } = await write();
  const bytes = files.bytesOf('/r/index');
  const whole = all(index).length;
  for (let at = 150; at < bytes.byteLength; at += 1) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 1 << (at % 8);
    const parser = parse(damaged);
    assert.ok(parser.validBytes <= at && all(parser.index).length <= whole);
  }
});

test('the summary is found from the end alone, also after a new title', async () => {
  const { files, index } = await write();
  const bytes = files.bytesOf('/r/index');
  const summary = decodeLastSummary(bytes.subarray(-1_000));
  assert.deepEqual(summary, index.summary);
  assert.equal(summary.endReason, 'broadcast_ended');
  assert.equal(decodeLastSummary(bytes.subarray(0, -1)), undefined);
  const title = encodeRecord({ type: 'title', title: 'Spring shoes 👟' });
  const renamed = Buffer.concat([bytes, title, encodeRecord({ type: 'summary', summary: { ...summary, title: 'x' } })]);
  assert.equal(decodeLastSummary(renamed)!.title, 'x');
  assert.equal(parse(renamed).index.header.title, 'Spring shoes 👟');
});

test('positions by number and by time played, gaps left out', async () => {
  const { index } = await write();
  assert.equal(index.positionOfMsn(0, 3), 3);
  assert.equal(index.positionOfMsn(0, 6), 5);
  assert.equal(index.positionOfMsn(0, 8), 6);
  assert.equal(index.elapsedMsAt(0, 5), 10_000);
  assert.equal(index.elapsedMsAt(0, 6), 12_000);
  assert.deepEqual(
    [-1, 0, 1_999, 2_000, 10_500, 99_000].map((elapsedMs) => index.positionAtElapsedMs(0, elapsedMs)),
    [0, 0, 0, 1, 5, 5],
  );
});

test('numbers that do not rise, unknown tracks and a skipped init end the index', () => {
  const index = new SegmentIndex(HEADER);
  const init = { initIndex: 0, codecString: 'avc1', timescaleHz: 90_000, widthPx: 1, heightPx: 1, channelCount: 0 };
  const track = {
    trackId: 0,
    renditionId: 'video',
    kind: 'video' as const,
    init: { ...init, bytes: Uint8Array.of(1) },
  };
  const segment = {
    ...{ trackId: 0, msn: 4, initIndex: 0, startTicks: 0, durationTicks: 9, wallMs: 1, fileIndex: 0, byteOffset: 0 },
    ...{ byteLength: 1, crc32: 0, isDiscontinuity: false, isIndependent: true, isAfterLoss: false },
  };
  assert.equal(index.apply({ type: 'segment', segment }), false);
  assert.equal(index.apply({ type: 'track', track: { ...track, trackId: 1 } }), false);
  assert.equal(index.apply({ type: 'track', track }), true);
  assert.equal(index.apply({ type: 'track', track: { ...track, init: { ...track.init, initIndex: 2 } } }), false);
  assert.equal(index.apply({ type: 'segment', segment: { ...segment, initIndex: 1 } }), false);
  assert.equal(index.apply({ type: 'segment', segment }), true);
  assert.equal(index.apply({ type: 'segment', segment }), false);
  assert.equal(index.segmentCount(0), 1);
});
