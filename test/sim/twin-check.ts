/** The server's receiver twin beside the real receiver: a recorded session's feedback through it, its display times and freezes against those that were seen. */
import type { ArrivalReport, Decision, SentPacket, SentPicture } from '../../server/congestion/controller.ts';
import { ReceiverTwin } from '../../server/congestion/receiver-twin/receiver-twin.ts';
import { percentile } from '../latency/viewer/frame-analysis.ts';
import type { Line } from './decision-file.ts';

export type Span = { readonly fromMs: number; readonly toMs: number };

/** On one clock, apart from a constant. */
export type Seen = {
  /** By the picture's place in the stream. */
  readonly shownAtMs: ReadonlyMap<number, number>;
  readonly freezes: readonly Span[];
};

export type TwinAgreement = {
  readonly pictureCount: number;
  /** Whose display times are within 20 ms, the median difference taken off. */
  readonly nearCount: number;
  readonly realFreezeCount: number;
  readonly foundFreezeCount: number;
  readonly twinFreezeCount: number;
  /** Of the twin's, those that were real. */
  readonly trueFreezeCount: number;
};

const NEAR_MS = 20;
/** Two freezes are one when they overlap, or nearly. */
const OVERLAP_SLACK_MS = 150;

/** What the twin predicts from a decision trace, on the receiver's clock. `frameOf`: a picture's place by its stamp. */
export const predict = (lines: readonly Line[], frameOf: (stampMs: number) => number): Seen => {
  const twin = new ReceiverTwin();
  const sent = new Map<number, SentPacket>();
  const pictures: SentPicture[] = [];
  const shownAtMs = new Map<number, number>();
  const freezes: Span[] = [];
  let playoutDelayMs = 0;
  const onArrival = (packet: SentPacket, arrivedMs: number): void => {
    const before = { shownAtMs: twin.shownAtMs, freezeMs: twin.freezeMs };
    twin.onArrival(packet.videoSeqExt, arrivedMs, packet.kind !== 'video');
    const picture = pictures[twin.passedCount - 1];
    if (twin.shownAtMs === before.shownAtMs || picture === undefined) {
      return;
    }
    // Of several that one packet completes, the last.
    shownAtMs.set(frameOf(picture.stampMs), twin.shownAtMs);
    if (twin.freezeMs > before.freezeMs) {
      freezes.push({ fromMs: twin.shownAtMs - (twin.freezeMs - before.freezeMs), toMs: twin.shownAtMs });
    }
  };
  for (const [name, , value, second] of lines) {
    if (name === 'onPacketSent') {
      const packet = value as SentPacket;
      sent.set(packet.transportSeqExt, packet);
    } else if (name === 'onPicture') {
      pictures.push(value as SentPicture);
      twin.onPicture(value as SentPicture, playoutDelayMs);
    } else if (name === 'decide') {
      playoutDelayMs = (second as Decision).playoutDelayMs ?? 0;
    } else if (name === 'onFeedback') {
      const { baseSeqExt, arrivedMs } = value as ArrivalReport;
      for (let index = 0; index < arrivedMs.length; index += 1) {
        const packet = sent.get(baseSeqExt + index);
        // JSON has no NaN.
        const atMs = arrivedMs[index] as number | null | undefined;
        if (packet !== undefined && packet.videoSeqExt >= 0 && typeof atMs === 'number') {
          sent.delete(baseSeqExt + index);
          onArrival(packet, atMs);
        }
      }
    }
  }
  return { shownAtMs, freezes };
};

/** `window`: of the real clock; what lies outside is not looked at. */
export const compareTwin = (real: Seen, twin: Seen, window: Span): TwinAgreement => {
  const pairs = [...real.shownAtMs].flatMap(([frame, realMs]) => {
    const twinMs = twin.shownAtMs.get(frame);
    return twinMs === undefined || realMs < window.fromMs || realMs > window.toMs ? [] : [realMs - twinMs];
  });
  const offsetMs = percentile(pairs, 0.5);
  const within = ({ fromMs, toMs }: Span): boolean => toMs > window.fromMs && toMs < window.toMs && fromMs >= 0;
  const realFreezes = real.freezes.filter(within);
  const twinFreezes = twin.freezes
    .map(({ fromMs, toMs }) => ({ fromMs: fromMs + offsetMs, toMs: toMs + offsetMs }))
    .filter(within);
  const countMet = (some: readonly Span[], others: readonly Span[]): number =>
    some.filter((one) => others.some((other) => isSame(one, other))).length;
  return {
    pictureCount: pairs.length,
    nearCount: pairs.filter((offMs) => Math.abs(offMs - offsetMs) <= NEAR_MS).length,
    realFreezeCount: realFreezes.length,
    foundFreezeCount: countMet(realFreezes, twinFreezes),
    twinFreezeCount: twinFreezes.length,
    trueFreezeCount: countMet(twinFreezes, realFreezes),
  };
};

const isSame = (one: Span, other: Span): boolean =>
  one.fromMs < other.toMs + OVERLAP_SLACK_MS && other.fromMs < one.toMs + OVERLAP_SLACK_MS;

/** All sessions together, as lines for people. */
export const tellTwin = (sessions: readonly TwinAgreement[]): string[] => {
  const sum = (key: keyof TwinAgreement): number => sessions.reduce((total, session) => total + session[key], 0);
  const share = (part: number, whole: number): string =>
    whole === 0 ? 'none' : `${((100 * part) / whole).toFixed(0)} % of ${whole}`;
  return [
    `receiver twin, ${sessions.length} sessions: pictures within 20 ms of their display time ${share(sum('nearCount'), sum('pictureCount'))} (90 asked);`,
    `  real freezes that it found ${share(sum('foundFreezeCount'), sum('realFreezeCount'))}, its freezes that were real ${share(sum('trueFreezeCount'), sum('twinFreezeCount'))} (90 asked)`,
  ];
};
