import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Graph, HostTensor } from '../../packages/onnx-graph/src/index.ts';
import type { Provider, Runtime, Session } from '../../packages/runtime/src/index.ts';
import type { DeviceModel } from './device-session.ts';
import type { BaseName, Measured, PartRequest } from './request.ts';

import { gradientName } from '../../packages/autodiff/src/index.ts';
import { loraFeeds } from '../../packages/lora/src/graph.ts';
import { loraParameters } from '../../packages/lora/src/index.ts';
import { evaluateDim } from '../../packages/onnx-graph/src/index.ts';
import { clipGradNorm, createOptimizer } from '../../packages/optimizers/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { median } from '../harness.ts';
import { modelConfig, openTrainingModel, writeCheckpoint } from '../step/model.ts';
import { flopsOf, productsOf } from '../step/products.ts';
import { measurePlacement, openOn } from './device-session.ts';

const stored = { float32: 'F32', fp16: 'F16', bf16: 'BF16', fp8: 'BF16', int8: 'BF16' } as const;
const methods = { float32: 'checkpoint', fp16: 'checkpoint', bf16: 'checkpoint', fp8: 'scaled', int8: 'int8' } as const;

/**
 * The model of `bench step` on the device: forward pass, forward and backward pass plain and with checkpointing, a whole step
 * with gradients crossing to the host and AdamW there; beside it, in the same rounds, the same with a base in float32.
 */
export async function measureStep(
  base: BaseName,
  { device, folder, isSmall }: PartRequest,
  runtime: Runtime,
): Promise<Measured> {
  const sizes = isSmall ? { ...modelConfig, num_layers: 1 } : modelConfig;
  const measured: Record<string, number | string> = {};
  const open = (name: BaseName, checkpointing: boolean) =>
    openTrainingModel(join(folder, `${name}.safetensors`), checkpointing, 'whole', methods[name], 'made', {
      provider: device,
      sizes,
    });
  for (const name of new Set([base, 'float32'] as const)) {
    await writeCheckpoint(join(folder, `${name}.safetensors`), sizes, stored[name]);
  }
  const plain = await open(base, false);
  const again = await open(base, true);
  const wide = base === 'float32' ? null : await open('float32', false);
  const weights = loraFeeds(plain.adapter);

  for (const tokens of isSmall ? [64] : [512, 2048]) {
    const feeds = { ...randomFeeds(plain.graphs.training, weights, tokens), ...weights };
    const training: DeviceModel = { ...plain, graph: plain.graphs.training };
    const before = await deviceMemory(device);
    const session = await openOn(runtime, device, training);
    await session.run(feeds, ['loss']);
    const after = await deviceMemory(device);
    const others = {
      forward: await openOn(runtime, device, { ...plain, graph: plain.graphs.evaluation }),
      checkpointed: await openOn(runtime, device, { ...again, graph: again.graphs.training }),
      ...(wide ? { float32: await openOn(runtime, device, { ...wide, graph: wide.graphs.training }) } : {}),
    };
    const only = (asked: Session) =>
      Object.fromEntries(Object.entries(feeds).filter(([name]) => asked.inputNames.includes(name)));
    const step = optimizerStep(session, plain.adapter, feeds);
    const rows: Record<string, number>[] = [];
    for (let round = 0; round <= (isSmall ? 1 : 10); round++) {
      const row: Record<string, number> = {};
      row['forward_backward'] = await time(() => session.run(feeds, ['loss']));
      for (const [name, other] of Object.entries(others))
        row[name] = await time(() => other.run(only(other), ['loss']));
      row['step'] = await time(step);
      if (round > 0) rows.push(row); // the first round warms up
    }
    for (const opened of [session, ...Object.values(others)]) await opened.release();

    const over = (value: (row: Record<string, number>) => number) => median(rows.map(value));
    const of = (name: string) => over((row) => row[name] ?? NaN);
    const flops = productsOf(plain.graphs.training, symbolsOf(tokens)).reduce((sum, p) => sum + flopsOf(p), 0);
    const figures: Record<string, number | string> = {
      forward_ms: 1000 * of('forward'),
      forward_backward_ms: 1000 * of('forward_backward'),
      checkpointed_forward_backward_ms: 1000 * of('checkpointed'),
      step_ms: 1000 * of('step'),
      gflops: flops / 1e9 / of('forward_backward'),
      ...(wide ? { to_float32: over((row) => row['forward_backward']! / row['float32']!) } : {}),
      ...(before === null || after === null ? {} : { device_memory_mib: after - before }),
    };
    for (const [name, value] of Object.entries(figures)) measured[`${base}_${name}_${tokens}`] = value;
    if (Object.keys(measured).some((name) => name.endsWith('_nodes'))) continue;
    for (const [name, model] of [
      ['', plain],
      ['_checkpointed', again],
    ] as const) {
      const asked = { ...model, graph: model.graphs.training };
      Object.assign(measured, await measurePlacement(`step_${base}${name}`, runtime, device, asked, feeds));
    }
  }
  return measured;
}

/** Forward and backward pass, clipping, optimizer; parameters and gradients cross to the device and back. */
function optimizerStep(
  session: Session,
  adapter: Parameters<typeof loraParameters>[0],
  feeds: Readonly<Record<string, HostTensor>>,
): () => Promise<void> {
  const parameters = loraParameters(adapter);
  const optimizer = createOptimizer('AdamW', [{ name: 'unet', learningRate: 1e-4, parameters }], {});
  return async () => {
    const outputs = await session.run(feeds);
    const gradients = new Map(parameters.map(({ name }) => [name, outputs[gradientName(name)]?.data as Float32Array]));
    clipGradNorm(gradients, 1);
    optimizer.step(gradients, [1e-4]);
  };
}

const symbolsOf = (tokens: number) =>
  new Map([
    ['B', 1],
    ['S', tokens],
  ]);

function randomFeeds(graph: Graph, weights: object, tokens: number): Record<string, HostTensor> {
  const generator = new TorchGenerator(3);
  const data = graph.inputs.filter(({ name }) => !(name in weights));
  return Object.fromEntries(
    data.map(({ name, shape }) => {
      const lengths = shape.map((d) => evaluateDim(d, symbolsOf(tokens)));
      const count = lengths.reduce((a, b) => a * b, 1);
      return [name, { dtype: 'float32', shape: lengths, data: generator.randn(count) }];
    }),
  );
}

async function time(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return (performance.now() - start) / 1000;
}

/** What the card has in use, by all programs; null where nobody can tell. */
async function deviceMemory(device: Provider): Promise<number | null> {
  if (device !== 'cuda') return null;
  const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];
  const used = await promisify(execFile)('nvidia-smi', query).then(
    ({ stdout }) => Number(stdout.split('\n')[0]),
    () => NaN,
  );
  return Number.isFinite(used) ? used : null;
}
