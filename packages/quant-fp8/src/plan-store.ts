import type { TensorInfo, TensorOutline } from '@musubi/safetensors';
import { assertWeightDtype } from './internal/weight-dtype.ts';
import type { WeightDtype } from './internal/weight-dtype.ts';
import type { Work } from './internal/work.ts';
import { isNarrow, planCasts, planInt8, widened } from './plan-base.ts';
import type { BasePlanOptions } from './plan-base.ts';
import { plannedOutlines, planQuantization } from './plan.ts';
import type { QuantizationReport, QuantizedTensor } from './plan.ts';

export type StoreOptions = BasePlanOptions;

/** What is done to a tensor of the checkpoint, and where it goes. */
export interface PlannedWork {
  readonly work: Work;
  /** the tensor of its scales in the new file, null where it has none */
  readonly scale: string | null;
  /** null for a tensor that keeps its numbers */
  readonly report: Omit<QuantizedTensor, 'relativeError'> | null;
}

/** A new file with the weights of a checkpoint in 8 bits, whatever it is written to. */
export interface StorePlan {
  /** the tensors of the new file */
  readonly outlines: readonly TensorOutline[];
  /** one for each tensor of the checkpoint */
  readonly works: readonly PlannedWork[];
}

/** @throws {Fp8Error} as `planQuantization` */
export function planStore(tensors: ReadonlyMap<string, TensorInfo>, options: StoreOptions): StorePlan {
  const { outlines, works } = planWorks([...tensors.values()], options);
  return { outlines: options.wide ? outlines.map(widened) : outlines, works };
}

function planWorks(tensors: readonly TensorInfo[], options: StoreOptions): StorePlan {
  const { method = 'scaled', format = 'e4m3', wide = false } = options;
  if (method === 'cast') {
    const casts = planCasts(tensors, format);
    return {
      outlines: casts.map(({ codes }) => codes),
      works: casts.map(({ name, dtype, shape }) => ({
        work: { kind: 'cast', name, dtype, format, count: countOf({ shape }) },
        scale: null,
        report: { name, dtype, shape, mode: 'tensor', scaleShape: [] },
      })),
    };
  }
  const isInt8 = method === 'int8';
  const plan = isInt8 ? planInt8(tensors, options) : planQuantization(tensors, options);
  const lengths = new Map(tensors.map(({ name, byteLength }) => [name, byteLength]));
  const weights = plan.weights.map(({ name, dtype, shape, grouping, scale }): PlannedWork => {
    const scaleDtype: WeightDtype = wide ? 'F32' : dtype;
    return {
      work: isInt8
        ? { kind: 'int8', name, dtype, count: countOf({ shape }) }
        : { kind: 'quantize', name, dtype, format, grouping, scaleDtype },
      scale: scale.name,
      report: { name, dtype, shape, mode: grouping.mode, scaleShape: scale.shape },
    };
  });
  const others = plan.others.map((outline): PlannedWork => {
    const { name, dtype } = outline;
    if (!wide || !isNarrow(outline)) {
      return { work: { kind: 'copy', name, length: lengths.get(name) ?? 0 }, scale: null, report: null };
    }
    assertWeightDtype(dtype, name);
    return { work: { kind: 'widen', name, dtype, count: countOf(outline) }, scale: null, report: null };
  });
  return { outlines: plannedOutlines(plan), works: [...weights, ...others] };
}

export interface MeasuredTensor {
  readonly report: QuantizedTensor;
  /** `Σ w²` */
  readonly squaredNorm: number;
}

/** What was done, from what was measured of each weight, by name. Of the sum of errors each counts by its norm. */
export function reportOfPlan({ works }: StorePlan, measured: ReadonlyMap<string, MeasuredTensor>): QuantizationReport {
  const weights = works.flatMap(({ work }) => measured.get(work.name) ?? []);
  let [norm, distance] = [0, 0];
  for (const { report, squaredNorm } of weights) {
    norm += squaredNorm;
    distance += report.relativeError ** 2 * squaredNorm;
  }
  return {
    weights: weights.map(({ report }) => report),
    others: works.filter(({ report }) => report === null).length,
    relativeError: norm === 0 ? 0 : Math.sqrt(distance / norm),
  };
}

/** A file without metadata gets none. */
export function metadataOf(
  { metadata }: { readonly metadata: Readonly<Record<string, string>> },
  more: Readonly<Record<string, string>> = {},
) {
  const all = { ...metadata, ...more };
  return Object.keys(all).length === 0 ? {} : { metadata: all };
}

const countOf = ({ shape }: { readonly shape: readonly number[] }): number =>
  shape.reduce((product, size) => product * size, 1);
