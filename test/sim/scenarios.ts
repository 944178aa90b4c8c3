/** Made-up links to look at, as lists of steps: what the link carries, for how long, and what must be seen by then. */

export type Window = {
  readonly estimateBps: number;
  readonly rungIndex: number;
  readonly playoutDelayMs: number | undefined;
  /** Highest wait in the bottleneck during the step's second half. */
  readonly queueMs: number;
  readonly stallMs: number;
  readonly latencyP50Ms: number;
};

export type Step = {
  readonly forMs: number;
  readonly rateBps: number;
  /** Of our controller: what is to be true at the end of the step, in words, and whether it is. */
  readonly expect?: { readonly text: string; readonly holds: (window: Window) => boolean };
};

export type Scenario = {
  readonly name: string;
  readonly title: string;
  /** Of `LADDERS`; `busy` where nothing is said. */
  readonly ladder?: string;
  readonly rttMs: number;
  readonly jitterMs?: number;
  readonly lossRatio?: number;
  readonly lossBurstCount?: number;
  readonly queueMs: number;
  readonly steps: readonly Step[];
};

const MEGA = 1_000_000;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'calm',
    title: 'A link that carries everything',
    rttMs: 40,
    jitterMs: 1,
    queueMs: 250,
    steps: [
      {
        forMs: 30_000,
        rateBps: 20 * MEGA,
        expect: {
          text: 'the highest rendition, no stall, less than 150 ms',
          holds: ({ rungIndex, stallMs, latencyP50Ms }) => rungIndex === 3 && stallMs === 0 && latencyP50Ms < 150,
        },
      },
    ],
  },
  {
    name: 'step-down-up',
    title: '4 → 0.8 → 4 Mbit/s',
    rttMs: 40,
    jitterMs: 1,
    queueMs: 250,
    steps: [
      {
        forMs: 20_000,
        rateBps: 4 * MEGA,
        expect: {
          text: 'at least 1.2 Mbit/s, no stall',
          holds: ({ rungIndex, stallMs }) => rungIndex >= 1 && stallMs === 0,
        },
      },
      {
        forMs: 20_000,
        rateBps: 0.8 * MEGA,
        expect: {
          text: 'the lowest rendition, the queue gone, at most 2 s of stall',
          holds: ({ rungIndex, stallMs, queueMs }) => rungIndex === 0 && stallMs < 2_000 && queueMs < 200,
        },
      },
      {
        forMs: 20_000,
        rateBps: 4 * MEGA,
        expect: { text: 'up again, no stall', holds: ({ rungIndex, stallMs }) => rungIndex >= 1 && stallMs === 0 },
      },
    ],
  },
  {
    name: 'loss',
    title: '3 Mbit/s with 5 % of packets lost at random',
    rttMs: 60,
    jitterMs: 2,
    lossRatio: 0.05,
    queueMs: 250,
    steps: [
      {
        forMs: 40_000,
        rateBps: 3 * MEGA,
        expect: { text: 'less than 2 % of stall', holds: ({ stallMs }) => stallMs < 800 },
      },
    ],
  },
  {
    name: 'jitter',
    title: 'Wi-Fi: 12 Mbit/s, delays that jump by 10 ms',
    rttMs: 20,
    jitterMs: 10,
    lossRatio: 0.002,
    lossBurstCount: 2,
    queueMs: 300,
    steps: [
      {
        forMs: 40_000,
        rateBps: 12 * MEGA,
        expect: {
          text: 'at least 2.5 Mbit/s, no stall',
          holds: ({ rungIndex, stallMs }) => rungIndex >= 2 && stallMs === 0,
        },
      },
    ],
  },
  {
    name: 'lte-drop',
    title: '8 Mbit/s, two seconds of nothing, 3 Mbit/s',
    rttMs: 60,
    jitterMs: 4,
    queueMs: 400,
    steps: [
      { forMs: 20_000, rateBps: 8 * MEGA },
      { forMs: 2_000, rateBps: 0 },
      {
        forMs: 20_000,
        rateBps: 3 * MEGA,
        expect: {
          text: 'a picture again, at most 3.5 s of stall in all',
          holds: ({ stallMs, rungIndex }) => stallMs < 3_500 && rungIndex >= 1,
        },
      },
    ],
  },
  {
    name: 'bufferbloat',
    title: '2 Mbit/s behind a queue of two seconds',
    rttMs: 40,
    jitterMs: 1,
    queueMs: 2_000,
    steps: [
      { forMs: 15_000, rateBps: 6 * MEGA },
      {
        forMs: 30_000,
        rateBps: 2 * MEGA,
        expect: {
          text: 'the queue does not stand',
          holds: ({ queueMs, latencyP50Ms }) => queueMs < 400 && latencyP50Ms < 500,
        },
      },
    ],
  },
  {
    name: 'climb',
    title: 'A link that carries everything, a scene with keyframes of three packets on the lowest rung',
    ladder: 'tiny',
    rttMs: 40,
    jitterMs: 1,
    queueMs: 60,
    steps: [
      {
        forMs: 5_000,
        rateBps: 20 * MEGA,
        expect: {
          text: 'the highest rendition, no stall',
          holds: ({ rungIndex, stallMs }) => rungIndex === 3 && stallMs === 0,
        },
      },
      { forMs: 4_000, rateBps: 0.5 * MEGA },
      {
        forMs: 16_000,
        rateBps: 20 * MEGA,
        expect: { text: 'the highest again', holds: ({ rungIndex }) => rungIndex === 3 },
      },
    ],
  },
  {
    name: 'ceiling',
    title: '1.5 Mbit/s, less than the highest rendition of a quiet scene',
    ladder: 'tiny',
    rttMs: 40,
    jitterMs: 1,
    queueMs: 250,
    steps: [
      {
        forMs: 60_000,
        rateBps: 1.5 * MEGA,
        expect: {
          text: 'the one that fits, no stall, the queue short',
          holds: ({ rungIndex, stallMs, queueMs }) => rungIndex === 2 && stallMs === 0 && queueMs < 100,
        },
      },
    ],
  },
];
