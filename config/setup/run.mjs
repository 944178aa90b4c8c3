/**
 * Behind every `npm run …`: makes the machine ready for the task, then runs it on the pinned Node.
 *
 *     node config/setup/run.mjs start|dev|check|test|soak|bench|latency|load|hls-check|ladder|calibrate|sim|learn|learn:report [arguments for the task]
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import {
  CACHE,
  ROOT,
  SERVER_FLAGS,
  ensureBrowser,
  ensureFfmpeg,
  ensurePackages,
  ensurePlayer,
  filesBelow,
  findNode,
} from './machine.mjs';
import { ensureCrowdReader, ensureNative } from './native.mjs';

const [task, ...args] = process.argv.slice(2);

// Stripping and compiling a few hundred files is a second of every process and thread that is started: Node keeps what came of it, a file for a file.
process.env.NODE_COMPILE_CACHE ??= join(CACHE, 'compiled');

const tell = (name, startedAt, status) =>
  process.stderr.write(
    `sluice: ${name} ${status === 0 ? 'ok' : 'FAILED'} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)\n`,
  );

/** Runs one step to its end; a failing one ends everything with its exit code. */
const step = (node, name, nodeArgs, env = {}) => {
  const startedAt = Date.now();
  process.stderr.write(`sluice: ${name} …\n`);
  const { status } = spawnSync(node, nodeArgs, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } });
  tell(name, startedAt, status);
  if (status !== 0) {
    process.exit(status ?? 1);
  }
};

/** Runs one step beside others; what it says comes out whole when it ends. Resolves to its exit code. */
const stepAside = async (node, name, nodeArgs, env = {}) => {
  const startedAt = Date.now();
  const stdio = ['ignore', 'pipe', 'pipe'];
  const child = spawn(node, nodeArgs, { cwd: ROOT, stdio, env: { ...process.env, ...env } });
  const said = [];
  child.stdout.on('data', (bytes) => said.push(bytes));
  child.stderr.on('data', (bytes) => said.push(bytes));
  const [code] = await once(child, 'close');
  process.stderr.write(Buffer.concat(said));
  tell(name, startedAt, code);
  return code ?? 1;
};

const endIfFailed = (statuses) => {
  const failed = statuses.find((status) => status !== 0);
  if (failed !== undefined) {
    process.exit(failed);
  }
};

/** Any that fails ends everything, after all. */
const stepsAtOnce = async (node, steps, env) => {
  process.stderr.write(`sluice: ${Object.keys(steps).join(', ')} …\n`);
  endIfFailed(
    await Promise.all(Object.entries(steps).map(async ([name, nodeArgs]) => stepAside(node, name, nodeArgs, env))),
  );
};

/** Replaces this process, as far as Node can: signals are handed on, the exit code is handed back. */
const become = (node, nodeArgs) => {
  const child = spawn(node, nodeArgs, { cwd: ROOT, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
};

const testFiles = (...folders) =>
  folders.flatMap((folder) => filesBelow(`test/${folder}`).filter((path) => path.endsWith('.test.ts')));

/**
 * Unit tests share a process, since starting one and loading the server into it takes longer than most files; two
 * processes, one a core. A file whose hooks are not for everybody keeps them in a `describe`.
 */
const unitTests = () => {
  const files = testFiles('tidy', 'unit');
  const shared = [
    '--disable-warning=ExperimentalWarning',
    '--test',
    '--test-isolation=none',
    '--test-reporter=dot',
    '--test-timeout=60000',
    // A test that was given up may leave doors open: it fails, by name, and nobody waits for them.
    '--test-force-exit',
  ];
  return [0, 1].map((half) => [...shared, ...files.filter((_, index) => index % 2 === half)]);
};

/**
 * Of the compiler and the linter, which are Go: with several threads each finds out much of the same again, and they end before their garbage is worth
 * collecting (1.1 GB each). Together 9 s of CPU instead of 18, and the cores are busy with the other steps anyway.
 */
const SPARING = { GOMAXPROCS: '1', GOGC: 'off', GOMEMLIMIT: '2GiB' };

const check = async (node) => {
  ensureNative();
  const [evenTests, oddTests] = unitTests();
  const steps = {
    types: ['node_modules/typescript/bin/tsc', '-b', '--checkers', '1'],
    lint: ['node_modules/oxlint/bin/oxlint', '--quiet', '--threads=1'],
    format: ['node_modules/prettier/bin/prettier.cjs', '--check', '--cache', '--log-level', 'warn', '.'],
    'tidy and unit tests, one half': evenTests,
    'tidy and unit tests, other half': oddTests,
  };
  await stepsAtOnce(node, steps, SPARING);
};

/**
 * End-to-end files that judge no pace, in two lanes side by side: the first has the browser, and the second's encoders do not mind. In this order what is heavy
 * in one lane stands beside what is light in the other, and the end of the longer lane has the machine for itself. Whatever is in neither runs alone.
 */
const LANES = [
  [
    ...['ll-hls-hlsjs', 'player-fallback', 'tls', 'tokens', 'live-fallback', 'av1-chromium', 'latency-viewers'],
    ...['replay-vod', 'player-rewind', 'studio', 'player-renditions', 'size-change', 'whip-chromium', 'av1-live'],
    ...['latency-lab', 'congestion', 'ladder-live', 'narrowband-hlsjs', 'drops-claim', 'media-threads'],
  ],
  [
    ...['recorder-disk-full', 'recorder-kill', 'server-process', 'odd-inputs', 'av1-ladder', 'narrowband', 'ladder'],
    ...['transcode-kills', 'live-cycles', 'load', 'cues', 'ladder-tool', 'ingest-ffmpeg', 'latency-source'],
    ...['encoder-trial', 'drops-kill', 'essentials', 'whep-churn', 'media-thread-ports', 'learn-run'],
    ...['mp4-download', 'learn-report'],
  ],
];

/** A test that waits for ever shall fail, not hang. The bound is on a file as well, since a file is a test to its runner. */
const TEST_MAX_MS = 240_000;
const SOAK_TEST_MAX_MS = 5_400_000;
/** Of the files that failed in a lane; more of them is no accident. */
const AGAIN_MAX_COUNT = 2;

/** Everything a submission must pass. Browsers and ffmpeg share two cores. */
const test = async (node, env) => {
  await check(node);
  ensureCrowdReader();
  const bound = `--test-timeout=${env.SLUICE_SIZE === 'soak' ? SOAK_TEST_MAX_MS : TEST_MAX_MS}`;
  step(node, 'fuzz', ['--test', '--test-concurrency=2', bound, ...testFiles('fuzz')], env);
  const pathOf = (name) => `test/e2e/${name}.test.ts`;
  const failed = [];
  const oneByOne = async (paths) => {
    for (const path of paths) {
      if ((await stepAside(node, path, ['--test', bound, path], env)) !== 0) {
        failed.push(path);
      }
    }
  };
  const lanes = LANES.map((names) => names.map(pathOf));
  process.stderr.write('sluice: end to end, two lanes …\n');
  await Promise.all(lanes.map(oneByOne));
  // Side by side they take each other's cores, which is ours to answer for and says nothing of Sluice: what failed there must pass alone, and is named.
  const second = failed.splice(0, AGAIN_MAX_COUNT);
  process.stderr.write('sluice: end to end, one by one …\n');
  await oneByOne([...testFiles('e2e').filter((path) => !lanes.flat().includes(path)), ...second]);
  if (second.length > 0) {
    process.stderr.write(`sluice: failed beside another and was run again alone: ${second.join(', ')}\n`);
  }
  if (failed.length > 0) {
    process.stderr.write(`sluice: failed: ${failed.join(', ')}\n`);
    process.exit(1);
  }
};

const bench = (node, names) =>
  step(node, 'bench', ['test/bench/main.ts', ...names], { SLUICE_SIZE: process.env.SLUICE_SIZE ?? 'soak' });

const TASKS = {
  start: (node) => {
    ensureFfmpeg();
    ensurePlayer(node);
    ensureNative();
    become(node, [...SERVER_FLAGS, 'server/main.ts', ...args]);
  },
  dev: (node) => {
    ensureFfmpeg();
    ensurePlayer(node);
    ensureNative();
    become(node, [
      ...SERVER_FLAGS,
      '--watch-path=server',
      '--watch-path=transcode',
      '--watch-path=config',
      'server/main.ts',
      '--demo',
      ...args,
    ]);
  },
  check,
  test: async (node) => {
    ensureFfmpeg();
    ensureBrowser();
    ensurePlayer(node);
    await test(node, {});
  },
  soak: async (node) => {
    ensureFfmpeg();
    ensureBrowser();
    ensurePlayer(node);
    await test(node, { SLUICE_SIZE: 'soak' });
    bench(node, []);
  },
  bench: (node) => {
    ensureFfmpeg();
    ensureBrowser();
    ensurePlayer(node);
    ensureNative();
    ensureCrowdReader();
    bench(node, args);
  },
  latency: (node) => {
    ensureFfmpeg();
    ensureBrowser();
    ensurePlayer(node);
    ensureNative();
    ensureCrowdReader();
    become(node, ['--disable-warning=ExperimentalWarning', 'test/latency/main.ts', ...args]);
  },
  load: (node) => {
    ensureNative();
    ensureCrowdReader();
    become(node, ['test/latency/load/load.ts', ...args]);
  },
  ladder: (node) => {
    ensureFfmpeg();
    become(node, ['--disable-warning=ExperimentalWarning', 'test/quality/main.ts', ...args]);
  },
  'hls-check': (node) => become(node, ['test/hls-check/main.ts', ...args]),
  calibrate: (node) => become(node, ['--disable-warning=ExperimentalWarning', 'test/quality/calibrate.ts', ...args]),
  sim: (node) => become(node, ['--disable-warning=ExperimentalWarning', 'test/sim/main.ts', ...args]),
  learn: (node) => {
    const script = args.includes('--month') ? 'month-main' : 'main';
    return become(node, ['--disable-warning=ExperimentalWarning', `test/learn/${script}.ts`, ...args]);
  },
  'learn:report': (node) => {
    const script = args.includes('--sources') ? 'sources-main' : 'main';
    return become(node, ['--disable-warning=ExperimentalWarning', `test/learn/report/${script}.ts`, ...args]);
  },
};

const chosen = TASKS[task];
if (chosen === undefined) {
  process.stderr.write(`sluice: unknown task ${task ?? '(none)'}; expected one of ${Object.keys(TASKS).join(', ')}\n`);
  process.exit(2);
}
ensurePackages();
await chosen(findNode());
