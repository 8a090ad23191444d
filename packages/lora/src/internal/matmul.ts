/** `A·B` of row-major matrices `[rows, inner]` and `[inner, columns]`, summed in double and rounded once. */
export function matmul(a: Float32Array, b: Float32Array, rows: number, inner: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns);
  const row = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    row.fill(0);
    for (let k = 0; k < inner; k++) {
      const factor = a[i * inner + k]!;
      const start = k * columns;
      for (let j = 0; j < columns; j++) row[j] = row[j]! + factor * b[start + j]!;
    }
    out.set(row, i * columns);
  }
  return out;
}

/** `A ⊗ B` of row-major matrices `[l, m]` and `[k, n]`: `[l·k, m·n]`. */
export function kron(a: Float32Array, b: Float32Array, [l, m]: Size, [k, n]: Size): Float32Array {
  const out = new Float32Array(l * k * m * n);
  for (let i = 0; i < l; i++) {
    for (let j = 0; j < m; j++) {
      const factor = a[i * m + j]!;
      for (let p = 0; p < k; p++) {
        const target = (i * k + p) * m * n + j * n;
        for (let q = 0; q < n; q++) out[target + q] = factor * b[p * n + q]!;
      }
    }
  }
  return out;
}

type Size = readonly [rows: number, columns: number];
