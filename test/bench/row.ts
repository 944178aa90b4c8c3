/** What a benchmark gives: rows for one table. */
export type BenchRow = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The number to reach; a row without one is there for comparison. */
  readonly target?: { readonly max: number } | { readonly min: number };
  /** How it was come by: counts, conditions. */
  readonly note?: string;
};

/** From the command line. */
export type BenchOptions = {
  readonly clipsDir: string;
  /** Only these servers of `servers.yaml`; all when empty. */
  readonly servers: readonly string[];
  /** Servers that run already, beside those. */
  readonly peers: readonly Peer[];
  /** Viewers, where a bench can have any number of them. */
  readonly viewerCount: number | undefined;
  /** How long, where a bench can take any time. */
  readonly durationS: number | undefined;
};

export type Peer = {
  /** Its WHEP address. */
  readonly url: string;
  readonly pid: number;
  /** Where it takes the stream by RTMP. */
  readonly push: string;
};

export type Bench = { readonly name: string; run(options: BenchOptions): Promise<readonly BenchRow[]> };

export const isReached = ({ target, value }: BenchRow): boolean =>
  target === undefined || ('max' in target ? value <= target.max : value >= target.min);

const wordsOf = ({ target, unit }: BenchRow): string => {
  if (target === undefined) {
    return '';
  }
  return 'max' in target ? `≤ ${target.max} ${unit}` : `≥ ${target.min} ${unit}`;
};

const format = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

export const toMarkdown = (rows: readonly BenchRow[]): string =>
  [
    '| what | measured | to reach | |',
    '|---|---|---|---|',
    ...rows.map((row) => {
      const target = wordsOf(row);
      const verdict = row.target === undefined ? '' : isReached(row) ? 'yes' : '**no**';
      const note = row.note === undefined ? '' : ` (${row.note})`;
      return `| ${row.name}${note} | ${format(row.value)} ${row.unit} | ${target} | ${verdict} |`;
    }),
  ].join('\n');
