import type { Adapter, LoraParameter } from './adapter.ts';
import { loraParameters } from './adapter.ts';
import { LoraError } from './errors.ts';

/** Parameters that are trained at one rate. */
export interface LoraGroup {
  /** as the rate is called in logs: `unet`, `unet plus` */
  readonly name: string;
  readonly learningRate: number;
  readonly parameters: readonly LoraParameter[];
}

/**
 * The parameter groups of an adapter; with a ratio, those of LoRA+ (Hayou et al. 2024, arXiv 2402.12354):
 *
 *     rate(down) = learningRate,   rate(up) = ratio·learningRate
 *
 * LoHa and LoKr have no `lora_up`, so they stay in one group. A group whose rate is 0 is left out.
 *
 * @param ratio `loraplus_lr_ratio`, at least 0; null: one group
 * @throws {LoraError} `LEARNING_RATE`, `LORAPLUS_RATIO`
 */
export function loraGroups(adapter: Adapter, learningRate: number, ratio: number | null = null): LoraGroup[] {
  if (!(learningRate >= 0 && learningRate < Infinity)) {
    throw new LoraError(
      'LEARNING_RATE',
      `learning_rate = ${learningRate} is no learning rate.`,
      'Use a number from 0, e.g. 1e-4.',
      { option: 'learning_rate', found: learningRate },
    );
  }
  if (ratio !== null && !(ratio >= 0 && Number.isFinite(ratio))) {
    throw new LoraError(
      'LORAPLUS_RATIO',
      `loraplus_lr_ratio = ${ratio} is no factor for a learning rate.`,
      'Use a number from 0, usually 4 to 16.',
      { option: 'loraplus_lr_ratio', found: ratio },
    );
  }
  const parameters = loraParameters(adapter);
  const isPlus = ({ name }: LoraParameter) => ratio !== null && name.endsWith('.lora_up.weight');
  const groups = [
    { name: 'unet', learningRate, parameters: parameters.filter((parameter) => !isPlus(parameter)) },
    { name: 'unet plus', learningRate: learningRate * (ratio ?? 1), parameters: parameters.filter(isPlus) },
  ];
  return groups.filter((group) => group.parameters.length > 0 && group.learningRate !== 0);
}
