/** Rows that a look at the playlists themselves decides: L1–L5, L19–L21, L26–L28, L17. */
import type { Observation, Reload, RenditionObservation } from './observe.ts';
import type { MediaPlaylist } from './playlist-reader.ts';
import { completeOf, lengthS } from './playlist-reader.ts';
import type { Row, Verdict } from './row.ts';
import { broken, cannotTell, kept, nameOf, notApplicable, unless } from './row.ts';

const EPSILON_S = 0.002;

const reloadsOf = ({ first, reloads }: RenditionObservation): readonly Reload[] => [first, ...reloads];
const playlistsOf = (rendition: RenditionObservation): MediaPlaylist[] =>
  reloadsOf(rendition).map(({ playlist }) => playlist);

type Complaint = (playlist: MediaPlaylist) => string | undefined;

/** A rule for every playlist of every rendition. */
const eachPlaylist = (
  observation: Observation,
  complain: Complaint,
  evidence: (first: MediaPlaylist) => string,
): Verdict => {
  const first = observation.renditions[0]?.first.playlist;
  if (first === undefined) {
    return cannotTell('there is no media playlist');
  }
  const complaints = observation.renditions.flatMap((rendition) =>
    playlistsOf(rendition).flatMap((playlist) => {
      const complaint = complain(playlist);
      return complaint === undefined ? [] : [`${nameOf(rendition.url)}: ${complaint}`];
    }),
  );
  return unless(complaints, evidence(first));
};

const control = (playlist: MediaPlaylist, name: string): number => Number.parseFloat(playlist.control[name] ?? 'NaN');

const partDurationComplaint: Complaint = (playlist) => {
  const { partTargetS } = playlist;
  if (partTargetS === undefined) {
    return playlist.segments.some(({ parts }) => parts.length > 0) ? 'parts without EXT-X-PART-INF' : undefined;
  }
  for (const segment of playlist.segments) {
    for (const [index, { durationS }] of segment.parts.entries()) {
      const isLast = index === segment.parts.length - 1;
      if (durationS > partTargetS + EPSILON_S) {
        return `a part of ${durationS} s is longer than PART-TARGET ${partTargetS}`;
      }
      // The open segment's last part may turn out to be its very last.
      if (!isLast && durationS < 0.85 * partTargetS - EPSILON_S) {
        return `a part of ${durationS} s is under 85 % of PART-TARGET ${partTargetS}`;
      }
    }
  }
  return undefined;
};

const judgeParts = (observation: Observation): Verdict => {
  const targets = observation.renditions.map((rendition) =>
    [...new Set(playlistsOf(rendition).map(({ partTargetS }) => partTargetS))].join(' then '),
  );
  if (targets.every((target) => target === '')) {
    return broken('there is no EXT-X-PART-INF: this is not low-latency HLS');
  }
  const changed = targets.find((target) => target.includes('then'));
  if (changed !== undefined) {
    return broken(`PART-TARGET changed: ${changed}`);
  }
  return eachPlaylist(observation, partDurationComplaint, () => `PART-TARGET ${targets.join(' and ')}`);
};

const judgeRoundTrip = (observation: Observation): Verdict => {
  const sorted = observation.roundTripsMs.toSorted((a, b) => a - b);
  const p95Ms = sorted[Math.ceil(sorted.length * 0.95) - 1];
  const partTargetS = observation.renditions[0]?.first.playlist.partTargetS;
  if (p95Ms === undefined || partTargetS === undefined) {
    return cannotTell('no parts, or no answer that came at once');
  }
  const evidence = `PART-TARGET ${partTargetS} s, round trip P95 from here ${p95Ms.toFixed(0)} ms`;
  return partTargetS * 1000 >= 3 * p95Ms ? kept(evidence) : broken(evidence);
};

/** Seconds from each segment's end to the playlist's end, for those that list parts. */
const partsReachComplaint: Complaint = (playlist) => {
  let untilEndS = lengthS(playlist);
  for (const segment of playlist.segments) {
    const durationS = segment.durationS ?? 0;
    untilEndS -= durationS;
    if (segment.parts.length > 0 && segment.durationS !== undefined && untilEndS > 3 * playlist.targetDurationS) {
      return `parts are listed ${untilEndS.toFixed(1)} s before the end`;
    }
  }
  return undefined;
};

const judgeReports = (observation: Observation): Verdict => {
  const { renditions } = observation;
  if (renditions.length < 2) {
    return notApplicable('there is one rendition');
  }
  const plain = (url: string): string => url.split('?')[0] ?? '';
  const complaints = renditions.flatMap((rendition) => {
    const last = reloadsOf(rendition).at(-1)?.playlist;
    if (last === undefined || last.isEnded) {
      return [];
    }
    return renditions.flatMap((other) => {
      const report = last.reports.find(({ uri }) => plain(new URL(uri, rendition.url).href) === plain(other.url));
      if (other === rendition || (report !== undefined && report.lastMsn >= 0 && report.lastPart >= 0)) {
        return [];
      }
      const what = report === undefined ? 'no report of' : 'LAST-MSN or LAST-PART is missing for';
      return [`${nameOf(rendition.url)}: ${what} ${nameOf(other.url)}`];
    });
  });
  return unless(complaints, `${renditions.length} renditions report each other`);
};

const judgeDates = (observation: Observation): Verdict => {
  const lines = new Map<string, string>();
  const complaints: string[] = [];
  for (const { line, attributes } of observation.renditions
    .flatMap(playlistsOf)
    .flatMap(({ dateRanges }) => dateRanges)) {
    const { ID = '', 'START-DATE': startDate = '' } = attributes;
    if (ID === '' || Number.isNaN(Date.parse(startDate))) {
      complaints.push(`without ID or START-DATE: ${line.slice(0, 80)}`);
    }
    const before = lines.get(ID);
    if (before !== undefined && before !== startDate) {
      complaints.push(`START-DATE of ${ID} changed`);
    }
    lines.set(ID, startDate);
  }
  return lines.size === 0
    ? notApplicable('no EXT-X-DATERANGE was listed meanwhile')
    : unless(complaints, `${lines.size} dates, stable`);
};

const judgeDiscontinuities = (observation: Observation): Verdict => {
  const counts = observation.renditions.map((rendition) => {
    const segments = reloadsOf(rendition).at(-1)?.playlist.segments ?? [];
    return { marks: segments.filter(({ isDiscontinuity }) => isDiscontinuity).length, segments: segments.length };
  });
  const marks = Math.max(...counts.map((count) => count.marks));
  const evidence = `${marks} discontinuities in ${counts[0]?.segments ?? 0} segments`;
  return counts.some((count) => count.segments >= 4 && count.marks > count.segments / 2)
    ? broken(`${evidence}: at each keyframe?`)
    : kept(evidence);
};

const judgeMultivariant = (observation: Observation): Verdict => {
  const { multivariant } = observation;
  if (multivariant === undefined) {
    return notApplicable('the URL is a media playlist');
  }
  const complaints = multivariant.variants.flatMap(({ attributes }) => {
    const isAudioOnly = /^(mp4a|opus|ac-3|ec-3|fLaC)[^,]*$/i.test(attributes['CODECS'] ?? '');
    const wanted = ['BANDWIDTH', 'CODECS', ...(isAudioOnly ? [] : ['RESOLUTION', 'FRAME-RATE'])];
    return wanted.filter((name) => attributes[name] === undefined).map((name) => `a variant has no ${name}`);
  });
  return unless(
    [
      ...complaints,
      ...(multivariant.isIndependent ? [] : ['no EXT-X-INDEPENDENT-SEGMENTS']),
      ...misalignments(observation),
    ],
    `${multivariant.variants.length} variants, numbers and dates aligned`,
  );
};

/** The same number means the same time in every rendition, within half a target duration. */
const misalignments = (observation: Observation): string[] => {
  const [main, ...others] = observation.renditions;
  if (main === undefined) {
    return [];
  }
  const datesOf = (rendition: RenditionObservation): Map<number, number> =>
    new Map(
      playlistsOf(rendition)
        .flatMap(({ segments }) => segments)
        .flatMap(({ msn, dateMs }) => (dateMs === undefined ? [] : [[msn, dateMs] as const])),
    );
  const mainDates = datesOf(main);
  const limitMs = main.first.playlist.targetDurationS * 500;
  return others.flatMap((other) => {
    const off = [...datesOf(other)].find(
      ([msn, dateMs]) => Math.abs(dateMs - (mainDates.get(msn) ?? dateMs)) > limitMs,
    );
    return off === undefined
      ? []
      : [`${nameOf(other.url)}: segment ${off[0]} is at another time than the first variant's`];
  });
};

const judgeTargetDuration = (observation: Observation): Verdict => {
  for (const rendition of observation.renditions) {
    const targets = new Set(playlistsOf(rendition).map(({ targetDurationS }) => targetDurationS));
    if (targets.size > 1) {
      return broken(`TARGETDURATION changed: ${[...targets].join(', then ')}`);
    }
  }
  return eachPlaylist(
    observation,
    (playlist) => {
      const long = completeOf(playlist).find(({ durationS }) => Math.round(durationS ?? 0) > playlist.targetDurationS);
      return long === undefined
        ? undefined
        : `EXTINF ${long.durationS} over TARGETDURATION ${playlist.targetDurationS}`;
    },
    (first) => `always ${first.targetDurationS}`,
  );
};

export const PLAYLIST_ROWS: readonly Row[] = [
  {
    ...{ id: 'L1', level: 'MUST', title: 'CAN-BLOCK-RELOAD=YES' },
    judge: (observation) =>
      eachPlaylist(
        observation,
        (playlist) => (playlist.isEnded || playlist.control['CAN-BLOCK-RELOAD'] === 'YES' ? undefined : 'not offered'),
        () => 'in every playlist',
      ),
  },
  {
    ...{ id: 'L2', level: 'MUST', title: 'PART-HOLD-BACK at least 3 PART-TARGET' },
    judge: (observation) =>
      eachPlaylist(
        observation,
        (playlist) => {
          const ratio = control(playlist, 'PART-HOLD-BACK') / (playlist.partTargetS ?? Number.NaN);
          return ratio >= 3 - 1e-6 ? undefined : `${ratio.toFixed(2)} x PART-TARGET`;
        },
        (first) => `${control(first, 'PART-HOLD-BACK')} s for parts of ${first.partTargetS} s`,
      ),
  },
  {
    ...{ id: 'L3', level: 'MUST', title: 'HOLD-BACK, if stated, at least 3 TARGETDURATION' },
    judge: (observation) =>
      eachPlaylist(
        observation,
        (playlist) =>
          control(playlist, 'HOLD-BACK') < 3 * playlist.targetDurationS
            ? `${control(playlist, 'HOLD-BACK')} s`
            : undefined,
        (first) => (first.control['HOLD-BACK'] === undefined ? 'not stated' : `${first.control['HOLD-BACK']} s`),
      ),
  },
  { ...{ id: 'L4', level: 'MUST', title: 'parts 85 to 100 % of a PART-TARGET that never changes' }, judge: judgeParts },
  { ...{ id: 'L5', level: 'SHOULD', title: 'PART-TARGET at least 3 round trips' }, judge: judgeRoundTrip },
  { ...{ id: 'L17', level: 'MUST', title: 'RENDITION-REPORT for every other rendition' }, judge: judgeReports },
  {
    ...{ id: 'L19', level: 'MUST', title: 'EXT-X-PROGRAM-DATE-TIME in every live playlist' },
    judge: (observation) =>
      eachPlaylist(
        observation,
        (playlist) =>
          playlist.segments.length === 0 || playlist.segments.some(({ dateMs }) => dateMs !== undefined)
            ? undefined
            : 'none',
        () => 'in every playlist',
      ),
  },
  {
    ...{ id: 'L20', level: 'SHOULD', title: 'parts listed only within 3 TARGETDURATION of the end' },
    judge: (observation) =>
      eachPlaylist(
        observation,
        partsReachComplaint,
        (first) => `window of ${lengthS(first).toFixed(0)} s, parts at its end only`,
      ),
  },
  {
    ...{ id: 'L21', level: 'MUST', title: 'TARGETDURATION never changes, EXTINF rounds to it or less' },
    judge: judgeTargetDuration,
  },
  { ...{ id: 'L26', level: 'MUST', title: 'EXT-X-DATERANGE well-formed and stable' }, judge: judgeDates },
  {
    ...{ id: 'L27', level: 'MUST', title: 'discontinuities only where something changed' },
    judge: judgeDiscontinuities,
  },
  { ...{ id: 'L28', level: 'MUST', title: 'multivariant complete, renditions aligned' }, judge: judgeMultivariant },
];
