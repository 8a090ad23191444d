import type { EightBitBase, TrainConfig } from '@musubi/config';

import type { AttentionPlan } from '@musubi/onnx-graph';

import type { BatchShape } from './batch-shapes.ts';

/** Another way to run the same training. */
export interface OtherSetting {
  /** As a user would set it. */
  readonly change: string;
  readonly changes: Partial<TrainConfig>;
  /** Of each batch. */
  readonly reshape: (shape: BatchShape) => BatchShape;
  /** Of no interest where settings named before need as little memory. */
  readonly mustSave?: boolean;
}

const asItIs = (shape: BatchShape): BatchShape => shape;

/** Settings worth a look, beside those of a configuration: what saves memory, and what is saved by doing without. */
export function otherSettings(
  config: TrainConfig,
  shapes: readonly BatchShape[],
  attention: AttentionPlan,
): OtherSetting[] {
  const { gradientCheckpointing, eightBitBase } = config;
  const saving = { gradientCheckpointing: true };
  const suffix = gradientCheckpointing ? '' : ', gradient_checkpointing = true';
  const checkpointing: OtherSetting = {
    change: `gradient_checkpointing = ${!gradientCheckpointing}`,
    changes: { gradientCheckpointing: !gradientCheckpointing },
    reshape: asItIs,
  };
  const eightBits = (change: string, method: EightBitBase['method']): OtherSetting => ({
    change: `${change}${suffix}`,
    changes: { ...saving, eightBitBase: { ...eightBitDefaults, cacheDir: null, ...eightBitBase, method } },
    reshape: asItIs,
  });
  return [
    checkpointing,
    ...(attention === 'whole'
      ? [
          {
            change: `attn_mode = "chunked"${suffix}`,
            changes: { ...saving, attention: { ...config.attention, mode: 'chunked' as const } },
            reshape: asItIs,
            mustSave: true,
          },
        ]
      : []),
    ...(eightBitBase?.method === 'int8' ? [] : [eightBits('int8_base = true', 'int8')]),
    ...(eightBitBase?.method === 'scaled' ? [] : [eightBits('fp8_base = true, fp8_scaled = true', 'scaled')]),
    ...(eightBitBase
      ? [
          {
            change: `base weights as in the checkpoint${suffix}`,
            changes: { ...saving, eightBitBase: null },
            reshape: asItIs,
          },
        ]
      : []),
    ...(shapes.some(({ batchSize }) => batchSize > 1)
      ? [
          {
            change: `batch_size = 1${suffix}`,
            changes: saving,
            reshape: (shape: BatchShape) => ({ ...shape, batchSize: 1 }),
          },
        ]
      : []),
    { change: `half of the resolution${suffix}`, changes: saving, reshape: halved },
  ];
}

const eightBitDefaults = { format: 'e4m3', mode: 'block', blockSize: 64 } as const;

/** About half as many pixels, sides as buckets have them. */
function halved(shape: BatchShape): BatchShape {
  return { ...shape, width: shorter(shape.width), height: shorter(shape.height) };
}

const bucketStep = 16;
const shorter = (side: number) => Math.max(bucketStep, Math.round(side / Math.SQRT2 / bucketStep) * bucketStep);
