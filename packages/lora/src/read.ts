import type { TensorInfo, TensorStore } from '@musubi/safetensors';
import type { Adapter, AdapterKind, AdapterModule, Factor, LoraAdapter, LoraModule } from './adapter.ts';
import { LoraError } from './errors.ts';
import { parseKey } from './keys.ts';
import type { Part } from './keys.ts';

/** The tensors of one module in a file. */
export type ModuleParts = Partial<Record<Part, TensorInfo>>;

/**
 * Reads the file of a LoRA: ranks from the shapes, alphas from the file (a missing one is the rank).
 *
 * Keys are `lora_unet_….lora_down.weight`, or `diffusion_model.….lora_A.weight`, as `convert_lora` and other programs
 * write them. Weights become float32.
 *
 * @returns modules in the order of the file
 * @throws {LoraError} `NOT_A_LORA`, `ADAPTER_UNSUPPORTED` (LoHa, LoKr, DoRA, convolutions), `INCOMPLETE_MODULE`,
 *   `SHAPE_MISMATCH`, `NOT_FINITE`; `SafetensorsError` for a damaged file
 */
export async function readLora(store: TensorStore): Promise<LoraAdapter> {
  const parts = groupByModule(store);
  const other = [...parts].find(([, found]) => kindOf(found) !== 'lora');
  if (other) {
    const problem = `${other[0]} belongs to a LoHa or LoKr.`;
    throw new LoraError('ADAPTER_UNSUPPORTED', problem, 'Give the file of a LoRA.', { module: other[0] });
  }
  const modules: LoraModule[] = [];
  for (const [name, found] of parts) modules.push(await readLoraModule(store, name, found));
  return { modules };
}

/**
 * Reads the file of a LoRA, LoHa or LoKr, as `readLora` does.
 *
 * @throws {LoraError} as `readLora`, but `ADAPTER_UNSUPPORTED` only for DoRA and convolutions
 */
export async function readAdapter(store: TensorStore): Promise<Adapter> {
  const modules: AdapterModule[] = [];
  for (const [name, parts] of groupByModule(store)) {
    const kind = kindOf(parts);
    modules.push(
      kind === 'lora' ? await readLoraModule(store, name, parts) : await readProduct(store, name, parts, kind),
    );
  }
  return { modules };
}

/** @throws {LoraError} `NOT_A_LORA`, `ADAPTER_UNSUPPORTED`, `DUPLICATE_NAME` */
export function groupByModule(store: Pick<TensorStore, 'tensors'>): ReadonlyMap<string, ModuleParts> {
  const found = new Map<string, ModuleParts>();
  for (const info of store.tensors.values()) {
    const { module, part } = parseKey(info.name);
    const parts = found.get(module) ?? {};
    if (parts[part]) {
      const problem = `${module} is there twice, as "${parts[part].name}" and as "${info.name}".`;
      throw new LoraError('DUPLICATE_NAME', problem, 'Keep one naming in a file.', { module });
    }
    found.set(module, { ...parts, [part]: info });
  }
  if (found.size > 0) return found;
  throw new LoraError('NOT_A_LORA', 'the file has no tensors.', 'Give the file of a LoRA.');
}

export function kindOf(parts: ModuleParts): AdapterKind {
  const names = Object.keys(parts);
  if (names.some((name) => name.startsWith('hada_'))) return 'loha';
  return names.some((name) => name.startsWith('lokr_')) ? 'lokr' : 'lora';
}

/** The parts that a module of this kind consists of, alpha aside. @throws {LoraError} `INCOMPLETE_MODULE` */
export function requiredParts(name: string, parts: ModuleParts): readonly Part[] {
  const kind = kindOf(parts);
  const required = REQUIRED[kind === 'lokr' && !parts.lokr_w2 ? 'lokr low rank' : kind];
  const missing = required.find((part) => !parts[part]);
  if (missing === undefined) return required;
  const remedy = 'The file is not complete: save or download it again.';
  const shown = missing.replace('.weight', '');
  throw new LoraError('INCOMPLETE_MODULE', `${name} has no ${shown}.`, remedy, { module: name });
}

const REQUIRED: Readonly<Record<AdapterKind | 'lokr low rank', readonly Part[]>> = {
  lora: ['lora_down.weight', 'lora_up.weight'],
  loha: ['hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b'],
  lokr: ['lokr_w1', 'lokr_w2'],
  'lokr low rank': ['lokr_w1', 'lokr_w2_a', 'lokr_w2_b'],
};

async function readLoraModule(store: TensorStore, name: string, parts: ModuleParts): Promise<LoraModule> {
  requiredParts(name, parts);
  const [down, up] = [parts['lora_down.weight']!, parts['lora_up.weight']!];
  assertMatrix(name, down);
  assertMatrix(name, up);
  const [rank = 0, inFeatures = 0] = down.shape;
  const [outFeatures = 0, upRank = 0] = up.shape;
  if (rank !== upRank || rank === 0) {
    const problem = `${name}: lora_down is [${down.shape.join(', ')}] and lora_up [${up.shape.join(', ')}].`;
    throw new LoraError('SHAPE_MISMATCH', problem, 'First axis of one and second of the other are the rank.', {
      module: name,
      found: upRank,
      expected: rank,
    });
  }
  return {
    name,
    rank,
    alpha: parts.alpha ? await readAlpha(store, parts.alpha, name) : rank,
    inFeatures,
    outFeatures,
    down: await readFinite(store, down, name),
    up: await readFinite(store, up, name),
  };
}

async function readProduct(
  store: TensorStore,
  name: string,
  parts: ModuleParts,
  kind: 'loha' | 'lokr',
): Promise<AdapterModule> {
  const factors: Factor[] = [];
  for (const part of requiredParts(name, parts)) {
    const info = parts[part]!;
    assertMatrix(name, info);
    const [rows = 0, columns = 0] = info.shape;
    factors.push({ part, shape: [rows, columns], data: await readFinite(store, info, name) });
  }
  const sizes = productSizes(name, kind, factors);
  const alpha = parts.alpha ? await readAlpha(store, parts.alpha, name) : sizes.rank;
  return { kind, name, ...sizes, alpha: sizes.isFull ? sizes.rank : alpha, factors };
}

/** Sizes of the layer that a LoHa or LoKr is for. A full second matrix has no rank of its own: its larger size. */
function productSizes(name: string, kind: 'loha' | 'lokr', factors: readonly Factor[]) {
  const shapes = factors.map(({ shape }) => shape);
  const isEmpty = shapes.some(([rows, columns]) => rows === 0 || columns === 0);
  const [first = [0, 0], second = [0, 0], third = [0, 0], fourth] = shapes;
  if (kind === 'loha') {
    const isSame = first[0] === third[0] && first[1] === third[1] && second[1] === fourth?.[1];
    if (isEmpty || !isSame || first[1] !== second[0] || third[1] !== fourth?.[0]) throw misfit(name, factors);
    return { rank: first[1], outFeatures: first[0], inFeatures: second[1], isFull: false };
  }
  const isFull = factors.length === 2;
  if (isEmpty || (!isFull && second[1] !== third[0])) throw misfit(name, factors);
  return {
    rank: isFull ? Math.max(...second) : second[1],
    outFeatures: first[0] * second[0],
    inFeatures: first[1] * (isFull ? second[1] : third[1]),
    isFull,
  };
}

function misfit(name: string, factors: readonly Factor[]): LoraError {
  const sizes = factors.map(({ part, shape }) => `${part} [${shape.join(', ')}]`).join(', ');
  const remedy = 'The file is damaged or of another kind: save or download it again.';
  return new LoraError('SHAPE_MISMATCH', `${name}: ${sizes} do not fit.`, remedy, { module: name });
}

function assertMatrix(name: string, { shape, name: key }: TensorInfo): void {
  if (shape.length === 2) return;
  const part = key.slice(key.lastIndexOf('.lora_') + 1).replace('.weight', '');
  const problem = `${name} is no adapter of a linear layer: ${part} is [${shape.join(', ')}].`;
  throw new LoraError('ADAPTER_UNSUPPORTED', problem, 'Adapters of convolutions are not supported.', { module: name });
}

export async function readAlpha(store: TensorStore, info: TensorInfo, module: string): Promise<number> {
  const [alpha, ...more] = await readFinite(store, info, module);
  if (alpha !== undefined && more.length === 0) return alpha;
  const problem = `${module}: alpha is [${info.shape.join(', ')}], not one number.`;
  throw new LoraError('SHAPE_MISMATCH', problem, 'The file is not a LoRA of this kind.', { module });
}

export async function readFinite(store: TensorStore, info: TensorInfo, module: string): Promise<Float32Array> {
  const values = await store.readFloat32(info.name);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return values;
  throw new LoraError(
    'NOT_FINITE',
    `"${info.name}" has ${values[bad]} at index ${bad}: it comes from a run that failed.`,
    'Use an adapter that was saved earlier.',
    { module, found: String(values[bad]) },
  );
}
