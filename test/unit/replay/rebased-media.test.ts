// Media as the VOD serves it: the gaps are gone from the times, and nothing else has changed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { readFragmentHead } from '../../../server/media/fmp4/fragment-reader.ts';
import type { OpenRecording } from '../../../server/replay/recording.ts';
import { findMediaFile, streamRebased } from '../../../server/replay/rebased-media.ts';
import { readVodTimeline } from '../../../server/replay/vod-timeline.ts';
import { makeSampleRecording } from '../../support/sample-recording.ts';
import { syntheticAudio, syntheticVideo } from '../../support/synthetic-media.ts';
import { tempFolder } from '../../support/temp-folder.ts';

let folder = '';
let recording: OpenRecording;
before(() => {
  folder = tempFolder('rebased');
  const stretch = (startMs: number): Parameters<typeof makeSampleRecording>[1][number] => ({
    startMs,
    video: syntheticVideo({ frameRateFps: 30, durationS: 5, gopFrames: 30 }),
    audio: syntheticAudio({ durationS: 5 }),
  });
  recording = makeSampleRecording(folder, [stretch(1_000), stretch(9_000), stretch(60_000)]);
});

const readWhole = async (trackId: number, fileIndex: number, fromByte = 0, toByte?: number): Promise<Buffer> => {
  const file = findMediaFile(recording, { trackId, fileIndex })!;
  const timeline = readVodTimeline(recording.index)!;
  const endByte = toByte ?? file.sizeBytes;
  return Buffer.concat(
    await Array.fromAsync(streamRebased(recording, { file, timeline, startByte: fromByte, endByte })),
  );
};

const fileCountOf = (trackId: number): number =>
  (recording.index.segmentAt(trackId, recording.index.segmentCount(trackId) - 1)?.fileIndex ?? -1) + 1;

/** Times of all fragments of a track, in ticks. */
const spansOf = async (trackId: number): Promise<{ startTicks: number; endTicks: number }[]> => {
  const spans: { startTicks: number; endTicks: number }[] = [];
  for (let fileIndex = 0; fileIndex < fileCountOf(trackId); fileIndex += 1) {
    const bytes = await readWhole(trackId, fileIndex);
    for (let at = 0; at < bytes.byteLength;) {
      const head = readFragmentHead(bytes.subarray(at))!;
      const durationTicks = head.durationsTicks.reduce((sum, ticks) => sum + ticks, 0);
      spans.push({ startTicks: head.startTicks, endTicks: head.startTicks + durationTicks });
      at += head.fragmentBytes;
    }
  }
  return spans;
};

test('after two reconnects decoding times run on without a gap, in both tracks alike', async () => {
  for (const [trackId, frameTicks] of [
    [0, 3_000],
    [1, 1_024],
  ] as const) {
    const spans = await spansOf(trackId);
    assert.ok(spans.length > 20);
    spans.forEach(({ startTicks }, place) => {
      const previousTicks = spans[place - 1]?.endTicks ?? startTicks;
      assert.ok(
        Math.abs(startTicks - previousTicks) <= 1.5 * frameTicks,
        `track ${trackId}, fragment ${place}: ${previousTicks} → ${startTicks}`,
      );
    });
  }
});

test('nothing but times has changed: lengths and samples are those on disk', async () => {
  for (let fileIndex = 0; fileIndex < fileCountOf(0); fileIndex += 1) {
    const onDisk = readFileSync(recording.mediaFilePath({ trackId: 0, fileIndex }));
    const served = await readWhole(0, fileIndex);
    assert.equal(served.byteLength, onDisk.byteLength);
    for (let at = 0; at < served.byteLength;) {
      const head = readFragmentHead(served.subarray(at))!;
      served.copy(onDisk, at + head.startTicksAtByte, at + head.startTicksAtByte, at + head.startTicksAtByte + 8);
      at += head.fragmentBytes;
    }
    assert.ok(served.equals(onDisk));
  }
});

test('any range of a file equals the same bytes of the whole, also across segments and inside a moved time', async () => {
  const fileIndex = fileCountOf(0) - 1;
  const whole = await readWhole(0, fileIndex);
  const head = readFragmentHead(whole)!;
  for (const [from, to] of [
    [0, 1],
    [head.startTicksAtByte + 3, head.startTicksAtByte + 5],
    [100, whole.byteLength - 100],
    [whole.byteLength - 1, whole.byteLength],
  ] as const) {
    assert.ok((await readWhole(0, fileIndex, from, to)).equals(whole.subarray(from, to)), `${from} to ${to}`);
  }
});

test('a file the index does not know is none', () => {
  assert.equal(findMediaFile(recording, { trackId: 0, fileIndex: 99 }), undefined);
  assert.equal(findMediaFile(recording, { trackId: 7, fileIndex: 0 }), undefined);
});
