/** Made-up results of a lab, from a seed: for tests of the report, and for looking at it without measuring anything. */
import { Prng } from '../../server/base/prng.ts';
import { parseLabConfig, type LabConfig } from '../latency/run/lab-config.ts';
import { planRuns } from '../latency/run/plan.ts';
import type { LabResults, RunResult } from '../latency/run/results.ts';
import type { ViewerReport } from '../latency/viewer/viewer-report.ts';
import { percentile } from '../latency/viewer/frame-analysis.ts';
import { stringify } from 'yaml';

/** How a made-up target behaves. */
export type MadeUpTarget = {
  readonly name: string;
  readonly latencyMs: number;
  /** Freezes on a bad link; none on a scenario called "clean". */
  readonly freezeCount: number;
  /** Stays black from the second repeat on. */
  readonly isBlack?: boolean;
  /** Fails in the second repeat. */
  readonly error?: string;
  readonly resolutions?: readonly number[];
};

export type MadeUpLab = {
  readonly seed: number;
  readonly repeats: number;
  readonly durationMs: number;
  readonly targets: readonly MadeUpTarget[];
  readonly scenarioNames: readonly string[];
};

const FRAME_MS = 1_000 / 30;
const JOIN_MS = 400;
const SETTLE_MS = 1_000;

export const madeUpConfig = (lab: MadeUpLab): LabConfig =>
  parseLabConfig(
    stringify({
      title: 'Made up <b>lab</b>',
      seed: lab.seed,
      repeats: lab.repeats,
      durationMs: lab.durationMs,
      settleMs: SETTLE_MS,
      targets: lab.targets.map(({ name }) => ({
        name,
        push: 'rtmp://127.0.0.1/live/{name}',
        play: { kind: 'whep', url: 'http://127.0.0.1/{name}' },
      })),
      scenarios: lab.scenarioNames.map((name) =>
        name === 'clean' ? { name } : { name, link: { rttMs: 40, lossRatio: 0.01, down: { rateBps: 3_000_000 } } },
      ),
    }),
  );

export const makeUpResults = (lab: MadeUpLab): LabResults => {
  const config = madeUpConfig(lab);
  const plan = planRuns({
    seed: lab.seed,
    repeats: lab.repeats,
    scenarioNames: lab.scenarioNames,
    targetNames: lab.targets.map(({ name }) => name),
  });
  const runs = plan.map((planned, index): RunResult => {
    const target = lab.targets.find(({ name }) => name === planned.targetName)!;
    const isClean = planned.scenarioName === 'clean';
    const error = planned.repeatIndex === 1 ? (target.error ?? null) : null;
    const isBlack = target.isBlack === true && planned.repeatIndex > 0;
    const prng = new Prng(lab.seed + index);
    return {
      ...planned,
      startedAtWallMs: Date.UTC(2026, 10, 22) + index * 40_000,
      attemptCount: 1,
      error,
      viewer: error !== null ? null : isBlack ? blackReport() : makeUpReport(target, { lab, isClean, prng }),
      link: isClean ? null : { counts: {} as never, series: madeUpSeries(lab.durationMs), startsAtMs: -50 },
      server: { cpuRatio: 0.05 + 0.02 * prng.nextRatio(), rssBytes: 9e7, rssPeakBytes: 1e8 + 1e7 * prng.nextRatio() },
      sourceLateMaxMs: 12,
      isSourceLate: index === 4,
      isViewerStarved: index === 5,
      machineBusyRatio: 0.4,
    };
  });
  return {
    format: 1,
    config,
    machine: {
      cpuModel: 'Imaginary CPU & Co',
      cpuCount: 2,
      memoryBytes: 8 * 2 ** 30,
      system: 'Linux 6',
      versions: { node: 'v24.0.0' },
    },
    startedAtWallMs: Date.UTC(2026, 10, 22),
    endedAtWallMs: Date.UTC(2026, 10, 22, 1),
    plannedCount: plan.length,
    runs,
  };
};

type Making = { readonly lab: MadeUpLab; readonly isClean: boolean; readonly prng: Prng };

const makeUpReport = (target: MadeUpTarget, { lab, isClean, prng }: Making): ViewerReport => {
  const endMs = JOIN_MS + SETTLE_MS + lab.durationMs;
  const baseMs = target.latencyMs * (0.97 + 0.06 * prng.nextRatio());
  const freezeCount = isClean ? 0 : Math.round(target.freezeCount * (0.6 + 0.8 * prng.nextRatio()));
  const freezes = Array.from({ length: freezeCount }, (_, k) => ({
    startedAtMs: JOIN_MS + SETTLE_MS + ((k + 0.2 + 0.5 * prng.nextRatio()) / freezeCount) * lab.durationMs,
    durationMs: Math.min(300 + 1_500 * prng.nextRatio(), (0.25 * lab.durationMs) / freezeCount),
    kind: 'freeze' as const,
  }));
  const shownAtMs: number[] = [];
  const latencyMs: (number | null)[] = [];
  for (let atMs = JOIN_MS; atMs < endMs; atMs += FRAME_MS) {
    if (!freezes.some((freeze) => atMs > freeze.startedAtMs && atMs < freeze.startedAtMs + freeze.durationMs)) {
      shownAtMs.push(Math.round(atMs));
      latencyMs.push(Math.round(baseMs + (isClean ? 8 : 40) * prng.nextRatio()));
    }
  }
  const read = latencyMs.filter((value) => value !== null);
  const percentiles = { p50: percentile(read, 0.5), p95: percentile(read, 0.95), p99: percentile(read, 0.99) };
  const resolutions = target.resolutions ?? [360];
  return {
    target: { kind: 'whep', url: 'http://127.0.0.1/made-up' },
    startedAtWallMs: 0,
    joinMs: JOIN_MS + 100 * prng.nextRatio(),
    observedFromMs: JOIN_MS + SETTLE_MS,
    durationMs: lab.durationMs,
    latencyMs: { ...percentiles, min: Math.min(...read), mean: baseMs },
    ageMs: { p50: percentiles.p50 + 16, p95: percentiles.p95 + 60, p99: percentiles.p99 + 400 },
    freezes,
    stallRatio: freezes.reduce((sum, freeze) => sum + freeze.durationMs, 0) / lab.durationMs,
    pictureFps: 30,
    unreadableCount: 0,
    backwardCount: 0,
    frames: { shownAtMs, latencyMs },
    resolution: resolutions.map((heightPx, k) => ({
      atMs: JOIN_MS + (k * lab.durationMs) / resolutions.length,
      widthPx: (heightPx * 16) / 9,
      heightPx,
    })),
    stats: [],
    chrome: null,
    avOffsetMs: null,
    scriptAwayMs: 0,
    refusals: [],
  };
};

const blackReport = (): ViewerReport => ({
  target: { kind: 'whep', url: 'http://127.0.0.1/made-up' },
  startedAtWallMs: 0,
  joinMs: null,
  observedFromMs: 0,
  durationMs: 10_000,
  latencyMs: null,
  ageMs: null,
  freezes: [],
  stallRatio: 1,
  pictureFps: 0,
  unreadableCount: 0,
  backwardCount: 0,
  frames: { shownAtMs: [], latencyMs: [] },
  resolution: [],
  stats: [],
  chrome: null,
  avOffsetMs: null,
  scriptAwayMs: 0,
  refusals: [],
  failure: 'WHEP answered 404: <no such stream>',
});

/** 4, 0.8 and 4 Mbit/s, a third of the time each. */
const madeUpSeries = (durationMs: number): NonNullable<RunResult['link']>['series'] =>
  Array.from({ length: Math.ceil((durationMs + 2_000) / 100) }, (_, k) => {
    const third = Math.floor((3 * k * 100) / durationMs);
    const sample = { capacityBps: third === 1 ? 800_000 : 4_000_000, queueBytes: 0, deliveredBps: 700_000 };
    return { atMs: (k + 1) * 100, down: sample, up: sample };
  });
