/** Eigenvalues and eigenvectors of a small symmetric matrix by cyclic Jacobi rotations: slow for large ones, exact and deterministic for ours. */

const SWEEP_MAX_COUNT = 60;

export type Eigen = {
  readonly values: readonly number[];
  /** `vectors[row][k]`: column k belongs to `values[k]`; orthonormal. */
  readonly vectors: readonly (readonly number[])[];
};

export const eigenOf = (matrix: readonly (readonly number[])[]): Eigen => {
  const size = matrix.length;
  const a = matrix.map((row) => [...row]);
  const vectors = a.map((_, row) => a.map((_column, column) => (row === column ? 1 : 0)));
  for (let sweep = 0; sweep < SWEEP_MAX_COUNT && offDiagonal(a) > 0; sweep += 1) {
    for (let p = 0; p < size - 1; p += 1) {
      for (let q = p + 1; q < size; q += 1) {
        rotate(a, vectors, p, q);
      }
    }
  }
  return { values: a.map((row, index) => row[index]!), vectors };
};

/** Zero once what is left cannot change the diagonal any more. */
const offDiagonal = (a: readonly (readonly number[])[]): number => {
  let off = 0;
  let diagonal = 0;
  for (let row = 0; row < a.length; row += 1) {
    diagonal += Math.abs(a[row]![row]!);
    for (let column = row + 1; column < a.length; column += 1) {
      off += Math.abs(a[row]![column]!);
    }
  }
  return off <= diagonal * Number.EPSILON ? 0 : off;
};

/** Makes a[p][q] zero. */
const rotate = (a: number[][], vectors: number[][], p: number, q: number): void => {
  const rowP = a[p]!;
  const rowQ = a[q]!;
  const apq = rowP[q]!;
  if (apq === 0) {
    return;
  }
  const theta = (rowQ[q]! - rowP[p]!) / (2 * apq);
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (const row of a) {
    turn(row, p, q, c, s);
  }
  for (let column = 0; column < a.length; column += 1) {
    const x = rowP[column]!;
    const y = rowQ[column]!;
    rowP[column] = c * x - s * y;
    rowQ[column] = s * x + c * y;
  }
  for (const row of vectors) {
    turn(row, p, q, c, s);
  }
};

const turn = (row: number[], p: number, q: number, c: number, s: number): void => {
  const x = row[p]!;
  const y = row[q]!;
  row[p] = c * x - s * y;
  row[q] = s * x + c * y;
};
