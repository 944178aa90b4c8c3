// VOD playlists: what they say is read off the index, and adds up.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import type { RecordedTrack } from '../../../server/replay/recording.ts';
import type { SegmentIndex } from '../../../server/replay/segment-index.ts';
import { VodPlaylists } from '../../../server/replay/vod-playlists.ts';
import { renderVodMultivariant, renderVodPlaylist } from '../../../server/replay/vod-playlist.ts';
import { readVodTimeline } from '../../../server/replay/vod-timeline.ts';
import type { SampleStretch } from '../../support/sample-recording.ts';
import { makeSampleRecording } from '../../support/sample-recording.ts';
import { syntheticAudio, syntheticVideo, testVideoTrack } from '../../support/synthetic-media.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const withIndex = (
  stretches: readonly SampleStretch[],
  use: (index: SegmentIndex) => void,
  options: { isEnded?: boolean } = {},
): void => {
  const folder = tempFolder('vod');
  try {
    use(makeSampleRecording(folder, stretches, options).index);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const stretch = (startMs: number, durationS: number, audioS = durationS): SampleStretch => ({
  startMs,
  video: syntheticVideo({ frameRateFps: 30, durationS, gopFrames: 60, isWholeMs: true }),
  audio: syntheticAudio({ durationS: audioS, isWholeMs: true }),
});

const render = (index: SegmentIndex, track: RecordedTrack | undefined): string[] => {
  const timeline = readVodTimeline(index)!;
  return renderVodPlaylist(index, timeline, track!).trimEnd().split('\n');
};

const durationsS = (lines: readonly string[]): number[] =>
  lines.filter((line) => line.startsWith('#EXTINF')).map((line) => Number.parseFloat(line.slice(8)));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The lines between discontinuities. */
const stretchesOf = (lines: readonly string[]): string[][] =>
  lines
    .join('\n')
    .split('#EXT-X-DISCONTINUITY\n')
    .map((text) => text.split('\n'));

test('a broadcast without a break is a VOD playlist with an end, whose durations add up to what was recorded', () => {
  withIndex([stretch(0, 11)], (index) => {
    const lines = render(index, index.tracks[0]);
    assert.deepEqual(lines.slice(0, 5), [
      '#EXTM3U',
      '#EXT-X-VERSION:8',
      '#EXT-X-TARGETDURATION:2',
      '#EXT-X-MEDIA-SEQUENCE:0',
      '#EXT-X-PLAYLIST-TYPE:VOD',
    ]);
    assert.equal(lines.at(-1), '#EXT-X-ENDLIST');
    assert.ok(Math.abs(sum(durationsS(lines)) - 11) < 0.05);
    assert.equal(lines.filter((line) => line === '#EXT-X-DISCONTINUITY').length, 0);
    assert.equal(lines.filter((line) => line.startsWith('#EXT-X-MAP')).length, 1);
  });
});

test('two reconnects are two discontinuities in each track, with the durations of what lies between, the gaps left out', () => {
  withIndex([stretch(0, 5, 4.7), stretch(9_000, 6, 6.2), stretch(40_000, 4)], (index) => {
    const video = stretchesOf(render(index, index.tracks[0]));
    const audio = stretchesOf(render(index, index.tracks[1]));
    assert.equal(video.length, 3);
    assert.equal(audio.length, 3);
    [5, 6, 4].forEach((durationS, place) => {
      assert.ok(Math.abs(sum(durationsS(video[place]!)) - durationS) < 0.05, `stretch ${place}`);
      // Players add durations up: sound must not lose its place, whatever its last segment really holds.
      assert.ok(Math.abs(sum(durationsS(video[place]!)) - sum(durationsS(audio[place]!))) < 0.001, `sound ${place}`);
    });
  });
});

test('program date time follows the wall clock over a gap, alike in both tracks', () => {
  withIndex([stretch(0, 4), stretch(30_000, 4)], (index) => {
    const datesOf = (track: RecordedTrack | undefined): number[] =>
      render(index, track)
        .filter((line) => line.startsWith('#EXT-X-PROGRAM-DATE-TIME:'))
        .map((line) => Date.parse(line.slice(25)));
    const [first = 0, second = 0] = datesOf(index.tracks[0]);
    assert.ok(Math.abs(second - first - 30_000) <= 1);
    const audio = datesOf(index.tracks[1]);
    assert.ok(Math.abs((audio[1] ?? 0) - second) < 25);
  });
});

test('while it is recorded it is an EVENT playlist without an end', () => {
  withIndex(
    [stretch(0, 7)],
    (index) => {
      const lines = render(index, index.tracks[0]);
      assert.ok(lines.includes('#EXT-X-PLAYLIST-TYPE:EVENT'));
      assert.ok(!lines.includes('#EXT-X-ENDLIST'));
      assert.ok(lines.includes('#EXT-X-START:TIME-OFFSET=0'), 'watched from its beginning');
    },
    { isEnded: false },
  );
});

test('another encoder brings another init segment, named once', () => {
  const track = testVideoTrack({
    decoderConfig: Uint8Array.from([
      1, 0x42, 0xc0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1f, 1, 0, 2, 0x68, 0xce,
    ]),
    codecString: 'avc1.42c01f',
    widthPx: 1280,
    heightPx: 720,
  });
  const other = syntheticVideo({ frameRateFps: 30, durationS: 4, gopFrames: 60, track });
  withIndex([stretch(0, 4), { ...stretch(6_000, 4), video: other }], (index) => {
    const maps = render(index, index.tracks[0]).filter((line) => line.startsWith('#EXT-X-MAP'));
    assert.deepEqual(
      maps.map((line) => /URI="([^"]+)",BYTERANGE="\d+@0"/.exec(line)?.[1]),
      ['init-0-0.mp4', 'init-0-1.mp4'],
    );
    const multivariant = renderVodMultivariant(index);
    assert.match(multivariant, /RESOLUTION=1280x720/);
    assert.match(multivariant, /CODECS="avc1\.42c01e,avc1\.42c01f,mp4a\.40\.2"/);
  });
});

test('byte ranges cover every media file from its first byte to its last', () => {
  withIndex([stretch(0, 15)], (index) => {
    const lines = render(index, index.tracks[0]);
    const ends = new Map<string, number>();
    lines.forEach((line, at) => {
      const match = /^#EXT-X-BYTERANGE:(\d+)@(\d+)$/.exec(line);
      if (match !== null) {
        const file = lines[at + 1] ?? '';
        assert.equal(Number(match[2]), ends.get(file) ?? 0, `hole in ${file}`);
        ends.set(file, Number(match[2]) + Number(match[1]));
      }
    });
    assert.ok(ends.size >= 2, 'more than one file');
  });
});

test('sound that was not recorded for a while is a gap, and everything after it keeps its place', () => {
  withIndex([{ ...stretch(0, 8), audio: syntheticAudio({ durationS: 1.9 }) }], (index) => {
    const lines = render(index, index.tracks[1]);
    assert.ok(lines.includes('#EXT-X-GAP'));
    assert.ok(Math.abs(sum(durationsS(lines)) - 8) < 0.05);
  });
});

test('a playlist that many ask for at once is written and packed once', async () => {
  const folder = tempFolder('vod');
  try {
    const { index } = makeSampleRecording(folder, [stretch(0, 11)]);
    const playlists = new VodPlaylists();
    const asked = Array.from({ length: 50 }, async () => playlists.get(index, { trackId: 0, acceptsGzip: true }));
    const [first, ...others] = await Promise.all([...asked, playlists.get(index, { trackId: 0, acceptsGzip: true })]);
    assert.ok(first?.isPacked === true);
    others.forEach((other) => assert.equal(other?.body, first.body));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
