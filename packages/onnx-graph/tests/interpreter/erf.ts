/**
 * Error function, to a few units of the last place (Abramowitz & Stegun 1964, 7.1.6 and 7.1.14).
 *
 *     |x| < 3:  2/√π · e^{−x²} · Σ 2ⁿ x^{2n+1} / (2n+1)!!
 *     else:     1 − e^{−x²}/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …))))
 */
export function erf(x: number): number {
  if (x < 0) return -erf(-x);
  if (x > 6) return 1;
  const scale = Math.exp(-x * x) / Math.sqrt(Math.PI);
  if (x < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 2 * scale * sum;
  }
  let tail = x;
  for (let n = 60; n > 0; n--) tail = x + n / 2 / tail;
  return 1 - scale / tail;
}
