/** Times as people write, read and hear them. */

/** `1:02:03`, `2:03`. */
export const clockText = (ms: number): string => {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
};

/** For screen readers: `1 hour 2 minutes 3 seconds`. */
export const spokenTime = (ms: number): string => {
  const whole = Math.floor(Math.max(0, ms) / 1000);
  const parts = [
    [Math.floor(whole / 3600), 'hour'],
    [Math.floor(whole / 60) % 60, 'minute'],
    [whole % 60, 'second'],
  ] as const;
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}${count === 1 ? '' : 's'}`);
  return said.length === 0 ? '0 seconds' : said.join(' ');
};

/** `1h2m3s`, as it stands behind `#t=`. */
export const linkTime = (seconds: number): string => {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return `${hours > 0 ? `${hours}h` : ''}${minutes > 0 ? `${minutes}m` : ''}${whole % 60}s`;
};

/** Seconds of `75`, `1:15`, `1:02:03`, `1h2m3s`; null for what is no time. */
export const parseTime = (text: string): number | null => {
  const letters = /^(?=.)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?$/i.exec(text.trim());
  const parts = letters?.slice(1) ?? /^(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)$/.exec(text.trim())?.slice(1);
  if (parts === undefined) {
    return null;
  }
  const [hours = 0, minutes = 0, seconds = 0] = parts.map((part) => Number(part ?? 0));
  return hours * 3600 + minutes * 60 + seconds;
};

/** What `#t=` of an address asks for, in seconds. */
export const linkedTime = (hash: string): number | null => {
  const match = /^#(?:.*&)?t=([^&]+)/.exec(hash);
  try {
    return match === null ? null : parseTime(decodeURIComponent(match[1] ?? ''));
  } catch {
    return null;
  }
};
