import type { TensorInfo, TensorStore } from '@musubi/safetensors';
import type { LoraAdapter, LoraModule } from './adapter.ts';
import { LoraError } from './errors.ts';
import { loraName } from './naming.ts';

type Part = 'down' | 'up' | 'alpha';

/** How the parts of an adapter are called: our own keys, and those with dots that ComfyUI and Diffusers write. */
const SUFFIXES: Readonly<Record<string, Part>> = {
  '.lora_down.weight': 'down',
  '.lora_up.weight': 'up',
  '.lora_A.weight': 'down',
  '.lora_B.weight': 'up',
  '.alpha': 'alpha',
};

const DOTTED_PREFIX = /^(?:diffusion_model|transformer)\./;

/**
 * Reads an adapter file: ranks from the shapes, alphas from the file (a missing one is the rank).
 *
 * Keys are `lora_unet_….lora_down.weight`, or `diffusion_model.….lora_A.weight`, as `convert_lora` and other programs
 * write them. Weights become float32.
 *
 * @returns modules in the order of the file
 * @throws {LoraError} `NOT_A_LORA`, `ADAPTER_UNSUPPORTED` (LoHa, LoKr, DoRA, convolutions), `INCOMPLETE_MODULE`,
 *   `SHAPE_MISMATCH`, `NOT_FINITE`; `SafetensorsError` for a damaged file
 */
export async function readLora(store: TensorStore): Promise<LoraAdapter> {
  const found = new Map<string, Partial<Record<Part, TensorInfo>>>();
  for (const info of store.tensors.values()) {
    const { module, part } = parseKey(info.name);
    const parts = found.get(module) ?? {};
    if (parts[part]) {
      const problem = `${module} is there twice, as "${parts[part].name}" and as "${info.name}".`;
      throw new LoraError('DUPLICATE_NAME', problem, 'Keep one naming in a file.', { module });
    }
    found.set(module, { ...parts, [part]: info });
  }
  const modules: LoraModule[] = [];
  for (const [name, parts] of found) modules.push(await readModule(store, name, parts));
  if (modules.length > 0) return { modules };
  throw new LoraError('NOT_A_LORA', 'the file has no tensors.', 'Give the file of a LoRA.');
}

/** A key of any naming as `lora_unet_….lora_down.weight`, `….lora_up.weight` or `….alpha`. */
export function canonicalKey(key: string): string {
  const { module, part } = parseKey(key);
  return part === 'alpha' ? `${module}.alpha` : `${module}.lora_${part}.weight`;
}

function parseKey(key: string): { module: string; part: Part } {
  const suffix = Object.keys(SUFFIXES).find((candidate) => key.endsWith(candidate));
  if (suffix === undefined) {
    const other = /\.(?:hada|lokr|dora)_/.exec(key);
    throw other
      ? new LoraError('ADAPTER_UNSUPPORTED', `"${key}" belongs to a LoHa, LoKr or DoRA.`, 'Give the file of a LoRA.')
      : new LoraError('NOT_A_LORA', `"${key}" is no part of a LoRA.`, 'Give the file of a LoRA, not of a model.');
  }
  const path = key.slice(0, -suffix.length);
  const module = DOTTED_PREFIX.test(path) ? loraName(path.replace(DOTTED_PREFIX, '')) : path;
  return { module, part: SUFFIXES[suffix]! };
}

async function readModule(
  store: TensorStore,
  name: string,
  { down, up, alpha }: Partial<Record<Part, TensorInfo>>,
): Promise<LoraModule> {
  if (!down || !up) {
    const missing = down ? 'lora_up' : 'lora_down';
    const remedy = 'The file is not complete: save or download it again.';
    throw new LoraError('INCOMPLETE_MODULE', `${name} has no ${missing}.`, remedy, { module: name });
  }
  if (down.shape.length !== 2 || up.shape.length !== 2) {
    const problem = `${name} is no adapter of a linear layer: lora_down is [${down.shape.join(', ')}].`;
    throw new LoraError('ADAPTER_UNSUPPORTED', problem, 'Adapters of convolutions are not supported.', {
      module: name,
    });
  }
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
    alpha: alpha ? await readAlpha(store, alpha, name) : rank,
    inFeatures,
    outFeatures,
    down: await readFinite(store, down, name),
    up: await readFinite(store, up, name),
  };
}

async function readAlpha(store: TensorStore, info: TensorInfo, module: string): Promise<number> {
  const [alpha, ...more] = await readFinite(store, info, module);
  if (alpha !== undefined && more.length === 0) return alpha;
  const problem = `${module}: alpha is [${info.shape.join(', ')}], not one number.`;
  throw new LoraError('SHAPE_MISMATCH', problem, 'The file is not a LoRA of this kind.', { module });
}

async function readFinite(store: TensorStore, info: TensorInfo, module: string): Promise<Float32Array> {
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
