import { add, apply, cast, div, exp, greater, less, log, mul, neg, pow, sigmoid, sub, where } from '@musubi/onnx-graph';

import { type GradientRule, binary, need, unary } from './rule.ts';

const twoOverSqrtPi = 2 / Math.sqrt(Math.PI);
const inverseSqrt2Pi = 1 / Math.sqrt(2 * Math.PI);

/** Twice √(2/π), and the cubic coefficient of the tanh form of GELU (Hendrycks & Gimpel 2016). */
const geluSlope = 2 * Math.sqrt(2 / Math.PI);
const geluCubic = 0.044715;

export const elementwise = {
  Neg: unary((_x, _y, dY) => neg(dY)),
  Abs: unary((x, _y, dY) => mul(dY, apply('Sign', [x]))), // 0 at 0, like PyTorch
  Exp: unary((_x, y, dY) => mul(dY, y)), // (eˣ)′ = eˣ
  Log: unary((x, _y, dY) => div(dY, x)), // (ln x)′ = 1/x
  Sqrt: unary((_x, y, dY) => div(mul(dY, 0.5), y)), // (√x)′ = 1/(2√x)
  Reciprocal: unary((_x, y, dY) => neg(mul(dY, mul(y, y)))), // (1/x)′ = −1/x²
  Tanh: unary((_x, y, dY) => mul(dY, sub(1, mul(y, y)))), // 1 − y²
  Sigmoid: unary((_x, y, dY) => mul(dY, mul(y, sub(1, y)))), // y(1 − y)
  Erf: unary((x, _y, dY) => mul(dY, mul(exp(neg(mul(x, x))), twoOverSqrtPi))), // 2/√π·e^(−x²)
  Sin: unary((x, _y, dY) => mul(dY, apply('Cos', [x]))),
  Cos: unary((x, _y, dY) => neg(mul(dY, apply('Sin', [x])))),
  Relu: unary((x, _y, dY) => where(greater(x, 0), dY, 0)), // 0 at 0, like PyTorch
  Identity: unary((_x, _y, dY) => dY),
  Cast: unary((x, _y, dY) => cast(dY, x.dtype)),

  Add: binary((dY) => [() => dY, () => dY]),
  Sub: binary((dY) => [() => dY, () => neg(dY)]),
  Mul: binary((dY, a, b) => [() => mul(dY, b), () => mul(dY, a)]),
  Div: binary((dY, _a, b, y) => [() => div(dY, b), () => neg(div(mul(dY, y), b))]), // (a/b)′ by b = −y/b
  Pow: binary((dY, a, b, y) => [() => mul(dY, mul(b, pow(a, sub(b, 1)))), () => mul(dY, mul(y, log(a)))]),
  /** At equal arguments each gets half, like PyTorch's `minimum`. */
  Min: binary((dY, a, b) => [() => mul(dY, share(less, a, b)), () => mul(dY, share(less, b, a))]),
  Max: binary((dY, a, b) => [() => mul(dY, share(greater, a, b)), () => mul(dY, share(greater, b, a))]),
  Where: ({ inputs: [condition], cotangent }) => [
    null,
    () => where(need(condition), cotangent(0), 0),
    () => where(need(condition), 0, cotangent(0)),
  ],

  Gelu: (call) => (call.attribute('approximate') === 'tanh' ? geluTanh(call) : geluExact(call)),
  /** `y = x·σ(αx)`: `σ + α·y·(1 − σ)`. */
  QuickGelu: ({ inputs: [x], outputs: [y], cotangent, attribute }) => [
    () => {
      const alpha = Number(attribute('alpha') ?? 1.702);
      const s = sigmoid(mul(need(x), alpha));
      return mul(cotangent(0), add(s, mul(mul(need(y), sub(1, s)), alpha)));
    },
  ],
} satisfies Record<string, GradientRule>;

/** 1 where `a` wins against `b`, ½ where they are equal, 0 elsewhere. */
const share = (wins: typeof less, a: Parameters<typeof less>[0], b: Parameters<typeof less>[0]) =>
  where(wins(a, b), 1, where(wins(b, a), 0, half(a)));

const half = (like: Parameters<typeof less>[0]) => add(mul(like, 0), 0.5);

/** `y = x·Φ(x)`: `Φ(x) + x·φ(x)`, with `Φ(x) = ½(1 + erf(x/√2))`. */
const geluExact: GradientRule = unary((x, _y, dY) => {
  const cdf = mul(add(apply('Erf', [mul(x, Math.SQRT1_2)]), 1), 0.5);
  const density = mul(exp(mul(mul(x, x), -0.5)), inverseSqrt2Pi);
  return mul(dY, add(cdf, mul(x, density)));
});

/**
 * `y = ½x(1 + tanh u) = x·σ(2u)`, `2u = k(x + c·x³)`: `y′ = s + y(1 − s)(k + 3kc·x²)` with `s = σ(2u)`.
 * The sigmoid form takes fewer passes over the widest tensor of a block than the tanh form.
 */
const geluTanh: GradientRule = unary((x, y, dY) => {
  const squared = mul(x, x);
  const s = sigmoid(mul(x, add(mul(squared, geluSlope * geluCubic), geluSlope)));
  const slope = add(mul(squared, 3 * geluSlope * geluCubic), geluSlope);
  return mul(dY, add(s, mul(mul(y, sub(1, s)), slope)));
});
