import { OptimizerError } from '../errors.ts';
import type { Optimizer, OptimizerState, Parameter, ParameterGroup } from '../optimizer.ts';
import { assertGroups, assertStep } from './groups.ts';

/** One tensor of a parameter's memory: a name and a shape that follows the parameter's. */
export interface SlotSpec {
  readonly name: string;
  /** default: the parameter's own shape */
  readonly shape?: (parameter: Parameter) => readonly number[];
  /** default: zeros */
  readonly fill?: (data: Float32Array, parameter: Parameter) => void;
}

/** As `SlotSpec`, for a tensor of 8-bit codes of the parameter's shape, all 0 at first. */
export interface CodeSpec {
  readonly name: string;
}

/** A parameter with its gradient and its memory at one step. */
export interface Item extends Parameter {
  readonly gradient: Float32Array;
  /** in the order of the rule's slots */
  readonly slots: readonly Float32Array[];
  /** in the order of the rule's codes */
  readonly codes: readonly Uint8Array[];
}

export interface StepContext {
  readonly groups: readonly { readonly learningRate: number; readonly items: readonly Item[] }[];
  /** counted from 1 */
  readonly step: number;
  /** numbers that the rule remembers, to be changed in place */
  readonly numbers: Record<string, number>;
}

/** An optimizer as the mathematics of one step; everything around it is the same for all. */
export interface Rule {
  readonly className: string;
  readonly slots: readonly SlotSpec[] | ((parameter: Parameter) => readonly SlotSpec[]);
  /** default: none */
  readonly codes?: (parameter: Parameter) => readonly CodeSpec[];
  /** numbers remembered beside the step counter, with their first values */
  readonly numbers?: Readonly<Record<string, number>>;
  readonly update: (context: StepContext) => void;
  readonly ownLearningRates?: (numbers: Readonly<Record<string, number>>) => readonly number[];
  readonly stepSizeEstimate?: (numbers: Readonly<Record<string, number>>) => number;
  /** passes between the trained and the averaged parameters */
  readonly switchMode?: (items: readonly Omit<Item, 'gradient'>[], mode: 'train' | 'eval') => void;
}

interface Memory {
  readonly parameter: Parameter;
  readonly specs: readonly { readonly key: string; readonly shape: readonly number[] }[];
  readonly slots: readonly Float32Array[];
  readonly codeSpecs: readonly { readonly key: string; readonly shape: readonly number[] }[];
  readonly codes: readonly Uint8Array[];
}

export function createFromRule(rule: Rule, groups: readonly ParameterGroup[]): Optimizer {
  assertGroups(groups);
  const memories = groups.map(({ parameters }) => parameters.map((parameter) => allocate(rule, parameter)));
  let numbers: Record<string, number> = { ...rule.numbers, step: 0, ...(rule.switchMode && { isEval: 0 }) };

  const switchTo = (mode: 'train' | 'eval'): void => {
    const isEval = mode === 'eval' ? 1 : 0;
    if (!rule.switchMode || numbers['isEval'] === isEval) return;
    rule.switchMode(
      memories.flat().map(({ parameter, slots, codes }) => ({ ...parameter, slots, codes })),
      mode,
    );
    numbers['isEval'] = isEval;
  };

  return {
    className: rule.className,
    isScheduleFree: rule.switchMode !== undefined,
    step: (gradients, learningRates) => {
      assertStep(groups, gradients, learningRates);
      if (numbers['isEval'] === 1) throw inEvalMode(rule.className);
      numbers['step']!++;
      rule.update({
        step: numbers['step']!,
        numbers,
        groups: memories.map((group, k) => ({
          learningRate: learningRates[k]!,
          items: group.map(({ parameter, slots, codes }) => ({
            ...parameter,
            gradient: gradients.get(parameter.name)!,
            slots,
            codes,
          })),
        })),
      });
    },
    ownLearningRates: () => rule.ownLearningRates?.(numbers) ?? null,
    stepSizeEstimate: () => rule.stepSizeEstimate?.(numbers) ?? null,
    train: () => switchTo('train'),
    eval: () => switchTo('eval'),
    state: () => ({
      className: rule.className,
      numbers: { ...numbers },
      tensors: copyTensors(memories.flat()),
      codes: copyCodes(memories.flat()),
    }),
    restore: (state) => {
      assertState(rule.className, numbers, memories.flat(), state);
      numbers = { ...state.numbers };
      for (const { specs, slots, codeSpecs, codes } of memories.flat()) {
        specs.forEach(({ key }, i) => slots[i]!.set(state.tensors.get(key)!.data));
        codeSpecs.forEach(({ key }, i) => codes[i]!.set(state.codes.get(key)!.data));
      }
    },
  };
}

function allocate(rule: Rule, parameter: Parameter): Memory {
  const specs = typeof rule.slots === 'function' ? rule.slots(parameter) : rule.slots;
  const shapes = specs.map(({ shape }) => shape?.(parameter) ?? parameter.shape);
  const slots = shapes.map((shape) => new Float32Array(shape.reduce((product, n) => product * n, 1)));
  specs.forEach(({ fill }, i) => fill?.(slots[i]!, parameter));
  const codeSpecs = rule.codes?.(parameter) ?? [];
  return {
    parameter,
    slots,
    codeSpecs: codeSpecs.map(({ name }) => ({ key: `${name}.${parameter.name}`, shape: parameter.shape })),
    codes: codeSpecs.map(() => new Uint8Array(parameter.data.length)),
    specs: specs.map(({ name }, i) => ({ key: `${name}.${parameter.name}`, shape: shapes[i]! })),
  };
}

function copyTensors(memories: readonly Memory[]): OptimizerState['tensors'] {
  const entries = memories.flatMap(({ specs, slots }) =>
    specs.map(({ key, shape }, i) => [key, { shape, data: slots[i]!.slice() }] as const),
  );
  return new Map(entries);
}

function copyCodes(memories: readonly Memory[]): OptimizerState['codes'] {
  const entries = memories.flatMap(({ codeSpecs, codes }) =>
    codeSpecs.map(({ key, shape }, i) => [key, { shape, data: codes[i]!.slice() }] as const),
  );
  return new Map(entries);
}

function assertState(
  className: string,
  numbers: Readonly<Record<string, number>>,
  memories: readonly Memory[],
  state: OptimizerState,
): void {
  const fail = (problem: string): never => {
    const remedy = 'Resume with the optimizer and the adapter settings of the saved run.';
    throw new OptimizerError('WRONG_STATE', `The saved optimizer does not fit: ${problem}.`, remedy, {
      option: 'optimizer_type',
      value: state.className,
    });
  };
  if (state.className !== className) fail(`it is ${state.className}, this run has ${className}`);
  for (const key of Object.keys(numbers)) {
    if (!Number.isFinite(state.numbers[key])) fail(`the number "${key}" is ${String(state.numbers[key])}`);
  }
  assertTensors(
    memories.flatMap(({ specs }) => specs),
    state.tensors,
    fail,
  );
  assertTensors(
    memories.flatMap(({ codeSpecs }) => codeSpecs),
    state.codes,
    fail,
  );
}

function assertTensors(
  wanted: readonly { readonly key: string; readonly shape: readonly number[] }[],
  found: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>,
  fail: (problem: string) => never,
): void {
  for (const { key, shape } of wanted) {
    const tensor = found.get(key);
    if (!tensor) fail(`"${key}" is missing`);
    else if (tensor.shape.join() !== shape.join()) {
      fail(`"${key}" has shape [${tensor.shape.join(', ')}] instead of [${shape.join(', ')}]`);
    } else if (tensor.data.length !== shape.reduce((product, n) => product * n, 1)) {
      fail(`"${key}" has ${tensor.data.length} values`);
    }
  }
  if (found.size === wanted.length) return;
  const known = new Set(wanted.map(({ key }) => key));
  fail(`"${[...found.keys()].find((key) => !known.has(key))}" is unknown here`);
}

function inEvalMode(className: string): OptimizerError {
  const problem = `${className} was stepped with averaged parameters.`;
  return new OptimizerError('EVAL_MODE', problem, 'Call train() before the next step.', {
    option: 'mode',
    value: 'eval',
  });
}
