/** What the commands of `npm run learn` have in common: numbers as they were written, and the end of one that cannot go on. */

export const fail = (text: string): never => {
  console.error(`learn: ${text}`);
  process.exit(2);
};

/** Of `--name`, between these; anything else ends the command with a sentence. */
export const numberOf = (name: string, value: string, [min, max]: readonly [number, number]): number => {
  const number = Number(value);
  return Number.isFinite(number) && number >= min && number <= max
    ? number
    : fail(`--${name}: expected ${min} to ${max}, got ${value}`);
};
