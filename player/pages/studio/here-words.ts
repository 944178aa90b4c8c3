/** What to say of a session that publishes from this page, and whether to try again by itself. Pure. */
import { bitrateText } from '../../ui/texts.ts';
import type { WhipProblem, WhipView } from '../../transport/whip.ts';
import type { StudioTexts } from './texts.ts';
import { fill } from './texts.ts';

/** A host whose network flaps is brought back; what the server or another publisher has decided stays so. */
export const isTriedAgain = (problem: WhipProblem | null, wasLive: boolean): boolean => {
  if (problem?.kind === 'refused') {
    return problem.retryAfterMs !== null;
  }
  return wasLive && (problem?.kind === 'unreachable' || problem?.kind === 'path-lost');
};

export const viewWords = ({ state, problem }: WhipView, sentBps: number | null, texts: StudioTexts): string => {
  const words: Readonly<Record<WhipView['state'], string>> = {
    idle: '',
    connecting: texts.hereConnecting,
    live: fill(texts.hereLive, { rate: bitrateText(sentBps ?? 0) || '…' }),
    interrupted: texts.hereInterrupted,
    ended: problem === null ? texts.hereEnded : problemWords(problem, texts),
  };
  return words[state];
};

const problemWords = (problem: WhipProblem, texts: StudioTexts): string => {
  if (problem.kind === 'refused') {
    return fill(texts.hereDeclined, { why: problem.detail || (problem.code ?? String(problem.status)) });
  }
  const words: Readonly<Record<Exclude<WhipProblem['kind'], 'refused'>, string>> = {
    unreachable: texts.hereUnreachable,
    'no-h264': texts.hereNoH264,
    'path-lost': texts.herePathLost,
    'ended-by-server': texts.hereTaken,
  };
  return words[problem.kind];
};

/** Why a browser did not hand over a camera or a screen. */
export const captureWords = (error: unknown, texts: StudioTexts): string =>
  error instanceof DOMException && (error.name === 'NotAllowedError' || error.name === 'SecurityError')
    ? texts.hereRefused
    : texts.hereAbsent;
