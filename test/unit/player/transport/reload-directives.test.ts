// What hls.js asks for is never further ahead than the next part.
import assert from 'node:assert/strict';
import test from 'node:test';
import { PlaylistEdges, clampDirectives, withoutDelta } from '../../../../player/transport/reload-directives.ts';

const URL_BASE = 'http://host/hls/demo/0123/video.m3u8';
const ask = (msn: number, part: number): string => `${URL_BASE}?_HLS_msn=${msn}&_HLS_part=${part}&_HLS_skip=YES`;

test('a question for the next part passes', () => {
  const edge = { msn: 7, partIndex: 3 };
  for (const url of [ask(7, 4), ask(7, 2), ask(6, 9), ask(8, 0), URL_BASE, `${URL_BASE}?_HLS_msn=9`]) {
    assert.equal(clampDirectives(url, edge), url);
  }
});

test('a question further ahead becomes one for the next part', () => {
  const edge = { msn: 7, partIndex: 3 };
  assert.equal(clampDirectives(ask(7, 6), edge), ask(7, 4));
  assert.equal(clampDirectives(ask(8, 2), edge), ask(7, 4));
  assert.equal(clampDirectives(ask(12, 0), edge), ask(7, 4));
});

test('each playlist has its own edge, and none is known before the first answer', () => {
  const edges = new PlaylistEdges();
  assert.equal(edges.clamp(ask(7, 6)), ask(7, 6));
  edges.note(ask(7, 3), { msn: 7, partIndex: 3 });
  edges.note('http://host/hls/demo/0123/audio.m3u8', { msn: 7, partIndex: 5 });
  assert.equal(edges.clamp(ask(7, 6)), ask(7, 4));
  edges.clear();
  assert.equal(edges.clamp(ask(7, 6)), ask(7, 6));
});

test('a question for the whole playlist asks for no delta, and for the same part', () => {
  assert.equal(withoutDelta(ask(7, 4)), `${URL_BASE}?_HLS_msn=7&_HLS_part=4`);
  assert.equal(withoutDelta(URL_BASE), URL_BASE);
});
