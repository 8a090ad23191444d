/** Names of the adapter files of a run. */
export const stepFile = (name: string, step: number): string =>
  `${name}-step${String(step).padStart(8, '0')}.safetensors`;
export const epochFile = (name: string, epoch: number): string =>
  `${name}-${String(epoch).padStart(6, '0')}.safetensors`;
export const lastFile = (name: string): string => `${name}.safetensors`;

/**
 * The step whose file goes when the file of `step` has been saved, or null. `lastN` counts steps, not files.
 *
 * @param every `--save_every_n_steps`
 * @param lastN `--save_last_n_steps`
 */
export function stepToRemove(step: number, every: number | null, lastN: number | null): number | null {
  if (every === null || lastN === null) return null;
  const oldest = step - lastN - 1;
  const removed = oldest - (((oldest % every) + every) % every);
  return removed >= 0 ? removed : null;
}

/**
 * The epoch whose file goes when the file of `epoch` has been saved, or null. `lastN` counts files; 0 removes the file
 * that was just saved.
 *
 * @param every `--save_every_n_epochs`
 * @param lastN `--save_last_n_epochs`
 */
export function epochToRemove(epoch: number, every: number | null, lastN: number | null): number | null {
  if (every === null || lastN === null) return null;
  const removed = epoch - every * lastN;
  return removed > 0 ? removed : null;
}
