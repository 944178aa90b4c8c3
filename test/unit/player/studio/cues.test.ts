// Cues on the host's page without a page: the form's words, and what the clock says of countdowns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostedCue } from '../../../../server/api/contract/cues-host.ts';
import { countText, CueDesk, remainingText } from '../../../../player/pages/studio/cue-desk.ts';
import { EMPTY_VALUES, readCue, valuesOf, wordsOf } from '../../../../player/pages/studio/cue-form.ts';
import { ENGLISH } from '../../../../player/pages/studio/texts.ts';

const cueOf = (change: Partial<HostedCue>): HostedCue => ({
  ...{ id: 'one', kind: 'product', mode: 'media', durationMs: null, title: 'One' },
  ...{ state: 'prepared', at: null, mediaMs: null, programWallMs: null, showAtWallMs: null, firedAtWallMs: null },
  ...change,
});

const CLOCK = {
  ...{ broadcastId: 'b', mediaMs: 60_000, serverWallMs: 1e12 },
  ...{ encoderDelayMs: 200, encoderDelayFrom: 'guess' as const },
};

test('a form filled in is what the server takes, and comes back as it was', () => {
  const values = {
    ...EMPTY_VALUES,
    ...{ title: ' Lamp ', price: '¥199', link: 'https://shop.example/lamp', mode: 'clock', stock: '20' },
  };
  const reading = readCue(values);
  assert.deepEqual(reading, {
    ok: true,
    words: {
      ...{ kind: 'product', mode: 'clock', durationMs: 30_000, title: 'Lamp', price: '¥199' },
      ...{ link: 'https://shop.example/lamp', stock: 20 },
    },
  });
  assert.ok(reading.ok);
  const cue = cueOf({ ...reading.words, durationMs: 30_000, mode: 'clock' });
  assert.deepEqual(valuesOf(cue), { ...values, title: 'Lamp' });
});

test('what the server would refuse is said beside its field', () => {
  const reading = readCue({ ...EMPTY_VALUES, link: 'javascript:alert(1)', picture: 'shop.example/a.png', stock: '0' });
  assert.ok(!reading.ok);
  assert.deepEqual(reading.problems, {
    ...{ title: 'problemTitle', link: 'problemUrl', picture: 'problemUrl', stock: 'problemStock' },
  });
  assert.ok(Object.values(reading.problems).every((key) => Object.hasOwn(ENGLISH, key)));
  assert.equal(readCue({ ...EMPTY_VALUES, title: 'x'.repeat(201) }).ok, false);
  assert.equal(readCue({ ...EMPTY_VALUES, title: 'x', price: 'x'.repeat(61) }).ok, false);
});

test('what the form does not show of a cue is kept: its payload, a kind and a duration of the shop’s own', () => {
  const cue = cueOf({ kind: 'quiz', payload: { answer: 42 }, durationMs: 7_000, title: 'Q' });
  const reading = readCue({ ...valuesOf(cue), title: 'R' }, cue);
  assert.deepEqual(reading, {
    ok: true,
    words: { kind: 'quiz', mode: 'media', durationMs: 7_000, title: 'R', payload: { answer: 42 } },
  });
  const untitled = cueOf({ kind: 'quiz', payload: 1 });
  const { title: _title, ...bare } = untitled;
  assert.deepEqual(wordsOf(bare), { kind: 'quiz', mode: 'media', durationMs: null, payload: 1 }, 'made by the API');
});

test('a countdown ends with the picture that is captured, not with the one that arrives', () => {
  const desk = new CueDesk();
  const armed = cueOf({ state: 'armed', mediaMs: 63_200 });
  desk.take({ cues: [armed], clock: CLOCK }, 1_000);
  assert.equal(desk.remainingMs(armed, 1_000, null), 3_000);
  assert.equal(desk.remainingMs(armed, 3_500, null), 500);
  desk.correct(700);
  assert.equal(desk.remainingMs(armed, 1_000, null), 2_500, 'as the host says');
  assert.equal(desk.remainingMs(armed, 1_000, armed.mediaMs! - 700), 700, 'as the preview shows');
  desk.correct(null);
  desk.take({ cues: [armed], clock: null }, 4_000);
  assert.equal(desk.remainingMs(armed, 4_000, null), null);
});

test('next is what was chosen, else the first; once it is armed, the first of the rest', () => {
  const desk = new CueDesk();
  const [a, b, c] = ['a', 'b', 'c'].map((id) => cueOf({ id })) as [HostedCue, HostedCue, HostedCue];
  desk.take({ cues: [a, b, c], clock: CLOCK }, 0);
  assert.equal(desk.sight(0).next?.id, 'a');
  desk.choose('b');
  assert.equal(desk.sight(0).next?.id, 'b');
  const later = { ...a, state: 'armed', mediaMs: 70_000 } as const;
  const armed = { ...b, state: 'armed', mediaMs: 63_000 } as const;
  desk.take({ cues: [later, armed, c], clock: CLOCK }, 0);
  const sight = desk.sight(0);
  assert.deepEqual([sight.armed?.id, sight.next?.id], ['b', 'c']);
  assert.deepEqual(
    sight.current.map(({ id }) => id),
    ['b', 'a', 'c'],
  );
});

test('what is on goes when its time is over, whatever was asked last; the newest of the past comes first', () => {
  const desk = new CueDesk();
  const short = cueOf({
    id: 'short',
    state: 'fired',
    firedAtWallMs: 1e12 - 8_000,
    durationMs: 10_000,
    mediaMs: 52_000,
  });
  const open = cueOf({ id: 'open', state: 'fired', firedAtWallMs: 1e12 - 20_000, mediaMs: 40_000 });
  const over = cueOf({ id: 'over', state: 'ended', firedAtWallMs: 1e12 - 30_000, durationMs: 1_000, mediaMs: 30_000 });
  desk.take({ cues: [over, open, short], clock: CLOCK }, 5_000);
  const idsOf = (cues: readonly HostedCue[]): string[] => cues.map(({ id }) => id);
  assert.deepEqual(idsOf(desk.sight(5_000).on), ['open', 'short']);
  assert.deepEqual(idsOf(desk.sight(7_001).on), ['open']);
  assert.deepEqual(idsOf(desk.sight(5_000).past), ['over']);
  assert.deepEqual(idsOf(desk.sight(7_001).past), ['short', 'over']);
});

test('it is counted as it is spoken', () => {
  assert.deepEqual([2_999, 2_001, 2_000, 400, 0, -50].map(countText), ['3', '3', '2', '1', '0', '0']);
  assert.deepEqual([65_000, 59_900, 9_940, -3].map(remainingText), ['1:05', '1:00', '9.9', '0.0']);
});
