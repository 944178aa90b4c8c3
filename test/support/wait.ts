/** Waiting for a condition with a deadline, so that no test sleeps and hopes. */

const POLL_MS = 25;

/** Resolves when `condition` holds; rejects with `what` after `maxMs`. */
export const within = async (
  maxMs: number,
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> => {
  await withinValue(maxMs, what, async () => ((await condition()) ? true : undefined));
};

/** As `within`, for the first value that is not undefined. */
export const withinValue = async <T>(
  maxMs: number,
  what: string,
  read: () => T | undefined | Promise<T | undefined>,
): Promise<T> => {
  const deadlineMs = performance.now() + maxMs;
  let value = await read();
  while (value === undefined) {
    if (performance.now() > deadlineMs) {
      throw new Error(`not within ${maxMs} ms: ${what}`);
    }
    await passMs(POLL_MS);
    value = await read();
  }
  return value;
};

/** Lets time pass where time itself is what is measured (the length of an observation), never to wait for something. */
export const passMs = async (durationMs: number): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, durationMs));
};
