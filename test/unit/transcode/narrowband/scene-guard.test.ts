/** A scene that was not probed shows itself in the sizes of what one encoder makes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../../server/base/prng.ts';
import { SceneGuard } from '../../../../transcode/narrowband/scene-guard.ts';

const GOP_COUNT = 30;

/** Feeds pictures of one scene, sizes a tenth about; answers what was noticed, and at which of them. */
const show = (
  guard: SceneGuard,
  scene: {
    readonly keyframeBytes: number;
    readonly pictureBytes: number;
    readonly count: number;
    readonly isCut?: boolean;
  },
): string[] => {
  const prng = new Prng(7);
  const noticed: string[] = [];
  for (let index = 0; index < scene.count; index += 1) {
    const isKeyframe = scene.isCut === true ? index % GOP_COUNT === GOP_COUNT / 2 : index % GOP_COUNT === 0;
    // The first picture behind a cut is new all over, whether it is a keyframe or not.
    const usual = isKeyframe || (scene.isCut === true && index === 0) ? scene.keyframeBytes * 0.9 : scene.pictureBytes;
    const change = guard.push({ bytes: usual * (0.9 + prng.nextRatio() * 0.2), isKeyframe });
    if (change !== 'none') {
      noticed.push(`${change} at ${index}`);
    }
  }
  return noticed;
};

const TALK = { keyframeBytes: 60_000, pictureBytes: 3_000, count: 300 };

test('one scene is one scene, also when it is still, or busy', () => {
  for (const scene of [TALK, { ...TALK, pictureBytes: 100 }, { ...TALK, pictureBytes: 30_000 }]) {
    assert.deepEqual(show(new SceneGuard(), scene), []);
  }
});

test('a cut inside a GOP is noticed with its first picture', () => {
  const guard = new SceneGuard();
  show(guard, { ...TALK, count: 45 });
  assert.deepEqual(show(guard, { keyframeBytes: 50_000, pictureBytes: 5_000, count: 200, isCut: true }), ['cut at 0']);
});

test('a cut at a keyframe is noticed when the other scene needs more, or less', () => {
  for (const keyframeBytes of [150_000, 25_000]) {
    const guard = new SceneGuard();
    show(guard, { ...TALK, count: 60 });
    assert.deepEqual(show(guard, { ...TALK, keyframeBytes }), ['cut at 0']);
  }
});

test('movement that grows fourfold is worth a look, twelvefold it is another scene; both within half a second', () => {
  for (const [pictureBytes, kind] of [
    [12_000, 'drift'],
    [36_000, 'cut'],
  ] as const) {
    const guard = new SceneGuard();
    show(guard, { ...TALK, pictureBytes: 3_000, count: 60 });
    const noticed = show(guard, { ...TALK, pictureBytes }).map((told) => told.split(' at '));
    assert.ok(
      noticed.some(([what, at]) => what === kind && Number(at) <= 15),
      `${pictureBytes}: ${noticed.join(' ')}`,
    );
    assert.equal(
      noticed.some(([what]) => what === 'cut'),
      kind === 'cut',
    );
  }
});

test('keyframes half as large again are worth a look', () => {
  const guard = new SceneGuard();
  show(guard, { ...TALK, count: 60 });
  assert.deepEqual(show(guard, { ...TALK, keyframeBytes: 92_000 }), ['drift at 0']);
});

test('the first keyframe of an encoder, which knows nothing yet, is no measure', () => {
  const guard = new SceneGuard();
  guard.push({ bytes: 90_000, isKeyframe: true });
  assert.deepEqual(show(guard, { ...TALK, count: 29 }).concat(show(guard, TALK)), []);
});

test('another encoder begins anew: half the sizes are no other scene', () => {
  const guard = new SceneGuard();
  show(guard, { ...TALK, count: 60 });
  guard.restart();
  assert.deepEqual(show(guard, { keyframeBytes: 30_000, pictureBytes: 1_500, count: 120 }), []);
});

test('a keyframe before its time is a cut that the publisher’s encoder has seen; the own first one of an encoder is not', () => {
  const guard = new SceneGuard();
  assert.deepEqual(show(guard, { ...TALK, count: 12 }), []);
  assert.deepEqual(show(guard, { ...TALK, count: 100 }), []);
  assert.deepEqual(show(guard, TALK), ['cut at 0']);
});
