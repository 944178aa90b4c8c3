/** `EXT-X-DATERANGE` as text (RFC 8216bis 4.4.5.1), for live playlists and for those of recordings. */

export type DateRangeText = {
  readonly id: string;
  /** Reverse-DNS name of what it means. */
  readonly class: string;
  readonly startAtWallMs: number;
  /** Undefined while it is not known. */
  readonly durationMs: number | undefined;
  /** `X-…` by name. Texts may hold anything: what may not stand in a quoted string goes out percent-encoded, for `decodeURIComponent`. */
  readonly attributes: Readonly<Record<string, string | number>>;
};

export const dateRangeLine = (range: DateRangeText): string => {
  const attributes = [
    `ID="${range.id}"`,
    `CLASS="${encode(range.class)}"`,
    `START-DATE="${new Date(Math.round(range.startAtWallMs)).toISOString()}"`,
    ...(range.durationMs === undefined ? [] : [`DURATION=${(range.durationMs / 1000).toFixed(3)}`]),
    ...Object.entries(range.attributes).map(
      ([name, value]) => `${name}=${typeof value === 'number' ? value : `"${encode(value)}"`}`,
    ),
  ];
  return `#EXT-X-DATERANGE:${attributes.join(',')}`;
};

/** A quoted string may hold neither quotes nor line ends (4.2). */
const encode = (text: string): string =>
  text.replaceAll(/[%"\p{Cc}\u2028\u2029]/gu, (character) => encodeURIComponent(character));
