/** One attempt to hand an event to a receiver. A redirect is not followed: it would carry what is meant for one place to another. */
import { WorldError, messageOf } from '../base/errors.ts';

export type HookAnswer = {
  readonly status: number;
  /** As `Retry-After` says, in seconds only. */
  readonly retryAfterMs: number | undefined;
};

/** Rejects with `WorldError` `WEBHOOK_UNREACHABLE` or `WEBHOOK_TIMEOUT`. What the receiver says beyond its status is not read. */
export const postHook = async (
  url: string,
  { headers, body, timeoutMs }: { headers: Readonly<Record<string, string>>; body: string; timeoutMs: number },
): Promise<HookAnswer> => {
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
    const retryAfter = /^\d{1,6}$/.exec(response.headers.get('retry-after') ?? '')?.[0];
    await response.body?.cancel();
    return { status: response.status, retryAfterMs: retryAfter === undefined ? undefined : Number(retryAfter) * 1000 };
  } catch (error) {
    const isTimeout = error instanceof DOMException && error.name === 'TimeoutError';
    throw new WorldError(
      isTimeout ? 'WEBHOOK_TIMEOUT' : 'WEBHOOK_UNREACHABLE',
      isTimeout ? `no answer in ${timeoutMs} ms` : causeOf(error),
      error,
    );
  }
};

/** `fetch failed` says nothing; what it was is in the cause. */
const causeOf = (error: unknown): string =>
  error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
