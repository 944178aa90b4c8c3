/** Small symmetric systems: the factor of a positive definite matrix, and solving with it. Matrices lie row by row in one array. Pure. */

/** Lower triangle L with L·Lᵀ = `matrix` (n × n), in place of it; false: it is not positive definite, and spoilt. */
export const factorise = (matrix: Float64Array, n: number): boolean => {
  for (let row = 0; row < n; row += 1) {
    for (let column = 0; column <= row; column += 1) {
      let sum = matrix[row * n + column] ?? 0;
      for (let index = 0; index < column; index += 1) {
        sum -= (matrix[row * n + index] ?? 0) * (matrix[column * n + index] ?? 0);
      }
      if (row === column) {
        if (!(sum > 0) || !Number.isFinite(sum)) {
          return false;
        }
        matrix[row * n + row] = Math.sqrt(sum);
      } else {
        matrix[row * n + column] = sum / (matrix[column * n + column] ?? 1);
      }
    }
  }
  return true;
};

/** y with L·y = `vector`, in its place. */
export const solveLower = (factor: Float64Array, n: number, vector: Float64Array): void => {
  for (let row = 0; row < n; row += 1) {
    let sum = vector[row] ?? 0;
    for (let index = 0; index < row; index += 1) {
      sum -= (factor[row * n + index] ?? 0) * (vector[index] ?? 0);
    }
    vector[row] = sum / (factor[row * n + row] ?? 1);
  }
};

/** y with Lᵀ·y = `vector`, in its place. */
export const solveUpper = (factor: Float64Array, n: number, vector: Float64Array): void => {
  for (let row = n - 1; row >= 0; row -= 1) {
    let sum = vector[row] ?? 0;
    for (let index = row + 1; index < n; index += 1) {
      sum -= (factor[index * n + row] ?? 0) * (vector[index] ?? 0);
    }
    vector[row] = sum / (factor[row * n + row] ?? 1);
  }
};
