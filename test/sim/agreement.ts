/** How far two worlds agree on the same cells, as CONGESTION 5.6 asks. Pure. */
import { percentile } from '../latency/viewer/frame-analysis.ts';

export type Seen = {
  readonly latencyP50Ms: number;
  readonly latencyP95Ms: number;
  readonly stallRatio: number;
  readonly freezeCount: number;
};

/** One policy on one link with one seed, as Chromium and as the simulator saw it. */
export type Cell = {
  readonly linkName: string;
  readonly policyName: string;
  readonly repeatIndex: number;
  readonly real: Seen;
  readonly simulated: Seen;
  /** The simulator once more, with other luck of the receiver: how far one world is from itself. */
  readonly withOtherLuck: readonly Seen[];
};

/** The link that only delays. */
export const CLEAN_LINK_NAME = 'clean';

/**
 * What a picture takes in reality beyond the simulator (painting, encoder, RTMP): the median difference of the medians on the clean link, one number for
 * all policies; 0 without that link.
 */
export const constantOf = (cells: readonly Cell[]): number => {
  const offsets = cells
    .filter(({ linkName }) => linkName === CLEAN_LINK_NAME)
    .map(({ real, simulated }) => real.latencyP50Ms - simulated.latencyP50Ms);
  return offsets.length === 0 ? 0 : percentile(offsets, 0.5);
};

/** The simulator's latencies with the constant on top. */
export const withConstant = (cells: readonly Cell[], constantMs: number): Cell[] =>
  cells.map((cell) => {
    const { latencyP50Ms, latencyP95Ms } = cell.simulated;
    const moved = { latencyP50Ms: latencyP50Ms + constantMs, latencyP95Ms: latencyP95Ms + constantMs };
    return { ...cell, simulated: { ...cell.simulated, ...moved } };
  });

/** The simulator in both places: what agreement there can be at all. */
export const againstItself = (cells: readonly Cell[]): Cell[] => {
  const luckCount = Math.min(...cells.map(({ withOtherLuck }) => withOtherLuck.length));
  return Array.from({ length: luckCount }, (_, luck) =>
    cells.map((cell) => ({
      ...cell,
      // Pairs of policies stay within one luck.
      repeatIndex: cell.repeatIndex * luckCount + luck,
      real: cell.withOtherLuck[luck] ?? cell.simulated,
    })),
  ).flat();
};

const STALL_TOLERANCE_RATIO = 0.003;
const P50_TOLERANCE_MS = 20;
const P95_TOLERANCE_MS = 60;
const COUNT_TOLERANCE = 1;

/** Whether each number of a cell is as near as asked: within so much, or within a share of the real one. */
export const isNear = ({ real, simulated }: Cell): { [Key in keyof Seen]: boolean } => {
  const within = (key: keyof Seen, atMost: number, share: number): boolean =>
    Math.abs(simulated[key] - real[key]) <= Math.max(atMost, share * real[key]);
  return {
    latencyP50Ms: within('latencyP50Ms', P50_TOLERANCE_MS, 0.08),
    latencyP95Ms: within('latencyP95Ms', P95_TOLERANCE_MS, 0.15),
    stallRatio: within('stallRatio', STALL_TOLERANCE_RATIO, 0.25),
    freezeCount: within('freezeCount', COUNT_TOLERANCE, 0.25),
  };
};

export type SignCount = { readonly sameCount: number; readonly count: number };

export type Agreement = {
  readonly cellCount: number;
  readonly medianP50ErrorMs: number;
  readonly medianP95ErrorMs: number;
  /** Share of the cells that are as near as asked. */
  readonly nearRatio: { readonly [Key in keyof Seen]: number };
  readonly spearmanOfStalls: number;
  /** One policy against another on the same link and seed: do both worlds call the same one better? */
  readonly signs: {
    readonly stallRatio: SignCount;
    readonly latencyP50Ms: SignCount;
    readonly latencyP95Ms: SignCount;
  };
};

/** `cells` with the constant on top. */
export const agreementOf = (cells: readonly Cell[], policies: { ours: string; other: string }): Agreement => {
  const errorsOf = (key: keyof Seen): number[] =>
    cells.map(({ real, simulated }) => Math.abs(simulated[key] - real[key]));
  const near = cells.map(isNear);
  const shareOf = (key: keyof Seen): number => near.filter((each) => each[key]).length / Math.max(1, cells.length);
  return {
    cellCount: cells.length,
    medianP50ErrorMs: percentile(errorsOf('latencyP50Ms'), 0.5),
    medianP95ErrorMs: percentile(errorsOf('latencyP95Ms'), 0.5),
    nearRatio: {
      latencyP50Ms: shareOf('latencyP50Ms'),
      latencyP95Ms: shareOf('latencyP95Ms'),
      stallRatio: shareOf('stallRatio'),
      freezeCount: shareOf('freezeCount'),
    },
    spearmanOfStalls: spearman(
      cells.map(({ real }) => real.stallRatio),
      cells.map(({ simulated }) => simulated.stallRatio),
    ),
    signs: {
      stallRatio: signsOf(cells, { ...policies, key: 'stallRatio', tolerance: STALL_TOLERANCE_RATIO }),
      latencyP50Ms: signsOf(cells, { ...policies, key: 'latencyP50Ms', tolerance: P50_TOLERANCE_MS }),
      latencyP95Ms: signsOf(cells, { ...policies, key: 'latencyP95Ms', tolerance: P95_TOLERANCE_MS }),
    },
  };
};

/** Two differences have the same sign, too, where neither is larger than what two runs may differ by. */
const signsOf = (
  cells: readonly Cell[],
  { ours, other, key, tolerance }: { ours: string; other: string; key: keyof Seen; tolerance: number },
): SignCount => {
  const pairs = cells
    .filter(({ policyName }) => policyName === ours)
    .flatMap((mine) => {
      const theirs = cells.find(
        (cell) => cell.policyName === other && cell.linkName === mine.linkName && cell.repeatIndex === mine.repeatIndex,
      );
      return theirs === undefined
        ? []
        : [{ real: mine.real[key] - theirs.real[key], simulated: mine.simulated[key] - theirs.simulated[key] }];
    });
  const same = pairs.filter(
    ({ real, simulated }) =>
      Math.sign(real) === Math.sign(simulated) || (Math.abs(real) <= tolerance && Math.abs(simulated) <= tolerance),
  );
  return { sameCount: same.length, count: pairs.length };
};

/** Rank correlation, equal values with the mean of their ranks; NaN where one side is constant. */
export const spearman = (first: readonly number[], second: readonly number[]): number => {
  const a = ranksOf(first);
  const b = ranksOf(second);
  const mean = (first.length + 1) / 2;
  const sum = (left: readonly number[], right: readonly number[]): number =>
    left.reduce((total, rank, index) => total + (rank - mean) * ((right[index] ?? mean) - mean), 0);
  return sum(a, b) / Math.sqrt(sum(a, a) * sum(b, b));
};

const ranksOf = (values: readonly number[]): number[] =>
  values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal + 1) / 2;
  });

/** The cells, the constant and what they amount to, as lines for people. */
export const tellAgreement = (played: readonly Cell[], policies: { ours: string; other: string }): string[] => {
  const constantMs = constantOf(played);
  const cells = withConstant(played, constantMs);
  const agreement = agreementOf(cells, policies);
  const itself = played.length === 0 ? agreement : agreementOf(againstItself(played), policies);
  return [
    'link · policy · run                       p50 real / sim   p95 real / sim   stalled % real / sim   freezes real / sim',
    ...cells.map(cellLine),
    '',
    `On top of the simulator's latencies, by the clean link: ${constantMs.toFixed(1)} ms. !: not as near as asked`,
    '',
    ...[
      verdict('', 'asked', ['real', 'itself, other luck']),
      verdict(
        'median of |Δ p50|',
        '',
        [agreement, itself].map((each) => `${each.medianP50ErrorMs.toFixed(0)} ms`),
      ),
      verdict(
        'median of |Δ p95|',
        '',
        [agreement, itself].map((each) => `${each.medianP95ErrorMs.toFixed(0)} ms`),
      ),
      ...(['latencyP50Ms', 'latencyP95Ms', 'stallRatio', 'freezeCount'] as const).map((key) =>
        verdict(
          `cells as near as asked: ${LABELS[key].name}`,
          LABELS[key].asked,
          [agreement, itself].map(({ nearRatio }) => percent(nearRatio[key])),
        ),
      ),
      verdict(
        'rank correlation of stalls',
        '0.9',
        [agreement, itself].map((each) => each.spearmanOfStalls.toFixed(2)),
      ),
      ...(['stallRatio', 'latencyP50Ms', 'latencyP95Ms'] as const).map((key) =>
        verdict(
          `sign of ${policies.ours} − ${policies.other}: ${LABELS[key].name}`,
          '90 %',
          [agreement, itself].map(({ signs }) => shareText(signs[key])),
        ),
      ),
    ],
  ];
};

const LABELS = {
  latencyP50Ms: { name: 'p50', asked: '20 ms or 8 %' },
  latencyP95Ms: { name: 'p95', asked: '60 ms or 15 %' },
  stallRatio: { name: 'stall', asked: '0.3 points or 25 %' },
  freezeCount: { name: 'freezes', asked: '1 or 25 %' },
} as const;

const cellLine = (cell: Cell): string => {
  const { real, simulated } = cell;
  const near = isNear(cell);
  const mark = (key: keyof Seen): string => (near[key] ? ' ' : '!');
  const name = `${cell.linkName} · ${cell.policyName} · ${cell.repeatIndex + 1}`;
  return [
    name.padEnd(42),
    `${`${real.latencyP50Ms.toFixed(0)} / ${simulated.latencyP50Ms.toFixed(0)}`.padStart(12)}${mark('latencyP50Ms')}`,
    `${`${real.latencyP95Ms.toFixed(0)} / ${simulated.latencyP95Ms.toFixed(0)}`.padStart(14)}${mark('latencyP95Ms')}`,
    `${`${(100 * real.stallRatio).toFixed(2)} / ${(100 * simulated.stallRatio).toFixed(2)}`.padStart(18)}${mark('stallRatio')}`,
    `${`${real.freezeCount} / ${simulated.freezeCount}`.padStart(12)}${mark('freezeCount')}`,
  ].join('  ');
};

const verdict = (name: string, asked: string, values: readonly string[]): string =>
  `${name.padEnd(40)}${asked.padEnd(20)}${values.map((value) => value.padStart(12)).join('')}`;

const percent = (ratio: number): string => `${(100 * ratio).toFixed(0)} %`;

const shareText = ({ sameCount, count }: SignCount): string => `${sameCount} of ${count}`;
