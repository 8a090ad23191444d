/** Bytes of a pickle; pieces are put together with `bytes`. */
export type Code = Uint8Array;

/** A small assembler of pickles, right ones and wrong ones. It shares nothing with the reader. */
export function bytes(...parts: readonly (Uint8Array | string | number)[]): Code {
  const pieces = parts.map((part) =>
    typeof part === 'number'
      ? Uint8Array.of(part)
      : typeof part === 'string'
        ? Uint8Array.from(part, (letter) => letter.charCodeAt(0))
        : part,
  );
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

export function littleEndian(value: number | bigint, width: number): Uint8Array {
  const out = new Uint8Array(width);
  let rest = BigInt.asUintN(8 * width, BigInt(value));
  for (let i = 0; i < width; i++, rest >>= 8n) out[i] = Number(rest & 255n);
  return out;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

export const none = bytes('N');
export const yes = bytes(0x88);
export const no = bytes(0x89);
export const emptyDict = bytes('}');

export const text = (value: string): Code => bytes('X', littleEndian(utf8(value).length, 4), utf8(value));

/** The shortest way: BININT1, BININT2, BININT or LONG1. */
export function integer(value: number): Code {
  if (value >= 0 && value < 256) return bytes('K', value);
  if (value >= 0 && value < 65536) return bytes('M', littleEndian(value, 2));
  if (value === (value | 0)) return bytes('J', littleEndian(value, 4));
  return bytes(0x8a, 8, littleEndian(value, 8));
}

export const global = (module: string, name: string): Code => bytes('c', utf8(module), '\n', utf8(name), '\n');

export function tuple(...items: readonly Code[]): Code {
  if (items.length === 0) return bytes(')');
  if (items.length < 4) return bytes(...items, 0x84 + items.length);
  return bytes('(', ...items, 't');
}

export const list = (...items: readonly Code[]): Code => bytes(']', '(', ...items, 'e');

export const dict = (entries: readonly (readonly [Code, Code])[]): Code => bytes('}', '(', ...entries.flat(), 'u');

/** A dict with texts as keys. */
export const record = (entries: Readonly<Record<string, Code>>): Code =>
  dict(Object.entries(entries).map(([key, value]) => [text(key), value]));

export const reduce = (callable: Code, ...args: readonly Code[]): Code => bytes(callable, tuple(...args), 'R');

export const pickle = (value: Code, protocol = 2): Code => bytes(0x80, protocol, value, '.');

export interface StorageCode {
  readonly kind?: Code;
  readonly type?: Code;
  readonly key?: string;
  readonly count?: Code;
}

/** The persistent id of a storage, as PyTorch writes it. */
export const storage = ({
  kind = text('storage'),
  type = global('torch', 'FloatStorage'),
  key = '0',
  count = integer(6),
}: StorageCode = {}): Code => bytes(tuple(kind, type, text(key), text('cpu'), count), 'Q');

export interface TensorCode {
  readonly storage?: Code;
  readonly offset?: Code;
  readonly shape?: Code;
  readonly strides?: Code;
  readonly metadata?: Code;
}

/** A float32 tensor `[2, 3]` of the storage "0", with the changes that a test needs. */
export const tensor = (change: TensorCode = {}): Code =>
  reduce(
    global('torch._utils', '_rebuild_tensor_v2'),
    change.storage ?? storage(),
    change.offset ?? integer(0),
    change.shape ?? tuple(integer(2), integer(3)),
    change.strides ?? tuple(integer(3), integer(1)),
    no,
    reduce(global('collections', 'OrderedDict')),
    ...(change.metadata ? [change.metadata] : []),
  );
