import type { Call, Implementation } from './call.ts';

import { erf } from './erf.ts';
import { wrap } from './dtypes.ts';
import { map, zip } from './tensor.ts';

const unary =
  (f: (x: number) => number): Implementation =>
  (call) =>
    map(call.input(0), f);

/** Folds all inputs, broadcast together; integers wrap like their dtype. */
const arithmetic =
  (f: (a: number, b: number) => number): Implementation =>
  (call) =>
    call.present.reduce((a, b) => zip([a, b], (x, y) => wrap(f(x, y), call.dtype(0))));

const comparison =
  (f: (a: number, b: number) => boolean): Implementation =>
  ({ input }: Call) =>
    zip([input(0), input(1)], (a, b) => (f(a, b) ? 1 : 0));

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Integers divide towards zero. */
const div: Implementation = (call) => {
  const whole = call.dtype(0).includes('int');
  return zip([call.input(0), call.input(1)], (a, b) => (whole ? Math.trunc(a / b) : a / b));
};

/** Exact, or the tanh approximation of Hendrycks & Gimpel 2016. */
const gelu: Implementation = (call) =>
  call.string('approximate', 'none') === 'tanh'
    ? map(call.input(0), (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))))
    : map(call.input(0), (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)));

const quickGelu: Implementation = (call) => {
  const alpha = call.number('alpha', 1.702);
  return map(call.input(0), (x) => x * sigmoid(alpha * x));
};

export const elementwise = {
  Neg: unary((x) => -x),
  Abs: unary(Math.abs),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((x) => 1 / x),
  Tanh: unary(Math.tanh),
  Sigmoid: unary(sigmoid),
  Erf: unary(erf),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Relu: unary((x) => Math.max(x, 0)),
  Sign: unary(Math.sign),
  Gelu: gelu,
  QuickGelu: quickGelu,
  Identity: unary((x) => x),
  Not: unary((x) => 1 - x),
  Add: arithmetic((a, b) => a + b),
  Sub: arithmetic((a, b) => a - b),
  Mul: arithmetic((a, b) => a * b),
  Div: div,
  Pow: arithmetic((a, b) => a ** b),
  Min: arithmetic(Math.min),
  Max: arithmetic(Math.max),
  Equal: comparison((a, b) => a === b),
  Less: comparison((a, b) => a < b),
  LessOrEqual: comparison((a, b) => a <= b),
  Greater: comparison((a, b) => a > b),
  GreaterOrEqual: comparison((a, b) => a >= b),
  And: comparison((a, b) => a === 1 && b === 1),
  Or: comparison((a, b) => a === 1 || b === 1),
  // Integers of any length have two's complement of their own.
  BitwiseAnd: ({ input }) => zip([input(0), input(1)], (a = 0, b = 0) => Number(BigInt(a) & BigInt(b))),
  Where: ({ input }) => zip([input(0), input(1), input(2)], (c, a, b) => (c === 1 ? a : b)),
} satisfies Record<string, Implementation>;
