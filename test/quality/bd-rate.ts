/**
 * Bjøntegaard's rate difference: how many bits more or less one encoder needs than another for the same score, averaged over the scores
 * that both reach. Pure. Interpolated by a monotone piecewise cubic (PCHIP, as ITU-T HSTP-VID-WPOM has it), since one cubic through all
 * points swings where points are far apart.
 */

/** `rate` in any unit, the same for both; `score` higher is better. */
export type RatePoint = { readonly rate: number; readonly score: number };

export type BdRate = {
  /** Bits saved are below 0: -0.3 is 30 % fewer for the same score. */
  readonly ratio: number;
  /** The scores that both curves reach. */
  readonly scoreMin: number;
  readonly scoreMax: number;
};

/** Fewer make no curve. */
const POINTS_MIN_COUNT = 3;

/** Undefined when a curve has too few rising points, or no score is reached by both. Points may come in any order. */
export const bdRate = (anchor: readonly RatePoint[], other: readonly RatePoint[]): BdRate | undefined => {
  const [a, b] = [logRateCurve(anchor), logRateCurve(other)];
  if (a === undefined || b === undefined) {
    return undefined;
  }
  const scoreMin = Math.max(a.from, b.from);
  const scoreMax = Math.min(a.to, b.to);
  if (!(scoreMax > scoreMin)) {
    return undefined;
  }
  const meanLogRatio = (b.integral(scoreMin, scoreMax) - a.integral(scoreMin, scoreMax)) / (scoreMax - scoreMin);
  return { ratio: Math.exp(meanLogRatio) - 1, scoreMin, scoreMax };
};

/** SSIM on a scale on which equal steps are equally seen, as ffmpeg prints it in brackets; BD-rates over it do not hang on the worst pictures alone. */
export const ssimDb = (ssim: number): number => -10 * Math.log10(Math.max(1 - ssim, 1e-10));

/** The rate at which a curve reaches a score; undefined beyond its ends. */
export const rateAt = (points: readonly RatePoint[], score: number): number | undefined => {
  const curve = logRateCurve(points);
  return curve === undefined || score < curve.from || score > curve.to ? undefined : Math.exp(curve.at(score));
};

type Curve = {
  readonly from: number;
  readonly to: number;
  at(score: number): number;
  integral(from: number, to: number): number;
};

/** Log of rate over score. A point that costs more than the next better one is beaten by it and left out. */
const logRateCurve = (points: readonly RatePoint[]): Curve | undefined => {
  const sorted = points.toSorted((a, b) => a.score - b.score || b.rate - a.rate);
  const rising = sorted.filter((point, index) =>
    sorted.slice(index + 1).every((better) => better.rate > point.rate && better.score > point.score),
  );
  return rising.length < POINTS_MIN_COUNT
    ? undefined
    : pchip(
        rising.map(({ score }) => score),
        rising.map(({ rate }) => Math.log(rate)),
      );
};

type Piece = { readonly from: number; readonly to: number; readonly coefficients: readonly number[] };

/** Fritsch and Carlson's monotone cubic through points whose `x` strictly rise. */
const pchip = (x: readonly number[], y: readonly number[]): Curve => {
  const widths = x.slice(1).map((each, index) => each - x[index]!);
  const slopes = widths.map((width, index) => (y[index + 1]! - y[index]!) / width);
  const tangents = tangentsOf(widths, slopes);
  const pieces = widths.map((width, index): Piece => {
    const [slope, left, right] = [slopes[index]!, tangents[index]!, tangents[index + 1]!];
    const coefficients = [
      y[index]!,
      left,
      (3 * slope - 2 * left - right) / width,
      (left + right - 2 * slope) / (width * width),
    ];
    return { from: x[index]!, to: x[index + 1]!, coefficients };
  });
  return {
    from: x[0]!,
    to: x.at(-1)!,
    at: (score) => {
      const piece = pieces.find(({ to }) => score <= to) ?? pieces.at(-1)!;
      return powerSum(piece.coefficients, score - piece.from);
    },
    integral: (from, to) => pieces.reduce((sum, piece) => sum + integralOf(piece, from, to), 0),
  };
};

const tangentsOf = (widths: readonly number[], slopes: readonly number[]): number[] => {
  const inner = slopes.slice(1).map((slope, index) => {
    const [before, widthBefore, width] = [slopes[index]!, widths[index]!, widths[index + 1]!];
    if (before * slope <= 0) {
      return 0;
    }
    const [w1, w2] = [2 * width + widthBefore, width + 2 * widthBefore];
    return (w1 + w2) / (w1 / before + w2 / slope);
  });
  return [
    endTangent([widths[0]!, widths[1]!], [slopes[0]!, slopes[1]!]),
    ...inner,
    endTangent([widths.at(-1)!, widths.at(-2)!], [slopes.at(-1)!, slopes.at(-2)!]),
  ];
};

/** One-sided, by three points; kept from overshooting. */
const endTangent = (widths: readonly [number, number], slopes: readonly [number, number]): number => {
  const [width, next] = widths;
  const tangent = ((2 * width + next) * slopes[0] - width * slopes[1]) / (width + next);
  if (tangent * slopes[0] <= 0) {
    return 0;
  }
  return slopes[0] * slopes[1] <= 0 && Math.abs(tangent) > Math.abs(3 * slopes[0]) ? 3 * slopes[0] : tangent;
};

const powerSum = (coefficients: readonly number[], x: number): number =>
  coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);

const integralOf = ({ from, to, coefficients }: Piece, wantedFrom: number, wantedTo: number): number => {
  const [left, right] = [Math.max(from, wantedFrom), Math.min(to, wantedTo)];
  if (right <= left) {
    return 0;
  }
  const primitive = [0, ...coefficients.map((coefficient, power) => coefficient / (power + 1))];
  return powerSum(primitive, right - from) - powerSum(primitive, left - from);
};
