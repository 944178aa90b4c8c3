/** One text to many: frames as RFC 6455 has them, order, slices, who came late, and what a crowd is told once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Writable } from 'node:stream';
import * as ws from 'ws';
import { FanOut, textFrame } from '../../../server/api/fan-out.ts';
import { SocketCrowd } from '../../../server/api/socket-crowd.ts';
import type { BroadcastNews } from '../../../server/api/views.ts';

/** The other side's reader; the types of `ws` leave it out. */
const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

class Listener {
  readonly heard: string[] = [];

  hear(frame: Buffer): void {
    const headBytes = frame[1] === 126 ? 4 : frame[1] === 127 ? 10 : 2;
    this.heard.push(frame.toString('utf8', headBytes));
  }
}

const everything = (): boolean => false;

test('a frame reads as its text, whatever its length', async () => {
  for (const text of ['', 'short', 'é'.repeat(62), 'x'.repeat(126), 'x'.repeat(65_535), 'x'.repeat(65_536)]) {
    const receiver = new Receiver({ isServer: false });
    const message = new Promise<string>((resolve) => {
      receiver.on('message', (data: Buffer) => resolve(data.toString()));
    });
    receiver.write(textFrame(text));
    assert.equal(await message, text);
  }
});

test('every member hears everything in order, however small the slices', () => {
  const fanOut = new FanOut();
  const members = Array.from({ length: 10 }, () => new Listener());
  members.forEach((member) => fanOut.add(member));
  ['a', 'b', 'c'].forEach((text) => fanOut.push(textFrame(text)));
  let sliceCount = 0;
  while (fanOut.hasWork) {
    let count = 0;
    fanOut.run(() => (count += 1) >= 4);
    sliceCount += 1;
  }
  assert.ok(sliceCount >= 7, `${sliceCount} slices`);
  members.forEach(({ heard }) => assert.deepEqual(heard, ['a', 'b', 'c']));
});

test('who comes while a message is under way hears the next one first; who leaves hears no more', () => {
  const fanOut = new FanOut();
  const [first, second, late] = [new Listener(), new Listener(), new Listener()];
  [first, second].forEach((member) => fanOut.add(member));
  fanOut.push(textFrame('before'));
  fanOut.run(() => true);
  fanOut.add(late);
  fanOut.remove(second);
  fanOut.push(textFrame('after'));
  fanOut.run(everything);
  assert.deepEqual([first.heard, second.heard, late.heard], [['before', 'after'], [], ['after']]);
});

test('messages under way are bounded, and those left out are counted', () => {
  const fanOut = new FanOut();
  const member = new Listener();
  fanOut.add(member);
  for (let index = 0; index < 1_500; index += 1) {
    fanOut.push(textFrame(String(index)));
  }
  fanOut.run(everything);
  assert.equal(fanOut.leftOutCount, 500);
  assert.equal(member.heard.length, 1_000);
  assert.equal(member.heard.at(-1), '1499');
});

test('a crowd is told what is news, once; who comes later how things stand', () => {
  const main = { id: 'main', codec: 'h264', widthPx: 1280, heightPx: 720, frameRateFps: 30, bitrateBps: 2e6 };
  const news: BroadcastNews = { state: 'live', viewerCount: 1, broadcastId: 'b', renditions: [main] };
  const crowd = new SocketCrowd(news);
  const [early, late] = [new Listener(), new Listener()];
  crowd.add(early);
  crowd.onNews(news);
  crowd.onNews({ ...news, renditions: [{ ...main, bitrateBps: 2.1e6 }] });
  crowd.onNews({ ...news, viewerCount: 2 });
  crowd.fanOut.run(everything);
  crowd.add(late);
  crowd.fanOut.run(everything);
  const typesOf = ({ heard }: Listener): unknown[] => heard.map((text) => (JSON.parse(text) as { type: string }).type);
  assert.deepEqual(typesOf(early), ['state', 'renditions', 'state']);
  assert.deepEqual(typesOf(late), ['state', 'renditions']);
  assert.equal(late.heard[0], early.heard[2]);
});
