import { GraphError } from './errors.ts';

/**
 * One axis length: a number, or a polynomial of symbols with integer coefficients in canonical form, e.g. `B`, `2*S`,
 * `B*S+1`. `min(S,512)` counts as a symbol (see {@link dimMin}). Two lengths are equal exactly when they are `===`.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** Monomial (symbols sorted and joined by `*`, empty for the constant) to its coefficient. */
type Polynomial = Map<string, number>;

/**
 * The canonical form of a length that somebody wrote, e.g. `B*S` for `S * B`.
 *
 * @throws {GraphError} `BAD_DIMENSION` for negative, fractional and unreadable ones
 */
export function toDim(dim: Dim, at = ''): Dim {
  const canonical = typeof dim === 'number' ? dim : format(parse(dim.replaceAll(/\s*([-+*(),])\s*/g, '$1').trim(), at));
  if (typeof canonical === 'string' || (Number.isSafeInteger(canonical) && canonical >= 0)) return canonical;
  throw new GraphError('BAD_DIMENSION', at, `${dim} is not a length.`, 'Lengths are integers of at least 0.');
}

export function dimAdd(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  const sum = new Map(parse(a));
  for (const [m, c] of parse(b)) sum.set(m, (sum.get(m) ?? 0) + c);
  return format(sum);
}

export function dimMul(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b || 0; // never -0
  if (a === 1) return b;
  if (b === 1) return a;
  const product: Polynomial = new Map();
  for (const [m, c] of parse(a)) {
    for (const [n, d] of parse(b)) {
      const key = [...symbolsOf(m), ...symbolsOf(n)].toSorted().join('*');
      product.set(key, (product.get(key) ?? 0) + c * d);
    }
  }
  return format(product);
}

export const dimSub = (a: Dim, b: Dim): Dim => dimAdd(a, dimMul(b, -1));

/**
 * `a / b` when that is exact for every value of the symbols, else undefined. `b` is a number or a single monomial, or
 * equal to `a`; nothing divides by 0.
 */
export function dimDivide(a: Dim, b: Dim): Dim | undefined {
  if (b === 0) return undefined;
  const divisor = [...parse(b)];
  const [first] = divisor;
  if (divisor.length !== 1 || !first) return a === b ? 1 : undefined;
  const [monomial, coefficient] = first;
  const quotient: Polynomial = new Map();
  for (const [m, c] of parse(a)) {
    const rest = removeSymbols(symbolsOf(m), symbolsOf(monomial));
    if (!rest || c % coefficient !== 0) return undefined;
    quotient.set(rest.join('*'), c / coefficient);
  }
  return format(quotient);
}

/**
 * `⌊a / n⌋` for a whole `n` > 0, when that is one polynomial for every value of the symbols: `n` then divides all terms
 * but the constant, e.g. `4*h` for `(8*h+1)/2`.
 */
export function dimFloorDivide(a: Dim, n: number): Dim | undefined {
  const quotient: Polynomial = new Map();
  for (const [m, c] of parse(a)) {
    if (m !== '' && c % n !== 0) return undefined;
    quotient.set(m, Math.floor(c / n));
  }
  return format(quotient);
}

/**
 * `min(a, limit)`: where a bound cuts an axis off, however long the axis is. Pieces `min(a,2n) − min(a,n)` of an axis add up
 * to its length.
 */
export function dimMin(a: Dim, limit: number): Dim {
  if (typeof a === 'number') return Math.min(a, limit);
  if (limit === 0) return 0;
  return Number.isFinite(limit) ? `min(${a},${limit})` : a;
}

/** The arguments of a symbol made by {@link dimMin}, else undefined. */
export function minOf(symbol: string): { readonly dim: Dim; readonly limit: number } | undefined {
  const [, dim, limit] = /^min\(([^()]+),(\d+)\)$/.exec(symbol) ?? [];
  return dim === undefined ? undefined : { dim, limit: Number(limit) };
}

/** Number of elements. */
export const elementCount = (shape: Shape): Dim => shape.reduce(dimMul, 1);

/** The value of a dimension once its symbols are known. */
export function evaluateDim(dim: Dim, symbols: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const [monomial, coefficient] of parse(dim)) {
    total += symbolsOf(monomial).reduce((product, symbol) => {
      const least = minOf(symbol);
      const value = least ? Math.min(evaluateDim(least.dim, symbols), least.limit) : symbols.get(symbol);
      if (value === undefined) {
        throw new GraphError('BAD_DIMENSION', symbol, 'this symbol has no value.', 'Feed an input that has it.');
      }
      return product * value;
    }, coefficient);
  }
  return total;
}

/** Terms as (coefficient, symbols), for code that computes a dimension inside a graph. */
export const dimTerms = (dim: Dim): { coefficient: number; symbols: string[] }[] =>
  [...parse(dim)].map(([monomial, coefficient]) => ({ coefficient, symbols: symbolsOf(monomial) }));

/** The symbols of a length, e.g. `B` and `S` of `B*S+1`. */
export const symbolsIn = (dim: Dim): string[] => [...new Set(dimTerms(dim).flatMap(({ symbols }) => symbols))];

export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Operators outside parentheses. */
const [times, plus, minus] = [/\*(?![^(]*\))/, /\+(?![^(]*\))/, /-(?![^(]*\))/g];

const symbolsOf = (monomial: string): string[] => (monomial === '' ? [] : monomial.split(times));

function removeSymbols(from: string[], remove: string[]): string[] | undefined {
  const rest = [...from];
  for (const symbol of remove) {
    const at = rest.indexOf(symbol);
    if (at < 0) return undefined;
    rest.splice(at, 1);
  }
  return rest;
}

function parse(dim: Dim, at = ''): Polynomial {
  if (typeof dim === 'number') return dim === 0 ? new Map() : new Map([['', dim]]);
  const polynomial: Polynomial = new Map();
  for (const term of dim.replaceAll(minus, '+-').split(plus)) {
    if (term === '') continue;
    let coefficient = 1;
    const symbols: string[] = [];
    for (const factor of term.split(times)) {
      const negated = factor.startsWith('-');
      const body = negated ? factor.slice(1) : factor;
      if (negated) coefficient = -coefficient;
      if (/^\d+$/.test(body)) coefficient *= Number(body);
      else if (/^[A-Za-z_]\w*$/.test(body)) symbols.push(body);
      else if (minOf(body)) symbols.push(canonicalMin(body, at));
      else throw new GraphError('BAD_DIMENSION', at, `"${dim}" is not a length.`, 'Write e.g. B, 2*S or S+1.');
    }
    const key = symbols.toSorted().join('*');
    polynomial.set(key, (polynomial.get(key) ?? 0) + coefficient);
  }
  return polynomial;
}

function canonicalMin(symbol: string, at: string): string {
  const { dim = symbol, limit = 0 } = minOf(symbol) ?? {};
  return String(dimMin(format(parse(dim, at)), limit));
}

function format(polynomial: Polynomial): Dim {
  const terms = [...polynomial].filter(([, c]) => c !== 0).toSorted(([a], [b]) => order(b, a));
  if (terms.length === 0) return 0;
  const [only] = terms;
  if (terms.length === 1 && only && only[0] === '') return only[1];
  return terms
    .map(([monomial, c]) => {
      if (monomial === '') return `${c}`;
      return c === 1 ? monomial : c === -1 ? `-${monomial}` : `${c}*${monomial}`;
    })
    .join('+')
    .replaceAll('+-', '-');
}

/** Higher degree first, then by name; the constant last. */
const order = (a: string, b: string): number =>
  symbolsOf(a).length - symbolsOf(b).length || (a < b ? 1 : a > b ? -1 : 0);
