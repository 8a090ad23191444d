import { works, type OptionSpec } from '../option-spec.ts';

const json: Pick<OptionSpec, 'name' | 'type' | 'default' | 'group' | 'support'> = {
  name: 'json',
  type: 'bool',
  default: false,
  group: 'files',
  support: works,
};

/** Options of the commands that tell what a run or a graph will cost. */
export const analysisOptions: readonly OptionSpec[] = [
  {
    name: 'model',
    type: 'path',
    default: null,
    isPositional: true,
    scripts: ['inspect'],
    group: 'data',
    help: 'An .onnx file, or a folder of training artifacts.',
    support: works,
  },
  {
    name: 'dim',
    type: 'string',
    default: null,
    nargs: '*',
    scripts: ['inspect'],
    group: 'data',
    help: 'Lengths of the graph as SYMBOL=N, e.g. B=1 S=2048; may be given several times. Others: 1024 for S, T and L, else 1.',
    support: works,
  },
  {
    name: 'profile',
    type: 'path',
    default: null,
    scripts: ['inspect'],
    group: 'data',
    help: 'Profile that ONNX Runtime wrote of a run of this graph: where each node ran, and how long.',
    support: works,
  },
  {
    ...json,
    scripts: ['inspect', 'estimate'],
    help: 'Print one JSON object.',
  },
];
