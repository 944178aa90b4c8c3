/** How results are written down as JSON. */

const DIGITS = 6;

/** For `JSON.stringify`: no more digits than mean something, and no drawings, of which there are ten thousand an interval. */
export const rounded = (_name: string, value: unknown): unknown => {
  if (value instanceof Float64Array) {
    return undefined;
  }
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
};
