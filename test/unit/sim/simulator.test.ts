/** The simulator: the same seed gives the same run, luck is shared, its rules count as they should, its scenarios end as told. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { PRIOR_DEFAULT } from '../../../server/congestion/controller.ts';
import { AdaptiveController } from '../../../server/congestion/adaptive-controller.ts';
import { splitOf } from '../../sim/corpus.ts';
import { B2, ours } from '../../sim/policies.ts';
import { SCENARIOS } from '../../sim/scenarios.ts';
import { durationOf, ladderOf, linkOfScenario, watch, windowsOf } from '../../sim/scenario-run.ts';
import { ScoreKeeper } from '../../sim/score.ts';
import { runViewer } from '../../sim/viewer-run.ts';

const scenarioOf = (name: string) => SCENARIOS.find((scenario) => scenario.name === name)!;

for (const scenario of SCENARIOS) {
  test(`scenario ${scenario.name}: ends as told, checkers hold`, () => {
    const run = { seed: 7, durationMs: durationOf(scenario), ladder: ladderOf(scenario) };
    const watched = watch(linkOfScenario(scenario), ours(), run);
    assert.deepEqual(watched.faults, []);
    windowsOf(scenario, watched).forEach((window, index) => {
      const expectation = scenario.steps[index]!.expect;
      assert.ok(expectation?.holds(window) ?? true, `${expectation?.text}: ${JSON.stringify(window)}`);
    });
  });
}

test('same seed, same run; another seed, another', () => {
  const run = (seed: number) =>
    runViewer({ seed, durationMs: 10_000, ...linkOfScenario(scenarioOf('jitter')), ...ours() });
  assert.deepEqual(run(3), run(3));
  assert.notDeepEqual(run(3).score.latencyBuckets, run(4).score.latencyBuckets);
});

test('what goes into the link is delivered, dropped or under way', () => {
  let checked = 0;
  runViewer({
    seed: 1,
    durationMs: 20_000,
    ...linkOfScenario(scenarioOf('loss')),
    ...B2,
    onSample: ({ sender, down }) => {
      const counts = down.counts();
      const sent = sender.counts.audio + sender.counts.video + sender.counts.rtx + sender.counts.probe;
      assert.equal(counts.inBytes, sent);
      checked += 1;
    },
  });
  assert.ok(checked > 100);
});

test('stalls are freezes, pauses and the open gap; a session without a picture is one stall', () => {
  const score = new ScoreKeeper();
  score.onShown({ captureMs: 0, qualityRatio: 1 }, 100);
  score.onFreeze(6_000, 6_100, 5_500);
  score.onShown({ captureMs: 6_000, qualityRatio: 0.5 }, 6_100);
  const done = score.finish(0, 10_100, 4_000);
  assert.equal(done.stallRatio, 1);
  assert.equal(done.pauseMs, 6_000);
  assert.equal(done.qualityRatio, 0, 'frozen time scores nothing');
  assert.equal(new ScoreKeeper().finish(0, 5_000, 0).stallRatio, 1);
});

test('without transport-cc or the extension it still plays, and without stalls where the link suffices', () => {
  const scenario = scenarioOf('calm');
  for (const lacks of ['hasTransportFeedback', 'hasPlayoutDelay'] as const) {
    const options = {
      smoothnessRatio: 0.5,
      prior: PRIOR_DEFAULT,
      hasTransportFeedback: true,
      hasPlayoutDelay: true,
      [lacks]: false,
    };
    const { score } = runViewer({
      seed: 2,
      durationMs: 60_000,
      ...linkOfScenario(scenario),
      sender: { hasMatchedStamps: true, hasTransportFeedback: options.hasTransportFeedback },
      makeController: () => new AdaptiveController(options),
    });
    assert.equal(score.isStallFree, true, lacks);
    assert.ok(score.qualityRatio > 0.45, `${lacks}: quality ${score.qualityRatio}`);
  }
});

test('λ moves latency: smooth waits longer than react', () => {
  const latency = (smoothnessRatio: number): number => {
    const link = linkOfScenario(scenarioOf('loss'));
    return runViewer({ seed: 5, durationMs: 60_000, ...link, ...ours(smoothnessRatio) }).score.latencyMeanMs;
  };
  assert.ok(latency(0) < latency(1), `${latency(0)} and ${latency(1)} ms`);
});

test('the split of the corpus never changes', () => {
  assert.deepEqual(
    ['hsdpa-a', 'leocc', 'fcc-909', 'puffer-220218-bdc7825e', 'mahimahi-ATT-LTE-driving'].map(splitOf),
    SPLITS_EXPECTED,
  );
});

const SPLITS_EXPECTED = ['search', 'test-b', 'search', 'validation', 'search'];
