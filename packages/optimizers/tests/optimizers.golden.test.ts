import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { clipGradNorm, createOptimizer, optimizers, roundStochastically } from '../src/index.ts';
import type { Optimizer, ParameterGroup } from '../src/index.ts';
import { parseArguments } from './literals.ts';

type Nested = number | Nested[];
interface Args {
  optimizer_type: string;
  optimizer_args: string[];
  learning_rate: number;
  groups?: number[];
  lr_curve?: number[];
}
interface Case {
  id: string;
  args: Args;
  output: {
    params_after: Nested[][];
    final_state: Record<string, Nested>[];
    eval_params_after?: Nested[][];
    z_after?: Nested[][];
    per_step?: Record<string, number>[];
    train_params_after_eval_train_roundtrip?: Nested[];
  };
}

const golden = readGoldenJson<{
  settings: { tolerance: { params_abs: number; params_rel: number; adafactor_prodigy_abs: number } };
  initial_params: Nested[];
  gradients: Nested[][];
  clip_grad_norm: {
    args: { max_grad_norm: number };
    input: { grads: Nested[] };
    output: { total_norm: number | null; clipped: Nested[] };
  }[];
  stochastic_rounding: {
    input: { source_bits: number[]; random16: number[] };
    output: { bf16_bits: number[] };
  };
  cases: Case[];
}>('maths', 'optimizers.json');
const { params_abs, params_rel, adafactor_prodigy_abs } = golden.settings.tolerance;

const implemented = golden.cases.filter(({ args }) => isKnown(args.optimizer_type));
const missing = new Set(golden.cases.map(({ args }) => args.optimizer_type).filter((type) => !isKnown(type)));

test('is compared on every optimizer', () => {
  if (!isDefaultGolden) return;
  const compared = new Set(
    implemented.map(({ args }) => createOptimizer(args.optimizer_type, groupsOf(args)).className),
  );
  // Those of bitsandbytes have no vectors: their kernels need a GPU. They are compared with AdamW in src/adamw-8bit.test.ts.
  const recorded = optimizers.filter(({ className }) => !className.startsWith('bitsandbytes.'));
  expect(recorded.filter(({ className }) => !compared.has(className))).toEqual([]);
});

test('refuses the optimizers of the file that it does not know', () => {
  for (const type of missing) {
    expect(() => createOptimizer(type, [])).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/OPTIMIZER$/) }),
    );
  }
});

describe.each(implemented)('$id: $args', ({ args, output }) => {
  const tolerance = /adafactor|prodigy/i.test(args.optimizer_type)
    ? { atol: adafactor_prodigy_abs, rtol: params_rel }
    : { atol: params_abs, rtol: params_rel };

  test('gives the parameters after each step', () => {
    const { groups, optimizer } = start(args);
    golden.gradients.forEach((gradients, k) => {
      optimizer.step(toMap(gradients), ratesAt(args, k));
      const after = groups.flatMap(({ parameters }) => parameters.map(({ data }) => data));
      after.forEach((data, i) => expect(data).toBeAllClose(flat(output.params_after[k]![i]!), tolerance));
    });
  });

  test('ends in the same state', () => {
    const { optimizer } = start(args);
    golden.gradients.forEach((gradients, k) => optimizer.step(toMap(gradients), ratesAt(args, k)));
    const { numbers, tensors } = optimizer.state();
    output.final_state.forEach((state, i) => {
      for (const [slot, values] of Object.entries(state)) {
        if (!Array.isArray(values)) {
          const own = numbers[slot];
          if (own !== undefined) expect([own], slot).toBeAllClose([values], { rtol: 1e-5 });
          continue;
        }
        const own = tensors.get(`${slot}.p${i}`);
        expect(own, slot).toBeDefined();
        expect(own!.data).toBeAllClose(flat(values), { atol: 1e-20, rtol: 1e-5 });
      }
    });
  });

  test('continues bit for bit from a state saved after any step', () => {
    const whole = start(args);
    golden.gradients.forEach((gradients, k) => whole.optimizer.step(toMap(gradients), ratesAt(args, k)));
    const first = start(args);
    golden.gradients.forEach((_, saves) => {
      const saved = first.optimizer.state();
      const second = start(args);
      second.groups.forEach((group, g) =>
        group.parameters.forEach(({ data }, i) => data.set(first.groups[g]!.parameters[i]!.data)),
      );
      second.optimizer.restore({ ...saved, numbers: JSON.parse(JSON.stringify(saved.numbers)) });
      golden.gradients.forEach((gradients, k) => {
        if (k >= saves) second.optimizer.step(toMap(gradients), ratesAt(args, k));
      });
      expect(second.groups).toEqual(whole.groups);
      expect(second.optimizer.state()).toEqual(whole.optimizer.state());
      first.optimizer.step(toMap(golden.gradients[saves]!), ratesAt(args, saves));
    });
  });
});

const scheduleFree = implemented.filter(({ output }) => output.eval_params_after);

describe.each(scheduleFree)('$id, averaged', ({ args, output }) => {
  const tolerance = { atol: params_abs, rtol: params_rel };

  test('gives the parameters to save after each step, and goes back to training', () => {
    const { groups, optimizer } = start(args);
    const data = groups.flatMap(({ parameters }) => parameters.map((parameter) => parameter.data));
    golden.gradients.forEach((gradients, k) => {
      optimizer.step(toMap(gradients), ratesAt(args, k));
      const z = optimizer.state().tensors;
      optimizer.eval();
      optimizer.eval();
      data.forEach((values, i) => expect(values).toBeAllClose(flat(output.eval_params_after![k]![i]!), tolerance));
      optimizer.train();
      optimizer.train();
      data.forEach((values, i) => expect(values).toBeAllClose(flat(output.params_after[k]![i]!), tolerance));
      data.forEach((_, i) => expect(z.get(`z.p${i}`)!.data).toBeAllClose(flat(output.z_after![k]![i]!), tolerance));
    });
    output.train_params_after_eval_train_roundtrip?.forEach((values, i) => {
      expect(data[i]!).toBeAllClose(flat(values), tolerance);
    });
  });
});

const withNumbers = implemented.filter(({ output }) => output.per_step);

test.each(withNumbers)('$id keeps the same numbers', ({ args, output }) => {
  const { optimizer } = start(args);
  golden.gradients.forEach((gradients, k) => {
    optimizer.step(toMap(gradients), ratesAt(args, k));
    const { numbers } = optimizer.state();
    for (const [name, value] of Object.entries(output.per_step![k]!)) {
      const own = numbers[name] ?? numbers[`${name}.0`];
      expect([own!], name).toBeAllClose([value], { rtol: 1e-5, atol: 1e-15 });
    }
  });
});

test('rounds to bfloat16 stochastically, bit for bit', () => {
  const { input, output } = golden.stochastic_rounding;
  const rounded = roundStochastically(Uint32Array.from(input.source_bits), Uint16Array.from(input.random16));
  expect([...rounded]).toEqual(output.bf16_bits);
});

describe.each(golden.clip_grad_norm)('clipGradNorm to $args.max_grad_norm', ({ args, input, output }) => {
  test('gives norm and gradients', () => {
    const gradients = toMap(input.grads);
    const norm = clipGradNorm(gradients, args.max_grad_norm);
    if (output.total_norm !== null) expect([norm]).toBeAllClose([output.total_norm], { rtol: 3e-7 });
    [...gradients.values()].forEach((values, i) =>
      expect(values).toBeAllClose(flat(output.clipped[i]!), { rtol: 5e-7, atol: 1e-9 }),
    );
  });
});

function isKnown(type: string): boolean {
  const lower = type.toLowerCase();
  return optimizers.some(({ names, caseless }) => names.includes(type) || caseless === lower);
}

function start(args: Args): { groups: ParameterGroup[]; optimizer: Optimizer } {
  const groups = groupsOf(args);
  return { groups, optimizer: createOptimizer(args.optimizer_type, groups, parseArguments(args.optimizer_args)) };
}

/** One group for all tensors, or one for each where the case has several rates. */
function groupsOf({ groups: rates, learning_rate }: Args): ParameterGroup[] {
  const parameters = golden.initial_params.map((values, i) => ({
    name: `p${i}`,
    data: flat(values),
    shape: shapeOf(values),
  }));
  if (!rates) return [{ name: 'unet', learningRate: learning_rate, parameters }];
  return parameters.map((parameter, i) => ({ name: `g${i}`, learningRate: rates[i]!, parameters: [parameter] }));
}

function ratesAt({ groups, lr_curve, learning_rate }: Args, step: number): number[] {
  return groups ?? [lr_curve?.[step] ?? learning_rate];
}

function toMap(gradients: Nested[]): Map<string, Float32Array> {
  return new Map(gradients.map((values, i) => [`p${i}`, flat(values)]));
}

function flat(nested: Nested): Float32Array {
  return Float32Array.from(Array.isArray(nested) ? nested.flatMap((item) => [...flat(item)]) : [nested]);
}

function shapeOf(nested: Nested | undefined): number[] {
  return Array.isArray(nested) ? [nested.length, ...shapeOf(nested[0])] : [];
}
