import { expect, test } from 'vitest';

import { makeConfig } from '../../tests/make-config.ts';
import { chooseOptimizerPlace } from './optimizer-place.ts';

const engine = { engine: 'onnxruntime-web', version: '0', thread: 'worker' } as const;
const webgpu = { info: { ...engine, device: 'webgpu', keepsOnDevice: true } } as const;
const wasm = { info: { ...engine, device: 'wasm' } } as const;

test.each([
  ['', { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01 }],
  [
    '--optimizer_type torch.optim.AdamW --optimizer_args betas=(0.5,0.9) eps=1e-4 weight_decay=0.3',
    { betas: [0.5, 0.9], eps: 1e-4, weightDecay: 0.3 },
  ],
  ['--max_grad_norm 0 --network_args loraplus_lr_ratio=4', { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01 }],
])('AdamW with "%s" steps where tensors can stay', async (options, adamw) => {
  const config = await makeConfig(`--optimizer_type AdamW ${options}`);
  const reason = 'optimizer: on webgpu, where weights, gradients and moments stay';
  expect(chooseOptimizerPlace(config, webgpu)).toEqual({ adamw, reason });
});

test.each([
  ['--optimizer_type AdamW', wasm, 'nothing can stay on wasm between runs'],
  ['--optimizer_type AdamW8bit', webgpu, 'AdamW8bit with these optimizer_args has no graph'],
  ['--optimizer_type AdamW --optimizer_args amsgrad=True', webgpu, 'AdamW with these optimizer_args has no graph'],
  ['--optimizer_type AdamW --scale_weight_norms 1', webgpu, 'scale_weight_norms limits the weights there'],
])('%s steps on the host of %o', async (options, runtime, why) => {
  const config = await makeConfig(options);
  const reason = `optimizer: on the host, because ${why}`;
  expect(chooseOptimizerPlace(config, runtime)).toEqual({ adamw: null, reason });
});
