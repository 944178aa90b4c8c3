/** The simulator beside a real Chromium: what is recorded of a run, played again and compared. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { picturesOf, type RenditionRecord } from '../../latency/run/stream-record.ts';
import {
  againstItself,
  agreementOf,
  constantOf,
  isNear,
  spearman,
  withConstant,
  type Cell,
  type Seen,
} from '../../sim/agreement.ts';
import { linesOf, readSession } from '../../sim/decision-file.ts';
import { RecordedSource, rungsOf } from '../../sim/recorded-source.ts';
import { B2 } from '../../sim/policies.ts';
import { runViewer } from '../../sim/viewer-run.ts';
import { playAgain } from '../../sim/validate.ts';
import { concatBytes } from '../../../server/media/fmp4/box.ts';
import { RTP_PAYLOAD_MAX_BYTES } from '../../../server/media/rtp/h264-packetiser.ts';
import { writeFragment } from '../../../server/media/fmp4/fragment.ts';
import { makeUpResults } from '../../support/made-up-lab.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const FRAME_MS = 1000 / 30;

test('the pictures of fragments: when, how large, which are keyframes', () => {
  const sample = (bytes: number, isKeyframe: boolean) => ({
    payload: new Uint8Array(bytes),
    durationTicks: 3_000,
    compositionOffsetTicks: 0,
    isKeyframe,
  });
  const part = (startTicks: number, samples: ReturnType<typeof sample>[]) =>
    writeFragment({ startTicks, durationTicks: 3_000 * samples.length, isIndependent: true, samples }, 1);
  const bytes = concatBytes([part(90_000, [sample(700, true), sample(90, false)]), part(96_000, [sample(80, false)])]);
  assert.deepEqual(
    picturesOf(bytes).map(({ mediaMs, ...picture }) => [Math.round(mediaMs), picture.bytes, picture.isKeyframe]),
    [
      [1_000, 700, true],
      [1_033, 90, false],
      [1_067, 80, false],
    ],
  );
});

/** Ten seconds, a keyframe a second. */
const recordOf = (id: string, keyframeBytes: number, otherBytes: number, fromFrame = 0): RenditionRecord => {
  const frames = Array.from({ length: 300 - fromFrame }, (_, index) => index + fromFrame);
  return {
    id,
    mediaMs: frames.map((frame) => Math.round(10_000 + frame * FRAME_MS)),
    bytes: frames.map((frame) => (frame % 30 === 0 ? keyframeBytes : otherBytes)),
    keyframes: frames.flatMap((frame, index) => (frame % 30 === 0 ? [index] : [])),
  };
};
const MAIN = recordOf('video', 20_000, 3_000);
const RUNG = recordOf('h240', 8_000, 1_000, 45);

test('a recorded stream: rungs by their rate, aligned by time, with what a controller is told', () => {
  const source = new RecordedSource(rungsOf([MAIN, RUNG]));
  assert.equal(source.framesPerGop, 30);
  assert.ok(Math.abs(source.frameIntervalMs - FRAME_MS) < 0.01);
  assert.deepEqual(
    [60, 61].map((frame) => source.bytes(frame, 1)),
    [20_000 + 68 * Math.ceil(20_000 / RTP_PAYLOAD_MAX_BYTES), 3_000 + 68 * 3],
  );
  assert.equal(source.bytes(44, 0), 0, 'the rung had not begun');
  assert.equal(source.bytes(45, 0), 1_068);
  assert.equal(source.bytes(330, 1), source.bytes(270, 1), 'after its end the last GOP goes on');
  const [rung, main] = source.offer(240).renditions;
  assert.equal(main!.keyframeBytes, source.bytes(240, 1));
  assert.ok(
    Math.abs(main!.bitrateBps - 8 * (source.bytes(0, 1) + 29 * source.bytes(1, 1))) < 100,
    `${main!.bitrateBps}`,
  );
  assert.ok(rung!.bitrateBps < main!.bitrateBps);
});

const NOTHING: Seen = { latencyP50Ms: 100, latencyP95Ms: 120, stallRatio: 0, freezeCount: 0 };
const cell = (linkName: string, policyName: string, real: Partial<Seen>, simulated: Partial<Seen>): Cell => ({
  linkName,
  policyName,
  repeatIndex: 0,
  real: { ...NOTHING, ...real },
  simulated: { ...NOTHING, ...simulated },
  withOtherLuck: [NOTHING, { ...NOTHING, ...simulated }],
});

test('the clean link tells what the simulator leaves out, one number for all', () => {
  const cells = [
    cell('clean', 'a', { latencyP50Ms: 110 }, {}),
    cell('clean', 'b', { latencyP50Ms: 104 }, {}),
    cell('clean', 'c', { latencyP50Ms: 150 }, {}),
    cell('lossy', 'a', {}, { latencyP50Ms: 80, latencyP95Ms: 90 }),
  ];
  assert.equal(constantOf(cells), 10);
  assert.deepEqual(withConstant(cells, 10)[3]!.simulated, { ...NOTHING, latencyP50Ms: 90, latencyP95Ms: 100 });
  assert.equal(constantOf(cells.slice(3)), 0);
});

test('near is within so much or a share of the real number', () => {
  assert.deepEqual(isNear(cell('x', 'a', { latencyP50Ms: 500 }, { latencyP50Ms: 539 })).latencyP50Ms, true);
  assert.deepEqual(isNear(cell('x', 'a', { latencyP50Ms: 500 }, { latencyP50Ms: 541 })).latencyP50Ms, false);
  assert.deepEqual(isNear(cell('x', 'a', { stallRatio: 0.1 }, { stallRatio: 0.124 })).stallRatio, true);
  assert.deepEqual(isNear(cell('x', 'a', { stallRatio: 0.001 }, { stallRatio: 0.0045 })).stallRatio, false);
  assert.deepEqual(isNear(cell('x', 'a', { freezeCount: 2 }, { freezeCount: 4 })).freezeCount, false);
});

test('the simulator against itself: each luck beside the one that counts, policies paired within a luck', () => {
  const cells = [cell('x', 'ours', {}, { stallRatio: 0.2 }), cell('x', 'gcc', {}, {})];
  const itself = againstItself(cells);
  assert.equal(itself.length, 4);
  const { nearRatio, signs } = agreementOf(itself, { ours: 'ours', other: 'gcc' });
  assert.equal(nearRatio.stallRatio, 3 / 4);
  assert.deepEqual(signs.stallRatio, { sameCount: 1, count: 2 });
});

test('agreement: shares of cells, ranks of stalls, and whether both worlds prefer the same policy', () => {
  const cells = [
    cell('x', 'ours', { stallRatio: 0.02 }, { stallRatio: 0.021 }),
    cell('x', 'gcc', { stallRatio: 0.06 }, { stallRatio: 0.05 }),
    cell('y', 'ours', { stallRatio: 0.2 }, { stallRatio: 0.01 }),
    cell('y', 'gcc', { stallRatio: 0.1 }, { stallRatio: 0.1 }),
    cell('z', 'ours', {}, {}),
    cell('z', 'gcc', { stallRatio: 0.001 }, {}),
  ];
  const { nearRatio, signs, spearmanOfStalls } = agreementOf(cells, { ours: 'ours', other: 'gcc' });
  assert.equal(nearRatio.stallRatio, 5 / 6);
  assert.deepEqual(signs.stallRatio, { sameCount: 2, count: 3 });
  assert.ok(spearmanOfStalls > 0 && spearmanOfStalls < 1);
  assert.equal(spearman([1, 2, 2, 5], [10, 20, 20, 50]), 1);
  assert.equal(spearman([1, 2, 3], [3, 2, 1]), -1);
});

/** A session of the server on a link that only delays: its clock is 5,000 ms ahead of the media's. */
const SESSION = [
  ['new', 0, { kind: 'adaptive', controllerOptions: OPTIONS() }],
  ['join', 17_000, { ...new RecordedSource(rungsOf([MAIN, RUNG])).offer(60), keyframeAgeMs: 10 }, {}],
  ...Array.from({ length: 100 }, (_, index) => [
    'onPicture',
    17_000 + index * FRAME_MS,
    {
      renditionIndex: index < 30 ? 0 : 1,
      isKeyframe: index % 30 === 0,
      stampMs: 12_000 + index * FRAME_MS,
      arrivedAtMs: 17_000 + index * FRAME_MS + (index === 70 ? 25 : 0),
    },
  ]),
  ...Array.from({ length: 40 }, (_, index) => [
    'onFeedback',
    17_050 + 62 * index,
    { baseSeqExt: 0, count: 0, arrivedMs: [] },
    true,
  ]),
]
  .map((line) => JSON.stringify(line))
  .join('\n');

function OPTIONS() {
  return {
    smoothnessRatio: 0.5,
    prior: { rateBps: 1_200_000, playoutDelayMs: 80 },
    hasTransportFeedback: true,
    hasPlayoutDelay: true,
  };
}

test('a decision trace tells when the viewer came, and how often Chrome reported', () => {
  const session = readSession(linesOf(SESSION));
  assert.equal(session.kind, 'adaptive');
  assert.ok(Math.abs(session.joinMediaMs - 12_000) < 1, `${session.joinMediaMs}`);
  assert.ok(Math.abs(session.feedbackEveryMs - 62) < 0.01);
  const late = session.lateness.filter(({ lateMs }) => lateMs > 1);
  assert.deepEqual(
    late.map(({ mediaMs, lateMs }) => [Math.round(mediaMs), Math.round(lateMs)]),
    [[Math.round(12_000 + 70 * FRAME_MS), 25]],
  );
  assert.deepEqual(session.renditionCounts, { min: 2, max: 2 });
  assert.throws(() => readSession(linesOf('["new",0,{}]')), TypeError);
});

test('a picture that came late to the server is late at the viewer', () => {
  const meanMs = (lateMs: number): number => {
    const link = { capacity: undefined, queueMaxBytes: Infinity, delayMs: 20, jitterMs: 0, lossRatio: 0 };
    const direction = { ...link, lossBurstCount: undefined, reorderRatio: 0, reorderMaxCount: 3 };
    const source = new RecordedSource(rungsOf([MAIN]));
    const { score } = runViewer({
      ...{ seed: 3, durationMs: 8_000, down: direction, up: direction, ...B2 },
      stream: { source, joinAtMs: 100, nextFrame: 31, nextFrameAtMs: 120, lateMs: () => lateMs },
    });
    return score.latencyMeanMs;
  };
  const addedMs = meanMs(50) - meanMs(0);
  assert.ok(addedMs > 40 && addedMs < 60, `${addedMs} ms`);
});

test('a run of the lab is played again over its own link with its own pictures, and looked at over the same seconds', async () => {
  const folder = tempFolder('validate');
  try {
    const made = makeUpResults({
      seed: 1,
      repeats: 1,
      durationMs: 6_000,
      targets: [{ name: 'adaptive', latencyMs: 100, freezeCount: 0 }],
      scenarioNames: ['lossy'],
    });
    const [run] = made.runs;
    const viewer = { ...run!.viewer!, startedAtWallMs: 1_000_000 };
    writeFileSync(path.join(folder, 'trace.ndjson'), SESSION);
    // Media time 12,000 is 300 ms after the link's beginning.
    const stream = {
      wallOffsetMs: 1_000_000 + run!.link!.startsAtMs + 300 - 12_000,
      renditions: [MAIN, RUNG],
      decisionsFile: 'trace.ndjson',
    };
    const results = { ...made, runs: [{ ...run!, viewer, stream }, run!] };
    const { cells, leftOut } = await playAgain({ results, folder, tracesDir: folder });
    assert.equal(cells.length, 1);
    assert.match(leftOut.join(), /lossy · adaptive · 1: no picture, or nothing recorded/u);
    const { latencyP50Ms, stallRatio } = cells[0]!.simulated;
    assert.ok(latencyP50Ms > 20 && latencyP50Ms < 250, `${latencyP50Ms} ms`);
    assert.equal(stallRatio, 0);
    assert.equal(cells[0]!.real.freezeCount, viewer.freezes.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
