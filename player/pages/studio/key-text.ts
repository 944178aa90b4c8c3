/** What a host pastes as a key: the line for OBS as it is (`NAME?key=SECRET`), or the secret alone. Pure. */

export type KeyText = {
  /** Null when only the secret was given. */
  readonly name: string | null;
  readonly secret: string;
};

/** Null when there is nothing in it. Addresses in front (`rtmp://HOST/live/NAME?key=…`) and the words of the server's greeting do no harm. */
export const readKeyText = (text: string): KeyText | null => {
  const whole = text.trim();
  const line = /([A-Za-z0-9_-]{1,64})\?key=([\x21-\x7e]+)$/.exec(whole);
  if (line !== null) {
    return { name: line[1] ?? null, secret: line[2] ?? '' };
  }
  const secret = whole.split(/\s+/).at(-1) ?? '';
  return secret === '' ? null : { name: null, secret };
};
