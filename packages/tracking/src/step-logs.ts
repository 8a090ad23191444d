/** What a tracker is told after one batch. */
export interface StepLogInput {
  /** Loss of this batch. */
  readonly loss: number;
  readonly averageLoss: number;
  /** Learning rate of each parameter group, after the schedule moved on. */
  readonly learningRates: readonly number[];
  /** Name of each group, e.g. `unet`, `unet plus`; null when the groups have none. */
  readonly groupNames: readonly string[] | null;
  /** Step size estimates of optimizers that find their own (D-adaptation, Prodigy), one a group. */
  readonly adaptive?: readonly { readonly d: number; readonly rate: number; readonly effectiveRate?: number }[] | null;
  /** Result of limiting adapter norms. */
  readonly weightNorms?: { readonly keysScaled: number; readonly mean: number; readonly maximum: number } | null;
}

/**
 * Names and values of one batch as the original logs them: `loss/current`, `loss/average`, `lr/unet` and so on.
 *
 * Groups without names are `unet` when there are one or two (the second takes the name over) and `group0`, `group1`, … when
 * there are more.
 */
export function stepLogs(input: StepLogInput): Record<string, number> {
  const { loss, averageLoss, learningRates, groupNames, adaptive, weightNorms } = input;
  const logs: Record<string, number> = { 'loss/current': loss, 'loss/average': averageLoss };
  if (weightNorms) {
    logs['max_norm/keys_scaled'] = weightNorms.keysScaled;
    logs['max_norm/average_key_norm'] = weightNorms.mean;
    logs['max_norm/max_key_norm'] = weightNorms.maximum;
  }
  learningRates.forEach((rate, index) => {
    const group = groupNames?.[index] ?? (learningRates.length > 2 ? `group${index}` : 'unet');
    const own = adaptive?.[index];
    logs[`lr/${group}`] = rate;
    if (own) logs[`lr/d*lr/${group}`] = own.d * own.rate;
    if (own?.effectiveRate !== undefined) logs[`lr/d*eff_lr/${group}`] = own.d * own.effectiveRate;
  });
  return logs;
}
