import { SafetensorsError } from '../error.ts';
import type { SafetensorsErrorCode } from '../error.ts';
import type { TensorInfo } from '../header.ts';
import { quote } from '../internal/quote.ts';
import { sniff } from '../internal/sniff.ts';
import type { ByteSource } from '../source.ts';
import { createStore, readExactly } from '../store.ts';
import type { TensorStore } from '../store.ts';
import { isRowMajor, spanOf } from '../strided.ts';
import { recognisePth } from './recognise.ts';
import { findStateDict } from './state-dict.ts';
import { MAX_PICKLE_BYTES, unpickle } from './unpickle.ts';
import type { TorchTensor } from './values.ts';
import { assertStored, readZip } from './zip.ts';
import type { ZipEntry } from './zip.ts';

const CONVERT_OLD =
  "Convert it once where PyTorch is: python -c \"import torch; torch.save(torch.load('old.pth', map_location='cpu', weights_only=True), 'new.pth')\".";
const SAVE_AGAIN = 'Save it again with torch.save, or download it again.';

/**
 * Opens a PyTorch checkpoint as `torch.save` has written it since 1.6: a zip archive with a pickle that names the tensors and one
 * stored entry for the bytes of each storage. The pickle is read by an allow-list and executes nothing; the tensors stay where
 * they are, at `offset` in the file itself.
 *
 * The state dict is the root, or under one of `state_dict`, `model_state_dict`, `model`, `module`, `params`, `weights`.
 *
 * @throws {SafetensorsError} `NOT_PTH`, `PTH_OLD_FORMAT`, `PTH_UNSUPPORTED`, `PTH_INCOMPLETE`, `ZIP_…`, `PICKLE_…`, `TENSOR_INVALID`,
 *   `UNKNOWN_DTYPE`, `SIZE_MISMATCH`, `NO_STATE_DICT`; the source stays open, close it
 */
export async function openPth(source: ByteSource): Promise<TensorStore> {
  await assertIsZip(source);
  const entries = await readZip(source);
  const folder = findFolder(entries, source.name);
  assertStored(entries, source);
  await assertLittleEndian(entries.get(`${folder}/byteorder`), source);

  const pickle = entries.get(`${folder}/data.pkl`)!;
  if (pickle.byteLength > MAX_PICKLE_BYTES) {
    const problem = `its pickle has ${pickle.byteLength} bytes, at most ${MAX_PICKLE_BYTES} are read.`;
    throw failure(source, 'PICKLE_TOO_LARGE', problem, 'Save only the weights: torch.save(model.state_dict(), path).');
  }
  const root = unpickle(await readExactly(source, pickle.offset, pickle.byteLength), source.name);
  const tensors = new Map<string, TensorInfo>();
  for (const [name, tensor] of findStateDict(root, source.name)) {
    tensors.set(name, place(name, tensor, entries.get(`${folder}/data/${tensor.storage.key}`), source));
  }
  return createStore(tensors, {}, new Map([[source.name, source]]));
}

async function assertIsZip(source: ByteSource): Promise<void> {
  const start = await readExactly(source, 0, Math.min(source.size, 512));
  const kind = recognisePth(start);
  if (kind === 'zip') return;
  if (kind !== null) {
    const looksLike =
      kind === 'tar' ? 'a tar archive, the first format of PyTorch' : 'of the format before PyTorch 1.6';
    throw new SafetensorsError('PTH_OLD_FORMAT', `is ${looksLike}.`, CONVERT_OLD, { file: source.name, looksLike });
  }
  const guess = sniff(start);
  throw new SafetensorsError(
    'NOT_PTH',
    guess ? `is not a PyTorch checkpoint; it looks like ${guess.looksLike}.` : `is not a PyTorch checkpoint.`,
    guess ? guess.remedy : 'Check that it is the right file, and download it again.',
    { file: source.name, ...(guess ? { looksLike: guess.looksLike } : {}) },
  );
}

/** The archive's only folder with a `data.pkl`; it may have any name. */
function findFolder(entries: ReadonlyMap<string, ZipEntry>, file: string): string {
  const folders = Array.from(entries.keys(), (name) => /^([^/]+)\/data\.pkl$/.exec(name)?.[1]).filter(
    (folder) => folder !== undefined,
  );
  const [folder] = folders;
  if (folder === undefined || folders.length > 1) {
    const found = folders.length === 0 ? 'no data.pkl' : `${folders.length} times data.pkl`;
    const problem = `the archive has ${found} in a folder, so it is no PyTorch checkpoint.`;
    throw new SafetensorsError('PTH_INCOMPLETE', problem, 'Give the file that torch.save wrote, as it was.', { file });
  }
  if (entries.has(`${folder}/constants.pkl`)) {
    const remedy = 'In PyTorch: torch.save(torch.jit.load(path).state_dict(), "weights.pth").';
    throw new SafetensorsError('PTH_UNSUPPORTED', 'is a TorchScript program, not a checkpoint.', remedy, { file });
  }
  return folder;
}

async function assertLittleEndian(entry: ZipEntry | undefined, source: ByteSource): Promise<void> {
  if (!entry) return;
  const text = new TextDecoder().decode(await readExactly(source, entry.offset, Math.min(entry.byteLength, 16)));
  if (text.trim() === 'little') return;
  const problem = `its numbers are stored in the byte order ${quote(text)}, not "little".`;
  throw failure(source, 'PTH_UNSUPPORTED', problem, 'Load it in PyTorch on a usual machine and save it again.');
}

function place(
  name: string,
  { storage, type, offset, shape, strides }: TorchTensor,
  entry: ZipEntry | undefined,
  source: ByteSource,
): TensorInfo {
  const fail = (code: SafetensorsErrorCode, problem: string, remedy: string) =>
    new SafetensorsError(code, `tensor ${quote(name)} ${problem}`, remedy, { file: source.name, tensor: name });
  if (!entry)
    throw fail('PTH_INCOMPLETE', `has no data: the archive lacks data/${storage.key.slice(0, 80)}.`, SAVE_AGAIN);
  if (entry.byteLength !== storage.byteLength) {
    const problem = `has a storage of ${entry.byteLength} bytes, its pickle says ${storage.byteLength}.`;
    throw fail('SIZE_MISMATCH', problem, SAVE_AGAIN);
  }
  if (type.dtype === null) {
    throw fail('UNKNOWN_DTYPE', `is ${type.name}, which safetensors does not have.`, 'Save it as another dtype.');
  }
  const found = { name, dtype: type.dtype, shape, source: source.name, offset: entry.offset + offset * type.width };
  if (shape.includes(0)) return { ...found, offset: entry.offset, byteLength: 0 };
  const bytes = shape.reduce((product, size) => product * size, type.width);
  // An expanded tensor repeats its elements: a hundred bytes could claim all memory.
  if (bytes > source.size) {
    const problem = `would have ${bytes} bytes, the whole file has ${source.size}: it is an expanded view.`;
    throw fail(
      'TENSOR_INVALID',
      problem,
      'In PyTorch, save it as tensor.clone().contiguous(), or save what was expanded.',
    );
  }
  if (isRowMajor(shape, strides)) return { ...found, byteLength: bytes };
  return { ...found, byteLength: spanOf(shape, strides) * type.width, strides };
}

function failure(source: ByteSource, code: SafetensorsErrorCode, problem: string, remedy: string): SafetensorsError {
  return new SafetensorsError(code, problem, remedy, { file: source.name });
}
