import type { Value } from '../src/index.ts';
import type { Case } from './operator-cases.ts';

import {
  GraphError,
  add,
  cast,
  chunk,
  concat,
  elementCount,
  expand,
  fullLike,
  gather,
  gelu,
  greater,
  int64s,
  layerNorm,
  layerNormalization,
  mT,
  matmul,
  mul,
  reduceMean,
  reduceSum,
  reshape,
  rmsNorm,
  rotaryEmbedding,
  silu,
  sin,
  slice,
  softmax,
  squeeze,
  sub,
  tanh,
  transpose,
  unsqueeze,
  where,
} from '../src/index.ts';
import { createRandom } from './interpreter/index.ts';
import { createCase } from './operator-cases.ts';

/** What a step may draw on: values made so far and random choices. */
interface Draw {
  readonly c: Case;
  value(): Value;
  below(n: number): number;
  axis(x: Value): number;
}

const steps: readonly ((d: Draw) => Value | readonly Value[])[] = [
  (d) => sin(d.value()),
  (d) => gelu(d.value(), d.below(2) === 0 ? 'none' : 'tanh'),
  (d) => silu(d.value()),
  (d) => add(d.value(), d.value()),
  (d) => sub(d.value(), d.below(4) / 4),
  (d) => mul(tanh(d.value()), tanh(d.value())),
  (d) => where(greater(d.value(), 0.1), d.value(), d.value()),
  (d) => tanh(matmul(d.value(), mT(d.value()))),
  (d) => {
    const x = d.value();
    return tanh(matmul(mT(x), x));
  },
  (d) => {
    const x = d.value();
    return softmax(x, d.axis(x));
  },
  (d) => {
    const x = d.value();
    return tanh(reduceSum(x, [d.axis(x)], d.below(2) === 0));
  },
  (d) => {
    const x = d.value();
    return reduceMean(x, [d.axis(x)], d.below(2) === 0);
  },
  (d) => layerNorm(d.value(), 0.01),
  (d) => {
    const x = d.value();
    const last = x.shape.slice(-1);
    const { y, mean, invStd } = layerNormalization(x, d.c.float(last), d.c.float(last), 0.5);
    return [y, mean, invStd];
  },
  (d) => {
    const x = d.value();
    return rmsNorm(x, d.c.float(x.shape.slice(-1)), 0.5);
  },
  (d) => {
    const x = d.value();
    const perm = x.shape.map((_, i) => i).toSorted((a, b) => Math.sin(a * 7 + d.below(9)) - Math.sin(b * 7));
    return transpose(x, perm);
  },
  (d) => reshape(d.value(), [elementCount(d.value().shape)]),
  (d) => {
    const x = d.value();
    return reshape(x, [elementCount(x.shape.slice(0, -1)), ...x.shape.slice(-1)]);
  },
  (d) => {
    const x = d.value();
    return reshape(x, [...x.shape.slice(0, -1), 2, elementCount([Number(x.shape.at(-1)) / 2])]);
  },
  (d) => {
    const x = d.value();
    return concat([x, slice(x, 0, 0, 0), x], d.below(2) === 0 ? 0 : d.axis(x));
  },
  (d) => {
    const x = d.value();
    return chunk(x, 2, d.axis(x));
  },
  (d) => {
    const x = d.value();
    const axis = d.axis(x);
    return slice(x, axis, 0, typeof x.shape[axis] === 'string' ? 1 : 1 + d.below(2));
  },
  (d) => {
    const x = d.value();
    return gather(x, int64s(d.c.graph, [0, -1, 0]), d.axis(x));
  },
  (d) => unsqueeze(d.value(), 0),
  (d) => {
    const x = d.value();
    return squeeze(x, x.shape.indexOf(1));
  },
  (d) => {
    const x = d.value();
    return add(x, fullLike(x, 0.25));
  },
  (d) => {
    const x = d.value();
    return expand(reduceSum(tanh(x), [d.axis(x)]), x.shape);
  },
  (d) => cast(cast(d.value(), 'float64'), 'float32'),
  (d) => rotaryEmbedding(d.c.float([1, 2, 'S', 4]), d.c.float(['S', 2]), d.c.float(['S', 2])),
];

/** A random graph of float32 values with symbolic shapes; the last few values are its outputs. */
export function randomGraph(seed: number, size = 12): Case {
  return createCase(seed, (c) => {
    const random = createRandom(seed + 1000);
    const below = (n: number) => Math.floor(n * random());
    const values = [c.float(['B', 'S', 4]), c.float(['S', 4]), c.float([2, 'B', 1]), c.float([6])];
    const value = () => values[below(values.length)] ?? c.float([]);
    const draw: Draw = { c, value, below, axis: (x) => below(x.shape.length) };
    let made = 0;
    for (let tries = 0; made < size && tries < 40 * size; tries++) {
      const step = steps[below(steps.length)];
      try {
        const results = [step ? c.graph.within(`block.${below(3)}`, () => step(draw)) : []].flat();
        values.push(...results.filter((v) => v.shape.length <= 5));
        made++;
      } catch (error) {
        // shapes that do not fit are refused by the builder; anything else is a failure
        if (!(error instanceof GraphError)) throw error;
      }
    }
    return values.slice(-4);
  });
}
