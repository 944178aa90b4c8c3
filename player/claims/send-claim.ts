/** `POST …/drops/ID/claims`: one claim over HTTP. */
import type { ClaimAnswer } from './claim-answer.ts';
import type { ClaimRequest } from './claim-desk.ts';

/** A server in a storm answers late rather than not at all. */
const ANSWER_MAX_MS = 15_000;
const DEMO_PLACE = 'sluice-demo-player';

/** `drops`: the address below which a broadcast's drops are, slash included. Without a token a made-up name is told, which only `demo` drops go by. */
export const sendClaim =
  (drops: string) =>
  async ({ cue, viewerToken, signal }: ClaimRequest): Promise<ClaimAnswer> => {
    const url = new URL(`${encodeURIComponent(cue.id)}/claims`, drops);
    if (viewerToken === null) {
      url.searchParams.set('player', demoPlayer());
    }
    const response = await fetch(url, {
      method: 'POST',
      headers: viewerToken === null ? {} : { authorization: `Bearer ${viewerToken}` },
      cache: 'no-store',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MAX_MS)]),
    });
    const { status, headers } = response;
    return { status, retryAfter: headers.get('retry-after'), body: await response.text() };
  };

let madeUp: string | undefined;

/** For as long as the tab is open; where nothing can be kept, the page. */
const demoPlayer = (): string => {
  madeUp ??= Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
  try {
    const kept = sessionStorage.getItem(DEMO_PLACE) ?? madeUp;
    sessionStorage.setItem(DEMO_PLACE, kept);
    return /^[0-9a-f]{16}$/.test(kept) ? kept : madeUp;
  } catch {
    return madeUp;
  }
};
