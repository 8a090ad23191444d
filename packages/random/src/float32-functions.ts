// Single-precision logarithm, sine and cosine of the Cephes library (Moshier 1989) with fused multiply-adds, as PyTorch
// computes them when it fills a float32 tensor with normals on a processor with AVX2. Their last bits differ from
// correctly rounded ones, so a generator that has to give the same bits must round at the same places. Polynomials are
// written out: loops over coefficients make them three times slower.

const f32 = Math.fround;

/** `a·b + c`, rounded once: the product of two float32 numbers is exact in double. */
const fma = (a: number, b: number, c: number): number => f32(a * b + c);

const SQRT_HALF = f32(Math.SQRT1_2);
// ln 2 in two parts, so that a multiple of the first is exact.
const LN2_HIGH = f32(0.693359375);
const LN2_LOW = f32(-2.1219444e-4);
// π/4 in three parts, for the same reason.
const QUARTER_PI_HIGH = f32(0.78515625);
const QUARTER_PI_MIDDLE = f32(2.4187564849853516e-4);
const QUARTER_PI_LOW = f32(3.774894977445941e-8);
const FOUR_OVER_PI = f32(1.27323954473516);

const P0 = f32(7.0376836292e-2);
const P1 = f32(-1.151461031e-1);
const P2 = f32(1.167699874e-1);
const P3 = f32(-1.2420140846e-1);
const P4 = f32(1.4249322787e-1);
const P5 = f32(-1.6668057665e-1);
const P6 = f32(2.0000714765e-1);
const P7 = f32(-2.4999993993e-1);
const P8 = f32(3.3333331174e-1);
const S0 = f32(-1.9515295891e-4);
const S1 = f32(8.3321608736e-3);
const S2 = f32(-1.6666654611e-1);
const C0 = f32(2.443315711809948e-5);
const C1 = f32(-1.388731625493765e-3);
const C2 = f32(4.166664568298827e-2);

/**
 * Natural logarithm of `k / 2²⁴`, float32. With k/2²⁴ = (1 + x)·2ᵉ and x around 0: `x − x²/2 + x³·P(x) + e·ln 2`.
 *
 * @param k integer, 1…2²⁴
 */
export function logOf24Bits(k: number): number {
  const bitLength = 32 - Math.clz32(k);
  const mantissa = k / (1 << bitLength); // in [½, 1)
  const isLow = mantissa < SQRT_HALF;
  const exponent = bitLength - (isLow ? 25 : 24);
  const x = isLow ? f32(mantissa - 1 + mantissa) : mantissa - 1;
  const square = f32(x * x);
  let y = fma(fma(fma(fma(P0, x, P1), x, P2), x, P3), x, P4);
  y = f32(fma(fma(fma(fma(y, x, P5), x, P6), x, P7), x, P8) * x);
  y = fma(y, square, f32(exponent * LN2_LOW));
  y = fma(-square, 0.5, y);
  return fma(exponent, LN2_HIGH, f32(x + y));
}

/**
 * Cosine and sine of an angle, float32: the angle is brought to within π/4 of the nearest multiple of π/2.
 *
 * @param theta radians, float32, 0…2π
 * @param result receives both, cosine first
 */
export function cosineAndSine(theta: number, result: Float32Array): void {
  const quarters = (Math.floor(f32(theta * FOUR_OVER_PI)) + 1) >> 1;
  const eighths = -2 * quarters;
  const x = fma(eighths, QUARTER_PI_LOW, fma(eighths, QUARTER_PI_MIDDLE, fma(eighths, QUARTER_PI_HIGH, theta)));
  const square = f32(x * x);
  const sine = fma(f32(fma(fma(S0, square, S1), square, S2) * square), x, x);
  const cosine = f32(fma(f32(fma(fma(C0, square, C1), square, C2) * square), square, -0.5 * square) + 1);
  const isOdd = (quarters & 1) === 1;
  result[0] = (((quarters + 1) & 2) === 0 ? 1 : -1) * (isOdd ? sine : cosine);
  result[1] = ((quarters & 2) === 0 ? 1 : -1) * (isOdd ? cosine : sine);
}
