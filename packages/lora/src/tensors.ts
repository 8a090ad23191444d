import { fromFloat32 } from '@musubi/safetensors';
import type { TensorToWrite } from '@musubi/safetensors';
import { factorsOf } from './adapter.ts';
import type { Adapter } from './adapter.ts';
import { LoraError } from './errors.ts';

/** What `--save_precision` allows. */
const PRECISIONS = { float: 'F32', fp32: 'F32', fp16: 'F16', bf16: 'BF16' } as const;

export type LoraDtype = (typeof PRECISIONS)[keyof typeof PRECISIONS];

/**
 * The dtype that `--save_precision` names: `float` or `fp32` (the default), `fp16`, `bf16`.
 *
 * @throws {LoraError} `PRECISION_UNKNOWN`
 */
export function savePrecision(text: string | null = null): LoraDtype {
  if (text === null) return 'F32';
  if (Object.hasOwn(PRECISIONS, text)) return PRECISIONS[text as keyof typeof PRECISIONS];
  const remedy = `Choose one of ${Object.keys(PRECISIONS).join(', ')}.`;
  throw new LoraError('PRECISION_UNKNOWN', `save_precision = "${text}" is unknown.`, remedy, {
    option: 'save_precision',
    found: text,
  });
}

/** The tensors of an adapter file: the matrices and the scalar `alpha` of each module, all in `dtype`. */
export function loraTensors(adapter: Adapter, dtype: LoraDtype = 'F32'): TensorToWrite[] {
  return adapter.modules.flatMap((module) => {
    const tensor = (part: string, shape: readonly number[], values: Float32Array): TensorToWrite => ({
      name: `${module.name}.${part}`,
      dtype,
      shape,
      data: async () => fromFloat32(values, dtype),
    });
    return [
      ...factorsOf(module).map(({ part, shape, data }) => tensor(part, shape, data)),
      tensor('alpha', [], Float32Array.of(module.alpha)),
    ];
  });
}
