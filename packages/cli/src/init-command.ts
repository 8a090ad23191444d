import { existsSync } from 'node:fs';

import { inspectSource, readDatasetConfig } from '@musubi/dataset';
import { diskFiles } from '@musubi/dataset/node';
import { writeFileAtomic } from '@musubi/safetensors/node';

import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import { type Asker, terminalAsker } from './init/ask.ts';
import { configText, datasetText } from './init/files.ts';
import { parseInit, settingTable, type InitArguments, type Setting, type Settings } from './init/settings.ts';
import type { ExitCode } from './exit-code.ts';

/** `musubi init`: writes a configuration and a dataset configuration, each value with a comment. */
export async function initCommand(
  argv: readonly string[],
  context: CliContext,
  openAsker: () => Asker | null = terminalAsker,
): Promise<ExitCode> {
  const { stdout, stderr } = context;
  if (argv.includes('--help') || argv.includes('-h')) {
    stdout.write(help);
    return 0;
  }
  const read = parseInit(argv);
  const settings = await complete(read, context, openAsker);
  if (settings === null) return 130;
  const { config_file: config, dataset_config: dataset } = settings;
  if (!read.force) refuseExisting([config, dataset]);
  await writeFileAtomic(dataset, datasetText(settings));
  await writeFileAtomic(config, configText(settings));
  for (const line of await describePictures(settings)) stderr.write(`${line}\n`);
  stdout.write(`Wrote ${config} and ${dataset}. What comes next:\n${nextSteps(settings)}`);
  return 0;
}

/** All settings: given, asked for, or the usual ones; null when the answers end. */
async function complete(
  { given, yes }: InitArguments,
  { stderr }: CliContext,
  openAsker: () => Asker | null,
): Promise<Settings | null> {
  const known: Partial<Record<Setting['name'], string>> = { ...given };
  const asker = yes ? null : openAsker();
  try {
    for (const setting of settingTable) {
      if (known[setting.name] !== undefined) continue;
      const usual = setting.usual(known);
      if (!asker || !setting.isAsked) {
        if (usual !== null) known[setting.name] = usual;
        continue;
      }
      const answer = await askUntilRight(setting, usual, asker, (line) => stderr.write(`${line}\n`));
      if (answer === null) return null;
      known[setting.name] = answer;
    }
  } finally {
    asker?.close();
  }
  const missing = settingTable.filter(({ name }) => known[name] === undefined).map(({ name }) => `--${name}`);
  if (missing.length > 0) {
    const remedy = 'Give them, or run musubi init in a terminal, where it asks.';
    throw new CliError('USAGE', `init lacks ${missing.join(' and ')}.`, remedy);
  }
  return known as Settings;
}

async function askUntilRight(
  { question, refuse }: Setting,
  usual: string | null,
  asker: Asker,
  say: (line: string) => void,
): Promise<string | null> {
  for (;;) {
    const typed = await asker.ask(`${question}${usual === null ? '' : ` [${usual}]`}: `);
    if (typed === null) return null;
    const answer = typed.trim() === '' && usual !== null ? usual : typed.trim();
    const refusal = refuse(answer);
    if (refusal === null) return answer;
    say(refusal.join(' '));
  }
}

function refuseExisting(files: readonly string[]): void {
  const existing = files.filter((file) => existsSync(file));
  if (existing.length === 0) return;
  const found = `${existing.join(' and ')} ${existing.length === 1 ? 'is' : 'are'} there already.`;
  throw new CliError(
    'USAGE',
    found,
    'Add --force to write anew, or give other names as --config_file and --dataset_config.',
  );
}

/** What the folder of pictures holds, as the dataset configuration will find it. */
async function describePictures({ images, caption_extension: extension }: Settings): Promise<string[]> {
  const parsed = { datasets: [{ image_directory: images, caption_extension: extension }] };
  const [config] = readDatasetConfig(parsed, 'wan');
  if (!config) return [];
  if (!existsSync(images)) return [`warning: the folder ${images} does not exist yet.`];
  const { items, uncaptioned = [] } = await inspectSource(config, diskFiles());
  const lines = [`${count(items.length, 'picture')} with a caption in ${images}`];
  if (uncaptioned.length > 0) {
    const shown =
      uncaptioned.slice(0, 5).join(', ') + (uncaptioned.length > 5 ? ` and ${uncaptioned.length - 5} more` : '');
    lines.push(`warning: ${count(uncaptioned.length, 'picture')} without a caption NAME${extension}: ${shown}.`);
  } else if (items.length === 0) lines.push(`warning: there are no pictures in ${images}.`);
  return lines;
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

function nextSteps({ architecture, dataset_config: dataset, config_file: config, vae, t5 }: Settings): string {
  const caches = `--architecture ${architecture} --dataset_config ${quoted(dataset)}`;
  return [
    `musubi cache_latents ${caches} --vae ${quoted(vae)}`,
    `musubi cache_text_encoder_outputs ${caches} --t5 ${quoted(t5)}`,
    `musubi validate --config_file ${quoted(config)}`,
    `musubi train --config_file ${quoted(config)}`,
  ]
    .map((line) => `  ${line}\n`)
    .join('');
}

/** For shells of all systems. */
const quoted = (path: string): string => (/^[\w./\\:=+-]+$/.test(path) ? path : `"${path}"`);

const help = `Usage: musubi init --dit FILE --images FOLDER [OPTIONS]

Writes a configuration and a dataset configuration, each value with a comment, and counts the pictures and captions. In a
terminal it asks for what is not given.

Options
  --architecture NAME             wan; hv, hv_1_5, fpack, flux_kontext and qwen_image are not built yet.
  --dit FILE                      Transformer checkpoint.
  --task NAME                     Model variant; by default what the name of the checkpoint says.
  --images FOLDER                 Pictures, each with its caption in a text file of the same name.
  --caption_extension .txt        Extension of these text files.
  --resolution 960,544            Width and height in pixels.
  --cache_directory cache         Folder for caches.
  --vae FILE                      VAE checkpoint, for the commands to run next.
  --t5 FILE                       Text encoder checkpoint, likewise.
  --network_dim 16                Rank of the adapter.
  --max_train_epochs 16           Epochs.
  --output_dir output             Folder for the LoRA.
  --output_name my_lora           Its name.
  --config_file config.toml       File to write.
  --dataset_config dataset.toml   The other file to write.
  --yes                           Ask nothing.
  --force                         Write over files that are there.
`;
