import { stat } from 'node:fs/promises';
import type { QuantizeConfig } from '@musubi/config';
import type { Fp8Architecture, Fp8Format, Fp8Mode, QuantizedTensor } from '@musubi/quant-fp8';
import { quantizeFile } from '@musubi/quant-fp8/node';

import type { CliContext } from './context.ts';
import { listenForInterruption } from './interruption.ts';
import type { ExitCode } from './exit-code.ts';
import { nameOptions } from './name-options.ts';

/** Writes an 8-bit checkpoint and prints each weight with its error, as it is done. */
export async function quantize(config: QuantizeConfig, context: CliContext): Promise<ExitCode> {
  const { stdout, stderr } = context;
  const { input, output, targets, numWorkers } = config;
  const { signal, stop } = listenForInterruption(context, (line) => stderr.write(`${line}\n`), null);
  try {
    const report = await nameOptions({ input: [input] }, () =>
      quantizeFile(input, output, {
        // The option table has the choices of the package; it checks them again.
        targets: typeof targets === 'string' ? (targets as Fp8Architecture) : targets,
        format: config.format as Fp8Format,
        mode: config.mode as Fp8Mode,
        blockSize: config.blockSize,
        ...(numWorkers === null ? {} : { workers: numWorkers }),
        signal,
        onWeight: (weight) => stdout.write(`${describeWeight(weight)}\n`),
      }),
    );
    const { weights, others, relativeError } = report;
    const size = formatBytes((await stat(output)).size);
    const plural = weights.length === 1 ? 'weight' : 'weights';
    stdout.write(
      `Saved ${output}: ${weights.length} ${plural} in ${config.format}, ${others} other tensors copied, ${size}. ` +
        `Relative error ${formatError(relativeError)}.\n`,
    );
    return 0;
  } catch (error) {
    if (!signal.aborted) throw error;
    return 130;
  } finally {
    stop();
  }
}

/** Name, shape, what shares a scale, and the relative error (root mean square of error over that of weight). */
function describeWeight({ name, shape, mode, scaleShape, relativeError }: QuantizedTensor): string {
  const blocks = scaleShape[1] ?? 1;
  const shared = mode === 'block' ? `block ${(shape[1] ?? 0) / blocks}` : mode;
  return `${name}  [${shape.join(', ')}]  ${shared}  error ${formatError(relativeError)}`;
}

const formatError = (error: number): string => error.toFixed(4);

function formatBytes(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}
