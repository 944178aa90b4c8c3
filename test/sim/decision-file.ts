/** What a session's decision trace tells of its world: whom it belonged to, when the viewer came, how often Chrome reported. */
import type { GopOffer, SentPicture } from '../../server/congestion/controller.ts';
import type { makeController } from '../../server/relay/webrtc/controllers.ts';
import { percentile } from '../latency/viewer/frame-analysis.ts';

export type SessionFacts = {
  readonly kind: Parameters<typeof makeController>[0];
  readonly controllerOptions: Parameters<typeof makeController>[1];
  /** On the media's clock: when the server gave the viewer its first picture. */
  readonly joinMediaMs: number;
  readonly joinOffer: GopOffer;
  readonly feedbackEveryMs: number;
  /** How much later than usual pictures came to the server, by their media time; of those that were sent with their own stamp. */
  readonly lateness: readonly { readonly mediaMs: number; readonly lateMs: number }[];
  /** How many renditions there were to choose from, at least and at most. */
  readonly renditionCounts: { readonly min: number; readonly max: number };
};

/** `[name, nowMs, …arguments]` of one call. */
export type Line = readonly [name: string, nowMs: number, ...values: unknown[]];

/** `text`: NDJSON. */
export const linesOf = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

/** Of the calls of one session. Throws `TypeError` when nobody joined. */
export const readSession = (lines: readonly Line[]): SessionFacts => {
  const made = lines.find(([name]) => name === 'new')?.[2] as Pick<SessionFacts, 'kind' | 'controllerOptions'>;
  const join = lines.find(([name]) => name === 'join');
  const pictures = lines.filter(([name]) => name === 'onPicture').map(([, , picture]) => picture as SentPicture);
  if (join === undefined || pictures.length === 0) {
    throw new TypeError('a decision trace without a join, or without a picture');
  }
  const joinOffer = join[2] as GopOffer;
  const counts = lines
    .filter(([name]) => name === 'join' || name === 'onGop')
    .map(([, , offer]) => (offer as GopOffer).renditions.length);
  // Until the first keyframe after the join's own, stamps may be those of a backlog.
  const live = pictures.slice(
    Math.max(
      0,
      pictures.findIndex(({ isKeyframe }, index) => isKeyframe && index > 0),
    ),
  );
  const clockOffsetMs = percentile(live.map(lateMs), 0.5);
  return {
    ...made,
    joinMediaMs: join[1] - clockOffsetMs,
    joinOffer,
    feedbackEveryMs: percentile(gapsOf(lines.filter(([name]) => name === 'onFeedback').map(([, atMs]) => atMs)), 0.5),
    lateness: live.map((picture) => ({ mediaMs: picture.stampMs, lateMs: lateMs(picture) - clockOffsetMs })),
    renditionCounts: { min: Math.min(...counts), max: Math.max(...counts) },
  };
};

/** Stamps are media time, but for those of a backlog. */
const lateMs = ({ arrivedAtMs, stampMs }: SentPicture): number => arrivedAtMs - stampMs;

const gapsOf = (atMs: readonly number[]): number[] => atMs.slice(1).map((at, index) => at - (atMs[index] ?? at));
