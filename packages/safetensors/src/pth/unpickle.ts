import { SafetensorsError } from '../error.ts';
import type { SafetensorsErrorCode } from '../error.ts';
import { quote } from '../internal/quote.ts';
import { GLOBALS, storageOf } from './globals.ts';
import { Plain, PickleGlobal, TorchStorage, TorchTensor } from './values.ts';
import type { CallContext, PickleValue } from './values.ts';

/** A tensor takes about 300 bytes of a pickle: enough for a hundred thousand. */
export const MAX_PICKLE_BYTES = 1 << 25;

/** Containers that are made, and elements that calls copy; five for each tensor. */
const MAX_UNITS = 1 << 20;

/** Values on the stack at once. Python's pickler puts at most a thousand pairs there. */
const MAX_STACK = 1 << 17;

/** The memo holds about ten values a tensor. */
const MAX_MEMO = 1 << 20;

/** `module.name` of a global. */
const MAX_GLOBAL_LETTERS = 512;

/** Python writes seeds and counters as long integers; longer ones only slow a reader down. */
const MAX_LONG_BYTES = 64;

/** Opcodes of protocols 2 to 5, https://docs.python.org/3/library/pickletools.html; those that call are in `REFUSED`. */
const OP = {
  MARK: 0x28,
  STOP: 0x2e,
  POP: 0x30,
  POP_MARK: 0x31,
  DUP: 0x32,
  BININT: 0x4a,
  BININT1: 0x4b,
  BININT2: 0x4d,
  NONE: 0x4e,
  BINPERSID: 0x51,
  REDUCE: 0x52,
  BINUNICODE: 0x58,
  APPEND: 0x61,
  BUILD: 0x62,
  GLOBAL: 0x63,
  DICT: 0x64,
  APPENDS: 0x65,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
  LIST: 0x6c,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  SETITEM: 0x73,
  TUPLE: 0x74,
  SETITEMS: 0x75,
  EMPTY_DICT: 0x7d,
  EMPTY_LIST: 0x5d,
  EMPTY_TUPLE: 0x29,
  BINFLOAT: 0x47,
  BINBYTES: 0x42,
  SHORT_BINBYTES: 0x43,
  INST: 0x69,
  OBJ: 0x6f,
  PROTO: 0x80,
  NEWOBJ: 0x81,
  EXT1: 0x82,
  EXT2: 0x83,
  EXT4: 0x84,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  LONG1: 0x8a,
  LONG4: 0x8b,
  SHORT_BINUNICODE: 0x8c,
  BINUNICODE8: 0x8d,
  BINBYTES8: 0x8e,
  EMPTY_SET: 0x8f,
  ADDITEMS: 0x90,
  FROZENSET: 0x91,
  NEWOBJ_EX: 0x92,
  STACK_GLOBAL: 0x93,
  MEMOIZE: 0x94,
  FRAME: 0x95,
  BYTEARRAY8: 0x96,
} as const;

const DAMAGED = 'The file is damaged or was not written by torch.save: download or save it again.';
const ONLY_WEIGHTS =
  'Nothing was executed. If you trust its origin, load it in PyTorch and save only its weights: torch.save(model.state_dict(), path).';

/**
 * Builds the value of a pickle of tensors and plain containers (protocols 2 to 5). It is a table of opcodes that make values of ours: no
 * name is imported and nothing is called, and a pickle that wants more is refused with the name of what it wanted.
 *
 * Work and memory are proportional to the length of the pickle: what the memo shares stays shared.
 *
 * @param file for errors
 * @throws {SafetensorsError} `PICKLE_DAMAGED`, `PICKLE_REFUSED` with `wanted`, `PICKLE_TOO_LARGE`, `TENSOR_INVALID`,
 *   `PTH_UNSUPPORTED`
 */
export function unpickle(bytes: Uint8Array, file: string): PickleValue {
  return new Unpickler(bytes, file).run();
}

class Unpickler implements CallContext {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: string;
  readonly #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #at = 0;
  #units = 0;

  constructor(bytes: Uint8Array, file: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
  }

  run(): PickleValue {
    const protocol = this.#bytes[0] === OP.PROTO ? this.#bytes[1] : undefined;
    if (protocol === undefined || protocol < 2 || protocol > 5) {
      throw this.#fail('PICKLE_DAMAGED', `its pickle has protocol ${protocol ?? 'none'}; 2 to 5 are read.`);
    }
    while (this.#at < this.#bytes.length) {
      const op = this.#bytes[this.#at++]!;
      if (op === OP.STOP) return this.#pop();
      this.#step(op);
      if (this.#stack.length > MAX_STACK) {
        throw this.#fail('PICKLE_TOO_LARGE', `its pickle puts more than ${MAX_STACK} values on the stack.`);
      }
    }
    throw this.#damaged('it ends without STOP');
  }

  spend(units: number): void {
    this.#units += units;
    if (this.#units <= MAX_UNITS) return;
    throw this.#fail('PICKLE_TOO_LARGE', `its pickle makes more than ${MAX_UNITS} containers.`, ONLY_WEIGHTS);
  }

  invalid(problem: string): SafetensorsError {
    return this.#fail('TENSOR_INVALID', `a tensor of its pickle ${problem} (before byte ${this.#at}).`);
  }

  unsupported(problem: string, remedy: string): SafetensorsError {
    return this.#fail('PTH_UNSUPPORTED', `a part of its pickle ${problem} (before byte ${this.#at}).`, remedy);
  }

  #step(op: number): void {
    switch (op) {
      case OP.PROTO:
        this.#take(1);
        return;
      case OP.FRAME:
        this.#take(8); // frames only help to read ahead
        return;
      case OP.MARK:
        if (this.#marks.push(this.#stack.length) > MAX_STACK) {
          throw this.#fail('PICKLE_TOO_LARGE', `its pickle opens more than ${MAX_STACK} marks.`);
        }
        return;
      case OP.POP:
        // a mark on top is what is taken away, as in Python
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
        else this.#pop();
        return;
      case OP.POP_MARK:
        this.#popMark();
        return;
      case OP.DUP:
        this.#push(this.#top());
        return;

      case OP.NONE:
        return this.#push(null);
      case OP.NEWTRUE:
        return this.#push(true);
      case OP.NEWFALSE:
        return this.#push(false);
      case OP.BININT:
        return this.#push(this.#view.getInt32(this.#take(4), true));
      case OP.BININT1:
        return this.#push(this.#count(1));
      case OP.BININT2:
        return this.#push(this.#count(2));
      case OP.LONG1:
        return this.#push(this.#long(this.#count(1)));
      case OP.LONG4:
        return this.#push(this.#long(this.#count(4)));
      case OP.BINFLOAT:
        return this.#push(this.#view.getFloat64(this.#take(8), false));
      case OP.SHORT_BINUNICODE:
        return this.#push(this.#text(this.#count(1)));
      case OP.BINUNICODE:
        return this.#push(this.#text(this.#count(4)));
      case OP.BINUNICODE8:
        return this.#push(this.#text(this.#count(8)));
      case OP.SHORT_BINBYTES:
        return this.#push(this.#raw(this.#count(1)));
      case OP.BINBYTES:
        return this.#push(this.#raw(this.#count(4)));
      case OP.BINBYTES8:
      case OP.BYTEARRAY8:
        return this.#push(this.#raw(this.#count(8)));

      case OP.EMPTY_TUPLE:
      case OP.EMPTY_LIST:
        return this.#push(this.#made([]));
      case OP.EMPTY_DICT:
        return this.#push(this.#made(new Map<PickleValue, PickleValue>()));
      case OP.EMPTY_SET:
        return this.#push(this.#made(new Set<PickleValue>()));
      case OP.TUPLE1:
      case OP.TUPLE2:
      case OP.TUPLE3:
        return this.#push(this.#made(this.#popMany(op - OP.TUPLE1 + 1)));
      case OP.TUPLE:
      case OP.LIST:
        return this.#push(this.#made(this.#popMark()));
      case OP.FROZENSET:
        return this.#push(this.#made(new Set(this.#popMark())));
      case OP.DICT: {
        const items = this.#popMark();
        this.#push(this.#made(new Map<PickleValue, PickleValue>()));
        return this.#setItems(items);
      }
      case OP.APPEND:
        return this.#append(this.#popMany(1));
      case OP.APPENDS:
        return this.#append(this.#popMark());
      case OP.SETITEM:
        return this.#setItems(this.#popMany(2));
      case OP.SETITEMS:
        return this.#setItems(this.#popMark());
      case OP.ADDITEMS: {
        const items = this.#popMark();
        const set = this.#top();
        if (!(set instanceof Set)) throw this.#damaged('it adds items to what is no set');
        for (const item of items) set.add(item);
        return;
      }

      case OP.BINGET:
        return this.#push(this.#recall(this.#count(1)));
      case OP.LONG_BINGET:
        return this.#push(this.#recall(this.#count(4)));
      case OP.BINPUT:
        return this.#remember(this.#count(1));
      case OP.LONG_BINPUT:
        return this.#remember(this.#count(4));
      case OP.MEMOIZE:
        return this.#remember(this.#memo.size);

      case OP.GLOBAL:
        return this.#push(this.#global(this.#line(), this.#line()));
      case OP.STACK_GLOBAL: {
        const [module, name] = this.#popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string') throw this.#damaged('a global has no name');
        return this.#push(this.#global(module, name));
      }
      case OP.BINPERSID: {
        const storage = storageOf(this.#pop());
        if (!storage) throw this.#damaged('a persistent id is no storage of PyTorch');
        this.spend(1);
        return this.#push(storage);
      }
      case OP.REDUCE: {
        const [callable, args] = this.#popMany(2);
        if (!(callable instanceof PickleGlobal) || !callable.call) throw this.#refuse(describe(callable));
        if (!Array.isArray(args)) throw this.#damaged(`the arguments of ${callable.name} are no tuple`);
        this.spend(1);
        return this.#push(callable.call(args as readonly PickleValue[], this));
      }
      case OP.BUILD: {
        // attributes of Python, such as `_metadata` of a state dict; no tensor depends on them
        const [object] = this.#popMany(2);
        if (!(object instanceof Map)) throw this.#refuse(`__setstate__ of ${describe(object)}`);
        return this.#push(object);
      }

      case OP.INST:
        throw this.#refuse(`${this.#line()}.${this.#line()}`);
      case OP.OBJ: {
        const [type] = this.#popMark();
        throw this.#refuse(`a new ${describe(type)}`);
      }
      case OP.NEWOBJ: {
        const [type] = this.#popMany(2);
        throw this.#refuse(`a new ${describe(type)}`);
      }
      case OP.NEWOBJ_EX: {
        const [type] = this.#popMany(3);
        throw this.#refuse(`a new ${describe(type)}`);
      }
      case OP.EXT1:
        throw this.#refuse(`extension ${this.#count(1)}`);
      case OP.EXT2:
        throw this.#refuse(`extension ${this.#count(2)}`);
      case OP.EXT4:
        throw this.#refuse(`extension ${this.#count(4)}`);
      default:
        throw this.#damaged(`opcode 0x${op.toString(16).padStart(2, '0')} is not one of protocols 2 to 5`);
    }
  }

  /** The offset of `length` bytes that are there; reading goes on behind them. */
  #take(length: number): number {
    const start = this.#at;
    if (!(length <= this.#bytes.length - start))
      throw this.#damaged(`it ends before ${length} bytes that it announces`);
    this.#at += length;
    return start;
  }

  #count(width: 1 | 2 | 4 | 8): number {
    const start = this.#take(width);
    if (width === 1) return this.#view.getUint8(start);
    if (width === 2) return this.#view.getUint16(start, true);
    if (width === 4) return this.#view.getUint32(start, true);
    return Number(this.#view.getBigUint64(start, true));
  }

  #raw(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  #text(length: number): string {
    const raw = this.#raw(length);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
    } catch {
      throw this.#damaged('a text is not UTF-8');
    }
  }

  /** A line of a GLOBAL, without its end. */
  #line(): string {
    const end = this.#bytes.subarray(this.#at, this.#at + MAX_GLOBAL_LETTERS).indexOf(0x0a);
    if (end < 0) throw this.#damaged('the name of a global does not end');
    const text = this.#text(end);
    this.#at++;
    return text;
  }

  /** Two's complement, little-endian. */
  #long(length: number): number | bigint {
    if (length > MAX_LONG_BYTES) throw this.#damaged(`an integer has ${length} bytes`);
    const raw = this.#raw(length);
    let value = 0n;
    for (const byte of raw.toReversed()) value = (value << 8n) | BigInt(byte);
    value = BigInt.asIntN(8 * length, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #global(module: string, name: string): PickleGlobal {
    const full = `${module}.${name}`;
    const known = GLOBALS.get(full);
    if (!known) throw this.#refuse(full);
    return known;
  }

  #made<T extends PickleValue>(container: T): T {
    this.spend(1);
    return container;
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  /** The top of the stack above the last mark. */
  #top(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#damaged('its stack is empty');
    return this.#stack.at(-1)!;
  }

  #pop(): PickleValue {
    const top = this.#top();
    this.#stack.length--;
    return top;
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length - count < (this.#marks.at(-1) ?? 0)) throw this.#damaged('its stack is empty');
    return this.#stack.splice(this.#stack.length - count);
  }

  #popMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#damaged('it closes a mark that it did not set');
    return this.#stack.splice(mark);
  }

  #append(items: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#damaged('it appends to what is no list');
    for (const item of items) (list as PickleValue[]).push(item);
  }

  #setItems(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) throw this.#damaged('it sets items of what is no dict');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  #recall(index: number): PickleValue {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#damaged(`it recalls ${index}, which it did not store`);
    return value;
  }

  #remember(index: number): void {
    this.#memo.set(index, this.#top());
    if (this.#memo.size <= MAX_MEMO) return;
    throw this.#fail('PICKLE_TOO_LARGE', `its pickle remembers more than ${MAX_MEMO} values.`, ONLY_WEIGHTS);
  }

  #damaged(problem: string): SafetensorsError {
    return this.#fail('PICKLE_DAMAGED', `its pickle is damaged: ${problem} (before byte ${this.#at}).`);
  }

  #refuse(wanted: string): SafetensorsError {
    return this.#fail(
      'PICKLE_REFUSED',
      `its pickle wants ${quote(wanted)}, which no file of weights needs.`,
      ONLY_WEIGHTS,
      wanted,
    );
  }

  #fail(code: SafetensorsErrorCode, problem: string, remedy = DAMAGED, wanted?: string): SafetensorsError {
    return new SafetensorsError(code, problem, remedy, {
      file: this.#file,
      ...(wanted === undefined ? {} : { wanted: wanted.slice(0, MAX_GLOBAL_LETTERS) }),
    });
  }
}

/** A value in words, for messages: the name of a global, the kind of anything else. */
export function describe(value: PickleValue | undefined): string {
  if (value instanceof PickleGlobal) return value.name;
  if (value instanceof TorchTensor) return 'tensor';
  if (value instanceof TorchStorage) return 'storage';
  if (value instanceof Plain) return value.what;
  if (value instanceof Map) return 'dict';
  if (value instanceof Set) return 'set';
  if (value instanceof Uint8Array) return 'bytes';
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'string') return `text ${value.slice(0, 40)}`;
  return value === null || value === undefined ? 'None' : String(value);
}
