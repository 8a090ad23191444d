import { assertNumber, isProbability } from './internal/numbers.ts';

/**
 * Quantile function of the standard normal distribution, relative error about 1e-16 (Wichura 1988, algorithm AS 241).
 *
 * @param p probability in (0, 1); 0 and 1 give infinities
 * @throws {SamplerError} `BAD_NUMBER` when p is no probability
 *
 * @example
 * ```ts
 * import { probit } from '@musubi/samplers';
 *
 * console.log(probit(0.975).toFixed(4)); // 1.9600
 * ```
 */
export function probit(p: number): number {
  assertNumber('p', p, isProbability, 'a probability from 0 to 1');
  return rationalProbit(p - 0.5, Math.min(p, 1 - p));
}

/**
 * The normal number of a stored uniform one, as float32 arithmetic gives it:
 *
 *     c = clamp(u, 1e-7, 1 − 1e-7),   z = √2·erfinv(2c − 1)
 *
 * Clamping and `2c − 1` are rounded to float32, which matters only at the ends.
 */
export function probitClamped(u: number): number {
  const clamped = Math.min(Math.max(Math.fround(u), Math.fround(1e-7)), Math.fround(1 - 1e-7));
  const q = Math.fround(2 * clamped - 1) / 2;
  return rationalProbit(q, 0.5 - Math.abs(q));
}

/** The quantile of `q + ½`; `tail` is the smaller of that probability and its complement, without cancellation. */
function rationalProbit(q: number, tail: number): number {
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * polynomial(centre.numerator, r)) / polynomial(centre.denominator, r);
  }
  if (tail <= 0) return q < 0 ? -Infinity : Infinity;
  const r = Math.sqrt(-Math.log(tail));
  const { numerator, denominator, offset } = r <= 5 ? near : far;
  const z = polynomial(numerator, r - offset) / polynomial(denominator, r - offset);
  return q < 0 ? -z : z;
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, c) => sum * x + c, 0);
}

// Coefficients of the three rational approximations, constant term first.
const centre = {
  numerator: [
    3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987, 67265.7709270087,
    33430.57558358813, 2509.0809287301227,
  ],
  denominator: [
    1, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
    28729.085735721943, 5226.495278852546,
  ],
};
const near = {
  offset: 1.6,
  numerator: [
    1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
    0.2417807251774506, 0.022723844989269184, 0.0007745450142783414,
  ],
  denominator: [
    1, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
    0.0005475938084995345, 1.0507500716444169e-9,
  ],
};
const far = {
  offset: 5,
  numerator: [
    6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487, 0.026532189526576124,
    0.0012426609473880784, 0.000027115555687434876, 2.0103343992922881e-7,
  ],
  denominator: [
    1, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133, 0.000018463183175100548,
    1.421511758316446e-7, 2.0442631033899397e-15,
  ],
};
