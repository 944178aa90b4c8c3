/** The two requests of a WHEP viewer: POST of the offer, repeated as a player does when the server is busy; DELETE of the session. */
import { WorldError } from '../../../server/base/errors.ts';
import type { HttpAnswer } from '../../../server/base/http-exchange.ts';
import { passMs } from '../../support/wait.ts';

const ANSWER_MAX_MS = 15_000;
const DELETE_MAX_MS = 5_000;
const RETRY_MAX_COUNT = 3;
const RETRY_AFTER_MAX_S = 5;
const BUSY_STATUSES = [429, 503];

export type PostedOffer = HttpAnswer & { readonly sessionUrl: string | undefined };

/**
 * Rejects with `WorldError` `ANSWER_TIMEOUT`, `HTTP_REFUSED` (no connection) or `SESSION_ELSEWHERE` (a session at a host that was not named).
 * Redirects are not followed: the load goes to the host it was given.
 */
export const postOffer = async (options: {
  url: string;
  bearer: string | undefined;
  offer: string;
}): Promise<PostedOffer> => {
  for (let tries = 0; ; tries += 1) {
    const answer = await postOnce(options);
    const retryAfterS = Number(answer.headers['retry-after'] ?? Number.NaN);
    const mayRetry = BUSY_STATUSES.includes(answer.status) && retryAfterS <= RETRY_AFTER_MAX_S;
    if (!mayRetry || tries >= RETRY_MAX_COUNT) {
      return answer;
    }
    await passMs(1000 * Math.max(0.2, retryAfterS));
  }
};

const postOnce = async (options: { url: string; bearer: string | undefined; offer: string }): Promise<PostedOffer> => {
  try {
    const response = await fetch(options.url, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', ...authorisation(options.bearer) },
      body: options.offer,
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_MAX_MS),
    });
    const body = await response.text();
    const location = response.headers.get('location');
    const sessionUrl = location === null ? undefined : new URL(location, options.url);
    if (response.status === 201 && sessionUrl !== undefined && sessionUrl.host !== new URL(options.url).host) {
      throw new WorldError('SESSION_ELSEWHERE', `the session is at ${sessionUrl.host}`);
    }
    return {
      ...{ status: response.status, headers: Object.fromEntries(response.headers), body },
      sessionUrl: sessionUrl?.href,
    };
  } catch (error) {
    throw httpFault(error);
  }
};

/** Whatever comes of it: the viewer is gone. */
export const deleteSession = async (options: { url: string; bearer: string | undefined }): Promise<void> => {
  await fetch(options.url, {
    ...{ method: 'DELETE', headers: authorisation(options.bearer) },
    signal: AbortSignal.timeout(DELETE_MAX_MS),
  }).then(
    async (response) => response.arrayBuffer(),
    () => undefined,
  );
};

const authorisation = (bearer: string | undefined): Record<string, string> =>
  bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };

const httpFault = (error: unknown): WorldError => {
  if (error instanceof WorldError) {
    return error;
  }
  const isTimeout = error instanceof Error && error.name === 'TimeoutError';
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return new WorldError(isTimeout ? 'ANSWER_TIMEOUT' : 'HTTP_REFUSED', String(cause), error);
};
