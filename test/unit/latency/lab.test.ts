/** The lab's loop with made-up instruments: order of things, failures as results, late sources, resuming, ending early. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { runLab, type LabOptions } from '../../latency/run/lab.ts';
import type { Instruments } from '../../latency/run/one-run.ts';
import type { LabResults } from '../../latency/run/results.ts';
import { madeUpConfig, makeUpResults } from '../../support/made-up-lab.ts';

const MADE_UP = {
  seed: 1,
  repeats: 2,
  durationMs: 1_000,
  targets: [
    { name: 'a', latencyMs: 100, freezeCount: 0 },
    { name: 'b', latencyMs: 200, freezeCount: 0 },
  ],
  scenarioNames: ['clean', 'lossy'],
};
const SAMPLE = makeUpResults(MADE_UP);
const REPORT = SAMPLE.runs[0]!.viewer!;

/** Everything works at once and says what was done. */
const instruments = (steps: string[], over: Partial<Instruments> = {}): Instruments => ({
  startServer: async () => {
    steps.push('server');
    return {
      placeholders: {},
      rootPid: undefined,
      lastWords: () => undefined,
      stop: async () => void steps.push('server down'),
    };
  },
  startPublisher: async (_source, url) => {
    steps.push(`publish ${/lab-[0-9a-f]{8}$/.test(url) ? 'fresh name' : url}`);
    return {
      isRunning: true,
      stderrTail: '',
      lateMaxBetween: async () => 5,
      stop: async () => void steps.push('publisher down'),
    };
  },
  untilPlayable: async () => void steps.push('playable'),
  startLink: async (_scenario, seed) => {
    steps.push(`link ${seed}`);
    return {
      through: async (url) => `${url}?through`,
      counts: async () => ({ startedAtWallMs: REPORT.startedAtWallMs - 20 }) as never,
      series: async () => [],
      restart: async () => void steps.push('link restarts'),
      close: async () => void steps.push('link down'),
    };
  },
  measureViewer: async ({ target, beforePlay }) => {
    await beforePlay();
    steps.push(target.url.endsWith('?through') ? 'view through the link' : 'view');
    return REPORT;
  },
  recordStream: async () => {
    throw new Error('nobody asked for it');
  },
  ...over,
});

const run = (over: Partial<LabOptions> = {}): Promise<LabResults> =>
  runLab({
    config: madeUpConfig(MADE_UP),
    machine: SAMPLE.machine,
    instruments: instruments([]),
    onResults: () => {},
    progress: { runStarts: () => {}, runEnded: () => {} },
    signal: new AbortController().signal,
    ...over,
  });

test('a run goes up in order and down in reverse; the link’s time starts with the viewer', async () => {
  const steps: string[] = [];
  const { runs } = await run({ instruments: instruments(steps) });
  assert.equal(runs.length, 8);
  const lossy = runs.findIndex((each) => each.scenarioName === 'lossy');
  assert.deepEqual(steps.slice(0, 6), [
    'server',
    'publish fresh name',
    'playable',
    'view',
    'publisher down',
    'server down',
  ]);
  assert.deepEqual(steps.slice(6 * lossy, 6 * lossy + 9), [
    'server',
    'publish fresh name',
    'playable',
    `link ${runs[lossy]!.linkSeed}`,
    'link restarts',
    'view through the link',
    'link down',
    'publisher down',
    'server down',
  ]);
  assert.equal(runs[lossy]!.link!.startsAtMs, -20);
});

test('what Sluice had to send is kept on request, of Sluice alone', async () => {
  const steps: string[] = [];
  const stream = { wallOffsetMs: 5, renditions: [], decisionsFile: null };
  const config = { ...madeUpConfig(MADE_UP), recordsStream: true };
  const base = instruments(steps);
  const startServer: Instruments['startServer'] = async (server) => {
    const started = await base.startServer(server);
    return steps.filter((step) => step === 'server').length === 1 ? { ...started, dataFolder: '/data' } : started;
  };
  const recordStream: Instruments['recordStream'] = async (_server, name) => {
    steps.push(/^lab-[0-9a-f]{8}$/.test(name) ? 'recorded' : name);
    return stream;
  };
  const { runs } = await run({ config, instruments: { ...base, startServer, recordStream } });
  assert.deepEqual(
    runs.map((each) => each.stream),
    [stream, ...Array.from({ length: 7 }, () => undefined)],
  );
  assert.ok(steps.indexOf('view') < steps.indexOf('recorded'));
  assert.ok(steps.indexOf('recorded') < steps.indexOf('publisher down'));
});

test('what fails is a result with its reason, all is closed, and the others go on', async () => {
  const steps: string[] = [];
  let count = 0;
  const measureViewer = async () => {
    count += 1;
    if (count === 2) {
      throw new Error('the browser fell over');
    }
    return REPORT;
  };
  const { runs } = await run({ instruments: instruments(steps, { measureViewer }) });
  assert.deepEqual(
    runs.map((each) => each.error),
    [null, 'the browser fell over', null, null, null, null, null, null],
  );
  assert.equal(steps.filter((step) => step === 'server').length, steps.filter((step) => step === 'server down').length);
});

test('a late source: the run is made again, the least late attempt counts and says how many there were', async () => {
  const lateness = [300, 90, 200];
  const lateMaxBetween = async (): Promise<number> => lateness.shift() ?? 5;
  const base = instruments([]);
  const startPublisher: Instruments['startPublisher'] = async (source, url) => ({
    ...(await base.startPublisher(source, url)),
    lateMaxBetween,
  });
  const { runs } = await run({ instruments: instruments([], { startPublisher }) });
  assert.deepEqual([runs[0]!.attemptCount, runs[0]!.sourceLateMaxMs, runs[0]!.isSourceLate], [3, 90, true]);
  assert.deepEqual([runs[1]!.attemptCount, runs[1]!.isSourceLate], [1, false]);
});

test('results are told after each run; ended early, the run under way is left out', async () => {
  const controller = new AbortController();
  const counts: number[] = [];
  const results = await run({
    signal: controller.signal,
    onResults: ({ runs }) => {
      counts.push(runs.length);
      if (runs.length === 3) {
        controller.abort();
      }
    },
  });
  assert.deepEqual(counts, [1, 2, 3, 3]);
  assert.deepEqual([results.runs.length, results.plannedCount], [3, 8]);
});

test('ended in the middle of a look: what is open is closed at once, and the look is no result', async () => {
  const controller = new AbortController();
  const steps: string[] = [];
  const measureViewer = async (): Promise<never> => {
    controller.abort();
    return new Promise(() => {});
  };
  const { runs } = await run({ signal: controller.signal, instruments: instruments(steps, { measureViewer }) });
  assert.equal(runs.length, 0);
  assert.deepEqual(steps.slice(-2), ['publisher down', 'server down']);
});

test('resumed, only what is missing or failed is run', async () => {
  const first = await run();
  const previous = {
    ...first,
    runs: first.runs.slice(0, 5).map((each, k) => (k === 1 ? { ...each, error: 'no' } : each)),
  };
  const started: string[] = [];
  const key = (each: { scenarioName: string; targetName: string; repeatIndex: number }): string =>
    `${each.repeatIndex}${each.scenarioName}${each.targetName}`;
  const results = await run({
    previous,
    progress: { runStarts: (each) => started.push(key(each)), runEnded: () => {} },
  });
  assert.equal(results.runs.length, 8);
  assert.deepEqual(started, [first.runs[1]!, ...first.runs.slice(5)].map(key));
});
