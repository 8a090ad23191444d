import { writeSafetensorsFile } from '@musubi/safetensors/node';
import { convertLora } from '../convert.ts';
import type { ConvertOptions } from '../convert.ts';
import { assertOther, withFiles } from './files.ts';

export interface ConvertRequest extends ConvertOptions {
  readonly input: string;
  readonly output: string;
  /** gets lines for the user */
  readonly logger?: (line: string) => void;
}

/**
 * Converts an adapter file to the other layout or back, as `convertLora`; the output is written whole or not at all.
 *
 * @returns how many tensors were written
 * @throws {LoraError} as `convertLora`, and `OUTPUT_IS_INPUT`; `SafetensorsError`
 */
export async function convertLoraFile({
  input,
  output,
  logger = () => {},
  ...options
}: ConvertRequest): Promise<number> {
  assertOther('output', output, [input]);
  return withFiles([input], async ([store]) => {
    const { tensors, metadata, leftOut, withoutAlpha } = await convertLora(store!, options);
    if (leftOut.length > 0) logger(`${leftOut.length} keys are in neither layout and left out, e.g. ${leftOut[0]}.`);
    if (withoutAlpha.length > 0)
      logger(`${withoutAlpha.length} modules have no alpha and are not scaled, e.g. ${withoutAlpha[0]}.`);
    await writeSafetensorsFile(output, tensors, { metadata });
    return tensors.length;
  });
}
