/** What an HLS player of the load makes of playlists, and its buffer of what comes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { BufferModel } from '../../latency/load/buffer-model.ts';
import { HlsFollower } from '../../latency/load/hls-follower.ts';
import { parsePlaylist, type MediaPlaylist } from '../../latency/load/hls-playlist.ts';

const PART_S = 0.5;

/** Segments of four parts of 0.5 s; the last segment has `openCount` of them so far, 0: none is open. */
const lowLatency = (options: { fromMsn: number; closedCount: number; openCount: number; skipped?: number }): string => {
  const { fromMsn, closedCount, openCount, skipped = 0 } = options;
  const parts = (msn: number, count: number): string[] =>
    Array.from(
      { length: count },
      (_, k) => `#EXT-X-PART:DURATION=${PART_S},URI="part-${msn}-${k}.m4s"${k === 0 ? ',INDEPENDENT=YES' : ''}`,
    );
  const last = fromMsn + skipped + closedCount;
  return [
    '#EXTM3U',
    '#EXT-X-TARGETDURATION:2',
    `#EXT-X-PART-INF:PART-TARGET=${PART_S}`,
    '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-UNTIL=12',
    `#EXT-X-MEDIA-SEQUENCE:${fromMsn}`,
    '#EXT-X-MAP:URI="init.mp4"',
    ...(skipped > 0 ? [`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`] : []),
    '#EXT-X-PROGRAM-DATE-TIME:2026-11-22T00:00:00.000Z',
    ...Array.from({ length: closedCount }, (_, k) => fromMsn + skipped + k).flatMap((msn) => [
      ...parts(msn, 4),
      '#EXTINF:2.0,',
      `segment-${msn}.m4s`,
    ]),
    ...parts(last, openCount),
    `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-${last}-${openCount}.m4s"`,
    '',
  ].join('\n');
};

const plain = (fromMsn: number, count: number): string =>
  [
    '#EXTM3U',
    '#EXT-X-TARGETDURATION:2',
    `#EXT-X-MEDIA-SEQUENCE:${fromMsn}`,
    ...Array.from({ length: count }, (_, k) => `#EXTINF:2.000,live\nsegment-${fromMsn + k}.ts`),
  ].join('\r\n');

const media = (text: string): MediaPlaylist => {
  const playlist = parsePlaylist(text);
  assert.ok(playlist.kind === 'media');
  return playlist;
};

const uris = (taken: { units: readonly { uri: string }[] }): string[] => taken.units.map(({ uri }) => uri);

test('a multivariant playlist gives its variants with the sound of their group', () => {
  const playlist = parsePlaylist(
    [
      '#EXTM3U',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x, y",URI="other.m3u8"',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="main",DEFAULT=YES,URI="audio.m3u8"',
      '#EXT-X-STREAM-INF:BANDWIDTH=3000,CODECS="avc1.42c01f,mp4a.40.2",AUDIO="a"',
      'video.m3u8',
      '#EXT-X-STREAM-INF:BANDWIDTH=1000',
      'muxed.m3u8',
    ].join('\n'),
  );
  assert.deepEqual(playlist, {
    kind: 'multivariant',
    variants: [
      { uri: 'video.m3u8', bandwidthBps: 3_000, audioUri: 'audio.m3u8' },
      { uri: 'muxed.m3u8', bandwidthBps: 1_000 },
    ],
  });
});

test('what is no playlist, or lacks its target duration, is refused', () => {
  assert.throws(() => parsePlaylist('<html>'), /PLAYLIST_UNREADABLE/);
  assert.throws(() => parsePlaylist('#EXTM3U\n'), /PLAYLIST_UNREADABLE/);
});

test('playback starts at the hold-back, from a part that can be decoded', () => {
  const follower = new HlsFollower();
  const taken = follower.take(media(lowLatency({ fromMsn: 10, closedCount: 3, openCount: 2 })), 0);
  assert.deepEqual(uris(taken), [0, 1, 2, 3].map((k) => `part-12-${k}.m4s`).concat(['part-13-0.m4s', 'part-13-1.m4s']));
  assert.equal(follower.holdBackS, 1.5);
  assert.equal(follower.hintUri, 'part-13-2.m4s');
  assert.equal(follower.mapUri, 'init.mp4');
});

test('parts end when the program date time and the durations since say', () => {
  const taken = new HlsFollower().take(media(lowLatency({ fromMsn: 10, closedCount: 1, openCount: 1 })), 0);
  const startAtWallMs = Date.parse('2026-11-22T00:00:00.000Z');
  assert.equal(taken.units.at(-1)?.endedAtWallMs, startAtWallMs + 2_500);
  assert.equal(taken.units[0]?.endedAtWallMs, startAtWallMs + 500);
});

test('the next reload asks for the part after the last, or the first of the next segment; as delta where it may', () => {
  const follower = new HlsFollower();
  follower.take(media(lowLatency({ fromMsn: 10, closedCount: 3, openCount: 2 })), 0);
  assert.deepEqual(follower.next({ mayDelta: false }), { directives: { _HLS_msn: '13', _HLS_part: '2' }, inMs: 0 });
  follower.take(media(lowLatency({ fromMsn: 10, closedCount: 4, openCount: 0 })), 500);
  assert.deepEqual(follower.next({ mayDelta: true }).directives, {
    _HLS_msn: '14',
    _HLS_part: '0',
    _HLS_skip: 'YES',
  });
});

test('each part is fetched once, across full and delta playlists and the end of a segment', () => {
  const follower = new HlsFollower();
  follower.take(media(lowLatency({ fromMsn: 10, closedCount: 3, openCount: 3 })), 0);
  const delta = media(lowLatency({ fromMsn: 10, closedCount: 2, openCount: 1, skipped: 2 }));
  assert.equal(delta.skippedCount, 2);
  assert.deepEqual(uris(follower.take(delta, 500)), ['part-13-3.m4s', 'part-14-0.m4s']);
  const same = follower.take(delta, 600);
  assert.deepEqual([uris(same), same.hasAdvanced], [[], false]);
  assert.ok(follower.next({ mayDelta: true }).inMs > 0);
});

test('who fell behind until the parts were gone takes the segment whole', () => {
  const follower = new HlsFollower();
  follower.take(media(lowLatency({ fromMsn: 10, closedCount: 1, openCount: 1 })), 0);
  const withoutParts = lowLatency({ fromMsn: 10, closedCount: 3, openCount: 1 })
    .split('\n')
    .filter((line) => !/part-1[012]-\d\.m4s/u.test(line))
    .join('\n');
  assert.deepEqual(uris(follower.take(media(withoutParts), 4_000)), [
    'segment-11.m4s',
    'segment-12.m4s',
    'part-13-0.m4s',
  ]);
});

test('a playlist that moves later than its part target and 100 ms is late', () => {
  const follower = new HlsFollower();
  const takeAt = (openCount: number, nowMs: number): boolean =>
    follower.take(media(lowLatency({ fromMsn: 10, closedCount: 3, openCount })), nowMs).isLate;
  assert.deepEqual([takeAt(1, 0), takeAt(2, 590), takeAt(3, 1_210)], [false, false, true]);
});

test('a server without blocking reload is polled: after a target duration, or half of one where nothing was new', () => {
  const follower = new HlsFollower();
  const taken = follower.take(media(plain(5, 6)), 0);
  assert.deepEqual(uris(taken), ['segment-8.ts', 'segment-9.ts', 'segment-10.ts']);
  assert.equal(follower.holdBackS, 6);
  assert.deepEqual(follower.next({ mayDelta: true }), { directives: {}, inMs: 2_000 });
  follower.take(media(plain(5, 6)), 2_000);
  assert.deepEqual(follower.next({ mayDelta: true }), { directives: {}, inMs: 1_000 });
  assert.deepEqual(uris(follower.take(media(plain(6, 6)), 3_000)), ['segment-11.ts']);
});

test('the buffer plays while every track has something, and counts what it could not', () => {
  const buffer = new BufferModel({ trackCount: 2, resumeS: 0.5 });
  buffer.append(0, 9, 0);
  buffer.start(1, 0);
  buffer.append(0, 1, 500);
  assert.deepEqual(buffer.playback(900), { playedMs: 900, stalledMs: 0, stallCount: 0 });
  // The second track ran dry at 1000; a little is not enough to go on.
  buffer.append(1, 0.2, 1_200);
  assert.deepEqual(buffer.playback(1_300), { playedMs: 1_000, stalledMs: 300, stallCount: 1 });
  buffer.append(1, 0.3, 1_400);
  assert.deepEqual(buffer.playback(1_600), { playedMs: 1_200, stalledMs: 400, stallCount: 1 });
  buffer.resetCounts(1_600);
  assert.deepEqual(buffer.playback(1_600), { playedMs: 0, stalledMs: 0, stallCount: 0 });
});

test('a buffer that has not started neither plays nor stalls', () => {
  const buffer = new BufferModel({ trackCount: 1, resumeS: 1 });
  buffer.append(0, 4, 100);
  assert.deepEqual(buffer.playback(10_000), { playedMs: 0, stalledMs: 0, stallCount: 0 });
});
