import type { ImageDatasetConfig } from './dataset-types.ts';
import { DatasetError } from './errors.ts';
import { numberSuffix } from './internal/file-names.ts';
import type { DatasetSource } from './sources.ts';

type Line = Readonly<Record<string, unknown>>;

/**
 * Reads a list of images: `image_path` (or `image_path_0`), further targets `image_path_1` … where several are wanted,
 * `caption`, `control_path` or `control_path_0`, `control_path_1` … a line. Once one image has controls, every image must
 * have as many as the model takes; more are left out.
 *
 * @throws {DatasetError} `JSONL_SYNTAX`, `INVALID_DIGITS_SUFFIX`, `MISSING_CONTROL_IMAGES`
 */
export function readImageJsonl(
  text: string,
  file: string,
  { controlCountPerImage: controlCount, multipleTarget }: ImageDatasetConfig,
): DatasetSource {
  const read = parseLines(text, file).map((line, index) => {
    const name = String(line['image_path'] ?? line['image_path_0'] ?? '');
    const targets = multipleTarget ? furtherTargets(line) : [];
    return { name, targets, controls: controlPaths(line, file, index + 1), ...captionOf(line) };
  });
  // a count of 0 means no limit here, unlike in folders
  const items = read.map((item) => ({ ...item, controls: item.controls.slice(0, controlCount || undefined) }));
  const hasControl = items.some(({ controls }) => controls.length > 0);
  if (hasControl && controlCount !== null) {
    const index = items.findIndex(({ controls }) => controls.length < controlCount);
    if (index >= 0) throw missingControls(file, index + 1, items[index]?.controls.length ?? 0, controlCount);
  }
  return { items, hasControl };
}

/**
 * Reads a list of videos: `video_path` (a file, or a folder of images) and `control_path` a line, the latter in all
 * lines or in none.
 *
 * @throws {DatasetError} `JSONL_SYNTAX`, `MISSING_CONTROL_IMAGES`
 */
export function readVideoJsonl(text: string, file: string): DatasetSource {
  const lines = parseLines(text, file);
  const hasControl = lines.some((line) => 'control_path' in line);
  const index = lines.findIndex((line) => !('control_path' in line));
  if (hasControl && index >= 0) throw missingControls(file, index + 1, 0, 1);
  const items = lines.map((line) => {
    const control = line['control_path'];
    const name = String(line['video_path'] ?? '');
    return { name, targets: [], controls: control ? [String(control)] : [], ...captionOf(line) };
  });
  return { items, hasControl };
}

function furtherTargets(line: Line): string[] {
  const targets: string[] = [];
  for (let i = 1; typeof line[`image_path_${i}`] === 'string'; i++) targets.push(String(line[`image_path_${i}`]));
  return targets;
}

function captionOf(line: Line): { caption?: string } {
  return typeof line['caption'] === 'string' ? { caption: line['caption'] } : {};
}

function parseLines(text: string, file: string): Line[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  if (lines.at(-1) === '') lines.pop(); // the end of the last line
  return lines.map((line, index) => {
    let value: unknown;
    let cause: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      cause = error;
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Line;
    const what = `${file}, line ${index + 1} is ${line.trim() === '' ? 'blank' : 'not a JSON object'}.`;
    const remedy = 'Write one JSON object a line, e.g. {"image_path": "a.png", "caption": "a cat"}.';
    throw new DatasetError('JSONL_SYNTAX', what, remedy, { file, ...(cause === undefined ? {} : { cause }) });
  });
}

/** `control_path` is number 0; the others may have any digits and are taken in numeric order. */
function controlPaths(line: Line, file: string, number: number): string[] {
  const paths = Object.entries(line).flatMap(([key, value]) => {
    if (key !== 'control_path' && !key.startsWith('control_path_')) return [];
    const position = key === 'control_path' ? 0 : numberSuffix(key);
    if (position !== null) return [{ position, path: String(value) }];
    const what = `${file}, line ${number}: "${key}" does not end in a number.`;
    throw new DatasetError('INVALID_DIGITS_SUFFIX', what, 'Write control_path_0, control_path_1 …', { file });
  });
  return paths.toSorted((a, b) => a.position - b.position).map(({ path }) => path);
}

function missingControls(file: string, line: number, found: number, needed: number): DatasetError {
  const what = `${file}, line ${line} has ${found} control paths, ${needed} needed.`;
  return new DatasetError('MISSING_CONTROL_IMAGES', what, 'Give every line its control_path, or none.', { file });
}
