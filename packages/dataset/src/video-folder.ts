import type { VideoDatasetConfig } from './dataset-types.ts';
import { withoutExtension } from './internal/file-names.ts';
import { assertAllControlled, bothCases, fileNames, withExtension } from './internal/source-files.ts';
import type { DatasetSource, SourceFiles } from './sources.ts';

const videoExtensions = bothCases(['mp4', 'webm', 'avi', 'mkv', 'mov', 'flv', 'wmv', 'm4v', 'mpg', 'mpeg']);

/** A control video has the video's file name, else is a folder named like it, else has another video extension. */
export async function readVideoFolder(
  config: VideoDatasetConfig,
  folder: string,
  files: SourceFiles,
): Promise<DatasetSource> {
  const videos = withExtension(await fileNames(folder, files), videoExtensions);
  const { controlDirectory } = config;
  if (controlDirectory === null) {
    return { items: videos.map((name) => ({ name, targets: [], controls: [] })), hasControl: false };
  }
  const entries = (await files.list(controlDirectory)) ?? [];
  const names = new Set(entries.map(({ name }) => name));
  const folders = new Set(entries.filter(({ isFolder }) => isFolder).map(({ name }) => name));
  const items = videos.map((name) => {
    const base = withoutExtension(name);
    const other = videoExtensions.map((extension) => base + extension).find((candidate) => names.has(candidate));
    const control = names.has(name) ? name : folders.has(base) ? base : other;
    return { name, targets: [], controls: control === undefined ? [] : [control] };
  });
  assertAllControlled(
    items.filter(({ controls }) => controls.length === 0).map(({ name }) => name),
    controlDirectory,
  );
  return { items, hasControl: true };
}
