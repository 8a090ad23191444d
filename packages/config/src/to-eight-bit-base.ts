import type { OptionValues } from './option-values.ts';
import type { EightBitBase } from './train-config.ts';

/** What the options say of base weights in 8 bits, null when they stay as the checkpoint has them. */
export function toEightBitBase({ flag, number, problem, text, textOrNull }: OptionValues): EightBitBase | null {
  const [fp8, scaled, int8] = ['fp8_base', 'fp8_scaled', 'int8_base'].map(flag);
  if (scaled && !fp8) {
    problem('BAD_COMBINATION', 'fp8_scaled', 'it needs fp8_base.', 'Add fp8_base, or remove fp8_scaled.');
  }
  if (int8 && fp8) {
    problem(
      'BAD_COMBINATION',
      'int8_base',
      'weights are integers or floats, not both.',
      'Remove int8_base or fp8_base.',
    );
  }
  if (!fp8 && !int8) return null;
  const method = int8 ? 'int8' : scaled ? 'scaled' : 'cast';
  // What has no effect on the weights must not make another file of them.
  return {
    method,
    format: method === 'int8' ? 'e4m3' : (text('fp8_format') as EightBitBase['format']),
    mode: method === 'scaled' ? (text('fp8_quant_mode') as EightBitBase['mode']) : 'block',
    blockSize: method === 'scaled' ? number('fp8_block_size') : 64,
    cacheDir: textOrNull('fp8_cache_dir'),
  };
}
