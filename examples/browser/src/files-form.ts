import { openSafetensors, blobSource } from '@musubi/safetensors';

import { type GivenFile, chosenFiles, droppedFiles, nameOf } from './given-files.ts';
import { byId, item } from './page.ts';
import type { Materials } from './run-files.ts';
import { hasCaches, missingFiles, sortFiles } from './sort-files.ts';

/** The part of the page that takes files. */
export interface FilesForm {
  /** What there is to train with; null while the quick start's files are loading or have failed to. */
  readonly materials: () => Materials | null;
  readonly useSample: (files: readonly GivenFile[]) => void;
}

export interface FilesFormOptions {
  /** Told after each change. */
  readonly onChange: () => void;
  /** Told what was taken, for those who do not see it. */
  readonly announce: (text: string) => void;
  readonly onError: (error: unknown) => void;
}

export function createFilesForm({ onChange, announce, onError }: FilesFormOptions): FilesForm {
  let sample: readonly GivenFile[] = [];
  let checkpoint: readonly GivenFile[] = [];
  let caches: readonly GivenFile[] = [];
  let datasetConfig: string | null = null;

  async function take(files: readonly GivenFile[]): Promise<void> {
    const sorted = sortFiles(files);
    if (sorted.checkpoints.length > 0) {
      checkpoint = [...sorted.checkpoints, ...(sorted.modelConfig ? [sorted.modelConfig] : [])];
    }
    if (hasCaches(sorted) || sorted.pictures.length > 0) {
      caches = files;
      datasetConfig = (await sorted.datasetConfig?.blob.text()) ?? null;
      if (sorted.latents[0]) await guessResolution(sorted.latents);
    }
    show();
    announce(
      sorted.checkpoints.length > 0 || hasCaches(sorted) || sorted.pictures.length > 0
        ? `Taken. ${byId('checkpoint-state').textContent} ${byId('caches-state').textContent}`
        : `None of these ${files.length} files is of use: no .safetensors files, no pictures.`,
    );
  }

  function materials(): Materials | null {
    const ofCheckpoint = sortFiles(checkpoint.length > 0 ? checkpoint : sample);
    const ofCaches = sortFiles(caches.length > 0 ? caches : sample);
    const [first] = ofCheckpoint.checkpoints;
    if (!first) return null;
    return { checkpoint: first, modelConfig: ofCheckpoint.modelConfig, caches: ofCaches, datasetConfig };
  }

  function show(): void {
    const now = materials();
    if (!now) return;
    byId('checkpoint-state').textContent = describeCheckpoint(now, sortFiles(checkpoint).checkpoints);
    byId('caches-state').textContent = describeCaches(now, caches.length > 0);
    byId('reset').hidden = checkpoint.length === 0 && caches.length === 0;
    for (const id of ['batch_size', 'width', 'height']) byId(id, HTMLInputElement).disabled = datasetConfig !== null;
    showMissing(now);
    onChange();
  }

  const taken = (files: readonly GivenFile[]) => take(files).catch(onError);
  for (const id of ['checkpoint', 'folder', 'caches']) {
    const input = byId(id, HTMLInputElement);
    input.addEventListener('change', () => void taken(chosenFiles(input.files)));
  }
  byId('reset').addEventListener('click', () => {
    [checkpoint, caches, datasetConfig] = [[], [], null];
    for (const id of ['checkpoint', 'folder', 'caches']) byId(id, HTMLInputElement).value = '';
    for (const id of ['width', 'height']) byId(id, HTMLInputElement).value = '128';
    show();
    // the button is gone
    byId('checkpoint').focus();
    announce("The quick start's files are used.");
  });
  acceptDrops((transfer) => droppedFiles(transfer).then(take).catch(onError));

  return {
    materials,
    useSample(files) {
      sample = files;
      show();
    },
  };
}

const mark = (isOver: boolean): boolean => byId('drop').classList.toggle('over', isOver);

function acceptDrops(drop: (transfer: DataTransfer) => Promise<void>): void {
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    mark(true);
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) mark(false);
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(false);
    if (event.dataTransfer) void drop(event.dataTransfer);
  });
}

function describeCheckpoint({ checkpoint, modelConfig }: Materials, given: readonly GivenFile[]): string {
  const size = `${(checkpoint.blob.size / 1e6).toFixed(1)} MB`;
  if (given.length === 0) return `The quick start's very small Wan, ${size}.`;
  const more = given.length > 1 ? ` Of ${given.length} checkpoints the first is used; shards have to be joined.` : '';
  return `${nameOf(checkpoint.path)}, ${size}${modelConfig ? ', with model.json' : ''}.${more}`;
}

function describeCaches({ caches, datasetConfig }: Materials, isGiven: boolean): string {
  const { latents, texts } = caches;
  if (!isGiven) return `The quick start's: ${latents.length} pictures and their captions.`;
  const config = datasetConfig === null ? '' : ' With their dataset.toml.';
  return `${latents.length} latent caches and ${texts.length} text caches.${config}`;
}

/** Says which files are wanting; items without all of theirs are left out of the run. */
function showMissing({ caches }: Materials): void {
  const box = byId('missing');
  const missing = missingFiles(caches);
  box.hidden = missing.length === 0;
  if (box.hidden) return box.replaceChildren();
  const text = document.createElement('p');
  const { pictures } = caches;
  text.textContent =
    pictures.length > 0
      ? `There are ${pictures.length} pictures. This page trains on caches and cannot encode pictures: that takes the VAE and the ` +
        'text encoder of 11 GB. Make their caches with "npx @musubi/cli cache_latents" and "npx @musubi/cli ' +
        'cache_text_encoder_outputs", then drop the cache folder here. Missing:'
      : 'These items are left out, as files are missing:';
  const list = document.createElement('ul');
  list.append(...missing.slice(0, 20).map((name) => item(name)));
  if (missing.length > 20) list.append(item(`and ${missing.length - 20} more`));
  box.replaceChildren(text, list);
}

/** Fills in a square of the largest latents' area, which the user may correct. */
async function guessResolution(latents: readonly GivenFile[]): Promise<void> {
  let area = 0;
  for (const { path, blob } of latents) {
    const store = await openSafetensors(blobSource(blob, path));
    for (const { name, shape } of store.tensors.values()) {
      const [height = 0, width = 0] = shape.slice(-2);
      if (name.startsWith('latents_')) area = Math.max(area, 64 * height * width);
    }
  }
  const side = String(16 * Math.ceil(Math.sqrt(area) / 16));
  for (const id of ['width', 'height']) byId(id, HTMLInputElement).value = side;
}
