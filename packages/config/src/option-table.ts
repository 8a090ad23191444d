import type { OptionSpec } from './option-spec.ts';
import { analysisOptions } from './options/analysis.ts';
import { attentionOptions } from './options/attention.ts';
import { cachingOptions } from './options/caching.ts';
import { deviceOptions } from './options/device.ts';
import { eightBitOptions } from './options/eight-bit.ts';
import { generationOptions } from './options/generation.ts';
import { loraToolOptions } from './options/lora-tools.ts';
import { machineOptions } from './options/machine.ts';
import { modelOptions } from './options/model.ts';
import { networkOptions } from './options/network.ts';
import { optimizationOptions } from './options/optimization.ts';
import { otherCacheOptions } from './options/other-caches.ts';
import { otherModelOptions } from './options/other-models.ts';
import { quantizingOptions } from './options/quantizing.ts';
import { trainingOptions } from './options/training.ts';

/** Every option of every command: help, parsing, checks and tests are made from this table. */
export const optionTable: readonly OptionSpec[] = [
  ...modelOptions,
  ...eightBitOptions,
  ...deviceOptions,
  ...networkOptions,
  ...optimizationOptions,
  ...trainingOptions,
  ...attentionOptions,
  ...machineOptions,
  ...otherModelOptions,
  ...cachingOptions,
  ...otherCacheOptions,
  ...generationOptions,
  ...loraToolOptions,
  ...quantizingOptions,
  ...analysisOptions,
];
