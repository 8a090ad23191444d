import { fromFloat32 } from '@musubi/safetensors';
import type { SafetensorsDtype, TensorInfo, TensorStore, TensorToWrite } from '@musubi/safetensors';
import { LoraError } from './errors.ts';
import { isFloat, roundTo } from './internal/rounding.ts';
import type { FloatDtype } from './internal/rounding.ts';
import { modulePath } from './module-path.ts';

export interface ConvertOptions {
  /** `other`: the layout with dots of ComfyUI and Diffusers; `default`: ours */
  readonly target: 'other' | 'default';
  /** first part of the keys in the other layout, default `diffusion_model`; Diffusers wants `transformer` */
  readonly diffusersPrefix?: string | null;
  /** what the adapter is for, e.g. `flux_kontext`; by default what the metadata of the file say */
  readonly architecture?: string | null;
}

export interface ConvertedLora {
  readonly tensors: readonly TensorToWrite[];
  /** those of the file; undefined: write none */
  readonly metadata: Readonly<Record<string, string>> | undefined;
  /** keys that are in neither layout */
  readonly leftOut: readonly string[];
  /** modules without alpha, whose weights could not be scaled */
  readonly withoutAlpha: readonly string[];
}

/**
 * Renames the tensors of an adapter file between the two layouts.
 *
 *     lora_unet_blocks_0_self_attn_q.lora_down.weight  ⇄  diffusion_model.blocks.0.self_attn.q.lora_A.weight
 *
 * The other layout has no alpha for LoRA: both matrices are multiplied by √(alpha / rank), so that the update stays the same.
 * Back, alpha is the rank. LoHa and LoKr keep their matrices and alpha.
 *
 * @throws {LoraError} `KEY_UNKNOWN` for a key without a dot, `NOTHING_MATCHES` when no key is in the layout to convert from
 */
export async function convertLora(
  store: Pick<TensorStore, 'tensors' | 'metadata' | 'read' | 'readFloat32'>,
  options: ConvertOptions,
): Promise<ConvertedLora> {
  const converted = options.target === 'other' ? await toOther(store, options) : toDefault(store);
  if (converted.tensors.length > 0 || store.tensors.size === 0) return converted;
  const [from, example] =
    options.target === 'other'
      ? ['default', 'lora_unet_….lora_down.weight']
      : ['other', 'diffusion_model.….lora_A.weight'];
  throw new LoraError(
    'NOTHING_MATCHES',
    `no key of the file is in the ${from} layout, e.g. not "${converted.leftOut[0]}".`,
    `Give a file with keys like ${example}, or the other target.`,
    { option: 'target' },
  );
}

type Store = Parameters<typeof convertLora>[0];

const PREFIX = 'lora_unet_';

async function toOther(store: Store, { diffusersPrefix, architecture }: ConvertOptions): Promise<ConvertedLora> {
  const first = diffusersPrefix ?? 'diffusion_model';
  const model = architecture ?? store.metadata['ss_base_model_version'] ?? null;
  const [tensors, leftOut, withoutAlpha]: [TensorToWrite[], string[], Set<string>] = [[], [], new Set()];
  for (const info of store.tensors.values()) {
    const [name, part] = splitAtFirstDot(info.name);
    const renamed = otherPart(part);
    if (!info.name.startsWith(PREFIX) || renamed === undefined) {
      leftOut.push(info.name);
      continue;
    }
    const key = `${first}.${modulePath(name, model)}.${renamed}`;
    const alpha = store.tensors.get(`${name}.alpha`);
    const isLora = part.startsWith('lora_');
    if (part === 'alpha') {
      if (!isLoraModule(store, name)) tensors.push(kept(store, info, key));
    } else if (!isLora) {
      tensors.push(kept(store, info, key));
    } else if (alpha) {
      const rank = info.shape[part.startsWith('lora_down') ? 0 : 1] ?? 1;
      tensors.push(scaled(store, info, key, await rootOfScale(store, alpha, rank)));
    } else {
      withoutAlpha.add(name);
      tensors.push(kept(store, info, key));
    }
  }
  const metadata = Object.keys(store.metadata).length > 0 ? store.metadata : undefined;
  return { tensors, metadata, leftOut, withoutAlpha: [...withoutAlpha] };
}

/** What stands behind the path in the other layout; undefined for what it does not have. */
function otherPart(part: string): string | undefined {
  if (part.startsWith('lora_down.')) return 'lora_A.weight';
  if (part.startsWith('lora_up.')) return 'lora_B.weight';
  return part === 'alpha' || /^(?:hada|lokr)_/.test(part) ? part : undefined;
}

function isLoraModule(store: Store, name: string): boolean {
  return store.tensors.has(`${name}.lora_down.weight`) || store.tensors.has(`${name}.lora_up.weight`);
}

/** √(alpha / rank), rounded as a number of the type that alpha is stored in. */
async function rootOfScale(store: Store, alpha: TensorInfo, rank: number): Promise<number> {
  const dtype: FloatDtype = isFloat(alpha.dtype) ? alpha.dtype : 'F32';
  const [value = rank] = await store.readFloat32(alpha.name);
  const [scale = 1] = roundTo(Float32Array.of(value / rank), dtype);
  return roundTo(Float32Array.of(Math.sqrt(scale)), dtype)[0] ?? 1;
}

function toDefault(store: Store): ConvertedLora {
  const [tensors, leftOut]: [TensorToWrite[], string[]] = [[], []];
  const ranks = new Map<string, number>();
  const names = new Set<string>();
  for (const info of store.tensors.values()) {
    const [first, body] = splitAtFirstDot(info.name);
    if (body === '') {
      const problem = `"${info.name}" has no dot, so it is no key of an adapter.`;
      throw new LoraError('KEY_UNKNOWN', problem, 'Give the file of a LoRA, LoHa or LoKr.', { found: info.name });
    }
    if (first !== 'diffusion_model' && first !== 'transformer') {
      leftOut.push(info.name);
      continue;
    }
    const name = defaultKey(body);
    if (names.has(name)) {
      const problem = `"${info.name}" and another key both become "${name}".`;
      throw new LoraError('DUPLICATE_NAME', problem, 'Keep one of them in the file.', { module: name });
    }
    names.add(name);
    tensors.push(kept(store, info, name));
    const [module, part] = splitAtFirstDot(name);
    if (part.startsWith('lora_down') && info.shape[0] !== undefined) ranks.set(module, info.shape[0]);
  }
  for (const [module, rank] of ranks) {
    if (names.has(`${module}.alpha`)) continue;
    const data = new Uint8Array(BigInt64Array.of(BigInt(rank)).buffer);
    tensors.push({ name: `${module}.alpha`, dtype: 'I64', shape: [], data });
  }
  return { tensors, metadata: store.metadata, leftOut, withoutAlpha: [] };
}

/** `blocks.0.q.lora_A.weight` → `lora_unet_blocks_0_q.lora_down.weight`; A and B, down and up both occur. */
function defaultKey(body: string): string {
  const flat = PREFIX + body.replaceAll('.', '_');
  return flat
    .replace(/_lora_(?:A|down)_/, '.lora_down.')
    .replace(/_lora_(?:B|up)_/, '.lora_up.')
    .replace(/_(hada|lokr)_/, '.$1_')
    .replace(/_alpha$/, '.alpha');
}

function splitAtFirstDot(key: string): [string, string] {
  const dot = key.indexOf('.');
  return dot < 0 ? [key, ''] : [key.slice(0, dot), key.slice(dot + 1)];
}

function kept(store: Store, { dtype, shape, name: from }: TensorInfo, name: string): TensorToWrite {
  return { name, dtype, shape, data: () => store.read(from) };
}

function scaled(store: Store, info: TensorInfo, name: string, factor: number): TensorToWrite {
  const { dtype, shape, name: from } = info;
  if (factor === 1) return kept(store, info, name);
  const data = async () =>
    fromFloat32(
      (await store.readFloat32(from)).map((value) => value * factor),
      asFloat(dtype),
    );
  return { name, dtype: asFloat(dtype), shape, data };
}

function asFloat(dtype: SafetensorsDtype): FloatDtype {
  return isFloat(dtype) ? dtype : 'F32';
}
