import { realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, parse, relative, resolve, sep } from 'node:path';

import type { SessionRequest } from '../types.ts';
import type { ExternalTensor } from '../external-data.ts';

import { RuntimeError } from '../error.ts';
import { assertLongEnough, externalTensors, relocateExternalData } from '../external-data.ts';

/**
 * The same request with one folder for all external data, as ONNX Runtime wants it. It refuses absolute locations, `..`
 * and links that lead out of the folder (as in Hugging Face's cache, where every checkpoint is a link), and maps files
 * only below that one folder. So each location becomes the real path of its file, relative to the folder that all have
 * in common. Nothing is copied.
 *
 * @throws {RuntimeError} `EXTERNAL_FILE_MISSING`, `EXTERNAL_FILE_TOO_SHORT`, `EXTERNAL_FILE_REFUSED`
 */
export async function resolveExternalFiles(request: SessionRequest): Promise<SessionRequest> {
  const { externalFiles: _, ...rest } = request;
  if (request.externalData) return onlyBytes(rest);
  const tensors = externalTensors(request.model);
  const locations = [...new Set(tensors.map((t) => t.location))];
  if (locations.length === 0) return rest;
  const files = await Promise.all(locations.map((location) => findFile(request, location, tensors)));
  const folder = commonFolder(files, request.label);
  const moved = new Map(locations.map((location, i) => [location, toLocation(folder, files[i] ?? '')]));
  const model = relocateExternalData(request.model, (location) => moved.get(location) ?? location);
  return { ...rest, model, externalDataFolder: folder };
}

/** ONNX Runtime for Node.js takes a Blob for something else. */
function onlyBytes(request: SessionRequest): SessionRequest {
  const { externalData = {}, label } = request;
  const other = Object.entries(externalData).find(([, content]) => !(content instanceof Uint8Array));
  if (!other) return request;
  throw new RuntimeError(
    'BAD_OPTION',
    `the external data of "${other[0]}" are not given as bytes.`,
    'In Node.js, name the file in externalFiles.',
    { label, path: other[0] },
  );
}

/** The real path of a location's file, which is there and long enough. */
async function findFile(
  { label, externalDataFolder, externalFiles = {} }: SessionRequest,
  location: string,
  tensors: readonly ExternalTensor[],
): Promise<string> {
  const listed = Object.hasOwn(externalFiles, location) ? externalFiles[location] : undefined;
  if (listed === undefined && leavesFolder(location)) {
    throw new RuntimeError(
      'EXTERNAL_FILE_REFUSED',
      `the model wants weights from "${location}", outside its folder.`,
      'If you trust the model, name the file in externalFiles.',
      { label, path: location },
    );
  }
  if (listed === undefined && externalDataFolder === undefined) {
    throw new RuntimeError(
      'EXTERNAL_FILE_MISSING',
      `the model has weights in "${location}" and no folder was given.`,
      'Give externalDataFolder or externalFiles.',
      { label, path: location },
    );
  }
  const path = resolve(listed ?? resolve(externalDataFolder ?? '', location));
  const { file, size } = await inspect(path, label);
  const here = tensors.filter((tensor) => tensor.location === location);
  assertLongEnough(here, path, size, label);
  return file;
}

async function inspect(path: string, label: string | undefined): Promise<{ file: string; size: number }> {
  try {
    const file = await realpath(path);
    const status = await stat(file);
    if (!status.isFile()) throw new Error('it is not a file');
    return { file, size: status.size };
  } catch (error) {
    throw new RuntimeError(
      'EXTERNAL_FILE_MISSING',
      `the weights file ${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}.`,
      'Check the path and whether you may read it.',
      { label, path },
      { cause: error },
    );
  }
}

/** Either separator counts: a model may come from another system. */
const leavesFolder = (location: string): boolean =>
  isAbsolute(location) || /^[A-Za-z]:|^[\\/]/.test(location) || location.split(/[\\/]/).includes('..');

/** The deepest folder that contains all files. */
function commonFolder(files: readonly string[], label: string | undefined): string {
  const [first = '', ...others] = files;
  let folder = dirname(first);
  for (const file of others) {
    while (!isInside(folder, file)) {
      const parent = dirname(folder);
      if (parent === folder) {
        throw new RuntimeError(
          'EXTERNAL_FILE_REFUSED',
          `weights lie on several drives, ${parse(first).root} and ${parse(file).root}.`,
          `Move ${first} or ${file} so that both are on one drive.`,
          { label, path: file },
        );
      }
      folder = parent;
    }
  }
  return folder;
}

function isInside(folder: string, file: string): boolean {
  const path = relative(folder, file);
  return path !== '' && path.split(sep)[0] !== '..' && !isAbsolute(path);
}

const toLocation = (folder: string, file: string): string => relative(folder, file).split(sep).join('/');
