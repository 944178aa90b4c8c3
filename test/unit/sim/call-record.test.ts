/** What the cost of a controller is measured by: the calls of a session, made again, are the session. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdaptiveController } from '../../../server/congestion/adaptive-controller.ts';
import { RecordingController } from '../../sim/call-record.ts';
import { ours, optionsFor } from '../../sim/policies.ts';
import { SCENARIOS } from '../../sim/scenarios.ts';
import { linkOfScenario } from '../../sim/scenario-run.ts';
import { runViewer } from '../../sim/viewer-run.ts';

test('the recorded calls of a session lead another controller to the same decisions and the same twin', () => {
  const scenario = SCENARIOS.find(({ name }) => name === 'step-down-up')!;
  const first = new AdaptiveController(optionsFor(0.5));
  const recording = new RecordingController(first);
  runViewer({
    ...{ ...linkOfScenario({ ...scenario, lossRatio: 0.02 }), seed: 3, durationMs: 15_000, sender: ours().sender },
    makeController: () => recording,
  });
  const again = new AdaptiveController(optionsFor(0.5));
  for (const call of recording.calls) {
    call(again);
  }
  const end = 15_001;
  assert.ok(recording.packetCount > 1_000 && recording.feedbackCount > 100 && recording.decisionCount > 500);
  assert.deepEqual(again.decide(end, 0), first.decide(end, 0));
  assert.equal(again.twin.freezeMs, first.twin.freezeMs);
  assert.equal(again.twin.shownAtMs, first.twin.shownAtMs);
  // Another session's calls are another session.
  const other = new AdaptiveController(optionsFor(0.5));
  recording.calls.slice(0, 2_000).forEach((call) => call(other));
  assert.notDeepEqual(other.decide(end, 0), first.decide(end, 0));
});
