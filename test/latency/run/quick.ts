/** `npm run latency -- --quick`: "this is your latency", in about a minute, as a small table. */
import { closeBrowser } from '../../support/browser.ts';
import { SluiceProcess } from '../../support/sluice-process.ts';
import { Publisher } from '../source/publisher.ts';
import type { PlayTarget, ViewerReport } from '../viewer/viewer-report.ts';
import { measureViewer } from '../viewer/measure.ts';
import { formatMs, formatPercent } from '../report/words.ts';
import { untilPlayable } from './play-ready.ts';

export type QuickCommand = {
  /** Where to publish; undefined: to a Sluice that is started for it. */
  readonly pushUrl: string | undefined;
  readonly targets: readonly PlayTarget[];
  readonly durationMs: number;
};

const KIND_WORDS: Readonly<Record<PlayTarget['kind'], string>> = {
  whep: 'WebRTC (WHEP)',
  'll-hls': 'LL-HLS',
  hls: 'HLS',
  'http-flv': 'HTTP-FLV',
  page: 'own page',
};
const WARM_UP_MS = 2_000;
const LATE_MAX_MS = 80;
const HEADS = ['', 'latency', '95 %', 'stalled', 'pictures/s', 'join'];

/** Resolves with the exit code: 1 when a target never showed a picture. */
export const runQuick = async (command: QuickCommand): Promise<number> => {
  const sluice = command.pushUrl === undefined ? await SluiceProcess.start() : undefined;
  try {
    const targets = sluice === undefined ? command.targets : sluiceTargets(sluice);
    const pushUrl = command.pushUrl ?? sluice?.rtmpUrl('lab') ?? '';
    return await measureAll(pushUrl, targets, command.durationMs);
  } finally {
    await closeBrowser();
    await sluice?.stop();
  }
};

const sluiceTargets = (sluice: SluiceProcess): PlayTarget[] => [
  { kind: 'whep', url: sluice.whepUrl('lab') },
  { kind: 'll-hls', url: sluice.playlistUrl('lab') },
];

const measureAll = async (pushUrl: string, targets: readonly PlayTarget[], durationMs: number): Promise<number> => {
  say(`publishing a picture with a clock in it to ${pushUrl.replace(/\?.*$/, '')}`);
  const publisher = await Publisher.start({ url: pushUrl, preset: 'zerolatency' });
  const reports: ViewerReport[] = [];
  try {
    for (const target of targets) {
      await untilPlayable(target, WARM_UP_MS);
      say(`watching it by ${KIND_WORDS[target.kind]} for ${durationMs / 1_000} s`);
      reports.push(await measureViewer({ target, durationMs }));
    }
  } finally {
    await publisher.stop();
  }
  process.stdout.write(`\n${tableOf(reports)}\n\n${explanation(publisher.lateMaxMs)}\n`);
  return reports.every((report) => report.joinMs !== null) ? 0 : 1;
};

const say = (line: string): void => {
  process.stderr.write(`${line} …\n`);
};

/** Columns as wide as what is in them. */
export const tableOf = (reports: readonly ViewerReport[]): string => {
  const rows = [HEADS, ...reports.map(rowOf)];
  const widths = HEADS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row.map((text, k) => (k === 0 ? text.padEnd(widths[k] ?? 0) : text.padStart(widths[k] ?? 0))).join('   '),
    )
    .map((line) => line.trimEnd())
    .join('\n');
};

const rowOf = (report: ViewerReport): string[] => {
  const { latencyMs, joinMs } = report;
  const name = KIND_WORDS[report.target.kind];
  if (joinMs === null || latencyMs === null) {
    return [name, `no picture: ${report.failure ?? 'no stamp could be read'}`];
  }
  return [
    name,
    formatMs(latencyMs.p50),
    formatMs(latencyMs.p95),
    formatPercent(report.stallRatio),
    report.pictureFps.toFixed(1),
    formatMs(joinMs),
  ];
};

const explanation = (lateMaxMs: number): string =>
  [
    'latency: from the encoder’s input to the browser’s screen, half of the time below this; 95 %: nearly always below this.',
    'Source: 640x360, 30 pictures a second, x264 tuned for zero latency, with sound. Everything on this machine, no network between.',
    ...(lateMaxMs > LATE_MAX_MS
      ? [
          `This machine was busy: the source itself was up to ${lateMaxMs.toFixed(0)} ms late, and the numbers say less for it.`,
        ]
      : []),
    'A fuller answer, on bad links and beside other servers: npm run latency -- --help',
  ].join('\n');
