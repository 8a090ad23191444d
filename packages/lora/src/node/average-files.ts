import { writeSafetensorsFile } from '@musubi/safetensors/node';
import { LoraError } from '../errors.ts';
import { postHocEma } from '../post-hoc-ema.ts';
import type { PostHocEmaOptions } from '../post-hoc-ema.ts';
import { assertOther, byModificationTime, withFiles } from './files.ts';

export interface AverageRequest extends PostHocEmaOptions {
  readonly paths: readonly string[];
  /** take the files in the order given instead of that of their modification times */
  readonly noSort?: boolean;
  readonly output: string;
  /** gets lines for the user */
  readonly logger?: (line: string) => void;
}

/**
 * Averages files of one run, as `postHocEma`; the output is written whole or not at all.
 *
 * @throws {LoraError} as `postHocEma`, and `FILE_MISSING`, `OUTPUT_IS_INPUT`; `SafetensorsError`
 */
export async function averageLoraFiles(request: AverageRequest): Promise<void> {
  const { paths, noSort = false, output, logger = () => {}, ...options } = request;
  if (paths.length === 0) {
    throw new LoraError('AVERAGE_OPTION', 'there is no file to average.', 'Give two or more.', { option: 'path' });
  }
  assertOther('output_file', output, paths);
  const sorted = noSort ? paths : await byModificationTime(paths);
  await withFiles(sorted, async (stores) => {
    const { tensors, metadata, betas } = await postHocEma(stores, options);
    logger(`start: ${sorted[0]}`);
    betas.forEach((beta, i) => logger(`beta ${beta.toFixed(4)}: ${sorted[i + 1]}`));
    await writeSafetensorsFile(output, tensors, { metadata });
  });
}
