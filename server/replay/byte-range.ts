/** `Range`, `If-Range`, `If-None-Match` (RFC 9110 13, 14): what part of a representation of known size is asked for. Pure. */

export type RangeChoice =
  | { readonly kind: 'whole' }
  /** `endByte` is the first one not sent. */
  | { readonly kind: 'part'; readonly startByte: number; readonly endByte: number }
  | { readonly kind: 'out-of-bounds' }
  | { readonly kind: 'several' };

/** A header that is not understood is as good as none (14.2). */
export const chooseRange = (
  headers: Readonly<Record<string, string | undefined>>,
  representation: { readonly sizeBytes: number; readonly etag: string },
): RangeChoice => {
  const { range } = headers;
  const ifRange = headers['if-range'];
  if (range === undefined || (ifRange !== undefined && ifRange !== representation.etag)) {
    return { kind: 'whole' };
  }
  if (/^bytes=[^,]*\d[^,]*,/.test(range)) {
    return { kind: 'several' };
  }
  const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/.exec(range);
  const [, first = '', last = ''] = match ?? [];
  if (
    match === null ||
    (first === '' && last === '') ||
    (first !== '' && last !== '' && Number(last) < Number(first))
  ) {
    return { kind: 'whole' };
  }
  return bounded(first, last, representation.sizeBytes);
};

const bounded = (first: string, last: string, sizeBytes: number): RangeChoice => {
  if (first === '') {
    // The last so many bytes.
    const count = Math.min(Number(last), sizeBytes);
    return count === 0 ? { kind: 'out-of-bounds' } : { kind: 'part', startByte: sizeBytes - count, endByte: sizeBytes };
  }
  const startByte = Number(first);
  if (startByte >= sizeBytes) {
    return { kind: 'out-of-bounds' };
  }
  return { kind: 'part', startByte, endByte: last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) };
};

/** Whether `If-None-Match` names this representation; weakly compared. */
export const isNotModified = (ifNoneMatch: string | undefined, etag: string): boolean =>
  (ifNoneMatch ?? '').split(',').some((one) => {
    const tag = one.trim();
    return tag === '*' || tag.replace(/^W\//, '') === etag;
  });
