import { basename, join } from 'node:path';

import type { LoraAdapter } from '../../packages/lora/src/index.ts';
import type { Provider, Runtime } from '../../packages/runtime/src/index.ts';
import type { SafetensorsDtype } from '../../packages/safetensors/src/index.ts';
import type { StoredBase } from '../../packages/trainer/src/eight-bit-weights.ts';
import type { DeviceModel, Tensors } from './device-session.ts';
import type { BaseName, Measured, PartRequest } from './request.ts';

import { gradientName } from '../../packages/autodiff/src/index.ts';
import { loraParameters, readLora } from '../../packages/lora/src/index.ts';
import { wan } from '../../packages/models/src/index.ts';
import { type WanCase, casesOf, largest, openCase } from '../../packages/models/tests/wan-cases.ts';
import { fromFloat32 } from '../../packages/safetensors/src/index.ts';
import { openSafetensorsFile, writeSafetensorsFile } from '../../packages/safetensors/src/node.ts';
import { createTrainingModel, lowerEightBit } from '../../packages/trainer/src/index.ts';
import { graphFor } from '../../packages/trainer/src/node/choose-device.ts';
import { openEightBitBase } from '../../packages/trainer/src/node/eight-bit-base.ts';
import { openModel, readBatch, recordedFeeds } from '../../packages/trainer/tests/training-case.ts';
import { goldenPath } from '../../tests/golden.ts';
import { feedsFor, measurePlacement, openOn } from './device-session.ts';

const dtypes = { float32: 'F32', fp16: 'F16', bf16: 'BF16', fp8: 'BF16', int8: 'BF16' } as const;
const methods = { fp8: 'scaled', int8: 'int8' } as const;

/** Loss and gradients of one step, `grad.` and the name of a parameter. */
interface Step {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/**
 * Loss and gradients of the original's small Wan models, the largest error over all of them: against the original, whose
 * weights are float32, and against this machine's CPU with the same weights.
 */
export async function measureGolden(
  name: string,
  base: BaseName,
  { device, folder }: PartRequest,
  runtime: Runtime,
): Promise<Measured> {
  const cases = casesOf('text to video');
  if (cases.length === 0) throw new Error('there are no golden vectors of Wan');
  const errors: Record<string, number> = {};
  const raise = (figure: string, error: number) => {
    errors[figure] = Math.max(errors[figure] ?? 0, Number.isFinite(error) ? error : Infinity);
  };
  let placement: Measured = {};
  for (const wanCase of cases) {
    const closing: (() => Promise<void>)[] = [];
    try {
      const { original, modelFor, feeds } = await openGolden(wanCase, base, folder, closing);
      const model = modelFor(device);
      const found = await runStep(runtime, device, model, feeds);
      // other bases differ from the original by their rounding too, for which it has no bound
      compare(found, original, (figure, error) => {
        if (base === 'float32' || figure !== 'gradient_bound_share') raise(`${name}_${figure}`, error);
      });
      if (device !== 'cpu') {
        const onCpu = await runStep(runtime, 'cpu', modelFor('cpu'), feeds);
        compare(found, onCpu, (figure, error) => raise(`${name}_cpu_${figure}`, error));
      }
      placement = await measurePlacement(name, runtime, device, model, feeds);
    } finally {
      for (const close of closing.toReversed()) await close();
    }
  }
  return { ...errors, ...placement };
}

/** Relative for the loss; for gradients over the largest of all, and as a share of what the golden test of a CPU allows. */
function compare(found: Step, expected: Step, raise: (figure: string, error: number) => void): void {
  raise('loss_error', Math.abs(found.loss / expected.loss - 1));
  const all = Math.max(...[...expected.gradients.values()].map(largest));
  for (const [name, gradient] of expected.gradients) {
    const own = found.gradients.get(name);
    const difference = own ? largest(gradient.map((x, i) => x - own[i]!)) : NaN;
    raise('gradient_error', difference / all);
    raise('gradient_bound_share', difference / (1e-4 * largest(gradient) + 2e-5 * all));
  }
}

async function openGolden(wanCase: WanCase, base: BaseName, folder: string, closing: (() => Promise<void>)[]) {
  const golden = await openCase(wanCase);
  closing.push(() => golden.close());
  const path = join(folder, `${wanCase.name}.${base}.safetensors`);
  await castCheckpoint(wanCase.checkpoint, path, dtypes[base]);
  const model = await openModel(wanCase, path);
  closing.push(() => model.close());
  const adapter = await openAdapter(wanCase);
  const method = base === 'fp8' || base === 'int8' ? methods[base] : null;
  const stored = method === null ? model : await inEightBits(path, model, method, closing);
  const weights = stored.source(basename);
  const infos = [...stored.weights.values()];

  const modelFor = (provider: Provider): DeviceModel => ({
    graph: createTrainingModel({
      architecture: wan,
      config: model.config,
      weights,
      adapter,
      ...graphFor({ provider, deviceId: 0 }),
      ...(method === null ? {} : { lower: lowerEightBit(method, { provider, forward: 'dequantize' }) }),
    }).training,
    externalFiles: Object.fromEntries(infos.map(({ source }) => [basename(source), source])),
    memoryFacts: {
      weightBytes: infos.reduce((sum, { byteLength }) => sum + byteLength, 0),
      narrowWeights: base !== 'float32',
    },
  });

  const batch = await readBatch(golden, 'batch.');
  const noise = await golden.readFloat32('noise');
  const feeds = recordedFeeds(model, batch, noise, await golden.readFloat32('batch.timesteps'), adapter);
  const [loss = NaN] = new Float64Array((await golden.read('step.loss')).slice().buffer);
  const gradients = new Map<string, Float32Array>();
  for (const parameter of loraParameters(adapter)) {
    gradients.set(gradientName(parameter.name), await golden.readFloat32(`grad.${parameter.name}`));
  }
  return { original: { loss, gradients }, modelFor, feeds };
}

async function runStep(runtime: Runtime, device: Provider, model: DeviceModel, feeds: Tensors): Promise<Step> {
  const session = await openOn(runtime, device, model);
  const { loss, ...outputs } = await session.run(feedsFor(session, feeds));
  await session.release();
  return {
    loss: Number(loss?.data[0]),
    gradients: new Map(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array])),
  };
}

async function openAdapter({ name }: WanCase): Promise<LoraAdapter> {
  const store = await openSafetensorsFile(goldenPath('models', 'wan', name, 'lora.safetensors'));
  return readLora(store).finally(() => store.close());
}

async function inEightBits(
  path: string,
  { weights }: StoredBase,
  method: 'scaled' | 'int8',
  closing: (() => Promise<void>)[],
): Promise<StoredBase> {
  const checkpoint = await openSafetensorsFile(path);
  closing.push(() => checkpoint.close());
  const setting = { method, format: 'e4m3', mode: 'block', blockSize: 64, cacheDir: null } as const;
  const request = { path, checkpoint, weights, architecture: wan, merged: [] };
  return openEightBitBase(setting, request, { closing, logger: () => {}, signal: undefined });
}

async function castCheckpoint(from: string, to: string, dtype: SafetensorsDtype): Promise<void> {
  const store = await openSafetensorsFile(from);
  const tensors = [...store.tensors.values()].map(({ name, shape }) => ({
    name,
    shape,
    dtype,
    data: async () => fromFloat32(await store.readFloat32(name), dtype),
  }));
  await writeSafetensorsFile(to, tensors, { metadata: store.metadata }).finally(() => store.close());
}
