/** Live and back, told as short stories in made-up time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PlayerMachine, type MachineAction, type MachineEvent } from '../../../player/rewind-machine.ts';
import type { Transport } from '../../../player/state-machine.ts';
import { MachineStory } from '../../support/machine-story.ts';

const words = (action: MachineAction): string => {
  if (action.type === 'show') {
    return `show ${action.transport}`;
  }
  if (action.type === 'open-rewind') {
    return `open ${action.source} ${action.atWallMs}`;
  }
  return action.type === 'seek-rewind' ? `seek ${action.atWallMs}` : action.type;
};

class Story extends MachineStory<PlayerMachine, MachineEvent, MachineAction> {
  constructor() {
    super(new PlayerMachine(), words);
  }

  rewind(atWallMs: number): string[] {
    return this.tell({ type: 'rewind', atWallMs });
  }

  past(what: 'picture' | 'stalled' | 'ended' | 'gone'): string[] {
    return this.tell({ type: `rewind-${what}` });
  }

  goLive(): string[] {
    return this.tell({ type: 'go-live' });
  }

  /** `playing whep`, with a star while on the way. */
  get view(): string {
    const { status, transport, isSwitching } = this.machine.view;
    return `${status} ${transport}${isSwitching ? '*' : ''}`;
  }
}

const live = (transport: Transport = 'whep'): Story => {
  const story = new Story();
  story.tell({ type: 'start', whep: transport === 'whep' });
  story.server('live');
  assert.deepEqual(story.picture(transport), [`show ${transport}`]);
  return story;
};

const rewound = (transport: Transport = 'whep'): Story => {
  const story = live(transport);
  story.rewind(500);
  story.past('picture');
  assert.equal(story.view, 'playing rewind');
  return story;
};

test('live goes on until the past has a picture, and only then ends', () => {
  const story = live();
  assert.deepEqual(story.rewind(500), ['open dvr 500']);
  assert.equal(story.view, 'playing whep*');
  assert.deepEqual(story.wait(2000), []);
  assert.deepEqual(story.past('picture'), ['show-rewind', 'close-whep']);
  assert.equal(story.view, 'playing rewind');
  assert.deepEqual(story.wait(700_000), [], 'nothing live is tried meanwhile');
});

test('back to live: the past goes on until WHEP has a picture', () => {
  const story = rewound();
  assert.deepEqual(story.goLive(), ['open-whep']);
  assert.equal(story.view, 'playing rewind*');
  assert.deepEqual(story.picture('whep'), ['show whep', 'close-rewind']);
  assert.equal(story.view, 'playing whep');
});

test('back to live where WHEP gives no picture: LL-HLS, with the past on screen until it has one', () => {
  const story = rewound();
  story.goLive();
  assert.deepEqual(story.wait(3000), ['close-whep', 'open-hls']);
  assert.equal(story.view, 'playing rewind*');
  assert.deepEqual(story.picture('ll-hls'), ['show ll-hls', 'close-rewind']);
});

test('who watches live over LL-HLS rewinds and returns alike', () => {
  const story = live('ll-hls');
  story.rewind(500);
  assert.deepEqual(story.past('picture'), ['show-rewind', 'close-hls']);
  assert.deepEqual(story.goLive(), ['open-hls']);
  assert.deepEqual(story.picture('ll-hls'), ['show ll-hls', 'close-rewind']);
});

test('double clicks: the second on live does nothing, seeks while switching move the one that is on its way', () => {
  const story = live();
  story.rewind(500);
  assert.deepEqual(story.rewind(600), ['seek 600']);
  assert.deepEqual(story.rewind(700), ['seek 700']);
  story.past('picture');
  assert.deepEqual(story.goLive(), ['open-whep']);
  assert.deepEqual(story.goLive(), []);
  assert.deepEqual(story.picture('whep'), ['show whep', 'close-rewind']);
  assert.deepEqual(story.past('picture'), [], 'late news of what was closed');
});

test('live again before the past had a picture: live was never left', () => {
  const story = live();
  story.rewind(500);
  assert.deepEqual(story.goLive(), ['close-rewind']);
  assert.equal(story.view, 'playing whep');
  assert.deepEqual(story.past('picture'), []);
});

test('a seek on the way back to live stays in the past', () => {
  const story = rewound();
  story.goLive();
  assert.deepEqual(story.rewind(800), ['close-whep', 'seek 800']);
  assert.equal(story.view, 'playing rewind');
  assert.deepEqual(story.picture('whep'), [], 'its session is closed');
  assert.deepEqual(story.wait(10_000), []);
});

test('a past that cannot be had: on the way there live stays, rewound it goes live', () => {
  const story = live();
  story.rewind(500);
  assert.deepEqual(story.past('gone'), ['close-rewind']);
  assert.equal(story.view, 'playing whep');
  const there = rewound();
  assert.deepEqual(there.past('gone'), ['close-rewind', 'open-whep']);
  assert.equal(there.view, 'connecting null');
  assert.deepEqual(there.picture('whep'), ['show whep']);
});

test('the broadcast ends while rewound: it goes on as replay, once, and says the end at its end', () => {
  const story = rewound();
  assert.deepEqual(story.server('ended'), ['continue-as-replay']);
  assert.deepEqual(story.server('ended'), []);
  assert.equal(story.view, 'playing rewind');
  assert.deepEqual(story.goLive(), [], 'there is nothing live to go to');
  assert.deepEqual(story.rewind(100), ['seek 100']);
  story.past('ended');
  assert.equal(story.view, 'ended rewind');
  assert.deepEqual(story.rewind(100), ['seek 100']);
  assert.equal(story.view, 'playing rewind');
});

test('the broadcast ends on the way back to live: the past stays', () => {
  const story = rewound();
  story.goLive();
  assert.deepEqual(story.server('ended'), ['close-whep', 'continue-as-replay']);
  assert.equal(story.view, 'playing rewind');
});

for (const state of ['ended', 'absent'] as const) {
  test(`after the end (${state}) one may still go back, into the recording, and there is no way to live`, () => {
    const story = live();
    story.server(state);
    assert.deepEqual(story.rewind(500), ['open replay 500']);
    assert.ok(story.past('picture').includes('show-rewind'));
    assert.equal(story.view, 'playing rewind');
    assert.deepEqual(story.goLive(), []);
    assert.deepEqual(story.server('live', 'second'), [], 'the recording goes on');
    assert.deepEqual(story.goLive(), ['open-whep']);
  });
}

test('another broadcast of the name begins while rewound: the old one goes on as replay, live leads to the new one', () => {
  const story = rewound();
  assert.deepEqual(story.server('live', 'second'), ['continue-as-replay']);
  assert.equal(story.view, 'playing rewind');
  assert.deepEqual(story.goLive(), ['open-whep']);
  assert.deepEqual(story.picture('whep'), ['show whep', 'close-rewind']);
});

test('a host who reconnects does not disturb who is rewound, and is spoken of when he goes live', () => {
  const story = rewound();
  assert.deepEqual(story.server('reconnecting'), []);
  assert.equal(story.view, 'playing rewind');
  assert.deepEqual(story.goLive(), ['open-whep']);
  assert.deepEqual(story.wait(20_000), [], 'without frames, but the host is away: no reason for LL-HLS');
  assert.equal(story.view, 'playing rewind*');
  story.server('live');
  assert.deepEqual(story.picture('whep'), ['show whep', 'close-rewind']);
});

test('a lost socket while rewound is said only when the picture stands', () => {
  const story = rewound();
  story.tell({ type: 'socket-lost' });
  assert.equal(story.view, 'playing rewind');
  story.past('stalled');
  assert.equal(story.view, 'server-reconnecting rewind');
  story.past('picture');
  assert.equal(story.view, 'playing rewind');
});

test('a tab that comes back while rewound stays where it was', () => {
  const story = rewound('ll-hls');
  story.tell({ type: 'visibility', visible: false });
  assert.deepEqual(story.tell({ type: 'visibility', visible: true }), []);
});
