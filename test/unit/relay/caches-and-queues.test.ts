// The GOP cache and the bounded subscriber: caps hold, drops are counted, what is kept is decodable.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { GopCache } from '../../../server/relay/gop-cache.ts';
import { videoUnit } from '../../support/units.ts';

test('the cache holds the GOP from its keyframe and starts anew at the next', () => {
  const cache = new GopCache({ cacheMaxBytes: 10_000, cacheMaxCount: 10 });
  cache.add(videoUnit({ dtsMs: 0 }));
  assert.equal(cache.units.length, 0, 'nothing before the first keyframe');
  cache.add(videoUnit({ dtsMs: 40, isKeyframe: true }));
  cache.add(videoUnit({ dtsMs: 80 }));
  assert.equal(cache.units.length, 2);
  cache.add(videoUnit({ dtsMs: 120, isKeyframe: true }));
  assert.deepEqual(
    cache.units.map((unit) => unit.isKeyframe),
    [true],
  );
});

test('a GOP that outgrows the cap is forgotten whole until the next keyframe, and counted', () => {
  const cache = new GopCache({ cacheMaxBytes: 10_000, cacheMaxCount: 3 });
  for (let index = 0; index < 5; index += 1) {
    cache.add(videoUnit({ dtsMs: index * 40, isKeyframe: index === 0 }));
  }
  assert.equal(cache.units.length, 0);
  assert.equal(cache.bytes, 0);
  assert.equal(cache.overflowCount, 1);
  cache.add(videoUnit({ dtsMs: 200, isKeyframe: true }));
  assert.equal(cache.units.length, 1);
});

test('views handed out stay as they were', () => {
  const cache = new GopCache({ cacheMaxBytes: 10_000, cacheMaxCount: 10 });
  cache.add(videoUnit({ dtsMs: 0, isKeyframe: true }));
  const view = cache.units;
  cache.add(videoUnit({ dtsMs: 40, isKeyframe: true }));
  assert.equal(view[0]?.dtsTicks, 0);
});

test('the cache never exceeds its caps (seeded)', () => {
  const prng = new Prng(3);
  const cache = new GopCache({ cacheMaxBytes: 5_000, cacheMaxCount: 20 });
  for (let index = 0; index < 10_000; index += 1) {
    cache.add(
      videoUnit({ dtsMs: index * 33, isKeyframe: prng.nextIndex(15) === 0, payloadBytes: prng.nextIndex(2_000) }),
    );
    assert.ok(cache.bytes <= 5_000 && cache.units.length <= 20, `seed 3, unit ${index}`);
    assert.ok(cache.units.length === 0 || cache.units[0]?.isKeyframe === true);
  }
});
