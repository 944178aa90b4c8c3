// What comes in as a cue: nothing is believed, and no address but http(s) gets through.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LevelDetails } from 'hls.js';
import { DatedCues } from '../../../../player/cues/dated-cues.ts';
import { readChapters, readCue, readCueMessage, readDatedCue, webAddress } from '../../../../player/cues/read-cue.ts';
import type { Cue, CueMessage } from '../../../../server/api/contract/cues.ts';

const CUE: Cue = {
  ...{ id: 'lamp', mode: 'media', mediaMs: 1000, programWallMs: 1_790_000_000_000, showAtWallMs: null },
  ...{ kind: 'product', title: 'Lamp "Ä"', price: '¥199', durationMs: 5000, payload: { sku: 7 }, stock: 3 },
  ...{ picture: 'https://shop.example/lamp.jpg', link: 'http://shop.example/lamp' },
};

test('a whole cue is taken as it is', () => {
  assert.deepEqual(readCue(structuredClone(CUE)), CUE);
});

test('addresses are http(s) or are left out', () => {
  for (const link of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'data:text/html,x', 'vbscript:x', '/lamp', '', 7]) {
    assert.equal(webAddress(link), null, String(link));
  }
  const { link, picture, ...rest } = readCue({
    ...CUE,
    link: 'javascript:alert(1)',
    picture: 'data:image/png;base64,',
  })!;
  assert.deepEqual([link, picture, rest.title], [undefined, undefined, CUE.title]);
});

test('what has no id, no kind, no time or no known mode is no cue', () => {
  const broken = [
    { id: 'a b' },
    { id: 7 },
    { kind: '<b>' },
    { mediaMs: Number.NaN },
    { mode: 'soon' },
    { showAtWallMs: 'x' },
  ];
  broken.forEach((fault) => assert.equal(readCue({ ...CUE, ...fault }), null, JSON.stringify(fault)));
  [null, 7, 'x', []].forEach((value) => assert.equal(readCue(value), null));
});

test('of a list the sound ones are kept', () => {
  const message = { type: 'cues', marks: [{ id: 'x' }, CUE], cues: [null, CUE] } as unknown as CueMessage;
  const read = readCueMessage(message);
  assert.ok(read?.type === 'cues');
  assert.deepEqual([read.marks.map(({ id }) => id), read.cues.length], [['lamp'], 1]);
  assert.deepEqual(Object.keys(read.marks[0]!), ['id', 'mode', 'mediaMs', 'programWallMs', 'showAtWallMs']);
  assert.equal(readCueMessage({ type: 'cue', cue: { id: 'x' } } as unknown as CueMessage), null);
});

test('a playlist’s attribute is percent-encoded JSON, read once however often it is listed', () => {
  const text = JSON.stringify(CUE).replaceAll(/[%"]/g, (character) => encodeURIComponent(character));
  assert.deepEqual(readDatedCue(text), CUE);
  assert.equal(readDatedCue('%'), null);
  const details = {
    dateRanges: {
      lamp: { id: 'lamp', duration: null, attr: { 'X-SLUICE-CUE': text } },
      other: { id: 'other', attr: {} },
    },
    fragments: [{ programDateTime: 5 }],
  } as unknown as LevelDetails;
  const dated = new DatedCues();
  const [first, second] = [dated.of(details), dated.of(details)];
  assert.deepEqual(first, { cues: [CUE], fromWallMs: 5 });
  assert.equal(first?.cues[0], second?.cues[0]);
  assert.equal(dated.of({ dateRanges: details.dateRanges, fragments: [] }), null);
});

test('chapters come by time, those without a cue are left out', () => {
  const chapters = readChapters({
    chapters: [
      { startMs: 9, endMs: 20, title: 'later', cue: CUE },
      { startMs: 0, endMs: 9, title: '', cue: CUE },
      { startMs: 5, endMs: 1, title: 'x', cue: CUE },
      { startMs: 5, endMs: 6, title: 'x' },
    ],
  });
  assert.deepEqual(
    chapters.map(({ title }) => title),
    ['Lamp "Ä"', 'later'],
  );
  assert.deepEqual(readChapters(null), []);
});

test('of a cue that was edited the newest counts, and one that was withdrawn has an end', () => {
  const [old, edited] = [
    { ...CUE, durationMs: null },
    { ...CUE, durationMs: null, price: '¥9' },
  ].map((cue) => JSON.stringify(cue));
  const details = {
    dateRanges: {
      'lamp~2': { id: 'lamp~2', duration: 4, attr: { 'X-SLUICE-CUE': edited } },
      lamp: { id: 'lamp', duration: null, attr: { 'X-SLUICE-CUE': old } },
    },
    fragments: [{ programDateTime: 5 }],
  } as unknown as LevelDetails;
  const listed = new DatedCues().of(details);
  assert.deepEqual(
    listed?.cues.map(({ price, durationMs }) => [price, durationMs]),
    [['¥9', 4000]],
  );
});
