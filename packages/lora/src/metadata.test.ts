import { describe, expect, test } from 'vitest';
import { pythonJson } from './python-notation.ts';
import {
  modelspecMetadata,
  pythonFloat,
  pythonText,
  RECORDED_OPTIONS,
  savePrecision,
  trainingMetadata,
} from './index.ts';

describe('pythonFloat', () => {
  test.each([
    [1, '1.0'],
    [0, '0.0'],
    [-0, '-0.0'],
    [0.1, '0.1'],
    [1e-4, '0.0001'],
    [9.5e-5, '9.5e-05'],
    [1e-5, '1e-05'],
    [2e-6, '2e-06'],
    [1e-7, '1e-07'],
    [1e-100, '1e-100'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1.5e22, '1.5e+22'],
    [1795548295.9410188, '1795548295.9410188'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [NaN, 'nan'],
  ])('%d is %s', (value, text) => expect(pythonFloat(value)).toBe(text));
});

test.each([
  [null, 'None'],
  [true, 'True'],
  [false, 'False'],
  [42, '42'],
  [0.3, '0.3'],
  ['2.0', '2.0'],
])('pythonText of %s is %s', (value, text) => expect(pythonText(value)).toBe(text));

test('pythonJson escapes everything beyond ASCII', () => {
  expect(pythonJson({ a: 'ü\u{1f600}"\n', b: '' })).toBe('{"a": "\\u00fc\\ud83d\\ude00\\"\\n", "b": ""}');
});

describe('trainingMetadata', () => {
  const run = {
    options: Object.fromEntries(RECORDED_OPTIONS.map((name) => [name, null])),
    sessionId: 1,
    startedAt: 2,
    numTrainItems: 3,
    numBatchesPerEpoch: 4,
    numEpochs: 5,
    baseModelVersion: 'wan',
    optimizer: 'AdamW',
    optimizerArgs: 'a=1',
    datasets: '[]',
    networkArgs: null,
    sdModelName: null,
    vaeName: null,
  };
  const save = { finishedAt: 6.5, steps: 7, epoch: 8 };

  test('records every option and fact', () => {
    const metadata = trainingMetadata(run, save);
    expect(metadata).toMatchObject({
      ss_session_id: '1',
      ss_training_started_at: '2.0',
      ss_training_finished_at: '6.5',
      ss_optimizer: 'AdamW(a=1)',
      ss_seed: 'None',
      ss_epoch: '8',
    });
    for (const option of RECORDED_OPTIONS) expect(metadata).toHaveProperty(`ss_${option}`, 'None');
    expect(Object.keys(metadata)).not.toContain('ss_vae_name');
  });
  test('names an option that was forgotten', () => {
    const { seed: _, ...options } = run.options;
    expect(() => trainingMetadata({ ...run, options }, save)).toThrow(
      expect.objectContaining({ code: 'METADATA_INCOMPLETE', option: 'seed' }),
    );
  });
});

const range = (ends: object) =>
  modelspecMetadata({ architecture: 'wan', timestamp: 0, ...ends })['modelspec.timestep_range'];

describe('modelspecMetadata', () => {
  test.each(['640x384', '', 'a,b', '0', '1,2,3', '-1', '1.5', '640,'])('refuses the resolution "%s"', (resolution) => {
    expect(() => modelspecMetadata({ architecture: 'wan', timestamp: 0, resolution })).toThrow(
      expect.objectContaining({ code: 'METADATA_RESOLUTION', option: 'metadata_reso', found: resolution }),
    );
  });
  test('takes spaces around the comma', () => {
    const metadata = modelspecMetadata({ architecture: 'wan', timestamp: 0, resolution: '640, 384' });
    expect(metadata['modelspec.resolution']).toBe('640x384');
  });
  test('fills in the other end of a range of timesteps', () => {
    expect([range({ minTimestep: 100 }), range({ maxTimestep: 900 }), range({})]).toEqual([
      '100,1000',
      '0,900',
      undefined,
    ]);
  });
});

test('savePrecision', () => {
  expect([null, 'float', 'fp32', 'fp16', 'bf16'].map((text) => savePrecision(text))).toEqual([
    'F32',
    'F32',
    'F32',
    'F16',
    'BF16',
  ]);
  expect(() => savePrecision('fp8')).toThrow(expect.objectContaining({ code: 'PRECISION_UNKNOWN', found: 'fp8' }));
});
