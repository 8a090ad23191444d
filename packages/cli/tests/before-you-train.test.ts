import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { smallTokenizer } from '../../../scripts/lib/small-tokenizer.mjs';
import { type Parameter, umt5, wan, wanVae } from '../../models/src/index.ts';
import { TorchGenerator } from '../../random/src/index.ts';
import { fromFloat32 } from '../../safetensors/src/index.ts';
import { writeSafetensorsFile } from '../../safetensors/src/node.ts';
import { runProgram } from './run-program.ts';

// The way of a user: init, caches, validate, train, on pictures and small models with random weights.
let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-before-'));
  const captions = ['a red square', 'a green square', 'a blue square'];
  mkdirSync(join(folder, 'images'));
  mkdirSync(join(folder, 'tokenizer'));
  for (const [i, caption] of captions.entries()) {
    writeFileSync(join(folder, 'images', `${i}.bmp`), bitmap(80, 64, i));
    writeFileSync(join(folder, 'images', `${i}.txt`), caption);
  }
  const { tokenizerJson, tokenizerConfig } = smallTokenizer(captions);
  writeFileSync(join(folder, 'tokenizer', 'tokenizer.json'), JSON.stringify(tokenizerJson));
  writeFileSync(join(folder, 'tokenizer', 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
  const { vocab } = (tokenizerJson as { model: { vocab: unknown[] } }).model;

  const sizes = { width: 48, ffnWidth: 64, heads: 2, layers: 2, channels: 16, textWidth: 32, timeWidth: 256 };
  await writeModel('wan.safetensors', wan.parameters({ ...sizes, textLength: 512, eps: 1e-6 }), {
    config: JSON.stringify({ num_heads: sizes.heads }),
  });
  const text = { width: 32, attentionWidth: 32, ffnWidth: 64, heads: 2, layers: 1, buckets: 32 };
  await writeModel('umt5.safetensors', umt5.parameters({ ...text, vocabulary: vocab.length }));
  const levels = wanVae.published.levels.map((level) => ({ ...level, width: level.width / 12 }));
  await writeModel('vae.safetensors', wanVae.parameters({ ...wanVae.published, levels }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A BMP of one colour: 255 in one channel. */
function bitmap(width: number, height: number, channel: number): Uint8Array {
  const bytes = new Uint8Array(54 + width * height * 3);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  const fields: readonly [at: number, value: number][] = [
    [2, bytes.length],
    [10, 54],
    [14, 40],
    [18, width],
    [22, height],
    [26, 1 | (24 << 16)],
  ];
  for (const [at, value] of fields) view.setUint32(at, value, true);
  for (let i = 54 + channel; i < bytes.length; i += 3) bytes[i] = 255;
  return bytes;
}

async function writeModel(
  name: string,
  parameters: readonly Parameter[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const generator = new TorchGenerator(1);
  const tensors = parameters.map(({ name: tensor, shape }) => {
    const count = shape.reduce((product, axis) => product * axis, 1);
    const data = fromFloat32(
      generator.randn(count).map((x) => 0.1 * x),
      'F32',
    );
    return { name: tensor, shape, dtype: 'F32' as const, data };
  });
  await writeSafetensorsFile(join(folder, name), tensors, { metadata });
}

const musubi = (...argv: string[]) => runProgram('../src/bin.ts', argv, { cwd: folder });

test('init, caches, validate, train', async () => {
  const given = ['--dit', 'wan.safetensors', '--images', 'images', '--resolution', '80,64', '--max_train_epochs', '1'];
  const made = await musubi('init', ...given, '--vae', 'vae.safetensors', '--t5', 'umt5.safetensors', '--yes');
  expect(made.stderr).toBe('3 pictures with a caption in images\n');
  expect(made.code).toBe(0);

  const early = await musubi('validate', '--config_file', 'config.toml');
  expect(early.stdout).toContain('error: config.toml, line 12: There is nothing to train on');
  expect(early.code).toBe(2);

  const caching = ['--architecture', 'wan', '--dataset_config', 'dataset.toml'];
  const latents = ['cache_latents', ...caching, '--vae', 'vae.safetensors'];
  const texts = ['cache_text_encoder_outputs', ...caching, '--t5', 'umt5.safetensors', '--tokenizer', 'tokenizer'];
  for (const command of [latents, texts]) {
    const looked = await musubi('validate', ...command);
    expect([looked.stdout, looked.code]).toEqual(['Nothing is wrong.\n', 0]);
    const { stdout, code } = await musubi(...command);
    expect([stdout, code]).toEqual(['Done: 3 caches written.\n', 0]);
  }

  const { stdout, code } = await musubi('validate', '--config_file', 'config.toml', '--json');
  expect(JSON.parse(stdout)).toEqual({ ok: true, command: 'train', findings: [] });
  expect(code).toBe(0);

  const training = await musubi('train', '--config_file', 'config.toml');
  expect(training.stdout).toBe(`Saved ${join('output', 'my_lora.safetensors')} after 3 steps.\n`);
  expect(training.code).toBe(0);
  expect(readdirSync(join(folder, 'output'))).toContain('my_lora.safetensors');
  const losses = readFileSync(join(folder, 'output', 'my_lora.log.jsonl'), 'utf8').matchAll(
    /"loss\/current":([\d.]+)/g,
  );
  expect([...losses]).toHaveLength(3);
}, 600_000);
