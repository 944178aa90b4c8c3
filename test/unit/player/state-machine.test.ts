/** What the player does when, told as short stories in made-up time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LiveMachine, type LiveAction, type LiveEvent, type Transport } from '../../../player/state-machine.ts';
import { MachineStory } from '../../support/machine-story.ts';

class Story extends MachineStory<LiveMachine, LiveEvent, LiveAction> {
  constructor() {
    super(new LiveMachine(), (action) => (action.type === 'show' ? `show ${action.transport}` : action.type));
  }

  stalled(transport: Transport): string[] {
    return this.tell({ type: 'stalled', transport });
  }

  get status(): string {
    return this.machine.view.status;
  }
}

const playingOverWhep = (): Story => {
  const story = new Story();
  assert.deepEqual(story.tell({ type: 'start', whep: true }), ['open-whep']);
  story.server('live');
  assert.deepEqual(story.picture('whep'), ['show whep']);
  return story;
};

const playingOverHls = (): Story => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  story.server('live');
  assert.deepEqual(story.wait(3000), ['close-whep', 'open-hls']);
  assert.deepEqual(story.picture('ll-hls'), ['show ll-hls']);
  return story;
};

test('no picture in 3 s: LL-HLS, and it says why', () => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  assert.deepEqual(story.wait(2750), []);
  assert.equal(story.status, 'connecting');
  assert.deepEqual(story.wait(250), ['close-whep', 'open-hls']);
  assert.deepEqual(story.picture('ll-hls'), ['show ll-hls']);
  assert.deepEqual(story.machine.view, { status: 'playing', transport: 'll-hls', fallbackReason: 'no-picture' });
});

test('the 3 s do not run in a hidden tab, where no frames come', () => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  story.tell({ type: 'visibility', visible: false });
  assert.deepEqual(story.wait(60_000), []);
  story.tell({ type: 'visibility', visible: true });
  assert.deepEqual(story.wait(2750), []);
  assert.deepEqual(story.wait(250), ['close-whep', 'open-hls']);
});

test('a browser without WebRTC starts with LL-HLS and never tries WHEP', () => {
  const story = new Story();
  assert.deepEqual(story.tell({ type: 'start', whep: false }), ['open-hls']);
  story.server('live');
  story.picture('ll-hls');
  assert.deepEqual(story.wait(700_000), []);
});

test('a lost path leaves the last picture until LL-HLS has one', () => {
  const story = playingOverWhep();
  story.stalled('whep');
  assert.equal(story.status, 'buffering');
  assert.deepEqual(story.tell({ type: 'whep-path-lost', final: false }), ['close-whep', 'open-hls']);
  assert.equal(story.machine.view.transport, 'whep', 'its last picture is still what is seen');
  assert.deepEqual(story.picture('ll-hls'), ['show ll-hls']);
});

test('a session that the server has lost is followed by another at once; beside LL-HLS it waits for its turn', () => {
  const story = playingOverWhep();
  assert.deepEqual(story.tell({ type: 'whep-session-lost' }), ['close-whep', 'open-whep']);
  assert.equal(story.machine.view.transport, 'whep', 'its last picture is still what is seen');
  assert.deepEqual(story.picture('whep'), ['show whep']);
  assert.equal(story.status, 'playing');
  const other = playingOverHls();
  other.picture('ll-hls');
  assert.deepEqual(other.tell({ type: 'whep-session-lost' }), []);
});

test('a path that is disconnected while frames still come is kept', () => {
  const story = playingOverWhep();
  assert.deepEqual(story.tell({ type: 'whep-path-lost', final: false }), []);
  assert.equal(story.status, 'playing');
});

test('a host who drops keeps every viewer where he is, for any time', () => {
  const story = playingOverWhep();
  story.stalled('whep');
  story.server('reconnecting');
  assert.equal(story.status, 'host-reconnecting');
  assert.deepEqual(story.wait(30_000), []);
  story.server('live');
  assert.deepEqual(story.wait(2000), []);
  story.picture('whep');
  assert.equal(story.status, 'playing');
  assert.equal(story.machine.view.transport, 'whep');
});

test('live again but still no frames for 9 s: LL-HLS; frames after all: back to WHEP at once', () => {
  const story = playingOverWhep();
  story.stalled('whep');
  story.server('reconnecting');
  story.server('live');
  assert.deepEqual(story.wait(9000), ['open-hls']);
  assert.deepEqual(story.picture('whep'), ['close-hls']);
  assert.equal(story.status, 'playing');
});

test('a restarted server is found again: words, then a new WHEP session for the new broadcast', () => {
  const story = playingOverWhep();
  story.tell({ type: 'socket-lost' });
  assert.equal(story.status, 'playing', 'frames still move');
  story.stalled('whep');
  assert.equal(story.status, 'server-reconnecting');
  story.tell({ type: 'whep-path-lost', final: true });
  assert.deepEqual(story.wait(20_000), []);
  assert.deepEqual(story.server('absent', null), ['close-whep']);
  assert.equal(story.status, 'waiting-for-host');
  assert.deepEqual(story.server('live', 'second'), ['open-whep']);
  assert.deepEqual(story.picture('whep'), ['show whep']);
});

test('a server restarted so fast that frames seemed to move: a new session at the first sign of a stall', () => {
  const story = playingOverWhep();
  story.tell({ type: 'socket-lost' });
  assert.deepEqual(story.server('live', 'second'), []);
  assert.deepEqual(story.stalled('whep'), ['close-whep', 'open-whep']);
});

test('a new broadcast under LL-HLS begins again with WHEP', () => {
  const story = playingOverHls();
  assert.deepEqual(story.server('live', 'second'), ['close-whep', 'close-hls', 'open-whep'].slice(1));
});

test('a network that changed under the viewer: a new WHEP session when the socket is back', () => {
  const story = playingOverWhep();
  story.tell({ type: 'socket-lost' });
  story.stalled('whep');
  story.tell({ type: 'whep-path-lost', final: true });
  assert.deepEqual(story.server('live'), ['close-whep', 'open-whep']);
});

test('from LL-HLS WHEP is tried again after 60 s, 120 s and 240 s, with the picture going on', () => {
  const story = playingOverHls();
  assert.deepEqual(story.wait(59_750), []);
  assert.deepEqual(story.wait(250), ['open-whep']);
  assert.equal(story.status, 'playing');
  assert.deepEqual(story.wait(3000), ['close-whep']);
  assert.deepEqual(story.wait(119_000), []);
  assert.deepEqual(story.wait(1000), ['open-whep']);
  assert.deepEqual(story.tell({ type: 'whep-refused', status: 503, retryAfterMs: null }), ['close-whep']);
  assert.deepEqual(story.wait(239_000), []);
  assert.deepEqual(story.wait(1000), ['open-whep']);
  assert.deepEqual(story.picture('whep'), ['show whep', 'close-hls']);
  assert.equal(story.machine.view.fallbackReason, null);
});

test('WHEP is not tried again while the page is hidden', () => {
  const story = playingOverHls();
  story.tell({ type: 'visibility', visible: false });
  assert.deepEqual(story.wait(200_000), []);
  assert.deepEqual(story.tell({ type: 'visibility', visible: true }), ['seek-live']);
  assert.deepEqual(story.wait(250), ['open-whep']);
});

test('an absent host is waited for, and the start is taken at the word of the socket', () => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  assert.deepEqual(story.tell({ type: 'whep-refused', status: 404, retryAfterMs: null }), ['close-whep']);
  assert.equal(story.status, 'waiting-for-host');
  story.server('absent', null);
  story.server('waiting');
  assert.equal(story.status, 'waiting-for-host');
  assert.deepEqual(story.server('live'), ['open-whep']);
});

test('without a socket an absent host is asked for again by itself', () => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  story.tell({ type: 'whep-refused', status: 404, retryAfterMs: null });
  assert.deepEqual(story.wait(3000), ['open-whep']);
});

test('live by the socket but not yet by the door: asked again, then LL-HLS', () => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  story.server('live');
  for (let count = 0; count < 3; count += 1) {
    assert.deepEqual(story.tell({ type: 'whep-refused', status: 404, retryAfterMs: null }), ['close-whep']);
    assert.deepEqual(story.wait(500), ['open-whep']);
  }
  assert.deepEqual(story.tell({ type: 'whep-refused', status: 404, retryAfterMs: null }), ['close-whep', 'open-hls']);
});

test('a server that is full sends the viewer to LL-HLS and is not asked before Retry-After', () => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  story.server('live');
  assert.deepEqual(story.tell({ type: 'whep-refused', status: 503, retryAfterMs: 300_000 }), [
    'close-whep',
    'open-hls',
  ]);
  story.picture('ll-hls');
  assert.deepEqual(story.wait(299_000), []);
  assert.deepEqual(story.wait(1000), ['open-whep']);
});

test('a repaired rendition on its way: Retry-After is heeded once, then patience', () => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  story.server('live');
  story.tell({ type: 'whep-refused', status: 503, retryAfterMs: 10_000 });
  story.picture('ll-hls');
  assert.deepEqual(story.wait(9750), []);
  assert.deepEqual(story.wait(250), ['open-whep']);
  assert.deepEqual(story.tell({ type: 'whep-refused', status: 503, retryAfterMs: 10_000 }), ['close-whep']);
  assert.deepEqual(story.wait(59_750), []);
  assert.deepEqual(story.wait(250), ['open-whep']);
});

test('a viewer without leave is told so, and is asked for again every 30 s', () => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  assert.deepEqual(story.tell({ type: 'whep-refused', status: 401, retryAfterMs: null }), ['close-whep']);
  assert.deepEqual(story.server('live'), []);
  assert.equal(story.status, 'forbidden');
  assert.deepEqual(story.wait(29_000), []);
  assert.deepEqual(story.wait(1000), ['open-whep']);
});

test('a server that does not answer is asked again, ever more slowly, without end', () => {
  const story = new Story();
  story.tell({ type: 'start', whep: true });
  let count = 0;
  for (let step = 0; step < 1200; step += 1) {
    story.tell({ type: 'whep-unreachable' });
    assert.equal(story.status, 'server-reconnecting');
    count += story.wait(250).length;
  }
  assert.ok(count > 25 && count < 60, `${count} attempts in five minutes`);
});

test('the end is said, and a new beginning is taken up', () => {
  const story = playingOverWhep();
  assert.deepEqual(story.server('ended'), ['close-whep']);
  assert.equal(story.status, 'ended');
  assert.deepEqual(story.wait(60_000), []);
  assert.deepEqual(story.server('live', 'second'), ['open-whep']);
});
