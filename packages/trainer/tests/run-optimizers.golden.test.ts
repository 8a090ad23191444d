import type { LoraAdapter } from '@musubi/lora';
import type { ParameterGroup } from '@musubi/optimizers';
import type { Runtime } from '@musubi/runtime';

import { gradientName } from '@musubi/autodiff';
import { loraParameters } from '@musubi/lora';
import { clipGradNorm, createOptimizer, optimizers } from '@musubi/optimizers';
import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { type Call, recording } from './recording-runtime.ts';
import { type RunFolder, openRunFolder, readAdapter, wanRuns } from './run-folder.ts';

interface RecordedRun {
  readonly optimizer_groups: { readonly parameters: readonly number[] };
  readonly micro_steps: readonly { readonly loss: number; readonly completes_step: number | null }[];
  readonly steps: readonly { readonly gradient_norm: number }[];
}

const [totalSteps, learningRate, ratio, maxGradNorm] = [3, 1e-3, 4, 0.5];
/** Prodigy takes one rate only, and its own step size stands in for it. */
const hasOneRate = (optimizer: string): boolean => optimizer === 'prodigyopt.Prodigy';

test('there is a run', () => {
  if (isDefaultGolden) expect(wanRuns).not.toEqual([]);
});

describe.each(wanRuns.slice(0, 1))('runs like %s', (name) => {
  const recorded = readGoldenJson<RecordedRun>('runs', name, 'run.json');
  let folder: RunFolder;
  let runtime: Runtime;
  let initial: LoraAdapter;
  beforeAll(async () => {
    [folder, runtime] = [await openRunFolder(name), await createNodeRuntime()];
    initial = await readAdapter('initial_lora.safetensors');
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  /** Trains with gradients of several batches, clipped, a falling rate, and LoRA+ where it is possible. */
  async function record(optimizer: string) {
    const calls: Call[] = [];
    const options = [
      `--optimizer_type ${optimizer} --learning_rate ${learningRate} --max_train_steps ${totalSteps}`,
      `--max_grad_norm ${maxGradNorm} --lr_scheduler linear --lr_warmup_steps 0 --save_every_n_steps 1000`,
      hasOneRate(optimizer) ? '' : `--network_args loraplus_lr_ratio=${ratio}`,
    ];
    const finished = await folder.run(options.join(' '), { runtime: recording(runtime, calls) });
    return { finished, calls };
  }

  describe.each(optimizers.map(({ names }) => names[0] ?? ''))('with %s', (optimizer) => {
    test('start with the losses of the original and take the steps that its gradients give', async () => {
      const { finished, calls } = await record(optimizer);
      const batches = recorded.micro_steps.findIndex((batch) => batch.completes_step !== null) + 1;
      const first = recorded.micro_steps.slice(0, batches).map(({ loss }) => loss);
      expect(finished.losses.slice(0, batches)).toBeAllClose(first, { rtol: 1e-5 });

      // The adapter of the recorded run, in groups and with an optimizer of its own.
      const parameters = inOrderOf(Object.keys(calls[0]!.feeds), loraParameters(initial));
      const groups = groupsOf(parameters, hasOneRate(optimizer));
      expect(groups.flatMap((group) => group.parameters)).toHaveLength(recorded.optimizer_groups.parameters[0]!);
      const again = createOptimizer(optimizer, groups);
      const norms: number[] = [];
      let sum: Map<string, Float32Array> | null = null;
      calls.forEach(({ feeds, outputs }, i) => {
        for (const { name: key, data } of parameters) expect(feeds[key]?.data, key).toBeAllClose(data);
        sum = added(sum, parameters, outputs, 1 / batches);
        if (!finished.steps[i]!.completesStep) return;
        norms.push(clipGradNorm(sum, maxGradNorm));
        const { step, stepLearningRates } = finished.steps[i]!;
        again.step(sum, stepLearningRates);
        const factor = again.isScheduleFree ? 1 : 1 - (step - 1) / totalSteps;
        const scheduled = groups.map((group) => group.learningRate * factor);
        expect(stepLearningRates).toBeAllClose(again.ownLearningRates() ?? scheduled, { rtol: 1e-12 });
        sum = null;
      });
      expect(norms).toHaveLength(totalSteps);
      expect(norms[0]).toBeAllClose(recorded.steps[0]!.gradient_norm, { rtol: 1e-5 });
      expect(Math.max(...norms)).toBeGreaterThan(maxGradNorm);

      again.eval();
      const saved = loraParameters(await readAdapter(finished.outcome.path ?? ''));
      expect(saved).toHaveLength(parameters.length);
      for (const { name: key, data } of parameters) {
        expect(saved.find((each) => each.name === key)?.data, key).toBeAllClose(data);
      }
    });
  });
});

/** Copies in the order of the model; a file has another one, and Adafactor tells the rate of a group's first parameter. */
function inOrderOf(names: readonly string[], parameters: ParameterGroup['parameters']): ParameterGroup['parameters'] {
  return parameters
    .map((parameter) => ({ ...parameter, data: parameter.data.slice() }))
    .toSorted((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
}

const isUp = ({ name }: { readonly name: string }): boolean => name.includes('lora_up');

function groupsOf(parameters: ParameterGroup['parameters'], isOne: boolean): ParameterGroup[] {
  if (isOne) return [{ name: 'unet', learningRate, parameters }];
  return [
    { name: 'unet', learningRate, parameters: parameters.filter((each) => !isUp(each)) },
    { name: 'unet plus', learningRate: learningRate * ratio, parameters: parameters.filter(isUp) },
  ];
}

/** Adds `share` times the gradients. */
function added(
  sum: Map<string, Float32Array> | null,
  parameters: ParameterGroup['parameters'],
  outputs: Call['outputs'],
  share: number,
): Map<string, Float32Array> {
  return new Map(
    parameters.map(({ name, data }) => {
      const gradient = outputs[gradientName(name)]!.data as Float32Array;
      return [name, data.map((_, i) => (sum?.get(name)?.[i] ?? 0) + Math.fround(gradient[i]! * share))];
    }),
  );
}
