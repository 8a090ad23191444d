import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromFloat32 } from '../../packages/safetensors/src/index.ts';
import { writeSafetensorsFile } from '../../packages/safetensors/src/node.ts';
import { dequantizeFile, quantizeFile } from '../../packages/quant-fp8/src/node.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { median, type Figure } from '../harness.ts';

const size = 4096;
const tensorBytes = size * size * 2;
/** Of the bf16 file. It is made in `MUSUBI_BENCH_FOLDER` (the folder for temporary files), which needs four times as much. */
const wantedBytes = Number(process.env['MUSUBI_BENCH_FP8_BYTES'] ?? 4e9);
const tensors = Math.max(2, Math.round(wantedBytes / tensorBytes));
const elements = tensors * size * size;
const rounds = 3;
const workers = Math.min(2, availableParallelism());

export const fp8Title =
  `FP8 block quantization of a bf16 file of ${((tensors * tensorBytes) / 1e9).toFixed(2)} GB and back, beside a plain copy of it ` +
  `(read and write, in the page cache), ${workers} threads, medians of ${rounds} rounds`;

/** Each round copies, quantizes and dequantizes once with one thread and once with two. */
export async function fp8Figures(log: (line: string) => void): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(process.env['MUSUBI_BENCH_FOLDER'] ?? tmpdir(), 'musubi-bench-'));
  const path = (name: string) => join(folder, `${name}.safetensors`);
  const [bf16, fp8, copy, back] = [path('bf16'), path('fp8'), path('copy'), path('back')];
  const seconds: Record<string, number[]> = {};
  const timed = async (name: string, action: () => unknown) => {
    const start = performance.now();
    await action();
    (seconds[name] ??= []).push((performance.now() - start) / 1000);
  };
  try {
    await writeWeights(bf16);
    for (let round = 0; round < rounds; round++) {
      await timed('copy', () => copyFile(bf16, copy));
      rmSync(copy);
      for (const threads of [1, workers]) {
        await timed(`quantize ${threads}`, () => quantizeFile(bf16, fp8, { targets: all, workers: threads }));
        await timed(`dequantize ${threads}`, () => dequantizeFile(fp8, back, { workers: threads }));
        rmSync(back);
      }
      log(
        `round ${round + 1}: ${Object.entries(seconds)
          .map(([name, list]) => `${name} ${list.at(-1)?.toFixed(2)} s`)
          .join(', ')}`,
      );
    }
    const compression = statSync(fp8).size / statSync(bf16).size;
    const took = (name: string) => median(seconds[name] ?? []);
    const speed = (name: string) => elements / took(`${name} 1`) / 1e9;
    const ofCopy = (name: string) => took('copy') / took(`${name} ${workers}`);
    return [
      { name: 'fp8_copy_gb_s', value: (tensors * tensorBytes) / took('copy') / 1e9, unit: 'GB/s' },
      { name: 'fp8_quantize_gelements_s', value: speed('quantize'), unit: 'G/s a core', atLeast: 0.25 },
      { name: 'fp8_quantize_copy_fraction', value: ofCopy('quantize'), unit: 'x', atLeast: 0.4 },
      { name: 'fp8_dequantize_gelements_s', value: speed('dequantize'), unit: 'G/s a core', atLeast: 0.25 },
      { name: 'fp8_dequantize_copy_fraction', value: ofCopy('dequantize'), unit: 'x', atLeast: 0.4 },
      { name: 'fp8_size_fraction', value: compression, unit: 'x' },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const all = { include: null, exclude: [] };

/** Normal numbers, the same in each tensor, as weights of a model are distributed. */
async function writeWeights(path: string): Promise<void> {
  const values = new TorchGenerator(1).randn(size * size).map((x) => 0.02 * x);
  const data = fromFloat32(Float32Array.from(values), 'BF16');
  const names = Array.from({ length: tensors }, (_, i) => `layers.${i}.weight`);
  await writeSafetensorsFile(
    path,
    names.map((name) => ({ name, dtype: 'BF16', shape: [size, size], data })),
  );
}

/** A copy that no file system can make by sharing blocks. */
function copyFile(from: string, to: string): void {
  const [input, output] = [openSync(from, 'r'), openSync(to, 'w')];
  const buffer = new Uint8Array(1 << 20);
  for (let count = readSync(input, buffer); count > 0; count = readSync(input, buffer))
    writeSync(output, buffer, 0, count);
  closeSync(input);
  closeSync(output);
}
