// From what a page writes into `src` to the doors of a broadcast or a replay.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { broadcastAddresses, replayAddresses, whepUrl } from '../../../../player/transport/addresses.ts';

const ID = '0123456789abcdef0123456789abcdef';
const at = { pageUrl: 'https://shop.example/page', serverUrl: 'https://video.example/sluice-player.js' };

test('a name has its rewind playlist and its library beside the live doors', () => {
  const { playlist, rewindPlaylist, replays } = broadcastAddresses({ ...at, src: 'demo', token: null });
  assert.equal(playlist, 'https://video.example/hls/demo/index.m3u8');
  assert.equal(rewindPlaylist, 'https://video.example/hls/demo/index.m3u8?dvr=1');
  assert.deepEqual(replays, { api: 'https://video.example/api/replays', folder: 'https://video.example/replay/' });
});

test('a token passes on to the rewind and to the replay, in the path', () => {
  const { rewindPlaylist, replays } = broadcastAddresses({ ...at, src: 'demo', token: 'v1.a.b' });
  assert.equal(rewindPlaylist, 'https://video.example/hls/~v1.a.b/demo/index.m3u8?dvr=1');
  assert.equal(replays.folder, 'https://video.example/replay/~v1.a.b/');
});

test('a replay by its address, with the second to begin at', () => {
  const found = replayAddresses({
    ...at,
    replayId: null,
    src: `https://a.example/x/replay/~t/${ID}#t=1m30s`,
    token: null,
  });
  assert.deepEqual(found, {
    id: ID,
    doors: { api: 'https://a.example/x/api/replays', folder: 'https://a.example/x/replay/~t/' },
    startS: 90,
  });
  const relative = replayAddresses({ ...at, replayId: null, src: `/replay/${ID}/index.m3u8`, token: 'mine' });
  assert.deepEqual([relative?.doors.folder, relative?.startS], ['https://shop.example/replay/~mine/', 0]);
});

test('a replay by its id lies on the server', () => {
  const found = replayAddresses({ ...at, replayId: ID, src: '', token: null });
  assert.equal(found?.doors.folder, 'https://video.example/replay/');
});

test('what is no replay is left to broadcasts, and what is neither is refused', () => {
  for (const src of ['demo', '/watch/demo', '/replay/short', `/replay/${'z'.repeat(32)}`]) {
    assert.equal(replayAddresses({ ...at, replayId: null, src, token: null }), null);
  }
  assert.throws(() => broadcastAddresses({ ...at, src: '/replay/short', token: null }), TypeError);
});

test('a wish between react and smooth goes to WHEP, one the server would refuse does not', () => {
  const endpoint = 'https://video.example/whep/demo';
  const ask = (smooth: string | null): string => whepUrl(endpoint, { smooth, rendition: null, viewer: null });
  assert.equal(ask('0.25'), `${endpoint}?smooth=0.250`);
  assert.deepEqual([null, '', ' ', '1.5', '-1', 'calm'].map(ask), Array(6).fill(endpoint));
  assert.equal(
    whepUrl(endpoint, { smooth: '1', rendition: 'h480', viewer: '0a1f' }),
    `${endpoint}?smooth=1.000&rendition=h480&viewer=0a1f`,
  );
});
