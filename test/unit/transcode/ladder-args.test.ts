/** The graph of the ladder: what is decoded once is scaled from rung to rung, and thinned once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ladderGraph } from '../../../transcode/ladder-args.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT, planLadder } from '../../../transcode/ladder-plan.ts';

const graphAt = (frameRateFps: number): string[] => {
  const source = { widthPx: 1920, heightPx: 1080, frameRateFps };
  const given = { options: LADDER_DEFAULTS, speeds: SPEEDS_DEFAULT, coreCount: 16, shedCount: 0 };
  const { rungs } = planLadder({ source, ...given });
  const job = { rungs, keyframes: 'as-source', sourceFrameRateFps: frameRateFps, encodeFromMs: 0 } as const;
  return ladderGraph(job).split(';');
};

test('each rung is scaled from the one above it', () => {
  assert.deepEqual(
    graphAt(30).map((chain) => chain.replace(/^.*(?=scale)/, '')),
    [
      'scale=1280:720:flags=bicubic,split[t0][s1]',
      '[t0]format=yuv420p[v0]',
      'scale=854:480:flags=lanczos,split[t1][s2]',
      '[t1]format=yuv420p[v1]',
      'scale=640:360:flags=lanczos,format=yuv420p[v2]',
    ],
  );
});

test('where the rung above shows as many pictures, none is left out again', () => {
  const countThinned = (frameRateFps: number): number[] =>
    graphAt(frameRateFps)
      .filter((chain) => chain.includes('scale'))
      .map((chain) => chain.split('prev_selected_t,').length - 1);
  assert.deepEqual(countThinned(30), [0, 0, 0]);
  assert.deepEqual(countThinned(60), [0, 1, 0]);
  assert.deepEqual(countThinned(120), [1, 1, 0]);
});
