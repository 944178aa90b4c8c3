// The engine of cues under told time: instants, firing with the media, edits, withdrawals, what outlives a broadcast and a stop of the server.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { CueContent, CueTiming } from '../../../server/api/contract/cues-host.ts';
import type { CueEvent, CueNow, MediaNow } from '../../../server/cues/cue.ts';
import type { CueOutcome } from '../../../server/cues/cue-timeline.ts';
import { CueTimeline } from '../../../server/cues/cue-timeline.ts';

const OPTIONS = { cueMaxCount: 5, clockLeadMs: 500, carryOverMaxMs: 60_000 };
/** The wall clock at media time 0, by arrival; playlists' dates lie 3 ms beside it. */
const ORIGIN_WALL_MS = 1_700_000_000_000;
const PROGRAM_OFFSET_MS = ORIGIN_WALL_MS + 3;

const mediaAt = (reachedMs: number, over: Partial<MediaNow> = {}): MediaNow => ({
  ...{ broadcastId: 'b1', reachedMs, isStalled: false },
  ...{ arrivalOffsetMs: ORIGIN_WALL_MS, programOffsetMs: PROGRAM_OFFSET_MS, encoderDelayMs: 400 },
  ...over,
});

/** `reachedMs` of media have arrived, as promptly as can be. */
const at = (reachedMs: number, over: Partial<MediaNow> = {}): CueNow & { media: MediaNow } => ({
  nowMs: reachedMs,
  wallMs: ORIGIN_WALL_MS + reachedMs,
  media: mediaAt(reachedMs, over),
});

const off = (wallMs = ORIGIN_WALL_MS - 60_000): CueNow => ({ nowMs: 0, wallMs, media: undefined });

const content = (id: string, over: Partial<CueContent> = {}): CueContent => ({
  ...{ id, mode: 'media', kind: 'product', title: `title of ${id}`, durationMs: null },
  ...over,
});

const live = (options = OPTIONS): CueTimeline => {
  const timeline = new CueTimeline(options);
  timeline.begin(at(0));
  return timeline;
};

const done = (outcome: CueOutcome): CueOutcome & { ok: true } => {
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return outcome;
};

const codeOf = (outcome: CueOutcome): string => (outcome.ok ? 'ok' : outcome.refusal.code);
const typesOf = (events: readonly CueEvent[]): string[] => events.map(({ type }) => type);
const NOW: CueTiming = { at: 'now' };

test('now is the picture that is captured now: it fires when that arrives, an encoder’s delay later', () => {
  const timeline = live();
  const { record, events } = done(timeline.create(content('a'), NOW, at(10_000)));
  assert.equal(record.place?.mediaMs, 10_400);
  assert.equal(record.place?.programWallMs, PROGRAM_OFFSET_MS + 10_400);
  assert.deepEqual(typesOf(events), ['armed']);
  assert.equal(timeline.nextMediaMs, 10_400);
  assert.deepEqual(timeline.advance(at(10_399)), []);
  const fired = timeline.advance(at(10_400));
  assert.ok(fired[0]?.type === 'fired' && fired[0].cue.title === 'title of a');
  assert.deepEqual(typesOf(timeline.advance(at(10_500))), []);
});

test('the delay may be said by the request; the picture the host saw says it best', () => {
  const timeline = live();
  const placed = (id: string, timing: CueTiming): number | undefined =>
    done(timeline.create(content(id), timing, at(10_000))).record.place?.mediaMs;
  assert.equal(placed('a', { at: 'now', encoderDelayMs: 120 }), 10_120);
  assert.equal(placed('b', { at: { countdownMs: 5_000 } }), 15_400);
  assert.equal(placed('c', { at: { countdownMs: 5_000 }, sawMediaMs: 9_733.25 }), 14_733.25);
  assert.equal(placed('d', { at: { mediaMs: 12_345.5 } }), 12_345.5);
  assert.equal(placed('e', { at: 'now', sawMediaMs: 9_900 }), 9_900);
  assert.equal(timeline.find('e')?.state, 'fired', 'what has been reached already fires at once');
});

test('cues fire in the order of media time, and are listed so, prepared ones last', () => {
  const timeline = live();
  timeline.create(content('later'), { at: { mediaMs: 9_000 } }, at(1_000));
  timeline.create(content('someday'), undefined, at(1_000));
  timeline.create(content('sooner'), { at: { mediaMs: 8_000 } }, at(1_000));
  assert.deepEqual(
    timeline.records.map((record) => record.content.id),
    ['sooner', 'later', 'someday'],
  );
  const fired = timeline.advance(at(20_000)).flatMap((event) => (event.type === 'fired' ? event.cue.id : []));
  assert.deepEqual(fired, ['sooner', 'later']);
});

test('an encoder that hangs holds its cues back, until its media goes on', () => {
  const timeline = live();
  timeline.create(content('a'), { at: { mediaMs: 5_000 } }, at(1_000));
  const stalled = { ...at(30_000, { reachedMs: 4_000, isStalled: true }) };
  assert.deepEqual(timeline.advance(stalled), []);
  const waitMs = (timeline.nextDeadlineMs(stalled) ?? 0) - stalled.nowMs;
  assert.ok(waitMs > 1_000, `it is looked at in ${waitMs} ms, and not all the time`);
  assert.deepEqual(typesOf(timeline.advance(at(30_001))), ['fired']);
});

test('while nothing comes, a duration that is nearly over keeps no timer busy; the media that comes ends it', () => {
  const timeline = live();
  done(timeline.create(content('a', { durationMs: 2_000 }), { at: { mediaMs: 1_000 } }, at(1_000)));
  assert.equal(timeline.nextMediaMs, 3_000);
  assert.equal(timeline.nextDeadlineMs({ ...at(20_000, { reachedMs: 2_999, isStalled: true }) }), undefined);
  assert.deepEqual(typesOf(timeline.advance(at(20_001))), ['ended']);
  assert.equal(timeline.nextMediaMs, Number.POSITIVE_INFINITY);
});

test('ids that playlists have told of are remembered, so there is an end of them', () => {
  const timeline = live();
  let count = 0;
  for (; count < 200; count += 1) {
    const outcome = timeline.create(content(`c${count}`), { at: { mediaMs: 9_000 } }, at(0));
    if (!outcome.ok) {
      assert.equal(outcome.refusal.code, 'CUES_TOO_MANY');
      break;
    }
    timeline.withdraw(`c${count}`, { isForgotten: false }, at(0));
  }
  assert.equal(count, 100);
});

test('the deadline is where the media reaches the next cue, or where a duration is over', () => {
  const timeline = live();
  assert.equal(timeline.nextDeadlineMs(at(1_000)), undefined);
  timeline.create(content('a', { durationMs: 2_000 }), { at: { mediaMs: 3_000 } }, at(1_000));
  assert.equal(timeline.nextDeadlineMs(at(1_000)), 3_000);
  timeline.advance(at(3_000));
  assert.equal(timeline.nextDeadlineMs(at(3_000)), 5_000);
  assert.deepEqual(timeline.advance(at(5_000)), [
    { type: 'ended', content: content('a', { durationMs: 2_000 }), reason: 'duration' },
  ]);
  assert.equal(timeline.nextDeadlineMs(at(5_000)), undefined);
});

test('the same cue again changes nothing; another under its id is refused', () => {
  const timeline = live();
  const first = done(timeline.create(content('a', { payload: { x: 1, y: 2 } }), NOW, at(1_000)));
  const again = done(timeline.create(content('a', { payload: { y: 2, x: 1 } }), NOW, at(3_000)));
  assert.deepEqual([first.isNew, again.isNew, again.events], [true, false, []]);
  assert.equal(again.record.place?.mediaMs, 1_400);
  assert.equal(codeOf(timeline.create(content('a', { price: '1 €' }), NOW, at(3_000))), 'CUE_EXISTS');
  assert.equal(codeOf(timeline.create(content('a', { payload: { x: 1, y: 2 } }), undefined, at(3_000))), 'CUE_EXISTS');
});

test('a name has so many cues and no more', () => {
  const timeline = live();
  for (const id of ['a', 'b', 'c', 'd', 'e']) {
    done(timeline.create(content(id), undefined, at(0)));
  }
  assert.equal(codeOf(timeline.create(content('f'), undefined, at(0))), 'CUES_TOO_MANY');
  done(timeline.withdraw('a', { isForgotten: false }, at(0)));
  done(timeline.create(content('f'), undefined, at(0)));
});

test('asked twice for now it fires once, where it was asked first; a countdown may be cut short', () => {
  const timeline = live();
  done(timeline.create(content('a'), { at: { countdownMs: 60_000 } }, at(1_000)));
  assert.equal(done(timeline.fire('a', NOW, at(2_000))).record.place?.mediaMs, 2_400);
  assert.deepEqual(done(timeline.fire('a', NOW, at(2_100))).events, []);
  timeline.advance(at(2_400));
  assert.deepEqual(done(timeline.fire('a', { at: { countdownMs: 1_000 } }, at(5_000))).events, []);
  assert.equal(timeline.find('a')?.place?.mediaMs, 2_400);
  assert.equal(codeOf(timeline.fire('b', NOW, at(1))), 'CUE_UNKNOWN');
});

test('clock mode: all see it so long after its instant, later if it fires late', () => {
  const timeline = live();
  const { record } = done(timeline.create(content('a', { mode: 'clock' }), { at: { mediaMs: 2_000 } }, at(1_000)));
  assert.equal(record.place?.showAtWallMs, ORIGIN_WALL_MS + 2_500);
  const [inTime] = timeline.advance(at(2_010));
  assert.ok(inTime?.type === 'fired' && inTime.cue.showAtWallMs === ORIGIN_WALL_MS + 2_500);
  done(timeline.create(content('b', { mode: 'clock', durationMs: 1_000 }), { at: { mediaMs: 3_000 } }, at(2_500)));
  const [late] = timeline.advance(at(6_000));
  assert.ok(late?.type === 'fired' && late.cue.showAtWallMs === ORIGIN_WALL_MS + 6_500 && late.lateMs === 3_000);
  assert.deepEqual(typesOf(timeline.advance(at(7_499))), []);
  assert.deepEqual(typesOf(timeline.advance(at(7_500))), ['ended'], 'its duration is real time');
});

test('edits: content at any time, the instant until it has fired', () => {
  const timeline = live();
  done(timeline.create(content('a'), { at: { mediaMs: 5_000 } }, at(1_000)));
  const moved = done(timeline.edit(content('a', { title: 'other' }), { at: { mediaMs: 7_000 } }, at(1_000)));
  assert.deepEqual(typesOf(moved.events), ['edited', 'armed']);
  assert.deepEqual(typesOf(done(timeline.edit(content('a', { title: 'other' }), undefined, at(1_000))).events), []);
  assert.deepEqual(typesOf(timeline.advance(at(5_000))), []);
  timeline.advance(at(7_000));
  const edit = done(timeline.edit(content('a', { price: '2 €' }), undefined, at(7_100))).events[0];
  assert.ok(edit?.type === 'edited' && edit.cue?.price === '2 €' && edit.cue.mediaMs === 7_000);
  assert.equal(codeOf(timeline.edit(content('a'), NOW, at(7_100))), 'CUE_FIRED');
  assert.equal(codeOf(timeline.edit(content('a', { mode: 'clock' }), undefined, at(7_100))), 'CUE_FIRED');
  assert.equal(timeline.find('a')?.content.price, '2 €', 'what was refused has changed nothing');
  const short = done(timeline.edit(content('a', { durationMs: 50 }), undefined, at(7_200)));
  assert.equal(short.record.state, 'ended');
  assert.equal(done(timeline.edit(content('a', { durationMs: 5_000 }), undefined, at(7_300))).record.state, 'fired');
});

test('an armed one may wait again, and then takes nothing with it', () => {
  const timeline = live();
  done(timeline.create(content('a'), { at: { mediaMs: 5_000 } }, at(1_000)));
  assert.deepEqual(typesOf(done(timeline.edit(content('a'), null, at(1_000))).events), ['disarmed']);
  assert.deepEqual(timeline.advance(at(9_000)), []);
  assert.deepEqual(timeline.ranges(mediaAt(0)), []);
});

test('before the broadcast: prepared, planned for a media time, but no now', () => {
  const timeline = new CueTimeline(OPTIONS);
  done(timeline.create(content('prepared'), undefined, off()));
  done(timeline.create(content('planned'), { at: { mediaMs: 2_000 } }, off()));
  assert.equal(codeOf(timeline.create(content('a'), NOW, off())), 'CUE_NOT_LIVE');
  assert.equal(codeOf(timeline.fire('prepared', { at: { countdownMs: 1 } }, off())), 'CUE_NOT_LIVE');
  assert.equal(timeline.find('a'), undefined);
  const [armed] = timeline.begin(at(0));
  assert.ok(armed?.type === 'armed' && armed.mark.id === 'planned' && armed.mark.mediaMs === 2_000);
  done(timeline.fire('prepared', NOW, at(500)));
  assert.deepEqual(
    timeline.advance(at(2_500)).map((event) => (event.type === 'fired' ? event.cue.id : event.type)),
    ['prepared', 'planned'],
  );
});

test('the end of a broadcast ends what is on; what was armed waits for the next', () => {
  const timeline = live();
  done(timeline.create(content('on'), { at: { mediaMs: 1_000 } }, at(0)));
  done(timeline.create(content('armed'), { at: { mediaMs: 9_000 } }, at(0)));
  timeline.advance(at(2_000));
  assert.deepEqual(typesOf(timeline.end()), ['ended', 'disarmed']);
  assert.deepEqual(
    timeline.records.map(({ state, content: { id }, place }) => [state, id, place]),
    [['prepared', 'armed', undefined]],
  );
  assert.deepEqual(timeline.begin(at(0, { broadcastId: 'b2' })), []);
});

test('after a stop of the server what was on goes on at the same date, unless the next broadcast comes too late', () => {
  const before = live();
  done(before.create(content('on'), { at: { mediaMs: 1_000 } }, at(0)));
  done(before.create(content('armed'), { at: { countdownMs: 9_000 } }, at(0)));
  before.advance(at(2_000));
  const restartWallMs = ORIGIN_WALL_MS + 5_000;
  const again = new CueTimeline(OPTIONS, before.records, restartWallMs);
  assert.deepEqual(again.find('armed')?.state, 'prepared');
  const anew = mediaAt(0, {
    broadcastId: 'b2',
    arrivalOffsetMs: ORIGIN_WALL_MS + 9_000,
    programOffsetMs: ORIGIN_WALL_MS + 9_000,
  });
  const [carried] = again.begin({ nowMs: 0, wallMs: ORIGIN_WALL_MS + 9_000, media: anew });
  assert.ok(carried?.type === 'carried' && carried.cue.mediaMs === 1_003 - 9_000);
  const { place } = again.find('on')!;
  assert.equal(place?.programWallMs, PROGRAM_OFFSET_MS + 1_000);
  assert.equal(place?.mediaMs, 1_003 - 9_000);
  const tooLate = new CueTimeline(OPTIONS, before.records, restartWallMs);
  assert.equal(tooLate.nextDeadlineMs(off(restartWallMs)), 60_000);
  assert.deepEqual(typesOf(tooLate.advance(off(restartWallMs + 60_000))), ['ended']);
  assert.equal(tooLate.find('on'), undefined);
});

test('a promised date that has moved with the clock is told anew, one that has hardly moved is not', () => {
  const timeline = live();
  done(timeline.create(content('a'), { at: { mediaMs: 60_000 } }, at(0)));
  timeline.advance(at(5_000, { programOffsetMs: PROGRAM_OFFSET_MS + 5 }));
  assert.deepEqual(timeline.advance(at(10_001, { programOffsetMs: PROGRAM_OFFSET_MS + 10 })), []);
  const [moved] = timeline.advance(at(15_002, { programOffsetMs: PROGRAM_OFFSET_MS + 20 }));
  assert.ok(moved?.type === 'armed' && moved.mark.programWallMs === PROGRAM_OFFSET_MS + 60_020);
});

test('ranges: bare until it fires, its start fixed, another id for what playlists may not change', () => {
  const timeline = live();
  done(timeline.create(content('a'), { at: { mediaMs: 5_000 } }, at(1_000)));
  const [bare] = timeline.ranges(mediaAt(0));
  assert.deepEqual(bare, {
    ...{ id: 'a', mediaMs: 5_000, startAtWallMs: PROGRAM_OFFSET_MS + 5_000 },
    ...{ durationMs: undefined, isOpen: false, cue: undefined },
  });
  timeline.advance(at(5_000, { programOffsetMs: PROGRAM_OFFSET_MS + 2 }));
  const [fired] = timeline.ranges(mediaAt(5_000, { programOffsetMs: PROGRAM_OFFSET_MS + 2 }));
  assert.equal(fired?.startAtWallMs, bare?.startAtWallMs);
  assert.equal(fired?.cue?.programWallMs, PROGRAM_OFFSET_MS + 5_002);
  assert.equal(fired?.isOpen, true);
  done(timeline.edit(content('a', { title: 'new' }), undefined, at(6_000)));
  assert.deepEqual(
    timeline.ranges(mediaAt(0)).map(({ id, cue }) => [id, cue?.title]),
    [['a~2', 'new']],
  );
  done(timeline.withdraw('a', { isForgotten: false }, at(8_000)));
  assert.deepEqual(
    timeline.ranges(mediaAt(0)).map(({ id, durationMs, isOpen }) => [id, durationMs, isOpen]),
    [['a~2', 3_000, false]],
  );
  done(timeline.create(content('a'), { at: { mediaMs: 9_000 } }, at(8_000)));
  assert.deepEqual(
    timeline.ranges(mediaAt(0)).map(({ id }) => id),
    ['a~2', 'a~3'],
  );
});

test('ranges: armed before playlists have a clock, a cue has its date of the first telling by that clock', () => {
  const unknown = { arrivalOffsetMs: PROGRAM_OFFSET_MS + 18, programOffsetMs: undefined };
  const startOf = (timeline: CueTimeline, programOffsetMs: number | undefined): number | undefined =>
    timeline.ranges(mediaAt(0, { programOffsetMs }))[0]?.startAtWallMs;
  const listed = live();
  done(listed.create(content('a'), { at: { mediaMs: 5_000 } }, at(100, unknown)));
  assert.equal(startOf(listed, undefined), undefined);
  assert.equal(startOf(listed, PROGRAM_OFFSET_MS), PROGRAM_OFFSET_MS + 5_000, 'by the first list');
  assert.equal(startOf(listed, PROGRAM_OFFSET_MS + 1), PROGRAM_OFFSET_MS + 5_000, 'and for ever');
  const unlisted = live();
  done(unlisted.create(content('a'), { at: { mediaMs: 5_000 } }, at(100, unknown)));
  const [fired] = unlisted.advance(at(5_000));
  assert.ok(fired?.type === 'fired' && fired.cue.programWallMs === PROGRAM_OFFSET_MS + 5_000);
  done(unlisted.edit(content('a', { title: 'new' }), undefined, at(6_000)));
  assert.equal(startOf(unlisted, PROGRAM_OFFSET_MS + 1), PROGRAM_OFFSET_MS + 5_000, 'as all were told when it fired');
  const short = live();
  done(short.create(content('a'), { at: { mediaMs: 100 } }, at(100, unknown)));
  done(short.withdraw('a', { isForgotten: false }, at(200, unknown)));
  assert.equal(startOf(short, PROGRAM_OFFSET_MS), PROGRAM_OFFSET_MS + 100, 'withdrawn before there was a clock');
});

test('withdrawn: viewers who knew of it are told, and how long it was on; forgotten, no playlist keeps it', () => {
  const timeline = live();
  done(timeline.create(content('unknown'), undefined, at(0)));
  done(timeline.create(content('armed'), { at: { mediaMs: 9_000 } }, at(0)));
  done(timeline.create(content('on', { durationMs: 60_000 }), { at: { mediaMs: 1_000 } }, at(0)));
  done(timeline.create(content('wrong'), { at: { mediaMs: 1_000 } }, at(0)));
  timeline.advance(at(1_000));
  const withdraw = (id: string, isForgotten = false): CueEvent & { type: 'withdrawn' } => {
    const [event] = done(timeline.withdraw(id, { isForgotten }, at(4_000))).events;
    assert.ok(event?.type === 'withdrawn');
    return event;
  };
  const unknown = withdraw('unknown');
  assert.deepEqual([unknown.wasTold, unknown.cue], [false, undefined]);
  const armed = withdraw('armed');
  assert.deepEqual([armed.wasTold, armed.cue], [true, undefined]);
  assert.equal(withdraw('on').cue?.durationMs, 3_000);
  withdraw('wrong', true);
  assert.deepEqual(timeline.ranges(mediaAt(0)), []);
  assert.equal(codeOf(timeline.withdraw('on', { isForgotten: false }, at(4_000))), 'CUE_UNKNOWN');
});
