import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { findCommand, pythonText, readOptions, resolveOptions } from '../src/index.ts';

interface GoldenFile {
  file: string;
  options: string[];
  metadata: Record<string, string>;
}

const { files } = readGoldenJson<{ files: GoldenFile[] }>('files', 'lora_files.json');

/** As the note of the golden file says: what all its runs had in common. */
const common =
  '--network_dim 4 --learning_rate 1e-3 --seed 42 --mixed_precision no --optimizer_type AdamW --timestep_sampling shift --discrete_flow_shift 3.0';

describe('the values that saved files record', () => {
  test('there are files', () => {
    if (isDefaultGolden) expect(files.length).toBeGreaterThan(0);
  });

  test.each(files)('$file: $options', async ({ options: argv, metadata }) => {
    const command = findCommand('wan_train_network');
    if (!command) throw new Error('no such command');
    const { options, problems } = await readOptions(
      command,
      [...common.split(' '), '--network_module', metadata['ss_network_module'] ?? '', ...argv],
      () => '',
    );
    expect(problems).toEqual([]);

    const own = [...options].filter(([name]) => Object.hasOwn(metadata, `ss_${name}`) && !isSetByTheRun(name, argv));
    const found = Object.fromEntries(own.map(([name, { value }]) => [name, pythonText(value)]));
    const expected = Object.fromEntries(own.map(([name]) => [name, metadata[`ss_${name}`]]));
    expect(found).toEqual(expected);
    expect(own.length).toBeGreaterThan(argv.includes('--no_metadata') ? 1 : 15);
  });
});

/** Not the value of the option: files have a JSON object, the number of steps is counted from the epochs. */
function isSetByTheRun(name: string, argv: string[]): boolean {
  return (
    name === 'network_args' ||
    (name === 'max_train_steps' && argv.includes('--max_train_epochs')) ||
    // Runs are named by their file.
    (name === 'output_name' && !argv.includes('--output_name'))
  );
}

const runs = hasGolden('runs')
  ? readdirSync(goldenPath('runs')).filter((run) => hasGolden('runs', run, 'config.toml'))
  : [];

describe('whole runs', () => {
  test.each(runs)('the configuration of %s is accepted, and its files record the same', async (run) => {
    const folder = goldenPath('runs', run);
    const readText = (path: string) => readFileSync(join(folder, path), 'utf8');
    const { config } = await resolveOptions({ command: 'train', argv: ['--config_file', 'config.toml'], readText });

    const saved = readdirSync(folder).filter(
      (name) => name.startsWith(config.outputName) && name.endsWith('.safetensors'),
    );
    expect(saved.length).toBeGreaterThan(0);
    for (const metadata of saved.map((name) => readMetadata(join(folder, name)))) {
      const recorded = Object.keys(metadata)
        .map((key) => key.replace(/^ss_/, ''))
        .filter((name) => Object.hasOwn(config.metadataText, name));
      expect(Object.fromEntries(recorded.map((name) => [name, config.metadataText[name]]))).toEqual(
        Object.fromEntries(recorded.map((name) => [name, metadata[`ss_${name}`]])),
      );
      expect(recorded.length).toBeGreaterThan(15);
    }
  });
});

function readMetadata(path: string): Record<string, string> {
  const bytes = readFileSync(path);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const text = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  const header: Record<string, Record<string, string>> = JSON.parse(text);
  return header['__metadata__'] ?? {};
}
