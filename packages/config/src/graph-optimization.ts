import type { OptionValues } from './option-values.ts';

/** How ONNX Runtime changes a graph when it loads it. */
export interface GraphOptimization {
  /** `basic` keeps the rounding of a plain and a checkpointed run the same; `all` is everything that the runtime offers. */
  readonly level: 'basic' | 'all';
  /** Refuse a graph of which a node cannot run on the device. */
  readonly onDeviceOnly: boolean;
  /** A graph for each shape of batches, with lengths as numbers, instead of one with symbols for all. */
  readonly fixedShapes: boolean;
}

/** What the options about compiling in PyTorch become; printed by `--print_config` and written in the guide. */
export const graphOptimizationTable: readonly (readonly [option: string, value: string, meaning: string])[] = [
  ['dynamo_backend', 'NO', 'the default: level basic'],
  ['dynamo_backend', 'any other', 'as compile'],
  ['compile', 'true', 'the level that the mode below gives'],
  ['compile_mode, dynamo_mode', 'default, reduce-overhead', 'level basic'],
  [
    'compile_mode, dynamo_mode',
    'max-autotune, max-autotune-no-cudagraphs',
    'level all: everything that ONNX Runtime offers',
  ],
  ['compile_fullgraph, dynamo_fullgraph', 'true', 'a graph of which a node cannot run on the device is refused'],
  ['compile_dynamic', 'true, auto', 'one graph for all shapes, as without it'],
  [
    'compile_dynamic',
    'false',
    'with compile, a graph for each bucket and batch size, loaded when its first batch comes',
  ],
  ['dynamo_dynamic', 'true', 'one graph for all shapes, as without it'],
  ['compile_backend', 'any', 'no effect: there is one compiler'],
  ['compile_cache_size_limit', 'any', 'no effect: a graph is optimized once, when it is loaded'],
];

/** Reads the options of either way to compile; the newer one wins. */
export function toGraphOptimization({ text, flag }: Pick<OptionValues, 'text' | 'flag'>): GraphOptimization {
  const isCompiled = flag('compile');
  const isDynamo = text('dynamo_backend') !== 'NO';
  const mode = isCompiled ? text('compile_mode') : isDynamo ? text('dynamo_mode') : 'default';
  return {
    level: mode.startsWith('max-autotune') ? 'all' : 'basic',
    fixedShapes: isCompiled && text('compile_dynamic') === 'false',
    onDeviceOnly: (isCompiled && flag('compile_fullgraph')) || (isDynamo && flag('dynamo_fullgraph')),
  };
}
