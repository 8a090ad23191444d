import type { TrainConfig } from '@musubi/config';

import { findCommand, optionsOf } from '@musubi/config';
import { describe, expect, test } from 'vitest';

import { hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { makeConfig } from '../tests/make-config.ts';
import { type RunFacts, adapterMetadata, checkMetadata, configKey } from './run-metadata.ts';
import { type Saving, createSaving } from './saving.ts';
import { type StepPlan, planSteps } from './step-plan.ts';

interface RecordedFile {
  readonly file: string;
  readonly options: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
}

const files = hasGolden('files', 'lora_files.json')
  ? readGoldenJson<{ files: RecordedFile[] }>('files', 'lora_files.json').files
  : [];

/** Options of all recorded runs, as the file says. */
const common =
  '--network_dim 4 --learning_rate 1e-3 --seed 42 --mixed_precision no --timestep_sampling shift --discrete_flow_shift 3.0';

/** What is drawn, depends on the clock, or on the tensors. */
const unseeded = ['ss_session_id', 'ss_training_started_at', 'ss_training_finished_at', 'modelspec.date'];
const hashes = ['sshs_model_hash', 'sshs_legacy_hash'];

test('the repository has files of steps, epochs and the end, and one without metadata', () => {
  const names = files.map(({ file }) => file.replace(/.*[/](\D*)\d*[.].*/, '$1'));
  if (isDefaultGolden) expect(names).toEqual(expect.arrayContaining(['steps-step', 'epochs-', 'steps', 'nometa']));
});

describe('a saved file has the metadata of the original', () => {
  test.each(files)('$file', async ({ file, options, metadata }) => {
    const name = file.replace(/^.*[/]/, '').replace('.safetensors', '');
    const outputName = metadata['modelspec.title'] === 'Tiny title' ? 'full' : (metadata['modelspec.title'] ?? name);
    const config = await configOf(outputName, options, metadata);
    const batchesPerEpoch = Number(metadata['ss_num_batches_per_epoch'] ?? 5);
    const plan = planSteps({ ...config, batchesPerEpoch });
    const written: Record<string, string>[] = [];
    const saving = createSaving(config, plan, {
      write: async (written_, { step, epoch }) => {
        if (written_ !== `${name}.safetensors`) return;
        written.push(adapterMetadata(config, factsOf(metadata, plan), { step, epoch, savedAt: 1.5e9 }));
      },
      remove: async () => {},
    });
    await runThrough(saving, plan);

    expect(written).toHaveLength(1);
    const expected = without(metadata, [...unseeded, ...hashes]);
    expect(without(written[0] ?? {}, [...unseeded, configKey])).toEqual(expected);
    // The original's keys, and one of our own unless the run has --no_metadata.
    const own = options.includes('--no_metadata') ? {} : { [configKey]: config.recordedConfig };
    expect(written[0]).toMatchObject(own);
    expect(Object.keys(written[0] ?? {}).toSorted()).toEqual(
      [...Object.keys(metadata), ...Object.keys(own)].filter((key) => !hashes.includes(key)).toSorted(),
    );
  });
});

async function recordedOfAdafactor(ownLearningRates: boolean, optimizerArgs: string) {
  const args = optimizerArgs === '' ? '' : ` --optimizer_args ${optimizerArgs}`;
  const config = await makeConfig(`--optimizer_type Adafactor --learning_rate 1e-3${args}`);
  const plan = planSteps({ ...config, batchesPerEpoch: 1 });
  const facts = { ...factsOf({}, plan), optimizer: 'transformers.optimization.Adafactor', ownLearningRates };
  const all = adapterMetadata(config, facts, { step: 1, epoch: 1, savedAt: 0 });
  return [all['ss_learning_rate'], all['ss_lr_scheduler'], all['ss_optimizer']?.replace(/^.*Adafactor/, '')];
}

describe('Adafactor', () => {
  test('with its own rates records none, and the given one as where it starts', async () => {
    expect(await recordedOfAdafactor(true, '')).toEqual(['None', 'adafactor:0.001', '(relative_step=True)']);
    expect(await recordedOfAdafactor(true, 'scale_parameter=False')).toEqual([
      'None',
      'adafactor:0.001',
      '(scale_parameter=False,relative_step=True)',
    ]);
  });

  test('with a given rate records it', async () => {
    expect(await recordedOfAdafactor(false, 'relative_step=False')).toEqual([
      '0.001',
      'constant',
      '(relative_step=False)',
    ]);
  });

  test('with a warm-up of its own always has its own rates', async () => {
    expect(await recordedOfAdafactor(true, 'relative_step=False warmup_init=True')).toEqual([
      'None',
      'adafactor:0.001',
      '(relative_step=True,warmup_init=True)',
    ]);
  });
});

test('a wrong resolution is found before the run', async () => {
  const config = { ...(await makeConfig()), metadataReso: '640x384' };
  expect(() => checkMetadata(config, { shortName: 'wan' }, 0)).toThrow(
    expect.objectContaining({ code: 'METADATA_RESOLUTION' }),
  );
});

/** The configuration of a recorded run, without options that are not in this release. */
async function configOf(
  outputName: string,
  options: readonly string[],
  metadata: Readonly<Record<string, string>>,
): Promise<TrainConfig> {
  const specs = new Map(optionsOf(findCommand('train')!).map((spec) => [`--${spec.name}`, spec]));
  const kept: string[] = [];
  let isKept = true;
  for (const token of options) {
    if (token.startsWith('--')) {
      isKept = specs.get(token)?.support.state !== 'refused' && token !== '--network_args';
    }
    if (isKept) kept.push(token);
  }
  const module = metadata['ss_network_module'] ?? 'networks.lora_wan';
  const config = await makeConfig([
    ...common.split(' '),
    ...kept,
    '--output_name',
    outputName,
    '--network_module',
    module,
  ]);
  const networkArgs: unknown = JSON.parse(metadata['ss_network_args'] ?? 'null');
  return { ...config, networkArgs: networkArgs as TrainConfig['networkArgs'] };
}

const factsOf = (metadata: Readonly<Record<string, string>>, plan: StepPlan): RunFacts => ({
  architecture: { shortName: 'wan', longName: 'wan' },
  data: {
    numTrainItems: Number(metadata['ss_num_train_items'] ?? 0),
    batchesPerEpoch: Number(metadata['ss_num_batches_per_epoch'] ?? 0),
    metadataJson: metadata['ss_datasets'] ?? '[]',
  },
  plan,
  seed: 42,
  optimizer: 'torch.optim.adamw.AdamW',
  ownLearningRates: false,
  sessionId: 1,
  startedAt: 1.5e9,
  ditName: metadata['ss_sd_model_name'] ?? null,
  vaeName: metadata['ss_vae_name'] ?? null,
});

/** All steps and epochs of a run, without training. */
async function runThrough(saving: Saving, { maxTrainSteps, stepsPerEpoch, numEpochs }: StepPlan): Promise<void> {
  for (let step = 1; step <= maxTrainSteps; step++) {
    const at = { step, epoch: Math.ceil(step / stepsPerEpoch) };
    await saving.afterStep(at);
    if (step % stepsPerEpoch === 0 || step === maxTrainSteps) await saving.afterEpoch(at);
  }
  await saving.atEnd({ step: maxTrainSteps, epoch: numEpochs });
}

const without = (record: Readonly<Record<string, string>>, keys: readonly string[]) =>
  Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
