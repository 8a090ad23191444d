import { works, type OptionSpec } from '../option-spec.ts';

/** Where the model is computed. The original's caching scripts have `device`, its training scripts ask accelerate. */
export const deviceOptions: readonly OptionSpec[] = [
  {
    name: 'device',
    type: 'string',
    default: 'auto',
    group: 'memory',
    help: 'auto, cpu, cuda, webgpu, dml (DirectML) or coreml; cuda:1 is the second one, dml:1 too; the others take no number. auto is cuda where it works, else cpu.',
    support: works,
  },
  {
    name: 'strict_device',
    type: 'bool',
    default: false,
    group: 'memory',
    help: 'End the run when the device leaves operators of a step to the CPU.',
    support: works,
  },
];
