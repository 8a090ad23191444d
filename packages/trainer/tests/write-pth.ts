import { writeFile } from 'node:fs/promises';

import {
  emptyDict,
  global,
  integer,
  pickle,
  record,
  storage,
  tensor,
  tuple,
} from '../../safetensors/tests/make-pickle.ts';
import { makePth } from '../../safetensors/tests/make-pth.ts';
import { readStore } from './run-folder.ts';

const storageTypes: Readonly<Record<string, readonly [type: string, width: number]>> = {
  F32: ['FloatStorage', 4],
  F16: ['HalfStorage', 2],
  BF16: ['BFloat16Storage', 2],
};

/** Writes the tensors of a safetensors file as PyTorch would save them. */
export async function writeAsPth(safetensors: string, path: string): Promise<void> {
  const { tensors, storages } = await readStore(safetensors, async (store) => {
    const codes: Record<string, Uint8Array> = {};
    const data: Record<string, Uint8Array> = {};
    for (const [index, { name, dtype, shape }] of [...store.tensors.values()].entries()) {
      const [type, width] = storageTypes[dtype] ?? ['', 1];
      const bytes = await store.read(name);
      data[index] = bytes;
      const count = integer(bytes.length / width);
      codes[name] = tensor({
        storage: storage({ type: global('torch', type), key: String(index), count }),
        shape: tuple(...shape.map(integer)),
        strides: tuple(...shape.map((_, axis) => integer(shape.slice(axis + 1).reduce((a, b) => a * b, 1)))),
      });
    }
    return { tensors: codes, storages: data };
  });
  const value = Object.keys(tensors).length > 0 ? record(tensors) : emptyDict;
  await writeFile(path, makePth(pickle(value), { storages }));
}
