import { fromFloat32 } from '@musubi/safetensors';
import type { SafetensorsDtype, TensorInfo, TensorStore, TensorToWrite } from '@musubi/safetensors';
import { LoraError } from './errors.ts';
import { kron, matmul } from './internal/matmul.ts';
import { isEightBit, isFloat, promote, roundTo } from './internal/rounding.ts';
import type { FloatDtype } from './internal/rounding.ts';
import { loraName } from './naming.ts';
import { groupByModule, kindOf, readAlpha, readFinite, requiredParts } from './read.ts';
import type { ModuleParts } from './read.ts';

export interface MergedAdapter {
  readonly store: TensorStore;
  /** factor of the whole adapter, default 1; negative takes it out again */
  readonly multiplier?: number;
}

export interface MergeOptions {
  /**
   * `float32` (default): everything in float32, rounded once to the type of the base, as the original's merge script.
   * `promoted`: every step in the type that PyTorch gives it, as the original merges when it loads a model: float32
   * adapters make their weights float32.
   */
  readonly arithmetic?: 'float32' | 'promoted';
}

/** One weight with adapters merged into it. */
export interface MergedWeight {
  readonly values: Float32Array;
  readonly dtype: FloatDtype;
}

export interface LoraMerger {
  /** The type that this weight will have, null when no adapter has a part in it. */
  dtypeOf(key: string, dtype: SafetensorsDtype): FloatDtype | null;
  /**
   * @param key of the weight in its checkpoint, e.g. `blocks.0.ffn.0.weight`
   * @param weight in float32, `[out, in]` or `[out, in, …kernel]`
   * @returns null when no adapter has a part in it
   * @throws {LoraError} `SHAPE_MISMATCH`, `NOT_FINITE`
   */
  merge(
    key: string,
    shape: readonly number[],
    dtype: SafetensorsDtype,
    weight: Float32Array,
  ): Promise<MergedWeight | null>;
  /** Modules of all adapters, by the names in their files. */
  readonly modules: ReadonlySet<string>;
}

export interface MergedModel {
  /** the tensors of the base in their order; each is read and computed when it is written */
  readonly tensors: readonly TensorToWrite[];
  readonly metadata: Readonly<Record<string, string>>;
  /** keys of the weights that change */
  readonly merged: readonly string[];
  /** modules of the adapters for which the base has no weight */
  readonly unused: readonly string[];
}

/**
 * A checkpoint with adapters merged into its weights, tensor by tensor: one weight at a time is in memory.
 *
 *     W ← W + multiplier·ΔW     for each adapter in turn
 *
 * @throws {LoraError} `NOTHING_MATCHES`, `SHAPE_MISMATCH`, `MULTIPLIER_INVALID`, `BASE_QUANTIZED`, and as `readAdapter`
 */
export function mergeLora(
  base: TensorStore,
  adapters: readonly MergedAdapter[],
  options: MergeOptions = {},
): MergedModel {
  const merger = createMerger(adapters, options);
  const merged: string[] = [];
  const found = new Set<string>();
  const tensors = [...base.tensors.values()].map((info): TensorToWrite => {
    const { name, shape } = info;
    const dtype = merger.dtypeOf(name, info.dtype);
    if (dtype === null) return { name, dtype: info.dtype, shape, data: () => base.read(name) };
    assertPlain(base, info);
    merged.push(name);
    found.add(moduleOf(name));
    const data = async () => {
      const weight = await base.readFloat32(name);
      const result = await merger.merge(name, shape, info.dtype, weight);
      return fromFloat32(result?.values ?? weight, dtype);
    };
    return { name, dtype, shape, data };
  });
  const unused = [...merger.modules].filter((module) => !found.has(module));
  if (merged.length === 0 && merger.modules.size > 0) {
    throw new LoraError(
      'NOTHING_MATCHES',
      `the base has no weight for any of the ${merger.modules.size} modules, e.g. not for ${unused[0]}.`,
      'Give the checkpoint that the adapter was trained on.',
    );
  }
  return { tensors, metadata: base.metadata, merged, unused };
}

/**
 * Merges adapters into weights that are given one by one, e.g. before they are quantized.
 *
 * @throws {LoraError} `MULTIPLIER_INVALID`, and as `readAdapter`
 */
export function createMerger(
  adapters: readonly MergedAdapter[],
  { arithmetic = 'float32' }: MergeOptions = {},
): LoraMerger {
  const sources = adapters.map(({ store, multiplier = 1 }) => {
    if (!Number.isFinite(multiplier)) {
      const problem = `the multiplier ${multiplier} is not a number to multiply with.`;
      throw new LoraError('MULTIPLIER_INVALID', problem, 'Use a finite number, e.g. 0.8.', {
        option: 'lora_multiplier',
      });
    }
    const modules = groupByModule(store);
    for (const [name, parts] of modules) requiredParts(name, parts);
    return { store, multiplier, modules };
  });
  const sourcesOf = (key: string) => sources.filter(({ modules }) => modules.has(moduleOf(key)));

  return {
    modules: new Set(sources.flatMap(({ modules }) => [...modules.keys()])),
    dtypeOf(key, dtype) {
      const here = isWeight(key) && isFloat(dtype) ? sourcesOf(key) : [];
      if (here.length === 0 || !isFloat(dtype)) return null;
      if (arithmetic === 'float32' || isEightBit(dtype)) return dtype;
      return here.reduce(
        (sum: FloatDtype, { modules }) => promote(sum, partsDtype(modules.get(moduleOf(key))!)),
        dtype,
      );
    },
    async merge(key, shape, dtype, weight) {
      const here = isWeight(key) && isFloat(dtype) ? sourcesOf(key) : [];
      if (here.length === 0 || !isFloat(dtype)) return null;
      let sum = { values: weight, dtype };
      for (const { store, multiplier, modules } of here) {
        const name = moduleOf(key);
        const parts = modules.get(name)!;
        // 8-bit weights are summed in float16, which holds all their values.
        const work = arithmetic === 'float32' ? 'F32' : isEightBit(dtype) ? 'F16' : partsDtype(parts);
        const delta = await scaledUpdate(store, name, parts, multiplier, work);
        assertFits(name, key, shape, delta, sum.values.length);
        const type = arithmetic === 'float32' ? 'F32' : isEightBit(dtype) ? 'F16' : promote(sum.dtype, work);
        const values = roundTo(
          sum.values.map((value, i) => value + delta[i]!),
          type,
        );
        sum = { values: isEightBit(dtype) ? roundTo(values, dtype) : values, dtype: isEightBit(dtype) ? dtype : type };
      }
      return arithmetic === 'float32' ? { values: roundTo(sum.values, dtype), dtype } : sum;
    },
  };
}

const isWeight = (key: string): boolean => key.endsWith('.weight');

/** The adapter module of a weight, under whatever prefix the checkpoint has it. */
function moduleOf(key: string): string {
  return loraName(key.replace(/^(?:model\.)?diffusion_model\./, '').replace(/\.weight$/, ''));
}

function partsDtype(parts: ModuleParts): FloatDtype {
  const info = Object.entries(parts).find(([part]) => part !== 'alpha')?.[1];
  return info && isFloat(info.dtype) ? info.dtype : 'F32';
}

/** `multiplier·scale·ΔW`, flat, each product rounded to `work` in the original's order. */
async function scaledUpdate(
  store: TensorStore,
  name: string,
  parts: ModuleParts,
  multiplier: number,
  work: FloatDtype,
): Promise<Float32Array> {
  const read = async (info: TensorInfo) => roundTo(await readFinite(store, info, name), work);
  const times = (values: Float32Array, factor: number) =>
    factor === 1
      ? values
      : roundTo(
          values.map((value) => value * factor),
          work,
        );
  const alpha = parts.alpha ? await readAlpha(store, parts.alpha, name) : null;

  switch (kindOf(parts)) {
    case 'lora': {
      const [down, up] = [parts['lora_down.weight']!, parts['lora_up.weight']!];
      const [rank = 1, columns] = flatSize(down);
      const [rows, upRank] = flatSize(up);
      if (rank !== upRank) throw ranksDiffer(name, down, up);
      const product = roundTo(matmul(await read(up), await read(down), rows, rank, columns), work);
      const scale = alpha === null ? 1 : (roundTo(Float32Array.of(alpha / rank), alphaDtype(parts))[0] ?? 1);
      return times(times(product, multiplier), scale);
    }
    case 'loha': {
      const product = async (a: TensorInfo, b: TensorInfo) => {
        const [[rows, rank], [inner, columns]] = [flatSize(a), flatSize(b)];
        if (rank !== inner) throw ranksDiffer(name, a, b);
        return roundTo(matmul(await read(a), await read(b), rows, rank, columns), work);
      };
      const first = await product(parts.hada_w1_a!, parts.hada_w1_b!);
      const second = await product(parts.hada_w2_a!, parts.hada_w2_b!);
      if (first.length !== second.length) throw ranksDiffer(name, parts.hada_w1_b!, parts.hada_w2_b!);
      const rank = parts.hada_w1_b!.shape[0] ?? 1;
      const hadamard = roundTo(
        first.map((value, i) => value * second[i]!),
        work,
      );
      return times(times(hadamard, (alpha ?? rank) / rank), multiplier);
    }
    case 'lokr': {
      const w1 = parts.lokr_w1!;
      if (parts.lokr_w2) {
        const w2 = parts.lokr_w2;
        return times(roundTo(kron(await read(w1), await read(w2), flatSize(w1), flatSize(w2)), work), multiplier);
      }
      const [w2a, w2b] = [parts.lokr_w2_a!, parts.lokr_w2_b!];
      const [[rows, rank], [inner, columns]] = [flatSize(w2a), flatSize(w2b)];
      if (rank !== inner) throw ranksDiffer(name, w2a, w2b);
      const w2 = roundTo(matmul(await read(w2a), await read(w2b), rows, rank, columns), work);
      const product = roundTo(kron(await read(w1), w2, flatSize(w1), [rows, columns]), work);
      return times(times(product, (alpha ?? rank) / rank), multiplier);
    }
  }
}

function alphaDtype({ alpha }: ModuleParts): FloatDtype {
  return alpha && isFloat(alpha.dtype) ? alpha.dtype : 'F32';
}

/** First axis and all others together: a kernel of a convolution counts as columns. */
function flatSize({ shape }: TensorInfo): [number, number] {
  const [rows = 1, ...rest] = shape;
  return [rows, rest.reduce((product, size) => product * size, 1)];
}

function ranksDiffer(module: string, a: TensorInfo, b: TensorInfo): LoraError {
  const problem = `${module}: "${a.name}" [${a.shape.join(', ')}] and "${b.name}" [${b.shape.join(', ')}] do not fit.`;
  return new LoraError('SHAPE_MISMATCH', problem, 'The file is damaged: save or download it again.', { module });
}

function assertFits(module: string, key: string, shape: readonly number[], delta: Float32Array, size: number): void {
  if (delta.length === size) return;
  throw new LoraError(
    'SHAPE_MISMATCH',
    `${module} changes ${delta.length} numbers, but "${key}" is [${shape.join(', ')}].`,
    'Use an adapter of the same model.',
    { module, found: delta.length, expected: size },
  );
}

/** 8-bit weights with a scale mean something else than their numbers. */
function assertPlain(base: TensorStore, { name }: TensorInfo): void {
  const scale = [name.replace(/\.weight$/, '.scale_weight'), `${name}_scale`].find((key) => base.tensors.has(key));
  if (scale === undefined) return;
  throw new LoraError(
    'BASE_QUANTIZED',
    `"${name}" is quantized: its scale is "${scale}".`,
    'Merge into the checkpoint in 16 or 32 bits, and quantize afterwards.',
    { module: name },
  );
}
