/** Rows that following the stream decides: hinted parts (L16), sync samples (L18), rhythm (L29). */
import { startsWithSync } from './first-sample.ts';
import type { HintedPart, Observation, RenditionObservation } from './observe.ts';
import type { MediaPlaylist } from './playlist-reader.ts';
import { lastCompleteMsn, openPartCount } from './playlist-reader.ts';
import type { Row, Verdict } from './row.ts';
import { broken, cannotTell, nameOf, unless } from './row.ts';

const waitedMs = ({ answer }: HintedPart): number => answer.firstByteAtMs - answer.sentAtMs;

const judgeHints = (observation: Observation): Verdict => {
  const hinted = observation.renditions.flatMap((rendition) => rendition.hinted);
  const live = observation.renditions.filter(({ first }) => !first.playlist.isEnded);
  const withoutHint = live.find(({ first }) => first.playlist.hintUri === undefined);
  if (withoutHint !== undefined) {
    return broken(`${nameOf(withoutHint.url)} hints at no part`);
  }
  if (hinted.length === 0) {
    return cannotTell('no part was hinted');
  }
  const complaints = [
    ...hinted
      .filter(({ answer }) => answer.status !== 200)
      .map(({ answer }) => `a hinted part: ${answer.failure ?? answer.status}`),
    ...live.flatMap(unlistedHints),
  ];
  const waits = hinted.map(waitedMs).toSorted((a, b) => a - b);
  return unless(
    complaints,
    `${hinted.length} hinted parts, all came; waited ${waits[waits.length >> 1]?.toFixed(0)} ms (median)`,
  );
};

/** A hint must become a part, or the segment must have ended: then the next hint stands for it. Two in a row that never came are a lie. */
const unlistedHints = (rendition: RenditionObservation): string[] => {
  const listed = new Set(
    [rendition.first, ...rendition.reloads].flatMap(({ playlist }) =>
      playlist.segments.flatMap(({ parts }) => parts.map(({ uri }) => uri)),
    ),
  );
  const hints = [...new Set(rendition.reloads.map(({ playlist }) => playlist.hintUri))].slice(0, -2);
  const lost = hints.filter((uri) => uri !== undefined && !listed.has(uri));
  return lost.length > hints.length / 3 ? [`${lost.length} of ${hints.length} hints never became parts`] : [];
};

const judgeIndependent = (observation: Observation): Verdict => {
  const rendition = observation.renditions.find(({ kind }) => kind === 'variant');
  if (rendition === undefined) {
    return cannotTell('no variant');
  }
  const marks = new Map(
    [rendition.first, ...rendition.reloads].flatMap(({ playlist }) =>
      playlist.segments.flatMap(({ parts }) => parts.map((part) => [part.uri, part.isIndependent] as const)),
    ),
  );
  const known = rendition.hinted.flatMap(({ uri, answer }) => {
    const isSync = startsWithSync(answer.body);
    const isMarked = marks.get(uri);
    return isSync === undefined || isMarked === undefined ? [] : [{ uri, isSync, isMarked }];
  });
  if (known.length === 0) {
    return cannotTell('the fragments do not say where keyframes are');
  }
  const complaints = known
    .filter(({ isSync, isMarked }) => isSync !== isMarked)
    .map(({ isMarked }) =>
      isMarked
        ? 'INDEPENDENT=YES on a part without keyframe at its start'
        : 'a part that starts with a keyframe is not marked',
    );
  return unless(
    complaints,
    `${known.length} parts looked into, ${known.filter(({ isMarked }) => isMarked).length} marked`,
  );
};

/** Parts that are in `after` and were not in `before`. */
const newPartCount = (before: MediaPlaylist, after: MediaPlaylist): number => {
  const known = new Set(before.segments.flatMap(({ parts }) => parts.map(({ uri }) => uri)));
  return after.segments.flatMap(({ parts }) => parts).filter(({ uri }) => !known.has(uri)).length;
};

const judgeRhythm = (observation: Observation): Verdict => {
  const tallies = observation.renditions.map(rhythmOf);
  const sum = (read: (tally: Rhythm) => number): number => tallies.reduce((total, tally) => total + read(tally), 0);
  const count = sum((tally) => tally.count);
  if (count < 5) {
    return cannotTell(`${count} blocked reloads`);
  }
  const evidence = `${count} blocked reloads: ${sum((tally) => tally.late)} late, ${sum((tally) => tally.bursts)} with several parts, ${sum((tally) => tally.early)} with nothing new; parts arrive within ${Math.max(...tallies.map(({ writeMs }) => writeMs)).toFixed(0)} ms`;
  // One in twenty may be the network's or this machine's.
  const isBad =
    sum((tally) => tally.late + tally.bursts + tally.early) > Math.max(1, count / 20) ||
    tallies.some(({ isTrickled }) => isTrickled);
  const failures = observation.renditions.flatMap((rendition) => rendition.failures);
  return failures.length > 0
    ? broken(`${failures.length} reloads failed: ${failures[0]?.failure ?? failures[0]?.status}`)
    : isBad
      ? broken(evidence)
      : unless([], evidence);
};

type Rhythm = {
  readonly count: number;
  readonly late: number;
  readonly bursts: number;
  readonly early: number;
  /** From the first to the last byte of hinted parts, the 9th of ten. */
  readonly writeMs: number;
  /** Bytes come while the part is being made, not when it is ready. */
  readonly isTrickled: boolean;
};

const rhythmOf = (rendition: RenditionObservation): Rhythm => {
  const { first, reloads, hinted } = rendition;
  const partMs = (first.playlist.partTargetS ?? 1) * 1000;
  let [late, bursts, early, count] = [0, 0, 0, 0];
  // The first answers come at once to who has just joined.
  reloads.slice(2).forEach(({ answer, playlist, msn, part }, index) => {
    const before = reloads[index + 1];
    if (before === undefined || msn === undefined) {
      return;
    }
    count += 1;
    const added = newPartCount(before.playlist, playlist);
    const hasNewSegment = lastCompleteMsn(playlist) > lastCompleteMsn(before.playlist);
    late += answer.lastByteAtMs - before.answer.lastByteAtMs > 1.5 * partMs + 100 ? 1 : 0;
    bursts += added > 1 ? 1 : 0;
    early += added === 0 && !hasNewSegment && part !== undefined && openPartCount(playlist) <= part ? 1 : 0;
  });
  const writes = hinted.map(({ answer }) => answer.lastByteAtMs - answer.firstByteAtMs).toSorted((a, b) => a - b);
  const writeMs = writes[Math.floor(writes.length * 0.9)] ?? 0;
  return { count, late, bursts, early, writeMs, isTrickled: writeMs > partMs / 2 };
};

export const MEDIA_ROWS: readonly Row[] = [
  { ...{ id: 'L16', level: 'MUST', title: 'hinted parts: requests wait and get the whole part' }, judge: judgeHints },
  {
    ...{ id: 'L18', level: 'MUST', title: 'INDEPENDENT=YES on parts that start with a keyframe' },
    judge: judgeIndependent,
  },
  { ...{ id: 'L29', level: 'SHOULD', title: 'answers neither late nor in bursts' }, judge: judgeRhythm },
];
