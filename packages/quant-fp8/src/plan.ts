import type { TensorOutline } from '@musubi/safetensors';
import { Fp8Error } from './errors.ts';
import { formatSpec } from './formats.ts';
import { assertMode, chooseGrouping, DEFAULT_BLOCK_SIZE } from './grouping.ts';
import type { Fp8Mode, Grouping } from './grouping.ts';
import { assertWeightDtype } from './internal/weight-dtype.ts';
import type { WeightDtype } from './internal/weight-dtype.ts';
import type { Fp8Options } from './quantize.ts';
import { isFp8Target, scaleKey } from './targets.ts';
import type { Fp8Architecture, Fp8TargetList } from './targets.ts';

export interface QuantizeOptions extends Fp8Options {
  /** which weights: an architecture, or a list of parts of keys */
  readonly targets: Fp8Architecture | Fp8TargetList;
}

/** A weight that is quantized: where its codes and its scales go. */
export interface PlannedWeight {
  readonly name: string;
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
  readonly grouping: Grouping;
  readonly codes: TensorOutline;
  readonly scale: TensorOutline;
}

/** What becomes of the tensors of a file. */
export interface QuantizationPlan {
  readonly weights: readonly PlannedWeight[];
  /** tensors that stay as they are */
  readonly others: readonly TensorOutline[];
}

/** What was done to a weight. */
export interface QuantizedTensor {
  readonly name: string;
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
  /** the mode after falling back */
  readonly mode: Fp8Mode;
  readonly scaleShape: readonly number[];
  /** `√(Σ (w − ŵ)² / Σ w²)`, ŵ dequantized; 0 for a weight of zeros */
  readonly relativeError: number;
}

export interface QuantizationReport {
  /** the quantized weights, in the order of the file */
  readonly weights: readonly QuantizedTensor[];
  /** tensors that stayed as they were */
  readonly others: number;
  /** as of a tensor, over all quantized weights together */
  readonly relativeError: number;
}

/**
 * Decides what is done to each tensor of a checkpoint, from its header alone.
 *
 * @throws {Fp8Error} `UNKNOWN_FORMAT`, `UNKNOWN_MODE`, `BLOCK_SIZE_INVALID`, `UNKNOWN_ARCHITECTURE`; `NOTHING_MATCHES` when
 *   no key is chosen; of a chosen weight `ALREADY_QUANTIZED`, `UNSUPPORTED_DTYPE`, `EMPTY_TENSOR`
 */
export function planQuantization(tensors: Iterable<TensorOutline>, options: QuantizeOptions): QuantizationPlan {
  const { targets, format = 'e4m3', mode = 'block', blockSize = DEFAULT_BLOCK_SIZE } = options;
  const spec = formatSpec(format);
  assertMode(mode, blockSize);
  const all = new Map(Array.from(tensors, (tensor) => [tensor.name, tensor]));
  const weights: PlannedWeight[] = [];
  const others: TensorOutline[] = [];
  for (const { name, dtype, shape } of all.values()) {
    if (!isFp8Target(name, targets)) {
      others.push({ name, dtype, shape });
      continue;
    }
    assertWeightDtype(dtype, name);
    const scaleName = scaleKey(name);
    if (all.has(scaleName)) throw hasScale(name, scaleName);
    const grouping = groupingNamed(name, shape, mode, blockSize);
    weights.push({
      name,
      dtype,
      shape,
      grouping,
      codes: { name, dtype: spec.dtype, shape },
      scale: { name: scaleName, dtype, shape: grouping.scaleShape },
    });
  }
  if (weights.length === 0) throw nothingMatches(all.keys());
  return { weights, others };
}

/** The tensors of the new file. */
export function plannedOutlines({ weights, others }: QuantizationPlan): TensorOutline[] {
  return [...others, ...weights.flatMap(({ codes, scale }) => [codes, scale])];
}

function groupingNamed(name: string, shape: readonly number[], mode: Fp8Mode, blockSize: number): Grouping {
  try {
    return chooseGrouping(shape, mode, blockSize);
  } catch (error) {
    if (!(error instanceof Fp8Error)) throw error;
    throw new Fp8Error(error.code, `${name}: ${error.message.slice(0, -error.remedy.length - 1)}`, error.remedy, {
      tensor: name,
    });
  }
}

function hasScale(tensor: string, scaleName: string): Fp8Error {
  return new Fp8Error(
    'ALREADY_QUANTIZED',
    `${tensor} has a scale already (${scaleName}).`,
    'Use the checkpoint in bf16, fp16 or fp32.',
    { tensor },
  );
}

function nothingMatches(keys: Iterable<string>): Fp8Error {
  const weights = Array.from(keys).filter((key) => key.endsWith('.weight'));
  const [first] = weights;
  const has = first === undefined ? 'none that ends in ".weight"' : `${weights.length}, with names like ${first}`;
  return new Fp8Error(
    'NOTHING_MATCHES',
    `no weight of the file is chosen; it has ${has}.`,
    'Choose the architecture of this checkpoint, or give parts of its keys.',
  );
}
