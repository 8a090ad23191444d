import type { SafetensorsDtype } from '../dtype.ts';

/** What a pickle of tensors can build: numbers, texts, containers, and the parts of tensors. Lists and tuples are arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly PickleValue[]
  | ReadonlySet<PickleValue>
  | ReadonlyMap<PickleValue, PickleValue>
  | PickleGlobal
  | TorchStorage
  | TorchTensor
  | Plain;

/** A number type of PyTorch; null in safetensors' terms where it has none, as for complex numbers. */
export interface TorchDtype {
  readonly name: string;
  readonly dtype: SafetensorsDtype | null;
  readonly width: number;
}

/** A name of Python that the allow-list has. */
export class PickleGlobal {
  readonly name: string;
  /** what a REDUCE of it makes; absent for what is only named, such as dtypes */
  readonly call: ((args: readonly PickleValue[], context: CallContext) => PickleValue) | undefined;
  /** for dtypes and storage classes */
  readonly dtype: TorchDtype | undefined;

  constructor(name: string, call: PickleGlobal['call'], dtype?: TorchDtype) {
    this.name = name;
    this.call = call;
    this.dtype = dtype;
  }
}

export interface CallContext {
  /** Counts work that the length of the pickle does not bound. */
  spend(units: number): void;
  /** An error about a tensor that cannot be. */
  invalid(problem: string): Error;
  /** An error about something that PyTorch can do and we do not. */
  unsupported(problem: string, remedy: string): Error;
}

/** A storage by its key, the name of its entry in the archive; its bytes are not read. */
export class TorchStorage {
  readonly key: string;
  readonly type: TorchDtype;
  /** elements of `type` */
  readonly count: number;

  constructor(key: string, type: TorchDtype, count: number) {
    this.key = key;
    this.type = type;
    this.count = count;
  }

  get byteLength(): number {
    return this.count * this.type.width;
  }
}

/** A view of a storage. Its numbers are checked: it lies inside its storage. */
export class TorchTensor {
  readonly storage: TorchStorage;
  readonly type: TorchDtype;
  /** in elements */
  readonly offset: number;
  readonly shape: readonly number[];
  /** in elements */
  readonly strides: readonly number[];

  constructor(
    storage: TorchStorage,
    type: TorchDtype,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.type = type;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** A value that no tensor depends on, such as a device. */
export class Plain {
  readonly what: string;

  constructor(what: string) {
    this.what = what;
  }
}
