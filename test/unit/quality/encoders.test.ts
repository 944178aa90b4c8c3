/** The comparison is fair: ours is what runs live, the usual is what people run, and neither gets what the other may not have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveContender, liveLadder, plainLadder, usualRung } from '../../quality/encoders.ts';
import { ladderOutputs } from '../../../transcode/ladder-args.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT, planLadder } from '../../../transcode/ladder-plan.ts';

const { rungs } = planLadder({
  source: { widthPx: 1920, heightPx: 1080, frameRateFps: 60 },
  options: LADDER_DEFAULTS,
  speeds: SPEEDS_DEFAULT,
  coreCount: 8,
  shedCount: 0,
});
const valueOf = (args: readonly string[], name: string): string => args[args.indexOf(name) + 1] ?? '';

test('ours has exactly the live arguments, but for start codes', () => {
  const live = ladderOutputs({ rungs, keyframes: 'whole-seconds', sourceFrameRateFps: 60, encodeFromMs: 0 });
  const ours = liveLadder(rungs).outputs;
  assert.deepEqual(
    ours.map((args) => args.map((arg) => arg.replace('annexb=1', 'annexb=0'))),
    live,
  );
  assert.notDeepEqual(ours, live);
});

test('psychovisual and adaptive quantisation stay as x264 ships them, on both sides', () => {
  const usual = usualRung(rungs[0]!, { bitrateBps: 2e6, preset: 'veryfast' }).outputs;
  for (const args of [...liveLadder(rungs).outputs, ...usual]) {
    assert.doesNotMatch(args.join(' '), /\b(?:aq|psy|no-psy|nr|chroma-qp-offset)\b/);
    assert.equal(valueOf(args, '-tune'), 'zerolatency');
  }
});

test('the usual encoder keeps to its rate with a buffer of one second and a keyframe each second', () => {
  const [args = []] = usualRung(rungs[2]!, { bitrateBps: 600_000.4, preset: 'veryfast' }).outputs;
  assert.deepEqual(
    ['-preset', '-b:v', '-minrate', '-maxrate', '-bufsize', '-g', '-keyint_min', '-threads'].map((name) =>
      valueOf(args, name),
    ),
    ['veryfast', '600000', '600000', '600000', '600000', '30', '30', '1'],
  );
});

test('rate points differ in CRF alone, and pictures are not thinned twice', () => {
  const halved = rungs.find(({ frameDivisor }) => frameDivisor === 2)!;
  const { name, points } = liveContender(halved, [23, 30]);
  assert.equal(name, `Sluice, ${halved.preset}`);
  const [a, b] = points.map(({ plan }) => plan.outputs[0]!.join(' '));
  assert.equal(a?.replace('-crf 23 ', '-crf 30 '), b);
  assert.doesNotMatch(points[0]!.plan.filterGraph, /prev_selected_t/);
});

test('the plain command has the same effort and no forced keyframes', () => {
  const plain = plainLadder(rungs);
  assert.match(plain.filterGraph, /^\[0:v:0\]split=3.*fps=30,scale=854:480/);
  plain.outputs.forEach((args, index) => {
    const live = liveLadder(rungs).outputs[index]!;
    for (const name of ['-preset', '-crf', '-maxrate', '-bufsize', '-threads', '-x264-params']) {
      assert.equal(valueOf(args, name), valueOf(live, name));
    }
    assert.equal(args.includes('-force_key_frames'), false);
  });
});
