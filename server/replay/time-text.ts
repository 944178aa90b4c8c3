/** Times as people write them: seconds (`75`, `75.5`), `1:15`, `1:02:03`, `1h2m3s`. */

const HOUR_S = 3_600;
const MINUTE_S = 60;
/** A week: longer than any recording. */
const TIME_MAX_S = 7 * 24 * HOUR_S;

/** Milliseconds; undefined for what is no time. */
export const parseTimeText = (text: string): number | undefined => {
  const seconds = text.length > 32 ? undefined : (fromColons(text) ?? fromLetters(text));
  return seconds === undefined || !(seconds <= TIME_MAX_S) ? undefined : Math.round(seconds * 1000);
};

const fromColons = (text: string): number | undefined => {
  const match = /^(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)$/.exec(text);
  if (match === null) {
    return undefined;
  }
  const [, hours, minutes, seconds] = match.map((part) => Number(part ?? 0));
  const isClock = match[2] !== undefined;
  const isInside = !isClock || ((seconds ?? 0) < MINUTE_S && (match[1] === undefined || (minutes ?? 0) < MINUTE_S));
  return isInside ? (hours ?? 0) * HOUR_S + (minutes ?? 0) * MINUTE_S + (seconds ?? 0) : undefined;
};

const fromLetters = (text: string): number | undefined => {
  const match = /^(?=.)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(text);
  if (match === null) {
    return undefined;
  }
  const [, hours = 0, minutes = 0, seconds = 0] = match.map((part) => Number(part ?? 0));
  return hours * HOUR_S + minutes * MINUTE_S + seconds;
};
