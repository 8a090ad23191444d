import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCheckpointFile } from '../src/node.ts';
import { openPth } from '../src/pth.ts';
import {
  bytes,
  dict,
  emptyDict,
  global,
  integer,
  list,
  littleEndian,
  no,
  none,
  pickle,
  record,
  reduce,
  storage,
  tensor,
  text,
  tuple,
  yes,
} from './make-pickle.ts';
import type { Code } from './make-pickle.ts';
import { countingSource, makePth, pthOf, sixFloats } from './make-pth.ts';
import { makeZip } from './make-zip.ts';

const marker = join(tmpdir(), 'musubi-pth-was-executed');
const command = text(`touch ${marker}`);
const raw = (code: Code, protocol = 4) => makePth(bytes(0x80, protocol, code));
const stackGlobal = (module: string, name: string) => bytes(text(module), text(name), 0x93);
const repeated = (code: Code, times: number) => {
  const out = new Uint8Array(code.length * times);
  for (let at = 0; at < out.length; at += code.length) out.set(code, at);
  return out;
};
const ofView = (change: Parameters<typeof tensor>[0]) => pthOf(tensor(change));

const level = (depth: number) => bytes(']', 'q', depth, '(', repeated(bytes('h', depth - 1), 10), 'e');

/** Each list holds the one before ten times: 10^30 leaves in a kilobyte. */
function laughs(end: Code): Code {
  return bytes(']', 'q', 0, '0', ...Array.from({ length: 30 }, (_, i) => bytes(level(i + 1), '0')), end);
}

/** What each file wants to call, by the way in which it asks. */
const calls: readonly (readonly [string, Uint8Array, string])[] = [
  ['GLOBAL and REDUCE of os.system', pthOf(reduce(global('os', 'system'), command)), 'os.system'],
  ['posix.system', pthOf(reduce(global('posix', 'system'), command)), 'posix.system'],
  ['nt.system', pthOf(reduce(global('nt', 'system'), command)), 'nt.system'],
  ['builtins.eval', pthOf(reduce(global('builtins', 'eval'), command)), 'builtins.eval'],
  ['__builtin__.exec', pthOf(reduce(global('__builtin__', 'exec'), command)), '__builtin__.exec'],
  ['builtins.getattr', pthOf(reduce(global('builtins', 'getattr'), command, text('x'))), 'builtins.getattr'],
  ['builtins.__import__', pthOf(reduce(global('builtins', '__import__'), text('os'))), 'builtins.__import__'],
  ['subprocess.Popen', pthOf(reduce(global('subprocess', 'Popen'), list(command))), 'subprocess.Popen'],
  ['runpy', pthOf(reduce(global('runpy', '_run_code'), command)), 'runpy._run_code'],
  ['torch.load', pthOf(reduce(global('torch', 'load'), text('other.pth'))), 'torch.load'],
  ['torch.hub.load', pthOf(reduce(global('torch.hub', 'load'), text('a/b'))), 'torch.hub.load'],
  [
    'a name with dots below an allowed module',
    pthOf(reduce(global('torch', 'storage.pickle.loads'), text('x'))),
    'torch.storage.pickle.loads',
  ],
  ['a method of objects', pthOf(reduce(global('constructor', 'constructor'), command)), 'constructor.constructor'],
  ['STACK_GLOBAL', raw(bytes(stackGlobal('os', 'system'), tuple(command), 'R.')), 'os.system'],
  ['STACK_GLOBAL out of the memo', raw(bytes(text('os'), 0x94, '0', 'h\0', text('system'), 0x93, '.')), 'os.system'],
  ['INST', raw(bytes('(', command, 'ios\nsystem\n.')), 'os.system'],
  ['OBJ', raw(bytes('(', global('collections', 'OrderedDict'), command, 'o.')), 'a new collections.OrderedDict'],
  ['OBJ of os.system', raw(bytes('(', global('os', 'system'), command, 'o.')), 'os.system'],
  [
    'NEWOBJ',
    raw(bytes(global('torch.nn.parameter', 'Parameter'), tuple(), 0x81, '.')),
    'a new torch.nn.parameter.Parameter',
  ],
  ['NEWOBJ_EX', raw(bytes(global('torch', 'Size'), tuple(), emptyDict, 0x92, '.')), 'a new torch.Size'],
  ['BUILD with a __setstate__', raw(bytes(global('torch', 'device'), emptyDict, 'b.')), '__setstate__ of torch.device'],
  ['BUILD of a tensor', pthOf(bytes(tensor(), emptyDict, 'b')), '__setstate__ of tensor'],
  ['EXT1', raw(bytes(0x82, 7, '.')), 'extension 7'],
  ['EXT2', raw(bytes(0x83, 7, 1, '.')), 'extension 263'],
  ['EXT4', raw(bytes(0x84, 7, 0, 0, 1, '.')), 'extension 16777223'],
  ['REDUCE of a text', pthOf(reduce(text('os.system'), command)), 'text os.system'],
  ['REDUCE of a dtype', pthOf(reduce(global('torch', 'float32'), command)), 'torch.float32'],
  ['REDUCE of a class of storages', pthOf(reduce(global('torch', 'FloatStorage'), integer(1))), 'torch.FloatStorage'],
  ['REDUCE of a tensor', pthOf(reduce(tensor(), command)), 'tensor'],
  [
    'a call through _rebuild_from_type_v2',
    pthOf(reduce(global('torch._tensor', '_rebuild_from_type_v2'), global('os', 'system'), none, tuple(command), none)),
    'os.system',
  ],
  ['a call in what is thrown away', pthOf(bytes(reduce(global('os', 'system'), command), '0', tensor())), 'os.system'],
  ['a call among the metadata', pthOf(tensor({ metadata: reduce(global('os', 'system'), command) })), 'os.system'],
  [
    'a call behind the weights',
    makePth(pickle(record({ w: tensor(), x: reduce(global('os', 'system'), command) }))),
    'os.system',
  ],
];

describe('a pickle that wants to call is refused by name', () => {
  test.each(calls)('%s', async (_, file, wanted) => {
    const source = countingSource(file);
    const error = await openPth(source).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'SafetensorsError', code: 'PICKLE_REFUSED', wanted, file: 'x.pth' });
    expect((error as Error).message).toContain('Nothing was executed.');
    expect((error as Error).message.split('\n')).toHaveLength(1);
    expectBounded(source);
  });
  test('nothing was executed', () => expect(readdirSync(tmpdir())).not.toContain('musubi-pth-was-executed'));
});

const zipped = (...args: Parameters<typeof makeZip>) => makeZip(...args);
const data = { name: 'a/data.pkl', data: pickle(record({ w: tensor() })) };
const floats = { name: 'a/data/0', data: sixFloats };

/** Damage and lies in the archive. */
const archives: readonly (readonly [string, Uint8Array, string])[] = [
  ['an empty file', new Uint8Array(), 'NOT_PTH'],
  ['one byte', Uint8Array.of(0x50), 'NOT_PTH'],
  ['a text', bytes('hello, this is no archive'), 'NOT_PTH'],
  ['a web page', bytes('<!DOCTYPE html><html></html>'), 'NOT_PTH'],
  ['a bare pickle', pickle(record({ w: tensor() })), 'NOT_PTH'],
  ['four letters of an archive', bytes('PK\x03\x04'), 'ZIP_DAMAGED'],
  ['an empty archive', makeZip([]), 'NOT_PTH'],
  ['the old format', bytes(0x80, 2, 0x8a, 10, 'l\xfc\x9cF\xf9 j\xa8P\x19.'), 'PTH_OLD_FORMAT'],
  ['a tar archive', bytes('storages', new Uint8Array(249), 'ustar\x0000', new Uint8Array(300)), 'PTH_OLD_FORMAT'],
  ['a compressed pickle', zipped([{ ...data, method: 8 }, floats]), 'ZIP_COMPRESSED'],
  [
    'a bomb: a compressed storage of 4 GB',
    zipped([data, { ...floats, method: 8, central: { size: 0xfffffff0 }, local: { size: 0xfffffff0 } }]),
    'ZIP_COMPRESSED',
  ],
  ['an encrypted pickle', zipped([{ ...data, flags: 1 }, floats]), 'ZIP_ENCRYPTED'],
  ['a strongly encrypted storage', zipped([data, { ...floats, flags: 0x41 }]), 'ZIP_ENCRYPTED'],
  ['sizes of 4 GB', zipped([data, { ...floats, central: { size: 0xfffffff0, packed: 0xfffffff0 } }]), 'ZIP_DAMAGED'],
  ['sizes in a zip64 field that is not there', zipped([{ ...data, central: { size: 0xffffffff } }]), 'ZIP_DAMAGED'],
  ['two sizes', zipped([{ ...data, central: { packed: 3 } }, floats]), 'ZIP_DAMAGED'],
  ['a size that the header contradicts', zipped([data, { ...floats, local: { size: 20, packed: 20 } }]), 'ZIP_DAMAGED'],
  ['a name that the header contradicts', zipped([data, { ...floats, local: { name: 'a/data/1' } }]), 'ZIP_DAMAGED'],
  ['a method that the header contradicts', zipped([data, { ...floats, local: { method: 8 } }]), 'ZIP_DAMAGED'],
  ['a flag that the header contradicts', zipped([data, { ...floats, local: { flags: 1 } }]), 'ZIP_DAMAGED'],
  ['the same name twice', zipped([data, floats, floats]), 'ZIP_DAMAGED'],
  [
    'two entries in one place',
    zipped([data, floats, { ...floats, central: { name: 'a/data/0', offset: 0 } }]),
    'ZIP_DAMAGED',
  ],
  ['an entry in the middle of another', zipped([data, { ...floats, central: { offset: 8 } }]), 'ZIP_DAMAGED'],
  ['an entry with all of another inside', overlapping(), 'ZIP_DAMAGED'],
  ['an entry outside the file', zipped([data, { ...floats, central: { offset: 1e6 } }]), 'ZIP_DAMAGED'],
  ['an entry in the directory', zipped([data, { ...floats, central: { offset: 260 } }]), 'ZIP_DAMAGED'],
  ['more entries than there are', zipped([data, floats], { end: { count: 3 } }), 'ZIP_DAMAGED'],
  ['fewer entries than there are', zipped([data, floats], { end: { count: 1 } }), 'ZIP_DAMAGED'],
  ['2^63 entries', zipped([data, floats], { zip64: true, end: { count: 2 ** 63 } }), 'ZIP_DAMAGED'],
  ['a directory of 2^60 bytes', zipped([data, floats], { zip64: true, end: { size: 2 ** 60 } }), 'ZIP_DAMAGED'],
  ['a directory elsewhere', zipped([data, floats], { end: { offset: 0 } }), 'ZIP_DAMAGED'],
  ['a directory behind the end', zipped([data, floats], { zip64: true, end: { offset: 2 ** 52 } }), 'ZIP_DAMAGED'],
  ['bytes behind the end', bytes(zipped([data, floats]), 'x'), 'ZIP_DAMAGED'],
  ['bytes before the directory', withHole(zipped([data, floats])), 'ZIP_DAMAGED'],
  ['a path out of the archive', zipped([data, floats, { ...floats, name: 'a/../../etc/passwd' }]), 'ZIP_DAMAGED'],
  ['an absolute path', zipped([data, floats, { ...floats, name: '/etc/passwd' }]), 'ZIP_DAMAGED'],
  ['a path of Windows', zipped([data, floats, { ...floats, name: 'C:x' }]), 'ZIP_DAMAGED'],
  ['a backslash', zipped([data, floats, { ...floats, name: 'a\\data' }]), 'ZIP_DAMAGED'],
  ['a zero in a name', zipped([data, floats, { ...floats, name: 'a/data/0\0' }]), 'ZIP_DAMAGED'],
  ['a name of 2000 letters', zipped([data, floats, { ...floats, name: 'a'.repeat(2000) }]), 'ZIP_DAMAGED'],
  ['no data.pkl', zipped([floats]), 'PTH_INCOMPLETE'],
  ['data.pkl without a folder', zipped([{ ...data, name: 'data.pkl' }]), 'PTH_INCOMPLETE'],
  ['two data.pkl', zipped([data, { ...data, name: 'b/data.pkl' }]), 'PTH_INCOMPLETE'],
  ['a storage that is not there', zipped([data]), 'PTH_INCOMPLETE'],
  ['a storage in another folder', zipped([data, { ...floats, name: 'b/data/0' }]), 'PTH_INCOMPLETE'],
  ['a program of TorchScript', zipped([data, floats, { ...floats, name: 'a/constants.pkl' }]), 'PTH_UNSUPPORTED'],
  ['big-endian numbers', pthOf(tensor(), { byteorder: 'big' }), 'PTH_UNSUPPORTED'],
  ['no byte order', pthOf(tensor(), { byteorder: '' }), 'PTH_UNSUPPORTED'],
  ['a byte order of a megabyte', pthOf(tensor(), { byteorder: 'little'.repeat(1e5) }), 'PTH_UNSUPPORTED'],
  ['a pickle of 33 MB', makePth(new Uint8Array(33 * 2 ** 20)), 'PICKLE_TOO_LARGE'],
  [
    'a storage that is shorter than the pickle says',
    pthOf(tensor(), { storages: { '0': sixFloats.subarray(4) } }),
    'SIZE_MISMATCH',
  ],
  [
    'a storage that is longer than the pickle says',
    pthOf(tensor(), { storages: { '0': bytes(sixFloats, 0) } }),
    'SIZE_MISMATCH',
  ],
];

/** The header and data of one entry are the data of another: each byte read twice, as bombs of overlapping entries do. */
function overlapping(): Uint8Array {
  const whole = makeZip([floats]);
  const inner = whole.subarray(0, 30 + floats.name.length + floats.data.length);
  const offset = 30 + data.name.length + data.data.length + 30 + 'a/x'.length;
  return zipped([data, { name: 'a/x', data: inner }, { ...floats, central: { offset } }]);
}

/** Eight bytes that belong to nobody between the entries and their directory, whose offset stays. */
function withHole(file: Uint8Array): Uint8Array {
  const at = new DataView(file.buffer).getUint32(file.length - 6, true);
  return bytes(file.subarray(0, at), new Uint8Array(8), file.subarray(at));
}

/** Pickles that are damaged or ask for too much. */
const pickles: readonly (readonly [string, Uint8Array, string])[] = [
  ['an empty pickle', makePth(new Uint8Array()), 'PICKLE_DAMAGED'],
  ['no protocol', makePth(bytes('}.')), 'PICKLE_DAMAGED'],
  ['protocol 0', makePth(bytes(0x80, 0, '}.')), 'PICKLE_DAMAGED'],
  ['protocol 1', makePth(bytes(0x80, 1, '}.')), 'PICKLE_DAMAGED'],
  ['protocol 255', makePth(bytes(0x80, 255, '}.')), 'PICKLE_DAMAGED'],
  ['no STOP', raw(bytes('}')), 'PICKLE_DAMAGED'],
  ['only STOP', raw(bytes('.')), 'PICKLE_DAMAGED'],
  ['an opcode of protocol 0', raw(bytes('I1\n.')), 'PICKLE_DAMAGED'],
  ['a persistent id as text', raw(bytes('P0\n.')), 'PICKLE_DAMAGED'],
  ['buffers outside the pickle', raw(bytes(0x97, '.'), 5), 'PICKLE_DAMAGED'],
  ['an unknown opcode', raw(bytes(0xff, '.')), 'PICKLE_DAMAGED'],
  ['a text of 4 GB', raw(bytes('X', 255, 255, 255, 255, 'abc.')), 'PICKLE_DAMAGED'],
  ['a text of 2^64 bytes', raw(bytes(0x8d, littleEndian(-1, 8), 'abc.')), 'PICKLE_DAMAGED'],
  ['bytes of 2^63 bytes', raw(bytes(0x8e, littleEndian(2n ** 63n, 8), 'abc.')), 'PICKLE_DAMAGED'],
  ['a bytearray of 4 GB', raw(bytes(0x96, littleEndian(2 ** 32, 8), 'abc.'), 5), 'PICKLE_DAMAGED'],
  ['an integer of 4 GB', raw(bytes(0x8b, 255, 255, 255, 255, 'abc.')), 'PICKLE_DAMAGED'],
  ['an integer of 255 bytes', raw(bytes(0x8a, 255, new Uint8Array(255), '.')), 'PICKLE_DAMAGED'],
  ['a text that is not UTF-8', raw(bytes('X', littleEndian(1, 4), 0xff, '.')), 'PICKLE_DAMAGED'],
  ['a global without an end', raw(bytes('c', 'a'.repeat(5000))), 'PICKLE_DAMAGED'],
  ['a global that is a number', raw(bytes('K\x01K\x02', 0x93, '.')), 'PICKLE_DAMAGED'],
  ['a recall of what was not stored', raw(bytes('h\x07.')), 'PICKLE_DAMAGED'],
  ['an empty stack', raw(bytes('0.')), 'PICKLE_DAMAGED'],
  ['a mark that was not set', raw(bytes('t.')), 'PICKLE_DAMAGED'],
  ['values from below a mark', raw(bytes('K\x01(K\x01', 0x86, '.')), 'PICKLE_DAMAGED'],
  ['appending to a dict', raw(bytes('}Na.')), 'PICKLE_DAMAGED'],
  ['items of a list', raw(bytes(']NNs.')), 'PICKLE_DAMAGED'],
  ['items in an odd number', raw(bytes('}(NNNu.')), 'PICKLE_DAMAGED'],
  ['additions to a list', raw(bytes('](N', 0x90, '.')), 'PICKLE_DAMAGED'],
  ['arguments that are no tuple', raw(bytes(global('torch', 'Size'), 'NR.')), 'PICKLE_DAMAGED'],
  ['billion laughs without a tensor', raw(laughs(bytes('h\x1e.'))), 'NO_STATE_DICT'],
  ['billion laughs as a key', raw(laughs(bytes('}h\x1e', list(tensor()), 's.'))), 'NO_STATE_DICT'],
  ['billion laughs as the key of a tensor', raw(laughs(bytes('}h\x1e', tensor(), 's.'))), 'NO_STATE_DICT'],
  ['billion laughs as a device', raw(laughs(bytes(global('torch', 'device'), 'h\x1e', 0x85, 'R.'))), 'NO_STATE_DICT'],
  ['a list of itself as a key', raw(bytes(']q\0h\0a0}h\0', list(tensor()), 's.')), 'NO_STATE_DICT'],
  ['a quarter of a million marks', raw(repeated(bytes('('), 2 ** 18)), 'PICKLE_TOO_LARGE'],
  ['a stack without an end', raw(bytes('N', repeated(bytes('2'), 2 ** 18))), 'PICKLE_TOO_LARGE'],
  ['a million containers', raw(repeated(bytes(']0'), 2 ** 21)), 'PICKLE_TOO_LARGE'],
  ['a memo without an end', raw(bytes('N', repeated(bytes(0x94), 2 ** 21))), 'PICKLE_TOO_LARGE'],
  [
    'a set of a long list, again and again',
    raw(
      bytes(
        list(repeated(bytes('N'), 1e5)),
        'q\0',
        repeated(bytes(global('builtins', 'set'), 'h\0', 0x85, 'R0'), 100),
        '.',
      ),
    ),
    'PICKLE_TOO_LARGE',
  ],
  [
    'a long text encoded again and again',
    raw(
      bytes(
        text('a'.repeat(1e5)),
        'q\0',
        text('latin1'),
        'q\x01',
        repeated(bytes(global('_codecs', 'encode'), 'h\0h\x01', 0x86, 'R0'), 100),
        '.',
      ),
    ),
    'PICKLE_TOO_LARGE',
  ],
  ['an OrderedDict from a list', pthOf(reduce(global('collections', 'OrderedDict'), list(none))), 'PTH_UNSUPPORTED'],
  ['another encoding', pthOf(reduce(global('_codecs', 'encode'), text('a'), text('rot13'))), 'PTH_UNSUPPORTED'],
];

/** Tensors that cannot be. */
const tensors: readonly (readonly [string, Uint8Array, string])[] = [
  ['a persistent id that is no storage', ofView({ storage: storage({ kind: text('module') }) }), 'PICKLE_DAMAGED'],
  ['a storage of an unknown class', ofView({ storage: storage({ type: text('FloatStorage') }) }), 'PICKLE_DAMAGED'],
  [
    'a storage of a dict',
    ofView({ storage: storage({ type: global('collections', 'OrderedDict') }) }),
    'PICKLE_DAMAGED',
  ],
  [
    'a storage of an invented class',
    ofView({ storage: storage({ type: global('torch', 'QuadStorage') }) }),
    'PICKLE_REFUSED',
  ],
  ['a storage of -1 elements', ofView({ storage: storage({ count: integer(-1) }) }), 'PICKLE_DAMAGED'],
  [
    'a storage of 2^63 - 1 elements',
    ofView({ storage: storage({ count: bytes(0x8a, 8, littleEndian(2n ** 63n - 1n, 8)) }) }),
    'PICKLE_DAMAGED',
  ],
  ['a storage of 2^50 elements', ofView({ storage: storage({ count: integer(2 ** 50) }) }), 'SIZE_MISMATCH'],
  ['a storage called ../../etc', ofView({ storage: storage({ key: '../../etc' }) }), 'PTH_INCOMPLETE'],
  ['no storage', ofView({ storage: none }), 'TENSOR_INVALID'],
  ['more elements than the storage has', ofView({ shape: tuple(integer(3), integer(3)) }), 'TENSOR_INVALID'],
  ['an offset behind the storage', ofView({ offset: integer(1) }), 'TENSOR_INVALID'],
  ['an offset of 2^53 - 1', ofView({ offset: integer(2 ** 53 - 1) }), 'TENSOR_INVALID'],
  [
    'an empty tensor behind the storage',
    ofView({ offset: integer(7), shape: tuple(integer(0), integer(3)) }),
    'TENSOR_INVALID',
  ],
  ['a negative offset', ofView({ offset: integer(-1) }), 'TENSOR_INVALID'],
  ['an offset with a fraction', ofView({ offset: bytes('G\x3f\xe0\0\0\0\0\0\0') }), 'TENSOR_INVALID'],
  ['an offset that is true', ofView({ offset: yes }), 'TENSOR_INVALID'],
  ['a negative size', ofView({ shape: tuple(integer(-2), integer(3)) }), 'TENSOR_INVALID'],
  ['a size of 2^53', ofView({ shape: tuple(integer(2 ** 53), integer(0)) }), 'TENSOR_INVALID'],
  [
    'sizes whose product is over 2^53',
    ofView({ shape: tuple(integer(2 ** 40), integer(2 ** 40)), strides: tuple(integer(0), integer(0)) }),
    'TENSOR_INVALID',
  ],
  ['a negative stride', ofView({ offset: integer(5), strides: tuple(integer(-3), integer(-1)) }), 'TENSOR_INVALID'],
  ['a stride over the end', ofView({ strides: tuple(integer(4), integer(1)) }), 'TENSOR_INVALID'],
  ['fewer strides than sizes', ofView({ strides: tuple(integer(1)) }), 'TENSOR_INVALID'],
  ['a shape that is a number', ofView({ shape: integer(6) }), 'TENSOR_INVALID'],
  [
    '65 axes',
    ofView({ shape: bytes('(', repeated(integer(1), 65), 't'), strides: bytes('(', repeated(integer(1), 65), 't') }),
    'TENSOR_INVALID',
  ],
  [
    'a view that repeats an element 2^40 times',
    ofView({ shape: tuple(integer(2 ** 40)), strides: tuple(integer(0)) }),
    'TENSOR_INVALID',
  ],
  ['a negated view', ofView({ metadata: record({ neg: yes }) }), 'PTH_UNSUPPORTED'],
  [
    'a number type that is a text',
    pthOf(
      reduce(
        global('torch._utils', '_rebuild_tensor_v3'),
        storage(),
        integer(0),
        tuple(),
        tuple(),
        no,
        none,
        text('float32'),
      ),
    ),
    'TENSOR_INVALID',
  ],
  ['a number type that does not exist', pthOf(global('torch', 'float7')), 'PICKLE_REFUSED'],
  [
    'a number type that safetensors lacks',
    ofView({
      storage: storage({ type: global('torch', 'ComplexFloatStorage'), count: integer(3) }),
      shape: tuple(integer(3)),
      strides: tuple(integer(1)),
    }),
    'UNKNOWN_DTYPE',
  ],
  [
    'a tensor of another rebuild function',
    pthOf(reduce(global('torch._utils', '_rebuild_qtensor'), storage())),
    'PICKLE_REFUSED',
  ],
  ['no dict', makePth(pickle(tensor())), 'NO_STATE_DICT'],
  [
    'a dict that is its own state dict',
    raw(bytes('}q\0(', text('model'), 'h\0', text('x'), list(tensor()), 'u.')),
    'NO_STATE_DICT',
  ],
  [
    'billion laughs around a tensor',
    raw(
      bytes(
        tensor(),
        'q\xff',
        laughs(bytes('}(', text('a'), 'hÿ', text('b'), 'h\x1e', text('c'), list(bytes('h\xff')), 'u.')),
      ),
    ),
    'NO_STATE_DICT',
  ],
  ['a bare storage beside a tensor', makePth(pickle(record({ w: tensor(), s: storage() }))), 'NO_STATE_DICT'],
  ['a name that is a number', makePth(pickle(dict([[integer(1), tensor()]]))), 'NO_STATE_DICT'],
];

describe.each([
  ['archive', archives],
  ['pickle', pickles],
  ['tensor', tensors],
] as const)('%s', (_kind, cases) => {
  test.each(cases)('%s is refused', async (_, file, code) => {
    const source = countingSource(file);
    const error = await openPth(source).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'SafetensorsError', code, file: 'x.pth' });
    expect((error as Error).message.length).toBeLessThan(700);
    expect((error as Error).message.endsWith((error as { remedy: string }).remedy)).toBe(true);
    expectBounded(source);
  });
});

test('a file cut anywhere is refused', async () => {
  for (const zip64 of [false, true]) {
    const file = pthOf(tensor(), { zip64 });
    for (let length = 0; length < file.length; length++) {
      const source = countingSource(file.subarray(0, length));
      await expect(openPth(source)).rejects.toMatchObject({ name: 'SafetensorsError' });
      expectBounded(source);
    }
  }
});

test('openCheckpointFile closes what it refuses', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'musubi-'));
  const path = join(folder, 'x.pth');
  writeFileSync(path, pthOf(reduce(global('os', 'system'), command)));
  for (let i = 0; i < 3; i++) {
    await expect(openCheckpointFile(path)).rejects.toMatchObject({ code: 'PICKLE_REFUSED', file: path });
  }
  rmSync(folder, { recursive: true });
});

/** No read is longer than the file, and the whole file is not read more than three times. */
function expectBounded({ size, asked }: ReturnType<typeof countingSource>): void {
  expect(asked.largest).toBeLessThanOrEqual(size);
  expect(asked.total).toBeLessThanOrEqual(3 * size + 512);
}
