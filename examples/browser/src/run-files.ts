import { type GivenFile, folderOf, nameOf } from './given-files.ts';
import type { SortedFiles } from './sort-files.ts';

/** What a run is made of. */
export interface Materials {
  readonly checkpoint: GivenFile;
  readonly modelConfig: GivenFile | null;
  readonly caches: SortedFiles;
  /** Text of the `dataset.toml` that came with the caches; null: one is made from the settings. */
  readonly datasetConfig: string | null;
}

/** What the form says, as it was typed. */
export interface Settings {
  readonly task: string;
  readonly rank: string;
  readonly rate: string;
  readonly steps: string;
  readonly batchSize: string;
  readonly resolution: readonly [width: string, height: string];
  readonly seed: string;
  readonly checkpointing: boolean;
  /** Options that give base weights 8 bits; empty: they stay as they are. */
  readonly base: string;
}

export interface RunFiles {
  /** Below `musubi`. */
  readonly command: readonly string[];
  /** Of the datasets, as text. */
  readonly datasetConfig: string;
  /** Everything that the command names, by its path. */
  readonly files: ReadonlyMap<string, Blob>;
}

/** The command and the files of a run: with these on a disk, the command line makes the same run. */
export function runFiles(materials: Materials, settings: Settings): RunFiles {
  const { checkpoint, modelConfig, caches } = materials;
  const dit = nameOf(checkpoint.path);
  const top = caches.datasetConfig ? folderOf(caches.datasetConfig.path) : null;
  const files = new Map<string, Blob>([[dit, checkpoint.blob]]);
  if (modelConfig) files.set('model.json', modelConfig.blob);
  for (const { path, blob } of [...caches.latents, ...caches.texts]) files.set(placeOf(path, top), blob);
  const folders = new Set(caches.latents.map(({ path }) => folderOf(placeOf(path, top))));
  const datasetConfig = materials.datasetConfig ?? datasetsOf(folders, settings);
  files.set('dataset.toml', new Blob([datasetConfig]));
  return { command: command(dit, modelConfig !== null, settings), datasetConfig, files };
}

function command(dit: string, hasModelConfig: boolean, settings: Settings): string[] {
  const { task, rank, rate, steps, seed, checkpointing, base } = settings;
  const options = {
    task,
    dit,
    ...(hasModelConfig ? { model_config: 'model.json' } : {}),
    dataset_config: 'dataset.toml',
    network_module: 'networks.lora_wan',
    network_dim: rank,
    // as large as the rank
    network_alpha: '0',
    optimizer_type: 'AdamW',
    learning_rate: rate,
    timestep_sampling: 'shift',
    discrete_flow_shift: '3.0',
    max_train_steps: steps,
    seed,
    output_dir: 'output',
    output_name: 'my_lora',
  };
  const written = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const flags = [...base.split(' '), checkpointing ? '--gradient_checkpointing' : ''].filter((flag) => flag !== '');
  return ['train', ...written, ...flags];
}

/** One dataset for each folder with caches. */
function datasetsOf(folders: ReadonlySet<string>, { batchSize, resolution }: Settings): string {
  const general = `[general]
resolution = [${resolution.join(', ')}]
enable_bucket = true
batch_size = ${batchSize}
`;
  const datasets = Array.from(
    folders,
    (folder) => `
[[datasets]]
image_directory = ${JSON.stringify(folder)}
cache_directory = ${JSON.stringify(folder)}
`,
  );
  return general + datasets.join('');
}

/** Relative to the folder of the dataset configuration, where there is one; files without a folder get one. */
function placeOf(path: string, top: string | null): string {
  const inside = top !== null && top !== '' && path.startsWith(`${top}/`) ? path.slice(top.length + 1) : path;
  return inside.includes('/') ? inside : `cache/${inside}`;
}
