import type { WanConfig } from './config.ts';

import { ModelError } from '../errors.ts';

/** The original's names of what a configuration can state. */
const keys = {
  dim: 'width',
  ffn_dim: 'ffnWidth',
  num_heads: 'heads',
  num_layers: 'layers',
  in_dim: 'channels',
  text_dim: 'textWidth',
  text_len: 'textLength',
  freq_dim: 'timeWidth',
  eps: 'eps',
} as const satisfies Record<string, keyof WanConfig>;

/** What `--model_config` states; keys that are none of a configuration are left alone. */
export const parseModelConfig = (content: Readonly<Record<string, unknown>> = {}): Partial<WanConfig> =>
  parse(content, '--model_config');

/** What the metadata of a checkpoint state, each under its own key or together as JSON under `config`. */
export function parseMetadata(metadata: Readonly<Record<string, string>> = {}): Partial<WanConfig> {
  const where = "the checkpoint's metadata";
  return { ...parse(jsonObject(metadata['config']), where), ...parse(metadata, where) };
}

function parse(content: Readonly<Record<string, unknown>>, where: string): Partial<WanConfig> {
  const stated = Object.entries(keys).filter(([key]) => content[key] !== undefined && content[key] !== null);
  return Object.fromEntries(stated.map(([key, name]) => [name, parseNumber(key, content[key], where)]));
}

function parseNumber(key: string, value: unknown, where: string): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  const valid =
    typeof number === 'number' &&
    (key === 'eps' ? number > 0 && number < 1 : Number.isSafeInteger(number) && number > 0);
  if (valid) return number;
  throw new ModelError(
    'BAD_MODEL_CONFIG',
    `${key} = ${JSON.stringify(value)} in ${where}; expected ${key === 'eps' ? 'a small number' : 'a whole number'} above 0.`,
    where === '--model_config' ? 'Mend it there.' : `State ${key} in --model_config, which is used instead.`,
    { subject: key, value },
  );
}

/** Other programs use this key too, so anything but a JSON object states nothing. */
function jsonObject(text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}
