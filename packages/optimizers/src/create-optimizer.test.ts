import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createOptimizer, optimizers } from './index.ts';
import type { Optimizer, OptimizerState, ParameterGroup } from './index.ts';

const target = Float32Array.from([0.3, -0.2, 0.5, 0.1, -0.4, 0.2]);

function groupsOf(data = new Float32Array(6)): ParameterGroup[] {
  return [{ name: 'unet', learningRate: 0.01, parameters: [{ name: 'w', data, shape: [2, 3] }] }];
}

/** Gradient of ½‖p − target‖². */
function gradientAt(p: Float32Array): Map<string, Float32Array> {
  return new Map([['w', p.map((x, i) => x - target[i]!)]]);
}

function run(optimizer: Optimizer, p: Float32Array, steps: number, rate: number): void {
  for (let k = 0; k < steps; k++) optimizer.step(gradientAt(p), [rate]);
}

/** Values other than the defaults, under which each argument must change the result. */
const others: Record<string, unknown> = {
  betas: [0.8, 0.95],
  beta3: 0.5,
  eps: 1e-2,
  weight_decay: 0.3,
  amsgrad: true,
  momentum: 0.7,
  dampening: 0.2,
  nesterov: true,
  alpha: 0.9,
  centered: true,
  lr_decay: 0.1,
  initial_accumulator_value: 0.5,
  momentum_decay: 0.5,
  decoupled_weight_decay: true,
  clip_threshold: 0.1,
  decay_rate: -0.3,
  beta1: 0.9,
  scale_parameter: false,
  relative_step: false,
  warmup_init: true,
  warmup_steps: 10,
  r: 1,
  weight_lr_power: 0.5,
  silent_sgd_phase: false,
  decouple: false,
  use_bias_correction: true,
  safeguard_warmup: true,
  d0: 1e-4,
  d_coef: 3,
  growth_rate: 1.01,
  min_8bit_size: 1,
};

describe.each(optimizers)('$className', ({ className, names, defaults }) => {
  const name = names[0]!;
  const rate = className.endsWith('Prodigy') ? 1 : 0.01;

  test('comes closer to the minimum', () => {
    const p = new Float32Array(6);
    const optimizer = createOptimizer(name, groupsOf(p), /Adafactor/.test(name) ? { scale_parameter: false } : {});
    const distance = (): number => Math.hypot(...p.map((x, i) => x - target[i]!));
    const before = distance();
    run(optimizer, p, 300, rate);
    optimizer.eval();
    // Adagrad slows down most.
    expect(distance()).toBeLessThan(0.8 * before);
  });

  test('is found under each of its names', () => {
    for (const alias of names) expect(createOptimizer(alias, groupsOf()).className).toBe(className);
  });

  test.each(Object.keys(defaults))('depends on %s', (key) => {
    const needs = {
      ...(key === 'nesterov' && { momentum: 0.7 }),
      ...(key === 'dampening' && { momentum: 0.7 }),
      // At rate 1 both weights are the same without bias correction.
      ...(key === 'safeguard_warmup' && { use_bias_correction: true }),
      ...(key === 'decoupled_weight_decay' && { weight_decay: 0.3 }),
      ...(key === 'decouple' && { weight_decay: 0.3, d0: 1e-2 }),
      ...(['r', 'weight_lr_power'].includes(key) && 'warmup_steps' in defaults && { warmup_steps: 10 }),
    };
    const results = [
      needs,
      { ...needs, [key]: key === 'eps' && /Adafactor/.test(name) ? [1e-2, 0.9] : others[key] },
    ].map((args) => {
      const p = Float32Array.from([0.5, -0.1, 0.2, -0.3, 0.4, 0.6]);
      run(createOptimizer(name, groupsOf(p), args), p, 30, key === 'relative_step' ? 0.02 : rate);
      return p;
    });
    expect(results[1]).not.toEqual(results[0]);
  });

  test('gives a state that later steps do not change', () => {
    const p = new Float32Array(6);
    const optimizer = createOptimizer(name, groupsOf(p));
    run(optimizer, p, 2, rate);
    const state = optimizer.state();
    const copy = structuredClone(state);
    run(optimizer, p, 1, rate);
    expect(state).toEqual(copy);
    expect(Object.values(state.numbers).every(Number.isFinite)).toBe(true);
  });

  test('leaves parameters alone at rate 0 where the rate is not its own', () => {
    const p = target.slice();
    const optimizer = createOptimizer(name, groupsOf(p));
    if (optimizer.ownLearningRates() !== null) return;
    optimizer.step(new Map([['w', Float32Array.from([1, 2, 3, 4, 5, 6])]]), [0]);
    expect(p).toEqual(target);
  });

  test('stays finite for gradients of any size', () => {
    const sizes = fc.array(fc.float({ noNaN: true, min: Math.fround(-1e15), max: Math.fround(1e15) }), {
      minLength: 6,
      maxLength: 6,
    });
    fc.assert(
      fc.property(fc.array(sizes, { minLength: 1, maxLength: 4 }), (gradients) => {
        const p = target.slice();
        const optimizer = createOptimizer(name, groupsOf(p));
        for (const gradient of gradients) optimizer.step(new Map([['w', Float32Array.from(gradient)]]), [rate]);
        expect(p.every(Number.isFinite)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});

describe('names', () => {
  test.each(['AdamW8bit', 'adamw8bit', 'bitsandbytes.optim.AdamW8bit'])('%s is AdamW of 8 bits', (type) => {
    expect(createOptimizer(type, groupsOf()).className).toBe('bitsandbytes.optim.adamw.AdamW8bit');
  });

  test.each(['ADAMW', 'adamw', 'AdamW', 'torch.optim.AdamW'])('%s is AdamW', (type) => {
    expect(createOptimizer(type, groupsOf()).className).toBe('torch.optim.adamw.AdamW');
  });

  test.each([
    ['UNKNOWN_OPTIMIZER', ''],
    ['UNKNOWN_OPTIMIZER', 'AdmaW'],
    ['UNKNOWN_OPTIMIZER', 'sgd'],
    ['UNSUPPORTED_OPTIMIZER', 'Lion8bit'],
    ['UNSUPPORTED_OPTIMIZER', 'bitsandbytes.optim.LAMB'],
    ['UNSUPPORTED_OPTIMIZER', 'torch.optim.LBFGS'],
    ['UNSUPPORTED_OPTIMIZER', 'torch.optim.Adafactor'],
  ])('%s: "%s"', (code, type) => {
    expect(() => createOptimizer(type, groupsOf())).toThrow(
      expect.objectContaining({ code, option: 'optimizer_type' }),
    );
  });

  test('a wrong one is answered with the nearest', () => {
    expect(() => createOptimizer('AdmaW', groupsOf())).toThrowErrorMatchingInlineSnapshot(
      `[OptimizerError: optimizer_type = "AdmaW" is not an optimizer known here. Did you mean "AdamW"? Known: AdamW, Adam, Adafactor, SGD, RAdam, NAdam, Adagrad, RMSprop, Adamax, schedulefree.AdamWScheduleFree, schedulefree.SGDScheduleFree, schedulefree.RAdamScheduleFree, prodigyopt.Prodigy, lion_pytorch.Lion, AdamW8bit, bitsandbytes.optim.PagedAdamW8bit.]`,
    );
  });

  test.each([
    ['Prodigy', 'prodigyopt.Prodigy'],
    ['lion', 'lion_pytorch.Lion'],
    ['AdamScheduleFree', 'schedulefree.AdamWScheduleFree'],
  ])('the name behind the dot is enough to be understood: "%s"', (type, nearest) => {
    expect(() => createOptimizer(type, groupsOf())).toThrow(expect.objectContaining({ nearest }));
  });
});

describe('arguments', () => {
  test.each<[string, string, Record<string, unknown>]>([
    ['UNKNOWN_ARGUMENT', 'AdamW', { weight_decy: 0.1 }],
    ['OPTIMIZER_ARGUMENT', 'AdamW', { betas: [0.9] }],
    ['OPTIMIZER_ARGUMENT', 'AdamW', { betas: [0.9, 1] }],
    ['OPTIMIZER_ARGUMENT', 'AdamW', { eps: -1 }],
    ['OPTIMIZER_ARGUMENT', 'AdamW', { weight_decay: 'x' }],
    ['OPTIMIZER_ARGUMENT', 'AdamW', { amsgrad: 1 }],
    ['OPTIMIZER_ARGUMENT', 'SGD', { nesterov: true }],
    ['OPTIMIZER_ARGUMENT', 'Adafactor', { eps: 1e-8 }],
    ['OPTIMIZER_ARGUMENT', 'schedulefree.SGDScheduleFree', { momentum: 0 }],
    ['OPTIMIZER_ARGUMENT', 'prodigyopt.Prodigy', { d0: 0 }],
  ])('%s: %s %o', (code, type, args) => {
    expect(() => createOptimizer(type, groupsOf(), args)).toThrow(expect.objectContaining({ code }));
  });

  test('those that choose between equal implementations are accepted', () => {
    expect(() => createOptimizer('AdamW', groupsOf(), { fused: true, foreach: false })).not.toThrow();
  });

  test('a wrong one is answered with the nearest', () => {
    expect(() => createOptimizer('AdamW', groupsOf(), { weight_decy: 0.1 })).toThrowErrorMatchingInlineSnapshot(
      `[OptimizerError: optimizer_args: AdamW takes no "weight_decy". Did you mean "weight_decay"? Known: betas, eps, weight_decay, amsgrad.]`,
    );
  });
});

describe('parameters and steps', () => {
  test.each<[string, ParameterGroup[]]>([
    ['none', []],
    ['an empty group', [{ name: 'unet', learningRate: 1, parameters: [] }]],
    ['two of a name', [...groupsOf(), ...groupsOf()]],
    ['a wrong shape', groupsOf(new Float32Array(5))],
    ['NaN', groupsOf(Float32Array.of(0, 0, NaN, 0, 0, 0))],
    ['infinity', groupsOf(Float32Array.of(0, 0, -Infinity, 0, 0, 0))],
    [
      'an empty tensor',
      [{ name: 'unet', learningRate: 1, parameters: [{ name: 'w', data: new Float32Array(0), shape: [0, 3] }] }],
    ],
  ])('refuses %s', (_, groups) => {
    expect(() => createOptimizer('AdamW', groups)).toThrow(expect.objectContaining({ code: 'BAD_PARAMETERS' }));
  });

  test.each<[string, Map<string, Float32Array>, number[]]>([
    ['BAD_GRADIENT', new Map(), [0.1]],
    ['BAD_GRADIENT', new Map([['w', new Float32Array(5)]]), [0.1]],
    ['BAD_LEARNING_RATE', gradientAt(target), []],
    ['BAD_LEARNING_RATE', gradientAt(target), [Number.NaN]],
    ['BAD_LEARNING_RATE', gradientAt(target), [-1]],
  ])('refuses with %s and changes nothing', (code, gradients, rates) => {
    const p = target.slice();
    const optimizer = createOptimizer('AdamW', groupsOf(p));
    const before = optimizer.state();
    expect(() => optimizer.step(gradients, rates)).toThrow(expect.objectContaining({ code }));
    expect(p).toEqual(target);
    expect(optimizer.state()).toEqual(before);
  });

  test('Prodigy refuses groups of different rates', () => {
    const groups = [
      ...groupsOf(),
      { name: 'plus', learningRate: 2, parameters: [{ name: 'v', data: new Float32Array(1), shape: [1] }] },
    ];
    const optimizer = createOptimizer('prodigyopt.Prodigy', groups);
    const gradients = new Map([...gradientAt(target), ['v', new Float32Array(1)]]);
    expect(() => optimizer.step(gradients, [1, 2])).toThrow(expect.objectContaining({ code: 'BAD_LEARNING_RATE' }));
  });

  test('schedule-free optimizers refuse a step with averaged parameters', () => {
    const optimizer = createOptimizer('schedulefree.AdamWScheduleFree', groupsOf());
    expect(optimizer.isScheduleFree).toBe(true);
    optimizer.eval();
    expect(() => optimizer.step(gradientAt(target), [0.1])).toThrow(expect.objectContaining({ code: 'EVAL_MODE' }));
  });

  test('Prodigy tells its estimate, others have none', () => {
    const p = new Float32Array(6);
    const optimizer = createOptimizer('prodigyopt.Prodigy', groupsOf(p));
    expect(optimizer.stepSizeEstimate()).toBe(1e-6);
    run(optimizer, p, 20, 1);
    expect(optimizer.stepSizeEstimate()).toBe(optimizer.state().numbers['d']);
    expect(optimizer.stepSizeEstimate()).toBeGreaterThan(1e-6);
    expect(createOptimizer('AdamW', groupsOf()).stepSizeEstimate()).toBeNull();
  });

  test('Adafactor tells the rates that it chose', () => {
    const p = target.slice();
    const optimizer = createOptimizer('Adafactor', groupsOf(p));
    expect(optimizer.ownLearningRates()).toEqual([0.01]);
    run(optimizer, p, 1, 0.5);
    const rms = Math.sqrt(target.reduce((sum, x) => sum + x * x, 0) / 6);
    expect(optimizer.ownLearningRates()![0]).toBeCloseTo(0.01 * rms, 12);
    expect(createOptimizer('Adafactor', groupsOf(), { relative_step: false }).ownLearningRates()).toBeNull();
  });
});

describe('restore', () => {
  const saved = createOptimizer('AdamW', groupsOf()).state();

  test.each<[string, OptimizerState]>([
    ['another class', createOptimizer('Adam', groupsOf()).state()],
    ['a missing tensor', { ...saved, tensors: new Map([...saved.tensors].slice(1)) }],
    [
      'an unknown tensor',
      { ...saved, tensors: new Map([...saved.tensors, ['x', { shape: [1], data: new Float32Array(1) }]]) },
    ],
    ['another shape', { ...saved, tensors: new Map([...saved.tensors].map(([k, t]) => [k, { ...t, shape: [3, 2] }])) }],
    [
      'another size',
      { ...saved, tensors: new Map([...saved.tensors].map(([k, t]) => [k, { ...t, data: new Float32Array(1) }])) },
    ],
    ['a missing counter', { ...saved, numbers: {} }],
  ])('refuses %s', (_, state) => {
    expect(() => createOptimizer('AdamW', groupsOf()).restore(state)).toThrow(
      expect.objectContaining({ code: 'WRONG_STATE', remedy: expect.any(String) }),
    );
  });
});
