// Which cues are on with which frame, whatever brings the frame and whoever told of the cue.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CueBoard, type CueMoment, type CuePlace, type CueView } from '../../../../player/cues/cue-board.ts';
import type { Cue, CueMark } from '../../../../server/api/contract/cues.ts';

/** Program date of media time 0. */
const ZERO_WALL_MS = 1_790_000_000_000;
const FRAME_MS = 1000 / 30;

const markAt = (id: string, mediaMs: number, clockAtMs: number | null = null): CueMark => ({
  id,
  mode: clockAtMs === null ? 'media' : 'clock',
  mediaMs,
  programWallMs: ZERO_WALL_MS + mediaMs,
  showAtWallMs: clockAtMs === null ? null : ZERO_WALL_MS + clockAtMs,
});
const cueOf = (mark: CueMark, more: Partial<Cue> = {}): Cue => ({
  ...{ ...mark, kind: 'product', title: mark.id, durationMs: null },
  ...more,
});

test('what program dates are ahead of media time is known from the first cue on', () => {
  const board = new CueBoard();
  assert.equal(board.programOffsetMs, null);
  board.take({ type: 'cue-mark', mark: markAt('a', 5_000) });
  board.take({ type: 'cue', cue: { ...cueOf(markAt('b', 9_000)), programWallMs: ZERO_WALL_MS + 9_007 } });
  assert.equal(board.programOffsetMs, ZERO_WALL_MS + 7);
});

const media = (atMs: number): CuePlace => ({ kind: 'media', atMs });
const wall = (mediaMs: number): CuePlace => ({ kind: 'wall', atMs: ZERO_WALL_MS + mediaMs });
const offset = (atMs: number): CuePlace => ({ kind: 'offset', atMs });

/** `serverMs`: since media time 0 was captured. */
const at = (
  place: CuePlace | null,
  more: { serverMs?: number; isPast?: boolean; isOver?: boolean } = {},
): CueMoment => ({
  place,
  serverWallMs: more.serverMs === undefined ? null : ZERO_WALL_MS + more.serverMs,
  isPast: more.isPast ?? false,
  isOver: more.isOver ?? false,
});

const onOf = ({ on }: CueView): string[] => on.map(({ id }) => id);
const eventsOf = ({ events }: CueView): string[] =>
  events.map((event) => `${event.type} ${'cue' in event ? event.cue.id : event.mark.id}`);

/** The first of the frames from `fromMs` on with which it is on. */
const firstFrame = (board: CueBoard, placeOf: (ms: number) => CuePlace, fromMs: number): number => {
  for (let index = 0; index < 1000; index += 1) {
    if (board.update(at(placeOf(fromMs + index * FRAME_MS))).on.length > 0) {
      return index;
    }
  }
  return -1;
};

test('a cue is on with its very frame over every transport, though program dates are rounded', () => {
  const frameIndex = 47;
  const mark = markAt('a', frameIndex * FRAME_MS);
  const placers = [media, (ms: number) => ({ kind: 'wall' as const, atMs: Math.round(ZERO_WALL_MS + ms) })];
  for (const placer of placers) {
    const board = new CueBoard();
    board.take({ type: 'cue', cue: cueOf({ ...mark, programWallMs: Math.round(mark.programWallMs) }) });
    assert.equal(firstFrame(board, placer, 0), frameIndex);
  }
  const replay = new CueBoard();
  const startMs = 12_345.6;
  replay.takeChapters([{ startMs, endMs: 99_000, title: 'a', cue: cueOf(mark) }]);
  assert.equal(firstFrame(replay, offset, startMs - 10 * FRAME_MS), 10);
});

test('what is announced is counted down to, with the frame, and shown when payload and frame are there', () => {
  const board = new CueBoard();
  board.take({ type: 'cues', marks: [markAt('a', 10_000)], cues: [] });
  const first = board.update(at(media(7_100)));
  assert.deepEqual([eventsOf(first), onOf(first)], [['announced a'], []]);
  assert.equal(Math.ceil((first.counts[0]?.remainingMs ?? 0) / 1000), 3);
  // A viewer seconds behind: it has fired at the server, and is still ahead of this picture.
  board.take({ type: 'cue', cue: cueOf(markAt('a', 10_000)) });
  const second = board.update(at(media(9_500)));
  assert.deepEqual([eventsOf(second), onOf(second), second.counts.length], [[], [], 1]);
  const third = board.update(at(media(10_000)));
  assert.deepEqual([eventsOf(third), onOf(third), third.counts.length], [['shown a'], ['a'], 0]);
});

test('a payload that comes late is shown at once, and says how late', () => {
  const board = new CueBoard();
  board.take({ type: 'cue-mark', mark: markAt('a', 1000) });
  board.update(at(media(1400)));
  board.take({ type: 'cue', cue: cueOf(markAt('a', 1000)) });
  const [event] = board.update(at(media(1400))).events;
  assert.equal(event?.type === 'shown' ? event.lateMs : null, 400);
});

test('it goes after its duration of media time, when it is withdrawn, and with the broadcast', () => {
  const board = new CueBoard();
  board.take({
    type: 'cues',
    marks: [],
    cues: [cueOf(markAt('a', 1000), { durationMs: 500 }), cueOf(markAt('b', 1000))],
  });
  assert.deepEqual(onOf(board.update(at(media(1400)))), ['a', 'b']);
  assert.deepEqual(eventsOf(board.update(at(media(1500)))), ['hidden a']);
  board.take({ type: 'cue-withdrawn', id: 'b' });
  assert.deepEqual(eventsOf(board.update(at(media(1500)))), ['hidden b']);
  board.take({ type: 'cue', cue: cueOf(markAt('c', 1200)) });
  assert.deepEqual(onOf(board.update(at(media(1600)))), ['c']);
  assert.deepEqual(onOf(board.update(at(media(1600), { isOver: true }))), []);
});

test('state follows the frame through rewinds, seeks and changes of transport', () => {
  const board = new CueBoard();
  board.take({ type: 'cue', cue: cueOf(markAt('a', 60_000)) });
  assert.deepEqual(onOf(board.update(at(media(61_000)))), ['a']);
  assert.deepEqual(eventsOf(board.update(at(wall(40_000), { isPast: true }))), ['hidden a']);
  assert.deepEqual(onOf(board.update(at(wall(59_990), { isPast: true }))), []);
  assert.deepEqual(eventsOf(board.update(at(wall(60_000), { isPast: true }))), ['shown a']);
  assert.deepEqual(eventsOf(board.update(at(wall(63_000)))), []);
  assert.deepEqual(eventsOf(board.update(at(media(64_000)))), [], 'the next transport brings the same frames');
});

test('an edit replaces what is on without taking it away; the same told again is no news', () => {
  const board = new CueBoard();
  const cue = cueOf(markAt('a', 1000));
  board.take({ type: 'cue', cue });
  board.update(at(media(1000)));
  board.take({ type: 'cues', marks: [], cues: [structuredClone(cue)] });
  assert.deepEqual(eventsOf(board.update(at(media(1033)))), []);
  board.take({ type: 'cue', cue: { ...cue, price: '¥9' } });
  const changed = board.update(at(media(1066)));
  assert.deepEqual([eventsOf(changed), changed.on[0]?.price], [['changed a'], '¥9']);
});

test('an instant that moves takes the countdown with it', () => {
  const board = new CueBoard();
  board.take({ type: 'cue-mark', mark: markAt('a', 5000) });
  board.update(at(media(2000)));
  board.take({ type: 'cue-mark', mark: markAt('a', 9000) });
  const view = board.update(at(media(2000)));
  assert.deepEqual([Math.ceil(view.counts[0]?.remainingMs ?? 0), eventsOf(view)], [7000 - 4, []]);
});

test('clock mode: at its instant for all who watch live, however far behind, and told when that is', () => {
  const mark = markAt('drop', 10_000, 12_000);
  for (const latencyMs of [150, 3000]) {
    const board = new CueBoard();
    board.take({ type: 'cue-mark', mark });
    const moment = (serverMs: number): CueMoment => at(wall(serverMs - latencyMs), { serverMs });
    const before = board.update(moment(11_000));
    assert.equal(before.nextClockAtWallMs, ZERO_WALL_MS + 12_000);
    assert.equal(before.counts[0]?.remainingMs, 1000);
    board.take({ type: 'cue', cue: cueOf(mark, { durationMs: 5000 }) });
    assert.deepEqual(onOf(board.update(moment(11_999))), []);
    assert.deepEqual(onOf(board.update(moment(12_000))), ['drop']);
    assert.equal(board.update(moment(12_100)).nextClockAtWallMs, ZERO_WALL_MS + 17_000);
    assert.deepEqual(onOf(board.update(moment(17_000))), []);
  }
});

test('clock mode for who is rewound: one that fires now is shown, one that has fired waits for its frame', () => {
  const board = new CueBoard();
  board.take({ type: 'cues', marks: [markAt('new', 90_000, 92_000)], cues: [cueOf(markAt('old', 60_000, 61_000))] });
  const past = (mediaMs: number, serverMs: number): string[] =>
    onOf(board.update(at(wall(mediaMs), { serverMs, isPast: true })));
  assert.deepEqual(past(30_000, 91_000), []);
  board.take({ type: 'cue', cue: cueOf(markAt('new', 90_000, 92_000)) });
  assert.deepEqual(past(31_000, 92_000), ['new']);
  assert.deepEqual(past(60_000, 121_000), ['old', 'new']);
});

test('clock mode in a replay is with its frame, and without the server’s clock too', () => {
  const cue = cueOf(markAt('drop', 10_000, 12_000));
  const replay = new CueBoard();
  replay.takeChapters([{ startMs: 8000, endMs: 9000, title: 'drop', cue }]);
  assert.deepEqual(onOf(replay.update(at(offset(7967), { isPast: true, serverMs: 0 }))), []);
  assert.deepEqual(onOf(replay.update(at(offset(8000), { isPast: true, serverMs: 0 }))), ['drop']);
  const live = new CueBoard();
  live.take({ type: 'cue', cue });
  assert.deepEqual(onOf(live.update(at(media(10_000)))), ['drop']);
});

test('playlists count while there is no socket; an open one knows better', () => {
  const board = new CueBoard();
  const [kept, gone] = [cueOf(markAt('kept', 1000)), cueOf(markAt('gone', 1100))];
  board.takeDated([kept, gone], ZERO_WALL_MS);
  assert.deepEqual(onOf(board.update(at(wall(2000)))), ['kept', 'gone']);
  board.take({ type: 'cues', marks: [], cues: [kept] });
  assert.deepEqual(onOf(board.update(at(wall(2000)))), ['kept'], 'withdrawn before this page came');
  board.socketLost();
  assert.deepEqual(onOf(board.update(at(wall(2000)))), ['kept', 'gone']);
  board.take({ type: 'cue-withdrawn', id: 'kept' });
  board.takeDated([kept], ZERO_WALL_MS);
  assert.deepEqual(onOf(board.update(at(wall(2000)))), [], 'one withdrawn by the socket, one by the playlist');
});

test('what slides out of a live playlist stays known; what it could list and does not is void', () => {
  const board = new CueBoard();
  board.takeDated([cueOf(markAt('old', 1000)), cueOf(markAt('void', 9000))], ZERO_WALL_MS);
  board.takeDated([], ZERO_WALL_MS + 8000);
  assert.deepEqual(onOf(board.update(at(wall(20_000)))), ['old']);
});

test('a full list of the socket lacks the oldest: those the playlist knows', () => {
  const board = new CueBoard();
  board.takeDated([cueOf(markAt('older', 10))], ZERO_WALL_MS);
  const cues = Array.from({ length: 200 }, (_, index) => cueOf(markAt(`c${index}`, 1000 + index)));
  board.take({ type: 'cues', marks: [], cues });
  assert.equal(board.update(at(media(500))).on[0]?.id, 'older');
});

test('so does one that is nearly as long as the server makes them', () => {
  const board = new CueBoard();
  board.takeDated([cueOf(markAt('older', 10))], ZERO_WALL_MS);
  const cues = [1, 2, 3, 4].map((index) => cueOf(markAt(`c${index}`, 1000), { payload: 'x'.repeat(7000) }));
  board.take({ type: 'cues', marks: [], cues });
  assert.deepEqual(onOf(board.update(at(media(500)))), ['older']);
});

test('who is rewound when the broadcast ends keeps its cues, though the socket has none any more', () => {
  const board = new CueBoard();
  const cue = cueOf(markAt('a', 1000));
  board.take({ type: 'cue', cue });
  board.takeDated([cue], ZERO_WALL_MS);
  board.update(at(wall(2000), { isPast: true }));
  board.noteLive({ isOver: true });
  board.take({ type: 'cues', marks: [], cues: [] });
  assert.deepEqual(eventsOf(board.update(at(wall(2033), { isPast: true }))), []);
});

test('another broadcast begins without what playlists told of the one before', () => {
  const board = new CueBoard();
  board.takeDated([cueOf(markAt('b', 0))], ZERO_WALL_MS);
  board.update(at(wall(10)));
  board.forgetPlaylists();
  assert.deepEqual(eventsOf(board.update(at(wall(10)))), ['hidden b']);
});

test('one that is taken back before its instant and armed again is announced again', () => {
  const board = new CueBoard();
  board.take({ type: 'cue-mark', mark: markAt('a', 5000) });
  board.update(at(media(0)));
  board.take({ type: 'cue-withdrawn', id: 'a' });
  assert.deepEqual(board.update(at(media(10))).counts, []);
  board.take({ type: 'cue-mark', mark: markAt('a', 9000) });
  assert.deepEqual(eventsOf(board.update(at(media(20)))), ['announced a']);
});

test('an id that was shown twice is there twice in the replay', () => {
  const board = new CueBoard();
  const chapterAt = (startMs: number) => {
    const cue = cueOf(markAt('a', startMs + 500), { durationMs: 1000 });
    return { startMs, endMs: startMs + 1000, title: 'a', cue };
  };
  board.takeChapters([chapterAt(1000), chapterAt(5000)]);
  const seen = [1000, 2500, 5000, 6500].map((ms) => eventsOf(board.update(at(offset(ms)))));
  assert.deepEqual(seen, [['shown a'], ['hidden a'], ['shown a'], ['hidden a']]);
});

test('what it remembers is bounded', () => {
  const board = new CueBoard();
  for (let index = 0; index < 5000; index += 1) {
    board.take({ type: 'cue', cue: cueOf(markAt(`c${index}`, index)) });
  }
  const { on } = board.update(at(media(10_000)));
  assert.deepEqual([on.length, on.at(-1)?.id], [1000, 'c4999']);
});
