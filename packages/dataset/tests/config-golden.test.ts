import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import {
  type DatasetConfig,
  DatasetError,
  datasetMetadata,
  type DatasetWarning,
  inheritDatasetOptions,
  type OptionValue,
  parseDatasetConfig,
} from '../src/index.ts';
import { loadDatasetConfig } from '../src/node.ts';

type Options = Record<string, OptionValue>;

interface Dataset {
  is_image_dataset: boolean;
  params: Options;
  resolved?: Options;
  metadata?: Options;
}

interface Case {
  name: string;
  architecture: string;
  format: string;
  config: string;
  files?: Record<string, string>;
  cli_options?: Options;
  warnings?: { kind: string; key?: string }[];
  result: {
    datasets?: Dataset[];
    blueprint?: Dataset[];
    error?: {
      stage: 'parse' | 'schema' | 'construct';
      kind?: string;
      issues?: { path: (string | number)[]; kind: string }[];
    };
  };
}

const { cases }: { cases: Case[] } = hasGolden('dataset', 'dataset_config_cases.json')
  ? readGoldenJson('dataset', 'dataset_config_cases.json')
  : { cases: [] };
const fileOf = ({ format }: Case) => `dataset.${format}`;

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dataset-config-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Writes a case into a folder of its own and loads it there. */
async function load(one: Case) {
  const folder = join(root, one.name);
  const files = { ...one.files, [fileOf(one)]: one.config };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const warnings: DatasetWarning[] = [];
  const loaded = loadDatasetConfig({
    datasetConfigPath: fileOf(one),
    architecture: one.architecture,
    workingDirectory: folder,
    commandLine: one.cli_options ?? {},
    warn: (warning) => warnings.push(warning),
  });
  const [result] = await Promise.allSettled([loaded]);
  return { result: result as PromiseSettledResult<Awaited<typeof loaded>>, warnings };
}

const inherit = (one: Case) =>
  inheritDatasetOptions(parseDatasetConfig(one.config, fileOf(one)), { commandLine: one.cli_options ?? {} }).map(
    ({ kind, options }) => ({ is_image_dataset: kind === 'image', params: options }),
  );

/** A resolved dataset under the option names, as the golden file has it. */
function resolved(config: DatasetConfig, hasControl: boolean): Record<string, unknown> {
  const fields = Object.entries(config).filter(([name]) => !['options', 'architecture', 'kind'].includes(name));
  return { ...Object.fromEntries(fields.map(([name, value]) => [snakeCase(name), value])), has_control: hasControl };
}

function snakeCase(name: string): string {
  return name.replace('fp1f', 'fp_1f').replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Python's True and False are the integers 1 and 0; resolved integers are numbers here. */
function integersAsNumbers(values: Options, like: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (Array.isArray(value)) return [name, value.map(Number)];
      return [name, typeof like[name] === 'number' && typeof value === 'boolean' ? Number(value) : value];
    }),
  );
}

const valid = cases.filter(({ result }) => result.datasets);

test.each(valid)('accepts $name: options after inheritance', (one) => {
  expect(inherit(one)).toEqual(
    one.result.datasets?.map(({ is_image_dataset, params }) => ({ is_image_dataset, params })),
  );
});

test.each(valid)('accepts $name: resolved values, metadata, warnings', async (one) => {
  const { result, warnings } = await load(one);
  if (result.status === 'rejected') throw result.reason;
  const datasets = one.result.datasets ?? [];
  expect(result.value).toHaveLength(datasets.length);
  for (const [index, { config, source }] of result.value.entries()) {
    const own = resolved(config, source.hasControl);
    expect(own).toEqual(integersAsNumbers(datasets[index]?.resolved ?? {}, own));
    const metadata = datasetMetadata(config, source.hasControl);
    expect(metadata).toEqual(datasets[index]?.metadata);
    expect(Object.keys(metadata)).toEqual(Object.keys(datasets[index]?.metadata ?? {}));
  }
  expectWarnings(warnings, one);
});

const refused = cases.filter(({ result }) => result.error);

test.each(refused)('refuses $name', async (one) => {
  const { result, warnings } = await load(one);
  const { stage, kind, issues } = one.result.error ?? { stage: 'parse' };
  expect(result.status).toBe('rejected');
  const error: unknown = result.status === 'rejected' ? result.reason : undefined;
  if (!(error instanceof DatasetError)) throw error;

  if (stage === 'schema') {
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.issues?.[0]).toMatchObject({ path: issues?.[0]?.path, kind: issues?.[0]?.kind });
  } else if (stage === 'parse' && error.code === 'CONFIG_INVALID') {
    // the reference's TOML reader is older than TOML 1.0: lists of mixed types are syntax errors there, here of type
    expect(kind).toBe('toml_syntax');
    expect(JSON.stringify(mixedListsOf(one))).not.toBe('[]');
    expect(error.issues).toHaveLength(1);
  } else {
    expect(error.code).toBe(kind?.toUpperCase());
  }
  if (one.result.blueprint) expect(inherit(one)).toEqual(one.result.blueprint);
  expectWarnings(warnings, one);
  expect(error.message.endsWith(error.remedy)).toBe(true);
});

test('every kind of case is there in the default folder', () => {
  if (!isDefaultGolden) return;
  const stages = new Set(cases.map(({ result }) => result.error?.stage ?? 'valid'));
  expect([...stages].toSorted()).toEqual(['construct', 'parse', 'schema', 'valid']);
  const kinds = cases.flatMap(({ result }) => result.datasets?.map((dataset) => dataset.is_image_dataset) ?? []);
  expect(new Set(kinds)).toEqual(new Set([true, false]));
});

function expectWarnings(warnings: readonly DatasetWarning[], { warnings: wanted = [] }: Case): void {
  expect(warnings.map(({ code }) => code)).toEqual(wanted.map(({ kind }) => kind.toUpperCase()));
  wanted.forEach(({ key }, index) => expect(warnings[index]?.message).toContain(key ?? ''));
}

function mixedListsOf({ config, format }: Case): unknown[] {
  const lists: unknown[] = [];
  JSON.stringify(parseDatasetConfig(config, `x.${format}`), (_, value: unknown) => {
    if (Array.isArray(value) && new Set(value.map((entry) => typeof entry)).size > 1) lists.push(value.length);
    return typeof value === 'bigint' ? Number(value) : value;
  });
  return lists;
}
