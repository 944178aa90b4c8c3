/** A session begins with what was learned, as far as anything was; its trace says so. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import type { CongestionController, Decision } from '../../../../server/congestion/controller.ts';
import type { Guides } from '../../../../server/congestion/learned/guided-controller.ts';
import type { Policy } from '../../../../server/congestion/learned/policy.ts';
import { readPolicy } from '../../../../server/congestion/learned/policy.ts';
import { parametersWith } from '../../../../server/congestion/parameters.ts';
import { DecisionTraces } from '../../../../server/observability/decision-trace.ts';
import { silentLog } from '../../../../server/observability/log.ts';
import { CONGESTION_DEFAULTS } from '../../../../server/relay/webrtc/congestion-options.ts';
import { controllerFactory } from '../../../../server/relay/webrtc/controllers.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../../../server/relay/webrtc/options.ts';
import { TracedController } from '../../../../server/relay/webrtc/traced-controller.ts';
import { replayTrace } from '../../../support/replay-trace.ts';
import { tempFolder } from '../../../support/temp-folder.ts';
import { within } from '../../../support/wait.ts';

const OFFER = {
  renditions: [{ bitrateBps: 600_000, keyframeBytes: 12_000, qualityRatio: 0.45 }],
  gopMs: 1_000,
  frameIntervalMs: 1000 / 30,
  keyframeAgeMs: 200,
};
const FACTS = {
  sessionId: 'session',
  smoothnessRatio: 0.5,
  hasTransportFeedback: true,
  hasPlayoutDelay: true,
  mayCapture: false,
};

const policyOf = (parameters: object, networkClass = 'all'): Policy => {
  const vectors = [{ networkClass, smoothnessRatio: 0.5, parameters }];
  const head = { schema: 'sluice-policy', version: 1, dataSha256: '0'.repeat(64), priors: [] };
  const { policy } = readPolicy(JSON.stringify({ ...head, vectors }));
  assert.ok(policy !== undefined);
  return policy;
};

const open = (
  policies: readonly Policy[] | undefined,
  folder = '',
  guides?: Guides,
): CongestionController & { close?(): void } =>
  controllerFactory({
    congestion: { ...CONGESTION_DEFAULTS, controller: 'adaptive' },
    settings: WEBRTC_OUT_DEFAULTS,
    traces: new DecisionTraces({ ...CONGESTION_DEFAULTS.trace, folder }, silentLog),
    policies,
    guides,
  })(FACTS);

/** Twenty seconds without a word from the viewer: the delay falls towards the least that the parameters allow. */
const play = (controller: CongestionController): Decision => {
  controller.join(OFFER, 0);
  for (let nowMs = 0; nowMs < 20_000; nowMs += 50) {
    controller.decide(nowMs, 0);
  }
  return { ...controller.decide(20_000, 0) };
};

test('a session begins with the vector that holds whatever the network, and with the defaults where there is none', () => {
  const usual = play(open(undefined)).playoutDelayMs ?? Number.NaN;
  assert.ok(usual < 150);
  assert.equal(play(open([])).playoutDelayMs, usual);
  assert.equal(play(open([policyOf({ playoutMinMs: 150 }, 'stable|jittery')])).playoutDelayMs, usual);
  assert.equal(play(open([policyOf({ playoutMinMs: 150 })])).playoutDelayMs, 150);
});

test('a trace of such a session replays to the same decisions', async () => {
  const folder = tempFolder('learned');
  const controller = open([policyOf({ playoutMinMs: 150, paceRatio: 1.3 })], folder);
  play(controller);
  assert.ok(controller instanceof TracedController);
  controller.close();
  const file = join(folder, 'session.ndjson');
  await within(5_000, 'the trace is on disk', () => {
    try {
      return replayTrace(file).callCount > 400;
    } catch {
      return false;
    }
  });
  const { decisions } = replayTrace(file);
  assert.deepEqual(
    decisions.filter(([before, now]) => before !== now),
    [],
  );
});

/** Everybody is guided: by the own defaults at first, with 150 ms of playout delay at least from the tenth look on. */
const guidesTo = (kind: 'adaptive' | 'gcc', ended: number[] = []): Guides => ({
  planFor: () => {
    let lookCount = 0;
    return {
      kind,
      guide: {
        onJoined: () => undefined,
        onSmoothness: () => undefined,
        onLook: () => {
          lookCount += 1;
          return lookCount === 10 ? parametersWith({ playoutMinMs: 150 }) : undefined;
        },
        onEnded: (_watched, nowMs) => ended.push(nowMs),
      },
    };
  },
});

test('who is guided begins with the defaults, whatever was found for all, and is tuned on the way', () => {
  const ended: number[] = [];
  const guided = open([policyOf({ playoutMinMs: 150 })], '', guidesTo('adaptive', ended));
  guided.join(OFFER, 0);
  for (let nowMs = 0; nowMs <= 9_950; nowMs += 50) {
    guided.decide(nowMs, 0);
  }
  assert.ok((guided.decide(9_990, 0).playoutDelayMs ?? Number.NaN) < 150);
  for (let nowMs = 10_000; nowMs <= 12_000; nowMs += 50) {
    guided.decide(nowMs, 0);
  }
  assert.equal(guided.decide(12_050, 0).playoutDelayMs, 150);
  guided.close?.();
  guided.close?.();
  assert.deepEqual(ended, [12_050], 'once');
});

test('the holdout’s half with GCC has GCC', () => {
  assert.equal(play(open(undefined, '', guidesTo('gcc'))).playoutDelayMs, undefined);
});

test('a trace of a guided session replays to the same decisions', async () => {
  const folder = tempFolder('learned');
  const controller = open(undefined, folder, guidesTo('adaptive'));
  assert.equal(play(controller).playoutDelayMs, 150);
  controller.close?.();
  const file = join(folder, 'session.ndjson');
  await within(5_000, 'the trace is on disk', () => {
    try {
      return replayTrace(file).callCount > 400;
    } catch {
      return false;
    }
  });
  const { decisions } = replayTrace(file);
  assert.deepEqual(
    decisions.filter(([before, now]) => before !== now),
    [],
  );
});
