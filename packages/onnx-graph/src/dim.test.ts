import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Dim } from './dim.ts';

import {
  dimAdd,
  dimDivide,
  dimFloorDivide,
  dimMin,
  dimMul,
  dimSub,
  dimTerms,
  elementCount,
  evaluateDim,
  formatShape,
  toDim,
} from './dim.ts';

const symbols = ['B', 'S', 'T_2'];

/** A polynomial together with its value at a point, computed beside it in ordinary arithmetic. */
interface Expression {
  readonly dim: Dim;
  readonly at: (point: ReadonlyMap<string, number>) => number;
}

const leaf: fc.Arbitrary<Expression> = fc.oneof(
  fc
    .tuple(fc.constantFrom('S', 'B*S+1'), fc.integer({ min: 0, max: 40 }))
    .map(([a, limit]): Expression => ({ dim: dimMin(a, limit), at: (p) => Math.min(evaluateDim(a, p), limit) })),
  fc.integer({ min: -20, max: 20 }).map((n): Expression => ({ dim: n, at: () => n })),
  fc.constantFrom(...symbols).map((s): Expression => ({ dim: s, at: (point) => point.get(s) ?? NaN })),
);

const expression: fc.Arbitrary<Expression> = fc.letrec<{ tree: Expression }>((tie) => {
  const pair = fc.tuple(tie('tree'), tie('tree'));
  return {
    tree: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'dim' },
      leaf,
      pair.map(([a, b]): Expression => ({ dim: dimAdd(a.dim, b.dim), at: (p) => a.at(p) + b.at(p) })),
      pair.map(([a, b]): Expression => ({ dim: dimSub(a.dim, b.dim), at: (p) => a.at(p) - b.at(p) })),
      pair.map(([a, b]): Expression => ({ dim: dimMul(a.dim, b.dim), at: (p) => a.at(p) * b.at(p) })),
    ),
  };
}).tree;

const dim = expression.map((e) => e.dim);
const point = fc
  .tuple(...symbols.map(() => fc.integer({ min: 0, max: 30 })))
  .map((values) => new Map(symbols.map((s, i) => [s, values[i] ?? 0])));
const monomial = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.array(fc.constantFrom(...symbols), { maxLength: 3 }))
  .map(([coefficient, factors]) => factors.reduce<Dim>(dimMul, coefficient));

const cut = (start: number, end: number) => dimSub(dimMin('S', end), dimMin('S', start));

describe('symbolic lengths', () => {
  test('have the value that ordinary arithmetic gives', () => {
    fc.assert(
      fc.property(expression, point, (e, p) => {
        expect(evaluateDim(e.dim, p) === e.at(p)).toBe(true);
      }),
    );
  });

  test('form a commutative ring in which equal elements are the same string', () => {
    fc.assert(
      fc.property(dim, dim, dim, (a, b, c) => {
        expect(dimAdd(a, b)).toBe(dimAdd(b, a));
        expect(dimMul(a, b)).toBe(dimMul(b, a));
        expect(dimAdd(dimAdd(a, b), c)).toBe(dimAdd(a, dimAdd(b, c)));
        expect(dimMul(dimMul(a, b), c)).toBe(dimMul(a, dimMul(b, c)));
        expect(dimMul(a, dimAdd(b, c))).toBe(dimAdd(dimMul(a, b), dimMul(a, c)));
        expect(dimAdd(a, 0)).toBe(a);
        expect(dimMul(a, 1)).toBe(a);
        expect(dimMul(a, 0)).toBe(0);
        expect(dimSub(a, a)).toBe(0);
      }),
    );
  });

  test('are a sum of their terms', () => {
    fc.assert(
      fc.property(dim, (a) => {
        const terms = dimTerms(a).map((t) => t.symbols.reduce<Dim>(dimMul, t.coefficient));
        expect(terms.reduce(dimAdd, 0)).toBe(a);
      }),
    );
  });

  test('divide back what a monomial multiplied', () => {
    fc.assert(
      fc.property(dim, monomial, (a, b) => {
        expect(dimDivide(dimMul(a, b), b)).toBe(a);
      }),
    );
  });

  test('divide only where it is exact', () => {
    fc.assert(
      fc.property(dim, fc.oneof(dim, monomial), (a, b) => {
        const quotient = dimDivide(a, b);
        if (quotient !== undefined) expect(dimMul(quotient, b)).toBe(a);
      }),
    );
  });

  test.each([
    ['S', 2],
    [7, 2],
    ['S', 'B'],
    ['S+1', 'S'],
    [0, 0],
    ['S', 0],
    ['B*S', 'B+1'],
  ])('%s does not divide by %s', (a, b) => {
    expect(dimDivide(a, b)).toBeUndefined();
  });

  test('divide and round down only where one polynomial says it for all values', () => {
    fc.assert(
      fc.property(expression, point, fc.integer({ min: 1, max: 9 }), (e, p, n) => {
        const quotient = dimFloorDivide(e.dim, n);
        if (quotient !== undefined) expect(evaluateDim(quotient, p) === Math.floor(e.at(p) / n)).toBe(true);
        expect(dimFloorDivide(dimAdd(dimMul(e.dim, n), n - 1), n)).toBe(e.dim);
      }),
    );
    expect(dimFloorDivide('8*h-1', 2)).toBe('4*h-1');
    expect(dimFloorDivide('h', 2)).toBeUndefined();
  });

  test('keep their form when they are read again', () => {
    fc.assert(
      fc.property(dim, (a) => {
        fc.pre(typeof a === 'string' || a >= 0);
        expect(toDim(a)).toBe(a);
      }),
    );
  });

  test.each([
    ['S*B', 'B*S'],
    ['S * 2 + B*S', 'B*S+2*S'],
    ['1+S-1', 'S'],
    ['S-S', 0],
    ['2*3', 6],
    [' seq_len ', 'seq_len'],
    ['S*S', 'S*S'],
    ['B-2*S*T', '-2*S*T+B'],
  ])('read %s as %s', (written, canonical) => {
    expect(toDim(written)).toBe(canonical);
  });

  test.each([-1, 1.5, NaN, Infinity, 2 ** 60, 'B S', 'B**S', '(B+1)*2', '1.5*S', 'S-S-1', 'B/2', '*', 'é'])(
    'refuse %s',
    (written) => {
      expect(() => toDim(written)).toThrow(expect.objectContaining({ code: 'BAD_DIMENSION' }));
    },
  );

  test('say which symbol has no value', () => {
    expect(() => evaluateDim('B*S', new Map([['B', 2]]))).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: S: this symbol has no value. Feed an input that has it.]`,
    );
  });

  test('count the elements of a shape', () => {
    expect(elementCount([])).toBe(1);
    expect(elementCount([2, 'B', 3, 'S'])).toBe('6*B*S');
    expect(formatShape([2, 'B*S'])).toBe('[2, B*S]');
  });

  test('pieces of an axis add up to its length', () => {
    expect([cut(0, 4), cut(4, 8)]).toEqual(['min(S,4)', '-min(S,4)+min(S,8)']);
    expect([cut(0, 4), cut(4, 8), cut(8, Infinity)].reduce(dimAdd)).toBe('S');
    expect(toDim('2 * min( S * B , 4 )')).toBe('2*min(B*S,4)');
  });
});
