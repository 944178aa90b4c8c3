/** Rows that special requests decide: directives (L6–L13), delta updates (L14, L15), coding and caching (L22–L25). */
import type { Answer } from './http-probe.ts';
import type { Observation, Probe, ProbeName } from './observe.ts';
import { completeOf, lastCompleteMsn, lengthS, openPartCount, readMediaPlaylist } from './playlist-reader.ts';
import type { Row, Verdict } from './row.ts';
import { broken, cannotTell, kept, notApplicable, unless } from './row.ts';

const tookMs = (answer: Answer): number => answer.lastByteAtMs - answer.sentAtMs;
const said = (answer: Answer): string => `${answer.failure ?? answer.status} after ${tookMs(answer).toFixed(0)} ms`;

const withProbe = (observation: Observation, name: ProbeName, judge: (probe: Probe) => Verdict): Verdict => {
  const probe = observation.probes.get(name);
  return probe === undefined ? cannotTell('not asked: no blocking reload, or the stream is over') : judge(probe);
};

/** Less than a part: it did not wait for anything. */
const isAtOnce = ({ before, answer }: Probe): boolean =>
  tookMs(answer) < Math.max(250, (before.partTargetS ?? 1) * 700);

const refusedAtOnce = (observation: Observation, name: ProbeName): Verdict =>
  withProbe(observation, name, (probe) => {
    const verdict = probe.answer.status === 400 && isAtOnce(probe) ? kept : broken;
    return verdict(said(probe.answer));
  });

const judgeInvalid = (observation: Observation): Verdict => {
  const verdicts = (['part-alone', 'msn-not-a-number'] as const).map((name) => ({
    name,
    verdict: withProbe(observation, name, ({ answer }) => (answer.status === 400 ? kept('') : broken(said(answer)))),
  }));
  const wrong = verdicts.filter(({ verdict }) => verdict.state === 'broken');
  const unknown = verdicts.find(({ verdict }) => verdict.state === 'cannot-tell');
  return (
    unknown?.verdict ??
    unless(
      wrong.map(({ name, verdict }) => `${name}: ${verdict.evidence}`),
      'both 400',
    )
  );
};

const judgePastEnd = (observation: Observation): Verdict =>
  withProbe(observation, 'part-past-end', ({ before, answer }) => {
    if (answer.status !== 200) {
      return broken(said(answer));
    }
    const after = readMediaPlaylist(answer.text);
    const hasNext = lastCompleteMsn(after) > lastCompleteMsn(before) || openPartCount(after) > 0;
    return hasNext
      ? kept(`next segment's first part, ${said(answer)}`)
      : broken('answered before the next segment had a part');
  });

const judgeStale = (observation: Observation): Verdict =>
  withProbe(observation, 'msn-stale', (probe) =>
    probe.answer.status === 200 && isAtOnce(probe) ? kept(said(probe.answer)) : broken(said(probe.answer)),
  );

const judgeAfterEnd = (observation: Observation): Verdict => {
  const probe = observation.probes.get('ended');
  return probe === undefined
    ? notApplicable('the stream is live')
    : probe.answer.status === 200
      ? kept('answered with the playlist')
      : broken(said(probe.answer));
};

const judgeFirst = (observation: Observation): Verdict =>
  withProbe(observation, 'plain', (probe) => (isAtOnce(probe) ? kept(said(probe.answer)) : broken(said(probe.answer))));

const judgeDelta = (observation: Observation): Verdict =>
  withProbe(observation, 'skip-yes', ({ before, answer }) => {
    const untilS = Number.parseFloat(before.control['CAN-SKIP-UNTIL'] ?? 'NaN');
    const windowS = lengthS(before);
    if (Number.isNaN(untilS)) {
      return windowS > 120
        ? broken(`not offered, window of ${windowS.toFixed(0)} s`)
        : notApplicable(`not offered; window of ${windowS.toFixed(0)} s`);
    }
    if (untilS < 6 * before.targetDurationS - 1e-6) {
      return broken(`CAN-SKIP-UNTIL ${untilS} under 6 x ${before.targetDurationS}`);
    }
    const delta = readMediaPlaylist(answer.text);
    if (!delta.isDelta) {
      const isLong = windowS > untilS + 2 * before.targetDurationS;
      return isLong
        ? broken(`a full playlist for a window of ${windowS.toFixed(0)} s`)
        : cannotTell(`window of ${windowS.toFixed(0)} s is too short for it yet`);
    }
    return judgeDeltaText(delta, before);
  });

const judgeDeltaText = (delta: ReturnType<typeof readMediaPlaylist>, before: Probe['before']): Verdict => {
  const shownUntil = lastCompleteMsn(delta);
  const complaints = [
    ...(delta.version >= 9 ? [] : [`VERSION ${delta.version} with EXT-X-SKIP`]),
    ...(shownUntil >= lastCompleteMsn(before) ? [] : ['the numbers do not add up']),
  ];
  return unless(
    complaints,
    `${delta.skippedCount} of ${delta.skippedCount + completeOf(delta).length} segments skipped`,
  );
};

const judgeDateDelta = (observation: Observation): Verdict =>
  withProbe(observation, 'skip-v2', ({ before, answer }) => {
    const delta = readMediaPlaylist(answer.text);
    if (answer.status !== 200) {
      return broken(said(answer));
    }
    if (before.control['CAN-SKIP-DATERANGES'] !== 'YES') {
      return delta.isDelta && delta.removedIds === undefined
        ? broken('v2 is not offered and is answered as if it were YES')
        : kept('not offered; v2 gets a full playlist');
    }
    if (!delta.isDelta) {
      return cannotTell('offered; nothing to skip yet');
    }
    return unless(
      [
        ...(delta.version >= 10 ? [] : [`VERSION ${delta.version}`]),
        ...(delta.removedIds === undefined ? ['no RECENTLY-REMOVED-DATERANGES'] : []),
      ],
      `VERSION ${delta.version}, removed: ${delta.removedIds === '' ? 'none' : 'some'}`,
    );
  });

const judgeCoding = (observation: Observation): Verdict =>
  withProbe(observation, 'gzip', ({ answer }) => {
    const coding = answer.headers['content-encoding'] ?? 'none';
    const brotli = observation.probes.get('brotli')?.answer.headers['content-encoding'] === 'br' ? ' and br' : '';
    const vary = answer.headers.vary ?? '';
    return unless(
      [
        ...(coding === 'gzip' ? [] : [`asked for gzip, got ${coding}`]),
        ...(/accept-encoding|\*/i.test(vary) ? [] : ['no Vary: Accept-Encoding']),
      ],
      `gzip${brotli}, Vary`,
    );
  });

/** How long a shared cache may keep it; 0 when it may not. */
const sharedMaxAgeS = (answer: Answer): number => {
  const text = answer.headers['cache-control'] ?? '';
  if (/no-store|no-cache|private/.test(text)) {
    return 0;
  }
  return Number(/s-maxage=(\d+)/.exec(text)?.[1] ?? /max-age=(\d+)/.exec(text)?.[1] ?? 0);
};

const judgeCaching = (observation: Observation): Verdict => {
  const rendition = observation.renditions[0];
  const blocked = rendition?.reloads.find(({ msn }) => msn !== undefined)?.answer;
  const plain = observation.probes.get('plain');
  const segment = observation.probes.get('segment')?.answer;
  const part = rendition?.hinted.find(({ answer }) => answer.status === 200)?.answer;
  if (plain === undefined || rendition === undefined) {
    return cannotTell('no playlist came');
  }
  const targetS = plain.before.targetDurationS;
  const complaints = [
    ...(blocked !== undefined && sharedMaxAgeS(blocked) < 1 ? ['blocked playlists must not be cached'] : []),
    ...(sharedMaxAgeS(plain.answer) > targetS
      ? [`the plain playlist may be kept ${sharedMaxAgeS(plain.answer)} s`]
      : []),
    ...(segment !== undefined && sharedMaxAgeS(segment) < 6 * targetS
      ? [`segments may be kept ${sharedMaxAgeS(segment)} s`]
      : []),
    ...(part !== undefined && sharedMaxAgeS(part) < 6 * targetS ? [`parts may be kept ${sharedMaxAgeS(part)} s`] : []),
  ];
  const blockedS = blocked === undefined ? 0 : sharedMaxAgeS(blocked);
  return unless(
    complaints,
    `blocked ${blockedS} s, plain ${sharedMaxAgeS(plain.answer)} s, media ${segment === undefined ? 0 : sharedMaxAgeS(segment)} s`,
  );
};

const judgeCrowd = (observation: Observation): Verdict => {
  const { crowd } = observation;
  if (crowd.length === 0) {
    return cannotTell('not asked');
  }
  const bodies = new Set(crowd.filter(({ status }) => status === 200).map(({ text }) => text));
  const ends = crowd.map(({ lastByteAtMs }) => lastByteAtMs);
  const evidence = `${crowd.length} at once: ${bodies.size} texts within ${(Math.max(...ends) - Math.min(...ends)).toFixed(0)} ms`;
  return bodies.size === 1 && crowd.every(({ status }) => status === 200) ? kept(evidence) : broken(evidence);
};

const judgeHttp2 = (observation: Observation): Verdict => {
  const { tlsProtocol } = observation;
  if (tlsProtocol === undefined) {
    return notApplicable('plain HTTP (HTTP/2 needs TLS)');
  }
  return tlsProtocol === 'h2' ? kept('h2 negotiated') : broken(tlsProtocol);
};

export const REQUEST_ROWS: readonly Row[] = [
  { ...{ id: 'L6', level: 'MUST', title: '_HLS_part alone, or no number: 400' }, judge: judgeInvalid },
  {
    ...{ id: 'L7', level: 'SHOULD', title: '_HLS_msn far ahead: 400 at once' },
    judge: (observation) => refusedAtOnce(observation, 'msn-far'),
  },
  {
    ...{ id: 'L8', level: 'SHOULD', title: '_HLS_part beyond the advance part limit: 400' },
    judge: (observation) => refusedAtOnce(observation, 'part-far'),
  },
  { ...{ id: 'L9', level: 'MUST', title: "a part past a segment's end is the next one's first" }, judge: judgePastEnd },
  { ...{ id: 'L10', level: 'SHOULD', title: 'a stale _HLS_msn gets the current playlist at once' }, judge: judgeStale },
  { ...{ id: 'L11', level: 'MUST', title: 'directives are ignored after ENDLIST' }, judge: judgeAfterEnd },
  {
    ...{ id: 'L12', level: 'SHOULD', title: 'blocked over 3 TARGETDURATION: 503' },
    judge: () => cannotTell('a live stream goes on; stop its encoder to see'),
  },
  { ...{ id: 'L13', level: 'SHOULD', title: 'a plain request does not wait' }, judge: judgeFirst },
  { ...{ id: 'L14', level: 'SHOULD', title: 'delta updates: CAN-SKIP-UNTIL, EXT-X-SKIP' }, judge: judgeDelta },
  { ...{ id: 'L15', level: 'MUST', title: '_HLS_skip=v2 only with CAN-SKIP-DATERANGES' }, judge: judgeDateDelta },
  { ...{ id: 'L22', level: 'SHOULD', title: 'compressed playlists with Vary' }, judge: judgeCoding },
  { ...{ id: 'L23', level: 'SHOULD', title: 'cache headers fit for a CDN' }, judge: judgeCaching },
  { ...{ id: 'L24', level: 'SHOULD', title: 'identical blocked requests get one answer' }, judge: judgeCrowd },
  { ...{ id: 'L25', level: 'MUST', title: 'HTTP/2' }, judge: judgeHttp2 },
];
