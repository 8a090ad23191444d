import type { SafetensorsDtype } from '../dtype.ts';
import { spanOf } from '../strided.ts';
import { PickleGlobal, Plain, TorchStorage, TorchTensor } from './values.ts';
import type { CallContext, PickleValue, TorchDtype } from './values.ts';

/** PyTorch has at most 64 axes. */
const MAX_AXES = 64;

const dtype = (name: string, width: number, safetensors: SafetensorsDtype | null): TorchDtype => ({
  name,
  width,
  dtype: safetensors,
});

/** PyTorch's number types: bytes of an element, and the name in safetensors. */
const DTYPES: readonly TorchDtype[] = [
  dtype('float64', 8, 'F64'),
  dtype('float32', 4, 'F32'),
  dtype('float16', 2, 'F16'),
  dtype('bfloat16', 2, 'BF16'),
  dtype('float8_e4m3fn', 1, 'F8_E4M3'),
  dtype('float8_e5m2', 1, 'F8_E5M2'),
  dtype('int64', 8, 'I64'),
  dtype('int32', 4, 'I32'),
  dtype('int16', 2, 'I16'),
  dtype('int8', 1, 'I8'),
  dtype('uint64', 8, 'U64'),
  dtype('uint32', 4, 'U32'),
  dtype('uint16', 2, 'U16'),
  dtype('uint8', 1, 'U8'),
  dtype('bool', 1, 'BOOL'),
  dtype('complex32', 4, null),
  dtype('complex64', 8, null),
  dtype('complex128', 16, null),
  dtype('float8_e4m3fnuz', 1, null),
  dtype('float8_e5m2fnuz', 1, null),
  dtype('float8_e8m0fnu', 1, null),
];

/** `torch.FloatStorage` and the like; each stands for a number type. An untyped storage counts in bytes. */
const STORAGES: Readonly<Record<string, string>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  ComplexFloatStorage: 'complex64',
  ComplexDoubleStorage: 'complex128',
  UntypedStorage: 'uint8',
};

const CONTIGUOUS = 'In PyTorch, save it as tensor.clone().contiguous().';

/**
 * The names of Python that a pickle may use. Each makes a value here; none is looked up anywhere.
 *
 * @see PyTorch, `torch/_utils.py`, for what the arguments mean
 */
export const GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    new PickleGlobal('torch._utils._rebuild_tensor_v2', rebuildTensor),
    new PickleGlobal('torch._utils._rebuild_tensor_v3', rebuildTensorOfType),
    new PickleGlobal('torch._utils._rebuild_parameter', ([data]) => data ?? null),
    new PickleGlobal('torch._utils._rebuild_parameter_with_state', ([data]) => data ?? null),
    new PickleGlobal('torch._tensor._rebuild_from_type_v2', rebuildFromType),
    ...named('torch.Tensor', 'torch._tensor.Tensor', 'torch.nn.parameter.Parameter'),
    new PickleGlobal('torch.Size', ([sizes]) => (Array.isArray(sizes) ? sizes : [])),
    new PickleGlobal('torch.device', () => new Plain('device')),
    ...DTYPES.map((type) => new PickleGlobal(`torch.${type.name}`, undefined, type)),
    ...Object.entries(STORAGES).flatMap(([name, type]) =>
      ['torch', 'torch.storage'].map((module) => new PickleGlobal(`${module}.${name}`, undefined, dtypeOf(type))),
    ),
    ...named('torch.storage.TypedStorage'),
    new PickleGlobal('collections.OrderedDict', newDict),
    ...['builtins', '__builtin__'].flatMap((module) => [
      new PickleGlobal(`${module}.set`, newSet),
      new PickleGlobal(`${module}.frozenset`, newSet),
      new PickleGlobal(`${module}.bytes`, () => new Uint8Array()),
    ]),
    new PickleGlobal('_codecs.encode', encodeBytes),
  ].map((global) => [global.name, global]),
);

/**
 * The storage that a persistent id names: `('storage', class, key, device, elements)`. Null for any other id.
 */
export function storageOf(id: PickleValue): TorchStorage | null {
  if (!isArray(id) || id.length !== 5) return null;
  const [kind, storageClass, key, , count] = id;
  if (kind !== 'storage' || !(storageClass instanceof PickleGlobal) || typeof key !== 'string') return null;
  const type = storageClass.dtype;
  if (!type || !isCount(count) || !Number.isSafeInteger(count * type.width)) return null;
  return new TorchStorage(key, type, count);
}

function named(...names: readonly string[]): PickleGlobal[] {
  return names.map((name) => new PickleGlobal(name, undefined));
}

function dtypeOf(name: string): TorchDtype {
  return DTYPES.find((type) => type.name === name)!;
}

/** `(storage, offset, size, stride, requires_grad, backward_hooks, metadata?)` */
function rebuildTensor(args: readonly PickleValue[], context: CallContext): TorchTensor {
  const [storage, offset, shape, strides, , , metadata] = args;
  if (!(storage instanceof TorchStorage)) throw context.invalid('has no storage');
  return view(storage, storage.type, [offset, shape, strides, metadata], context);
}

/** The same with the number type behind: `(…, backward_hooks, dtype, metadata?)`; the storage counts bytes. */
function rebuildTensorOfType(args: readonly PickleValue[], context: CallContext): TorchTensor {
  const [storage, offset, shape, strides, , , type, metadata] = args;
  if (!(storage instanceof TorchStorage)) throw context.invalid('has no storage');
  if (!(type instanceof PickleGlobal) || !type.dtype) throw context.invalid('has no number type');
  return view(storage, type.dtype, [offset, shape, strides, metadata], context);
}

/** `(function, type, args, state)`: a tensor that has attributes of Python, which are left out. */
function rebuildFromType(args: readonly PickleValue[], context: CallContext): PickleValue {
  const [rebuild, , inner] = args;
  if (!(rebuild instanceof PickleGlobal) || !rebuild.name.startsWith('torch._utils._rebuild_') || !isArray(inner)) {
    throw context.invalid('is of a type that is not known');
  }
  return rebuild.call!(inner, context);
}

function view(
  storage: TorchStorage,
  type: TorchDtype,
  [offset, shape, strides, metadata]: readonly (PickleValue | undefined)[],
  context: CallContext,
): TorchTensor {
  if (!isArray(shape) || !isArray(strides) || shape.length !== strides.length || shape.length > MAX_AXES) {
    throw context.invalid('has no shape with a stride for each axis');
  }
  if (!isCount(offset) || !shape.every(isCount) || !strides.every(isCount)) {
    throw context.invalid('has an offset, size or stride that is no integer from 0 to 2^53');
  }
  // Lazily negated or conjugated tensors keep the bytes of the original.
  const lazy = metadata instanceof Map && Array.from(metadata.values()).some((value) => value === true);
  if (lazy)
    throw context.unsupported('is a lazily negated or conjugated view', 'In PyTorch, save tensor.resolve_neg().');

  const [sizes, steps] = [shape as number[], strides as number[]];
  const bytes = sizes.reduce((product, size) => product * size, type.width);
  const end = (offset + spanOf(sizes, steps)) * type.width;
  if (!Number.isSafeInteger(bytes) || !(end <= storage.byteLength)) {
    const found = `[${sizes.join(', ')}] with strides [${steps.join(', ')}] from ${offset}`;
    throw context.invalid(`${found} does not fit into its storage of ${storage.byteLength} bytes`);
  }
  return new TorchTensor(storage, type, offset, [...sizes], [...steps]);
}

function newDict(args: readonly PickleValue[], context: CallContext): ReadonlyMap<PickleValue, PickleValue> {
  if (args.length > 0) throw context.unsupported('is an OrderedDict made from a list', CONTIGUOUS);
  return new Map<PickleValue, PickleValue>();
}

function newSet([items = []]: readonly PickleValue[], context: CallContext): ReadonlySet<PickleValue> {
  if (!isArray(items)) throw context.unsupported('is a set of something that is no list', CONTIGUOUS);
  context.spend(items.length);
  return new Set(items);
}

/** How protocol 2 writes bytes: a text whose letters are the bytes. */
function encodeBytes([text, encoding]: readonly PickleValue[], context: CallContext): Uint8Array {
  if (typeof text !== 'string' || encoding !== 'latin1')
    throw context.unsupported('is a text in an encoding', CONTIGUOUS);
  context.spend(text.length);
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

const isArray = (value: PickleValue | undefined): value is readonly PickleValue[] => Array.isArray(value);

const isCount = (value: PickleValue | undefined): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
