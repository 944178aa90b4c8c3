/** Which sound LL-HLS gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AudioUnit } from '../../../../server/media/access-unit.ts';
import { SoundChoice } from '../../../../server/relay/hls/sound-choice.ts';
import { TEST_AUDIO_TRACK, audioUnit } from '../../../support/units.ts';

const OPUS_TRACK = { ...TEST_AUDIO_TRACK, codec: 'opus', codecString: 'opus' } as const;
const aac = (dtsMs: number): AudioUnit => audioUnit({ dtsMs });
const opus = (dtsMs: number): AudioUnit => audioUnit({ dtsMs }, OPUS_TRACK);
const choice = (): SoundChoice => new SoundChoice({ sourceId: 'source', aacId: 'aac', waitMaxMs: 1_000 });
const served = (sound: SoundChoice): string[] => ['source', 'aac'].filter((id) => sound.isServed(id));

test('AAC of the source is served as it comes', () => {
  const sound = choice();
  sound.note('source', aac(0));
  assert.deepEqual([served(sound), sound.isUndecided], [['source'], false]);
});

test('Opus waits for what is made of it, and that is served from its first frame on', () => {
  const sound = choice();
  sound.note('source', opus(0));
  assert.deepEqual([served(sound), sound.isUndecided], [[], true]);
  sound.note('aac', aac(300));
  sound.note('source', opus(5_000));
  assert.deepEqual([served(sound), sound.isUndecided], [['aac'], false]);
});

test('where no AAC is made in time Opus is served, and stays', () => {
  const sound = choice();
  sound.note('source', opus(0));
  sound.note('source', opus(1_000));
  assert.deepEqual(served(sound), []);
  sound.note('source', opus(1_020));
  sound.note('aac', aac(1_040));
  assert.deepEqual(served(sound), ['source']);
});

test('a publisher with another codec changes the choice, both ways', () => {
  const sound = choice();
  sound.note('source', aac(0));
  sound.note('source', opus(10_000));
  assert.deepEqual(served(sound), []);
  sound.note('aac', aac(10_300));
  assert.deepEqual(served(sound), ['aac']);
  sound.note('source', aac(20_000));
  sound.note('aac', aac(19_990));
  assert.deepEqual(served(sound), ['source']);
});
