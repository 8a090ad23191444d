// Makes public/sample anew from quickstart/ after `npm run quickstart`: the caches as they are, the checkpoint in float32,
// which WebGPU needs.
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';

const quickstart = fileURLToPath(new URL('../../quickstart', import.meta.url));
const sample = fileURLToPath(new URL('public/sample', import.meta.url));

await rm(sample, { recursive: true, force: true });
await mkdir(join(sample, 'cache'), { recursive: true });
const caches = (await readdir(join(quickstart, 'cache'))).filter((name) => name.endsWith('.safetensors')).toSorted();
for (const name of caches) await copyFile(join(quickstart, 'cache', name), join(sample, 'cache', name));

const store = await openSafetensorsFile(join(quickstart, 'wan.safetensors'));
const tensors = [];
for (const { name, shape } of store.tensors.values()) {
  const values = await store.readFloat32(name);
  tensors.push({
    name,
    shape,
    dtype: 'F32',
    data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  });
}
await writeSafetensorsFile(join(sample, 'wan.safetensors'), tensors, { metadata: store.metadata });
await store.close();
const paths = ['wan.safetensors', ...caches.map((name) => `cache/${name}`)];
await writeFile(join(sample, 'files.json'), `${JSON.stringify(paths, null, 2)}\n`);
