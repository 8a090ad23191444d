import type { Graph } from '@musubi/onnx-graph';
import type { TensorToWrite } from '@musubi/safetensors';

import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';

import { decodeModel, encodeModel } from '@musubi/onnx-graph';
import { fromFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeFileAtomic, writeSafetensorsFile } from '@musubi/safetensors/node';

import { type CheckpointTensor, type TrainingArtifacts, artifactFiles, artifactFormat } from '../artifacts.ts';
import { AutodiffError } from '../errors.ts';

/** What `state.json` holds. It is written last: a folder without it is not complete. */
interface StateFile {
  readonly format: number;
  readonly optimizer: Readonly<Record<string, number>>;
  /** Location in the graphs to the path of the weight file, relative to the folder, with `/`. */
  readonly weightFiles: Readonly<Record<string, string>>;
}

/**
 * Writes training artifacts to a folder, which is made when needed. Each file appears whole or not at all. Weights stay
 * where they are: the folder remembers their paths relative to itself.
 */
export async function writeTrainingArtifacts(folder: string, artifacts: TrainingArtifacts): Promise<void> {
  const { checkpoint, weightFiles } = artifacts;
  const path = (file: string) => join(folder, file);
  await mkdir(path('checkpoint'), { recursive: true });
  await rm(path(artifactFiles.state), { force: true });
  for (const name of ['training', 'evaluation', 'optimizer'] as const) {
    await writeFileAtomic(path(artifactFiles[name]), encodeModel(artifacts[name]));
  }
  await writeSafetensorsFile(path(artifactFiles.parameters), toWrite(checkpoint.parameters), {
    metadata: { format: 'pt' },
  });
  await writeSafetensorsFile(path(artifactFiles.optimizerState), toWrite(checkpoint.optimizer));
  const state: StateFile = {
    format: artifactFormat,
    optimizer: checkpoint.optimizerNumbers,
    weightFiles: weightFilesFrom(folder, weightFiles),
  };
  await writeFileAtomic(path(artifactFiles.state), `${JSON.stringify(state, null, 2)}\n`);
}

/** Paths of weight files relative to a folder, with `/` on every system; on Windows a file on another disk stays absolute. */
export const weightFilesFrom = (folder: string, files: TrainingArtifacts['weightFiles']): Record<string, string> =>
  mapValues(files, (file) => relative(folder, resolve(file)).split(sep).join('/'));

/**
 * Reads what {@link writeTrainingArtifacts} wrote.
 *
 * @throws {AutodiffError} `BAD_ARTIFACTS` when the folder is not complete or of another format; `GraphError` and
 *   `SafetensorsError` for damaged files
 */
export async function loadTrainingArtifacts(folder: string): Promise<TrainingArtifacts> {
  const state = await readState(folder);
  return {
    training: await readGraph(folder, artifactFiles.training),
    evaluation: await readGraph(folder, artifactFiles.evaluation),
    optimizer: await readGraph(folder, artifactFiles.optimizer),
    checkpoint: {
      parameters: await readTensors(join(folder, artifactFiles.parameters)),
      optimizer: await readTensors(join(folder, artifactFiles.optimizerState)),
      optimizerNumbers: state.optimizer,
    },
    weightFiles: mapValues(state.weightFiles, (file) => resolve(folder, file)),
  };
}

async function readState(folder: string): Promise<StateFile> {
  const text = await readArtifact(folder, artifactFiles.state, 'utf8');
  const state = parseState(text);
  if (state?.format === artifactFormat) return state;
  throw new AutodiffError(
    'BAD_ARTIFACTS',
    join(folder, artifactFiles.state),
    state ? `has format ${state.format}, this version reads ${artifactFormat}.` : 'is not the state of a training run.',
    'Write the artifacts again with this version.',
  );
}

function parseState(text: string): StateFile | undefined {
  try {
    const { format, optimizer = {}, weightFiles = {} } = JSON.parse(text) as Partial<StateFile>;
    return typeof format === 'number' ? { format, optimizer, weightFiles } : undefined;
  } catch {
    return undefined;
  }
}

const readGraph = async (folder: string, file: string): Promise<Graph> => decodeModel(await readArtifact(folder, file));

async function readArtifact(folder: string, file: string): Promise<Uint8Array>;
async function readArtifact(folder: string, file: string, encoding: 'utf8'): Promise<string>;
async function readArtifact(folder: string, file: string, encoding?: 'utf8'): Promise<Uint8Array | string> {
  try {
    return await readFile(join(folder, file), encoding);
  } catch (cause) {
    throw new AutodiffError(
      'BAD_ARTIFACTS',
      join(folder, file),
      'cannot be read, so this is not a complete folder of training artifacts.',
      `It should hold ${Object.values(artifactFiles).join(', ')}.`,
      { cause },
    );
  }
}

async function readTensors(path: string): Promise<Map<string, CheckpointTensor>> {
  const store = await openSafetensorsFile(path);
  try {
    const tensors = new Map<string, CheckpointTensor>();
    for (const { name, shape } of store.tensors.values())
      tensors.set(name, { shape, data: await store.readFloat32(name) });
    return tensors;
  } finally {
    await store.close();
  }
}

const toWrite = (tensors: ReadonlyMap<string, CheckpointTensor>): TensorToWrite[] =>
  Array.from(tensors, ([name, { shape, data }]) => ({ name, dtype: 'F32', shape, data: fromFloat32(data, 'F32') }));

const mapValues = <T, U>(record: Readonly<Record<string, T>>, f: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]));
